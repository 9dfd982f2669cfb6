package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hub"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/term"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// unasked is how many bytes are downloaded without asking.
const unasked = 100e6

// download fetches a model from Hugging Face and returns its path. What is large
// needs a yes, from the flag or from the person at the terminal.
func (a *app) download(ctx context.Context, word string, yes bool) (string, error) {
	c := a.hub()
	if c.Cache == "" {
		return "", usagef("HF_HUB_CACHE names a folder for it", "no folder for the models of this user is known")
	}
	if path, ok := c.Here(word, c.Offline != ""); ok {
		return path, nil
	}
	c.Observe = func(p hub.Progress) {
		say(a.stderr, "  %s; asking again in %s\n", plain.Line(p.Waiting), unit.Seconds(p.Pause))
	}
	p, err := c.Plan(ctx, word)
	if err != nil {
		if path, ok := c.Here(word, true); ok && ctx.Err() == nil {
			say(a.stderr, "gpuplay: %s\n  using %s, which is on this machine\n", plain.Line(err.Error()), plain.Line(filepath.Base(path)))
			return path, nil
		}
		return "", err
	}
	if p.Missing > 0 {
		if err := a.consent(ctx, c, p, yes); err != nil {
			return "", err
		}
	}
	defer a.work()()
	t := newTransfer(a.stderr, a.env.style(a.stderr), p)
	c.Observe = t.observe
	defer t.close()
	return c.Get(ctx, p)
}

// consent says what will be downloaded, and asks where it is much.
func (a *app) consent(ctx context.Context, c *hub.Client, p *hub.Plan, yes bool) error {
	license := "without a license in its card"
	if p.License != "" {
		license = "license " + p.License
	}
	what := unit.Bytes(float64(p.Missing))
	if p.Missing < p.Bytes {
		what = fmt.Sprintf("%s of %s", what, unit.Bytes(float64(p.Bytes)))
	}
	say(a.stderr, "%s, %s\n  %s to download into %s\n", p.ID, license, what, c.Cache)
	for _, text := range a.expects(ctx, c, p) {
		for _, line := range term.Wrap(text, a.env.style(a.stderr).Width-2) {
			say(a.stderr, "  %s\n", line)
		}
	}
	if yes || p.Missing < unasked {
		return nil
	}
	return a.ask(ctx, fmt.Sprintf("%s is %s", p.ID, what))
}

// ask asks the person at the terminal whether to download something large. No answer, and
// no terminal, is a no.
func (a *app) ask(ctx context.Context, what string) error {
	_, in := terminal(a.stdin)
	if _, out := terminal(a.stderr); !in || !out {
		return fault.Errorf(fault.Unavailable, "%s: nothing of that size is downloaded unasked", what).With(fault.Change("yes", "{} downloads it"))
	}
	say(a.stderr, "%s. Download it? [y/N] ", what)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(a.stdin).ReadString('\n') // the end of the input is a no
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		say(a.stderr, "\n")
		return ctx.Err()
	case word := <-answer:
		if word == "y" || word == "yes" {
			return nil
		}
		return fault.Errorf(fault.Unavailable, "nothing was downloaded")
	}
}

// A transfer shows how far a download is: on a terminal one line that changes,
// else one line whenever something happens.
type transfer struct {
	out   io.Writer
	live  *term.Live // nil: not on a terminal
	end   func()     // to be called when live is no longer used
	style term.Style
	plan  *hub.Plan
	done  chan struct{}
	ended sync.WaitGroup

	mu      sync.Mutex
	now     hub.Progress
	began   time.Time
	from    int64  // bytes that were there when it began
	waiting string // that was said last
}

func newTransfer(out io.Writer, style term.Style, p *hub.Plan) *transfer {
	t := &transfer{out: out, style: style, plan: p, done: make(chan struct{}), began: time.Now(), from: p.Bytes - p.Missing}
	t.now = hub.Progress{Done: t.from, Total: p.Bytes}
	if p.Missing > 0 {
		if t.live, t.end = onTerminal(out, style); t.live != nil {
			t.ended.Go(t.show)
		}
	}
	return t
}

func (t *transfer) observe(p hub.Progress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live == nil && p.Waiting != "" && p.Waiting != t.waiting {
		say(t.out, "  %s: %s\n", plain.Line(p.File), plain.Line(p.Waiting))
	}
	t.waiting = p.Waiting
	t.now = p
}

func (t *transfer) show() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		t.mu.Lock()
		line := t.line(time.Since(t.began))
		t.mu.Unlock()
		t.live.Show(line)
		select {
		case <-t.done:
			t.live.Show()
			t.end()
			return
		case <-tick.C:
		}
	}
}

// line is the state of the download after a time.
func (t *transfer) line(after time.Duration) string {
	p := t.now
	if p.Waiting != "" {
		return fmt.Sprintf("  %s: %s", plain.Line(p.File), plain.Line(p.Waiting))
	}
	const width = 24
	full, empty := "█", "░"
	if !t.style.Unicode {
		full, empty = "#", "."
	}
	filled := int(width * p.Done / max(p.Total, 1))
	line := "  " + strings.Repeat(full, filled) + strings.Repeat(empty, width-filled) +
		fmt.Sprintf("  %s of %s", unit.Bytes(float64(p.Done)), unit.Bytes(float64(p.Total)))
	if speed := float64(p.Done-t.from) / after.Seconds(); after > time.Second && speed > 0 {
		left := time.Duration(float64(p.Total-p.Done) / speed * float64(time.Second))
		line += fmt.Sprintf("  %s/s  %s", unit.Bytes(speed), unit.Left(left))
	}
	return line
}

// close ends the show; what was downloaded is printed where it was not shown.
func (t *transfer) close() {
	close(t.done)
	t.ended.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now.Done == t.now.Total && t.plan.Missing > 0 {
		say(t.out, "  %s in %s\n", unit.Bytes(float64(t.now.Done-t.from)), unit.Seconds(time.Since(t.began)))
	}
}
