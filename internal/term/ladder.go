package term

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// ladderTable writes one line per rung with what it brings, and its idea below.
func ladderTable(w io.Writer, r *record.Run, s Style) error {
	p := &page{Style: s}
	l := r.Ladder
	if l == nil {
		l = &record.Ladder{}
	}
	g := bench.Square(l.Size, matrix.Float32)
	if l.GPU != "" {
		p.title("the ladder of matrix multiply", unit.Cube(g.M, g.N, g.K), judge.LadderDevice(l), "every product checked")
	} else {
		p.title("the ladder of matrix multiply", unit.Cube(g.M, g.N, g.K), "float32", r.Machine.CPU, "every product checked")
	}
	const nameWidth, speedWidth, gainWidth, maxRoom = 12, 14, 9, 40
	speeds, gains := judge.RungSpeeds(l), judge.RungGains(r)
	scale := newDoublings(speeds, min(maxRoom, s.Width-2-nameWidth-speedWidth-gainWidth-3))
	for i, rung := range l.Rungs {
		gain, bar := "", ""
		if gains[i] > 0 {
			gain = unit.Times(gains[i]) + "×"
		}
		if n := scale.length(speeds[i]); n > 0 {
			bar = "   " + strings.Repeat("█", n)
		}
		p.line()
		p.line(span{"  ", usual}, span{pad(p.clean(rung.Name), nameWidth), bold}, span{right(g.Rate(speeds[i]), speedWidth) + right(p.clean(gain), gainWidth) + bar, usual})
		idea := rung.Idea
		if rung.Threads > 1 {
			idea += fmt.Sprintf(" (%s)", unit.Plural(rung.Threads, "thread"))
		}
		for _, t := range Wrap(p.clean(idea), s.Width-6) {
			p.line(span{"    " + t, dim})
		}
		var facts []string
		if rung.DType != "" {
			facts = append(facts, string(rung.DType))
		}
		if share := judge.RungShare(rung); share > 0 {
			facts = append(facts, unit.Percent(share)+" of cuBLASLt")
		}
		if bound := judge.RungBound(l, rung); bound != "" {
			facts = append(facts, bound)
		}
		if len(facts) > 0 {
			for _, t := range Wrap(p.clean(strings.Join(facts, "; ")), s.Width-6) {
				p.line(span{"    " + t, usual})
			}
		}
	}
	p.sentences(judge.Sentences(r))
	if len(l.Rungs) > 1 && scale.each > 0 {
		p.line()
		p.line(span{"  " + fit(p.clean(strings.Repeat("█", max(1, int(math.Round(scale.each))))+" of a bar: twice as fast"), s.Width-2), dim})
	}
	return p.writeTo(w)
}

// doublings is a scale on which each doubling of the speed makes a bar longer by the
// same length: on a linear one the first rungs could not be seen.
type doublings struct {
	slowest float64
	each    float64 // characters per doubling; 0: there are no bars
	room    int     // characters
}

func newDoublings(speeds []float64, room int) doublings {
	d := doublings{slowest: math.Inf(1), room: room}
	fastest := 0.0
	for _, s := range speeds {
		d.slowest, fastest = min(d.slowest, s), max(fastest, s)
	}
	const most = 4
	if steps := math.Log2(fastest/d.slowest) + 1; room >= minBar && steps > 0 && !math.IsInf(steps, 0) {
		d.each = min(most, float64(room)/steps)
	}
	return d
}

// length returns the characters of a speed's bar.
func (d doublings) length(speed float64) int {
	if d.each == 0 {
		return 0
	}
	return min(d.room, max(1, int(math.Round((math.Log2(speed/d.slowest)+1)*d.each))))
}
