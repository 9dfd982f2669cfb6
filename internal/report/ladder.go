package report

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Ladder is one product computed in better and better ways.
type Ladder struct {
	CPU         string
	Size        int // n of an n×n×n product of float32
	Rungs       []Rung
	Interrupted bool
}

// A Rung is one idea more than the rung before.
type Rung struct {
	Name    string
	Idea    string
	Threads int
	Seconds []float64 // of one product, a value a sample
	Peak    *float64  // FLOP/s of as many threads with nothing but multiply-adds; nil: not known
}

// LadderTable writes a line a rung with what it brings, and its idea.
func LadderTable(w io.Writer, l *Ladder, s Style) error {
	p := &page{Style: s}
	g := bench.Square(l.Size, matrix.Float32)
	p.title("the ladder of matrix multiply", unit.Cube(g.M, g.N, g.K), "float32", l.CPU, "every product checked")
	const nameWidth, speedWidth, gainWidth = 12, 14, 9
	room := min(40, s.Width-2-nameWidth-speedWidth-gainWidth-3)
	speeds := make([]float64, len(l.Rungs))
	slowest, fastest := math.Inf(1), 0.0
	for i, r := range l.Rungs {
		speeds[i] = g.FLOP() / stats.Median(r.Seconds)
		slowest, fastest = min(slowest, speeds[i]), max(fastest, speeds[i])
	}
	// Each doubling has a piece of the bar of the same length: to scale, the first
	// rungs could not be seen.
	doublings := math.Log2(fastest/slowest) + 1
	each := min(4, float64(room)/doublings)
	for i, r := range l.Rungs {
		p.line("")
		gain := ""
		if i > 0 {
			gain = unit.Times(speeds[i]/speeds[i-1]) + "×"
		}
		bar := ""
		if room >= minBar {
			bar = "   " + strings.Repeat(s.Plain("█"), max(1, int(math.Round((math.Log2(speeds[i]/slowest)+1)*each))))
		}
		p.line("  %s%s%s%s", s.bold(pad(r.Name, nameWidth)), right(g.Rate(speeds[i]), speedWidth), right(s.Plain(gain), gainWidth), bar)
		idea := r.Idea
		if r.Threads > 1 {
			idea += fmt.Sprintf(" (%s)", threadsText(r.Threads))
		}
		for _, t := range Wrap(s.Plain(idea), s.Width-6) {
			p.line("    %s", s.dim(t))
		}
	}
	p.sentences(l.sentences(speeds))
	if room >= minBar && len(l.Rungs) > 1 {
		p.line("")
		p.line("  %s", s.dim(fit(s.Plain(fmt.Sprintf("%s of a bar: twice as fast", strings.Repeat("█", max(1, int(math.Round(each)))))), s.Width-2)))
	}
	return p.writeTo(w)
}

func (l *Ladder) sentences(speeds []float64) []string {
	var out []string
	if n := len(speeds); n > 1 {
		text := fmt.Sprintf("From %s to %s: %s× as fast, with the same multiplications.", l.Rungs[0].Name, l.Rungs[n-1].Name, unit.Times(speeds[n-1]/speeds[0]))
		if shares := l.shares(speeds); shares != "" {
			text += " " + shares
		}
		out = append(out, text)
	}
	if l.Interrupted {
		out = append(out, interrupted)
	}
	return out
}

// shares says how near to their peak one thread comes and all of them do, where
// that is known.
func (l *Ladder) shares(speeds []float64) string {
	text, last := "", 0
	for i, r := range l.Rungs {
		if r.Peak == nil || r.Threads == last { // the last rung has one thread on one CPU
			continue
		}
		last = r.Threads
		share := unit.Percent(speeds[i] / *r.Peak)
		switch {
		case text != "":
			text += fmt.Sprintf(", %s %s of theirs", threadsText(r.Threads), share)
		default:
			text = fmt.Sprintf("One thread reaches %s of the most that it can multiply and add", share)
		}
	}
	if text != "" {
		text += "."
	}
	return text
}
