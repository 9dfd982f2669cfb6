//go:build unix

package process

import (
	"os"
	"os/exec"
	"syscall"
)

// Detach puts the command, not started yet, into a session and a process group of its own.
// In a session without a terminal, a program that wants to ask the user something there
// fails, instead of waiting for an answer that nobody is asked for.
func Detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// Interrupt asks the group of a detached process to end, as Ctrl-C does.
func Interrupt(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGINT) }

// Kill ends the group of a detached process.
func Kill(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGKILL) }

// Signal returns the signal that ended the process, 0 if none did.
func Signal(s *os.ProcessState) syscall.Signal {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return w.Signal()
	}
	return 0
}
