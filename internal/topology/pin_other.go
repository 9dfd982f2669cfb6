//go:build !linux

package topology

// Pin does nothing: this system does not let a thread choose its CPU.
func Pin(...int) {}
