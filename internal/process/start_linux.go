package process

import (
	"os/exec"
	"runtime"
	"syscall"
)

// Start starts a command that Detach has prepared; wait, which must be called, is
// its Wait. The child is killed when this process ends in whatever way, also by a
// signal that nobody can catch.
//
// The kernel sends that signal when the thread that started the child ends
// (PR_SET_PDEATHSIG in prctl(2)), so a thread is kept for it until then.
func Start(cmd *exec.Cmd) (wait func() error, err error) {
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started, asked, ended := make(chan error), make(chan struct{}), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if started <- err; err != nil {
			return
		}
		<-asked
		ended <- cmd.Wait()
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return func() error {
		close(asked)
		return <-ended
	}, nil
}
