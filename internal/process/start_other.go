//go:build !linux

package process

import "os/exec"

// Start starts a command that Detach has prepared; wait, which must be called, is
// its Wait. Only Linux has a simple way to have the child end with this process
// when that is killed.
func Start(cmd *exec.Cmd) (wait func() error, err error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return cmd.Wait, nil
}
