package gemm

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// yield gives the CPU to another thread that is waiting for it, if any.
// runtime.Gosched would put a goroutine that is locked to its thread to sleep.
func yield() { _, _, _ = syscall.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
