package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/report"
)

// progress shows what goes on while it goes on: on a terminal a line a lane, all
// replaced by the result, else plain lines, with --quiet nothing. Whoever reports
// to it never waits for the terminal.
type progress struct {
	out   io.Writer
	live  bool // a terminal
	quiet bool
	style report.Style
	wake  chan struct{} // there is something new to show
	done  chan struct{}

	mu     sync.Mutex
	said   []string // what stays above the lanes
	lanes  []laneProgress
	drawn  []string // a picture below them, on a terminal only
	closed bool
}

type laneProgress struct {
	name  string
	gemm  bench.GEMM // its types: a race finds the size later
	event bench.Event
}

func newProgress(out io.Writer, quiet bool, style report.Style) *progress {
	p := &progress{out: out, quiet: quiet, style: style, wake: make(chan struct{}, 1), done: make(chan struct{})}
	_, p.live = terminal(out)
	go p.show()
	return p
}

// change applies f and has the result shown soon.
func (p *progress) change(f func()) {
	p.mu.Lock()
	f()
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default: // it will be seen with what came before
	}
}

// say adds a line.
func (p *progress) say(format string, args ...any) {
	p.change(func() { p.said = append(p.said, fmt.Sprintf(format, args...)) })
}

// draw replaces the picture that a terminal shows.
func (p *progress) draw(lines []string) { p.change(func() { p.drawn = lines }) }

// resay replaces the latest line on a terminal. Where lines stay they say it already.
func (p *progress) resay(format string, args ...any) {
	p.change(func() {
		if p.live && len(p.said) > 0 {
			p.said[len(p.said)-1] = fmt.Sprintf(format, args...)
		}
	})
}

// race begins a line for every lane.
func (p *progress) race(lanes []bench.Lane) {
	p.change(func() {
		p.lanes = make([]laneProgress, len(lanes))
		for i, l := range lanes {
			p.lanes[i].name, p.lanes[i].gemm = report.Label(l.Device), l.GEMM
		}
	})
}

// observe is the runner's observer for the lanes that race was given.
func (p *progress) observe(e bench.Event) {
	p.change(func() {
		l := &p.lanes[e.Lane]
		l.event = e
		if !p.live && e.Phase == bench.Finished {
			p.said = append(p.said, l.text())
		}
	})
}

// close ends the show; on a terminal nothing is left of it.
func (p *progress) close() {
	p.change(func() { p.closed = true })
	<-p.done
}

// show writes until close: on a terminal all lines anew, else those that came.
func (p *progress) show() {
	defer close(p.done)
	shown := 0 // lines on the screen, or printed
	for closed := false; !closed; {
		<-p.wake
		p.mu.Lock()
		closed = p.closed
		lines := p.said[:len(p.said):len(p.said)]
		if p.live {
			for _, l := range p.lanes {
				lines = append(lines, l.line(p.style))
			}
			lines = append(lines, p.drawn...)
		}
		p.mu.Unlock()
		switch {
		case p.quiet:
		case p.live:
			if closed {
				lines = nil
			}
			p.redraw(lines, shown)
			shown = len(lines)
			if !closed {
				time.Sleep(80 * time.Millisecond) // twelve times a second is fluent
			}
		default:
			for ; shown < len(lines); shown++ {
				fmt.Fprintln(p.out, lines[shown])
			}
		}
	}
}

// redraw replaces the lines on the screen.
func (p *progress) redraw(lines []string, onScreen int) {
	var b strings.Builder
	if onScreen > 0 {
		b.WriteString(ansi.CursorUp(onScreen))
	}
	b.WriteString("\r" + ansi.EraseScreenBelow)
	for _, l := range lines {
		b.WriteString(ansi.Truncate("  "+l, p.style.Width-1, "") + "\n")
	}
	io.WriteString(p.out, b.String())
}

// text is a lane as plain text.
func (l laneProgress) text() string {
	r := l.event.Result
	switch {
	case r == nil:
		return fmt.Sprintf("%s: %s", l.name, l.event.Phase)
	case r.Error != nil:
		return fmt.Sprintf("%s: %s", l.name, r.Error.Message)
	case len(r.Samples) == 0:
		return l.name + ": not measured"
	}
	s, _ := r.Speed()
	samples := "samples"
	if len(r.Samples) == 1 {
		samples = "sample"
	}
	return fmt.Sprintf("%s: %s from %d %s", l.name, r.GEMM.Rate(s.Value), len(r.Samples), samples)
}

// line is a lane on a terminal, with a bar of the samples that it has.
func (l laneProgress) line(style report.Style) string {
	const nameWidth, barWidth = 30, 10
	name := ansi.Truncate(l.name, nameWidth, "~")
	name += strings.Repeat(" ", nameWidth-ansi.StringWidth(name)+2)
	e := l.event
	if e.Phase != bench.Sampling || e.Total == 0 {
		state := string(e.Phase)
		if r := e.Result; r != nil && r.Error != nil {
			state = r.Error.Message
		} else if state == "" {
			state = "waiting"
		}
		return name + state
	}
	full, empty := "█", "░"
	if !style.Unicode {
		full, empty = "#", "."
	}
	filled := barWidth * e.Done / max(e.Total, e.Done)
	bar := strings.Repeat(full, filled) + strings.Repeat(empty, barWidth-filled)
	return fmt.Sprintf("%s%s  %2d/%d samples  %s", name, bar, e.Done, max(e.Total, e.Done), l.gemm.Rate(e.Speed))
}
