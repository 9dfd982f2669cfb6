package scaling

import (
	"math"
	"slices"
)

// A Point is how long an operation took on a buffer of a size.
type Point struct{ Bytes, Seconds float64 }

// A Curve is what an operation costs over a number of ranks, as it was measured. No one
// line fits all sizes: small messages cost their start, large ones the bandwidth, and
// between them protocols change.
type Curve struct {
	Op     Op
	Ranks  int
	Points []Point // by size
}

// small is the size up to which a message costs its start alone.
const small = 4096

// Link returns α and β: the median of the small messages, and the slope between the
// largest ones. off is the largest error of that line relative to a point.
func (c Curve) Link() (l Link, off float64) {
	if len(c.Points) == 0 {
		return Link{}, 0
	}
	var starts []float64
	largest := c.Points[len(c.Points)-1]
	var top []Point
	for _, p := range c.Points {
		if p.Bytes <= max(small, c.Points[0].Bytes) {
			starts = append(starts, p.Seconds)
		}
		if p.Bytes >= largest.Bytes/16 {
			top = append(top, p)
		}
	}
	slices.Sort(starts)
	start := starts[len(starts)/2]
	slope := 0.0
	if n := float64(len(top)); n > 1 {
		var x, y, xx, xy float64
		for _, p := range top {
			x, y = x+p.Bytes/n, y+p.Seconds/n
		}
		for _, p := range top {
			xx, xy = xx+(p.Bytes-x)*(p.Bytes-x), xy+(p.Bytes-x)*(p.Seconds-y)
		}
		slope = max(0, xy/xx)
	}
	for _, p := range c.Points {
		off = max(off, math.Abs(start+slope*p.Bytes-p.Seconds)/p.Seconds)
	}
	return Link{Alpha: start / c.Op.Steps(c.Ranks), Beta: slope / c.Op.Share(c.Ranks)}, off
}

// Seconds returns how long a buffer of n bytes takes: on logarithmic axes between the
// points, by the slope of the largest ones beyond them.
func (c Curve) Seconds(n float64) float64 {
	if len(c.Points) == 0 {
		return 0
	}
	last := c.Points[len(c.Points)-1]
	if n <= c.Points[0].Bytes {
		return c.Points[0].Seconds
	}
	if n >= last.Bytes {
		l, _ := c.Link()
		return last.Seconds + l.Beta*c.Op.Share(c.Ranks)*(n-last.Bytes)
	}
	i := 1
	for c.Points[i].Bytes < n {
		i++
	}
	a, b := c.Points[i-1], c.Points[i]
	f := math.Log(n/a.Bytes) / math.Log(b.Bytes/a.Bytes)
	return a.Seconds * math.Pow(b.Seconds/a.Seconds, f)
}

// Over returns the same operation over another number of ranks, modelled: what each rank
// sends grows as in a ring, and so does the number of messages that follow each other,
// unless the start is flat.
func (c Curve) Over(p int, flat bool) Curve {
	if p == c.Ranks || len(c.Points) == 0 {
		return c
	}
	l, _ := c.Link()
	start := l.Alpha * c.Op.Steps(c.Ranks)
	starts := c.Op.Steps(p) / c.Op.Steps(c.Ranks)
	if flat {
		starts = 1
	}
	sent := c.Op.Share(p) / c.Op.Share(c.Ranks)
	other := Curve{Op: c.Op, Ranks: p}
	for _, x := range c.Points {
		first := min(start, x.Seconds)
		other.Points = append(other.Points, Point{x.Bytes, first*starts + (x.Seconds-first)*sent})
	}
	return other
}
