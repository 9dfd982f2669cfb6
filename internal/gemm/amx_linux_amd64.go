//go:build !noasm

package gemm

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// permitAMX asks the kernel for AMX's tile registers, which a process may use only with
// permission because they enlarge its signal frames: arch_prctl(ARCH_REQ_XCOMP_PERM,
// XFEATURE_XTILEDATA), as in Linux's Documentation/arch/x86/xstate.rst. It reports
// whether they may be used.
func permitAMX() bool {
	const requestPermission, tileData = 0x1023, 18
	_, _, errno := syscall.RawSyscall(unix.SYS_ARCH_PRCTL, requestPermission, tileData, 0)
	return errno == 0
}
