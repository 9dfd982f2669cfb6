//go:build !linux

package gemm

import "runtime"

// yield gives the CPU to another thread that is waiting for it, if any.
func yield() { runtime.Gosched() }
