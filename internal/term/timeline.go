package term

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// timelines adds what each rank did in one step of a measured run: for each strategy, over
// the most ranks that have a timeline of it.
func (p *page) timelines(r *record.Run) {
	p.line()
	p.paragraph(timelineOf(r), bold)
	p.paragraph("Computes, sends a Message or waits for one, does Both at once, · neither", usual)
	for _, t := range longest(r.Scaling) {
		end := 0.0
		for _, l := range t.Timeline {
			end = max(end, l.End())
		}
		p.line()
		p.line(span{"  ", usual}, span{string(t.Strategy), bold}, span{fmt.Sprintf("  %s over %s", unit.Seconds(time.Duration(end*float64(time.Second))), unit.Plural(len(t.Timeline), "rank")), usual})
		for rank, l := range t.Timeline {
			const name, figure = 9, 14
			busy := 0.0
			if end > 0 {
				busy = l.Compute.Seconds / end
			}
			p.line(span{"  " + pad(fmt.Sprintf("rank %d", rank), name), dim}, span{cells(l, end, max(6, p.Width-4-name-figure)), usual}, span{right(unit.Percent(busy)+" computes", figure+2), dim})
		}
	}
}

// timelineOf says whose timelines these are.
func timelineOf(r *record.Run) string {
	c := r.Scaling
	name := c.Model
	if name == "" {
		name = fmt.Sprintf("a transformer of %s parameters", unit.Count(float64(c.Shape.Params())))
	}
	where := "on GPUs"
	if c.Rehearsal {
		where = "by processes on CPUs, a rehearsal"
	}
	return fmt.Sprintf("One real step of %s in %s, measured %s, %s", name, c.DType, r.Created.Format("2006-01-02"), where)
}

// HasTimeline reports whether a run has a timeline of a step.
func HasTimeline(r *record.Run) bool { return r.Scaling != nil && len(longest(r.Scaling)) > 0 }

// longest returns the steps with a timeline, of each strategy that over the most ranks.
func longest(c *record.Scaling) (list []record.Trained) {
	for _, w := range c.Worlds {
		for _, t := range w.Steps {
			if len(t.Timeline) < 2 { // there is nothing to send
				continue
			}
			i := slices.IndexFunc(list, func(x record.Trained) bool { return x.Strategy == t.Strategy })
			switch {
			case i < 0:
				list = append(list, t)
			case len(t.Timeline) >= len(list[i].Timeline):
				list[i] = t
			}
		}
	}
	return list
}

// cells draws what a rank did until end in that many columns: each shows what took most of
// its time.
func cells(l record.Lived, end float64, columns int) string {
	covered := func(spans [][2]float64, from, to float64) (sum float64) {
		for _, s := range spans {
			sum += max(0, min(s[1], to)-max(s[0], from))
		}
		return sum
	}
	var both [][2]float64 // spans of one kind follow each other and do not overlap
	for a, b := l.Compute.Spans, l.Communicate.Spans; len(a) > 0 && len(b) > 0; {
		if from, to := max(a[0][0], b[0][0]), min(a[0][1], b[0][1]); from < to {
			both = append(both, [2]float64{from, to})
		}
		if a[0][1] < b[0][1] {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	var b strings.Builder
	for i := range columns {
		from, to := end*float64(i)/float64(columns), end*float64(i+1)/float64(columns)
		x := covered(both, from, to)
		c, m := covered(l.Compute.Spans, from, to)-x, covered(l.Communicate.Spans, from, to)-x
		rest := to - from - x - c - m
		switch max(x, c, m, rest) {
		case c:
			b.WriteString("C")
		case m:
			b.WriteString("M")
		case x:
			b.WriteString("B")
		default:
			b.WriteString("·")
		}
	}
	return b.String()
}
