package process

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"time"
)

// Output runs a command to its end and returns what it has written. When the context
// ends first, the command is killed with all that it has started, and the context's
// error is returned without waiting: a process that hangs in a driver cannot be killed.
func Output(ctx context.Context, cmd *exec.Cmd) (stdout, stderr string, err error) {
	if err := ctx.Err(); err != nil {
		return "", "", err
	}
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	cmd.WaitDelay = 100 * time.Millisecond // for what its own children keep open
	Detach(cmd)
	wait, err := Start(cmd)
	if err != nil {
		return "", "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- wait() }()
	select {
	case err := <-ended:
		if errors.Is(err, exec.ErrWaitDelay) {
			err = nil
		}
		return out.String(), log.String(), err
	case <-ctx.Done():
		Kill(cmd.Process)
		return "", "", ctx.Err()
	}
}
