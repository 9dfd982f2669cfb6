//go:build !linux

package gemm

import "runtime"

// usableCPUs returns nothing: this system does not let a thread choose its CPU.
func usableCPUs() []int { return nil }

func pinThread(...int) {}

// yield lets another thread have the CPU, if one waits for it.
func yield() { runtime.Gosched() }
