package worker

import (
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// detach keeps a Ctrl-C on the console from the child: it is the parent's to
// handle.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
}

// killGroup ends the child. What it has started sees its own stdin end.
func killGroup(p *os.Process) { p.Kill() }

// cpuTime returns the CPU time that this process has used.
func cpuTime() (time.Duration, bool) {
	var created, exited, kernel, user windows.Filetime
	if windows.GetProcessTimes(windows.CurrentProcess(), &created, &exited, &kernel, &user) != nil {
		return 0, false
	}
	ticks := func(f windows.Filetime) time.Duration { // of 100 ns; a Filetime's Nanoseconds count from 1601
		return time.Duration(uint64(f.HighDateTime)<<32|uint64(f.LowDateTime)) * 100
	}
	return ticks(kernel) + ticks(user), true
}

// signalOf returns 0: Windows has exit codes only.
func signalOf(*os.ProcessState) syscall.Signal { return 0 }
