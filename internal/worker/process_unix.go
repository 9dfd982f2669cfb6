//go:build unix

package worker

import (
	"os"
	"os/exec"
	"syscall"
	"time"
)

// detach puts the child into a process group of its own: a Ctrl-C on the
// terminal is the parent's to handle, and killing the group takes along what the
// child has started.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(p *os.Process) { syscall.Kill(-p.Pid, syscall.SIGKILL) }

// cpuTime returns the CPU time that this process has used.
func cpuTime() (time.Duration, bool) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), true
}

// signalOf returns the signal that ended the process, 0 if none did.
func signalOf(s *os.ProcessState) syscall.Signal {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return w.Signal()
	}
	return 0
}
