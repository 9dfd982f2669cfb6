package setup

import (
	"context"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/process"
)

// A Command is a program to run with its arguments, its own name first.
type Command struct {
	Args           []string
	Env            []string
	Stdout, Stderr io.Writer
}

// An Exec runs a command to its end. When the context ends first, so does the
// command with all that it has started, and the context's error is returned.
type Exec func(context.Context, Command) error

// mercy is how long an interrupted program may clean up after itself.
const mercy = 5 * time.Second

// Run is the Exec of the operating system.
func Run(ctx context.Context, c Command) error {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = c.Env, c.Stdout, c.Stderr
	process.Detach(cmd)
	cmd.Cancel = func() error { return process.Interrupt(cmd.Process) }
	cmd.WaitDelay = mercy
	wait, err := process.Start(cmd)
	if err != nil {
		return err
	}
	err = wait()
	if ctx.Err() != nil {
		process.Kill(cmd.Process)
		return ctx.Err()
	}
	return err
}

// output returns what a command writes to stdout; with an error come its last
// words.
func output(ctx context.Context, run Exec, env []string, limit time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var out, words strings.Builder
	if err := run(ctx, Command{Args: args, Env: env, Stdout: &out, Stderr: &words}); err != nil {
		return "", said(err, words.String())
	}
	return out.String(), nil
}
