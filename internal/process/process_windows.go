package process

import (
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
)

// Detach puts the command, not started yet, into a process group of its own.
func Detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
}

// Interrupt asks the group of a detached process to end, as Ctrl-Break does.
func Interrupt(p *os.Process) error {
	return windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(p.Pid))
}

// Kill ends a detached process. What it has started sees its own stdin end.
func Kill(p *os.Process) error { return p.Kill() }

// Signal returns 0: Windows has exit codes only.
func Signal(*os.ProcessState) syscall.Signal { return 0 }
