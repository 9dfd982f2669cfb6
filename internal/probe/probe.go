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

// Ask starts the probe and decodes its answer; said is what else it has written to stderr.
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
	if text := strings.Join(strings.Fields(cmp.Or(said, stdout)), " "); text != "" {
		err = errors.New(text)
	}
	return said, fmt.Errorf("probe %s: %w", name, err)
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
