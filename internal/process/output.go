package process

import (
	"context"
	"errors"
	"os/exec"
	"time"
)

// A tail keeps the end of what is written to it: a program may never stop writing.
type tail struct{ text []byte }

const tailSize = 1 << 20

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if len(t.text) > 2*tailSize {
		t.text = append(t.text[:0], t.text[len(t.text)-tailSize:]...)
	}
	return len(p), nil
}

// Output runs a command to its end and returns what it has written, of either stream the
// last one to two MiB. When the context ends first, the command is killed with all that it
// has started (on Windows, the command alone), and the context's error is returned without
// waiting: a process that hangs in a driver cannot be killed.
func Output(ctx context.Context, cmd *exec.Cmd) (stdout, stderr string, err error) {
	if err := ctx.Err(); err != nil {
		return "", "", err
	}
	var out, log tail
	cmd.Stdout, cmd.Stderr = &out, &log
	// For what its own children keep open. It is long, because on a busy machine 100 ms passed before
	// anything was read.
	cmd.WaitDelay = time.Second
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
		return string(out.text), string(log.text), err
	case <-ctx.Done():
		Kill(cmd.Process)
		return "", "", ctx.Err()
	}
}
