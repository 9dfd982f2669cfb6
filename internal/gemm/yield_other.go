//go:build !linux

package gemm

import "runtime"

// yield lets another thread have the CPU, if one waits for it.
func yield() { runtime.Gosched() }
