// Package probe asks what is better asked in another process: a driver's library may
// hang, end its process or print. The child is this program again, as
// `gpuplay probe NAME`; it answers with one JSON document.
package probe

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/gpuplay/gpuplay/internal/process"
)

// An Asker decodes the answer of the probe of that name: Ask, or nothing in a test whose
// binary is not this program.
type Asker func(ctx context.Context, name string, answer any, env ...string) (said string, err error)

// Ask starts the probe and decodes its answer; said is what else it has written to stderr,
// without the report of a crash.
// The child inherits the environment, to which env adds. The error is the context's when
// that ends first, or else has what the child has written.
func Ask(ctx context.Context, name string, answer any, env ...string) (said string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program to start it again: %w", err)
	}
	cmd := &exec.Cmd{Path: self, Args: []string{"gpuplay", "probe", name}}
	cmd.Env = append(cmd.Environ(), env...)
	stdout, said, err := process.Output(ctx, cmd)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err == nil { // the library may have printed before
		lines := strings.Split(strings.TrimSpace(stdout), "\n")
		if err = json.Unmarshal([]byte(lines[len(lines)-1]), answer); err == nil {
			return said, nil
		}
	}
	said, crash := crashed(said)
	switch text := strings.Join(strings.Fields(cmp.Or(said, stdout)), " "); {
	case crash != "" && text != "":
		err = fmt.Errorf("%s; a driver ended the process: %s", text, crash)
	case crash != "":
		err = errors.New("a driver ended the process: " + crash)
	case text != "":
		err = errors.New(text)
	}
	return said, fmt.Errorf("probe %s: %w", name, err)
}

// crashed splits what a process has said before it crashed from the report of Go's
// runtime, which has the stacks of all goroutines, and returns the first line of that:
// "SIGSEGV: segmentation violation". It is empty if there was no crash.
func crashed(said string) (before, crash string) {
	at := 0
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, "SIG") || strings.HasPrefix(line, "fatal error: ") {
			return said[:at], strings.TrimSpace(line)
		}
		at += len(line)
	}
	return said, ""
}

// Answer writes a probe's answer on a line of its own.
func Answer(w io.Writer, answer any) error {
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\n%s\n", text)
	return err
}
