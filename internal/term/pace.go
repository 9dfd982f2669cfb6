package term

import (
	"time"

	"github.com/gpuplay/gpuplay/internal/unit"
)

// A pace says when what is counted will be done, by how long it took so far.
type pace struct {
	from, at    time.Duration // of the first count and of the latest, on the runner's clock
	first, done int
	total       int // an estimate
}

// see takes a count. The first says nothing of the time that one takes, since it may
// have waited for others.
func (p *pace) see(at time.Duration, done, total int) {
	if p.total == 0 {
		p.from, p.first = at, done
	}
	p.at, p.done, p.total = at, done, total
}

// left says how long the rest will take; it is empty while that is not known, and where
// nothing is left.
func (p *pace) left() string {
	counted, rest := p.done-p.first, p.total-p.done
	if counted < 1 || rest < 1 {
		return ""
	}
	return unit.Left(time.Duration(float64(p.at-p.from) / float64(counted) * float64(rest)))
}
