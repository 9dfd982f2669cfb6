//go:build !linux

package gemm

// usableCPUs returns nothing: this system does not let a thread choose its CPU.
func usableCPUs() []int { return nil }

func pinThread(...int) {}
