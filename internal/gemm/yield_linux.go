package gemm

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// yield lets another thread have the CPU, if one waits for it. Go's own way,
// runtime.Gosched, puts a goroutine that is tied to its thread to sleep.
func yield() { _, _, _ = syscall.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
