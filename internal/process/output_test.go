package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestOutput(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no sh on Windows")
	}
	stdout, stderr, err := Output(t.Context(), exec.Command("sh", "-c", "echo out; echo log >&2; exit 3"))
	if exit := (*exec.ExitError)(nil); stdout != "out\n" || stderr != "log\n" || !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("%q, %q, %v", stdout, stderr, err)
	}
	if _, _, err := Output(t.Context(), exec.Command("/no/such/program")); err == nil {
		t.Error("a program that is not there has run")
	}
	// What the program leaves behind keeps nobody waiting.
	stdout, _, err = Output(t.Context(), exec.Command("sh", "-c", "sleep 1000 & echo $!"))
	if pid, convert := strconv.Atoi(strings.TrimSpace(stdout)); err != nil || convert != nil {
		t.Errorf("%q, %v", stdout, err)
	} else if p, err := os.FindProcess(pid); err == nil {
		p.Kill()
	}
}

// When the context ends, so does the program with what it has started.
func TestOutputEnds(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no sh on Windows")
	}
	started := filepath.Join(t.TempDir(), "started")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(started); err == nil {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, _, err := Output(ctx, exec.Command("sh", "-c", "sleep 1000 & echo $! > "+started+".new; mv "+started+".new "+started+"; wait"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	text, err := os.ReadFile(started)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	ends(t, pid)
}
