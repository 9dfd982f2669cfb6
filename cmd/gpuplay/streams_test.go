package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// full is a disk without space.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// A command whose output went nowhere did not succeed, whatever it printed.
func TestStdoutCannotBeWritten(t *testing.T) {
	for _, words := range []string{"--help", "--version", "version", "version --json", "help race", "race --help", "completion bash", "models", "models --json", "matmul --size 8 --repeat 1", "matmul --size 8 --repeat 1 -f line", "matmul --size 8 --repeat 1 -f events"} {
		var stderr bytes.Buffer
		if code := run(strings.Fields(words), nil, full{}, &stderr); code != exitFailed || !strings.Contains(stderr.String(), "gpuplay: writing the output: no space left on device\n") && !strings.Contains(stderr.String(), "gpuplay: no space left on device\n") {
			t.Errorf("%s: exit code %d, %q", words, code, &stderr)
		}
	}
}

// What others write comes in pieces that may end in the middle of a character.
func TestPlainly(t *testing.T) {
	const text = "ä 漢字 \x1b[31m👩‍👧 \u009b end\r\n"
	for size := 1; size < len(text); size++ {
		var b bytes.Buffer
		w := &plainly{Writer: &b}
		for rest := []byte(text); len(rest) > 0; {
			n := min(size, len(rest))
			if got, err := w.Write(rest[:n]); got != n || err != nil {
				t.Fatal(got, err)
			}
			rest = rest[n:]
		}
		if got, want := strings.ReplaceAll(b.String(), "^M\n", "\n"), "ä 漢字 ^[[31m👩‍👧 <U+009B> end\n"; got != want {
			t.Errorf("in pieces of %d: %q", size, got)
		}
	}
}

// A signal ends the program also where its command does not end: at once where nothing
// is measured, else once that is done. Whoever presses Ctrl-C while something is measured
// waits for its result to be written, and can press again.
func TestSignals(t *testing.T) {
	for _, tt := range []struct {
		name      string
		sent      syscall.Signal
		measuring time.Duration // 0: it is not
		writing   time.Duration
		code      int
		after     time.Duration
	}{
		{"a command that ends", syscall.SIGTERM, 0, lastWait / 2, exitFailed, lastWait / 2},
		{"a pipe that nobody reads", syscall.SIGINT, 0, time.Hour, 130, lastWait},
		{"a lab that takes its time", syscall.SIGTERM, time.Minute, lastWait / 2, exitFailed, time.Minute + lastWait/2},
		{"a pipe that nobody reads, after a lab", syscall.SIGTERM, time.Minute, time.Hour, 143, time.Minute + lastWait},
		{"hung up", syscall.SIGHUP, time.Minute, time.Hour, 129, time.Minute + lastWait},
		{"a slow reader", syscall.SIGINT, time.Minute, time.Hour, exitFailed, time.Minute + time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			a, _, _ := output()
			ctx, cancel := context.WithCancelCause(t.Context())
			start := time.Now()
			code := a.withSignals(ctx, func() int {
				done := func() {}
				if tt.measuring > 0 {
					done = a.work()
				}
				cancel(signalled{tt.sent})
				time.Sleep(tt.measuring)
				done()
				time.Sleep(tt.writing)
				return exitFailed
			})
			after := time.Since(start)
			time.Sleep(2 * time.Hour) // until the command ends
			if code != tt.code || after != tt.after {
				t.Errorf("%s: exit code %d after %v, want %d after %v", tt.name, code, after, tt.code, tt.after)
			}
		})
	}
}

func TestExitSignalled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("other"))
	if code := exitSignalled(ctx); code != exitInterrupted {
		t.Errorf("exit code %d", code)
	}
}
