package plan

import (
	"github.com/gpuplay/gpuplay/internal/scaling"
)

// A space is what is searched: every combination of these. An empty list leaves the choice
// to the search.
type space struct {
	ranks        int
	sequences    int // of a step, over all ranks
	tensor       []int
	pipeline     []int
	zero         []int
	recompute    []scaling.Recompute
	microbatches []int // sizes of a microbatch, in sequences
	chunks       []int
	fused        bool
}

// each calls f with every layout of the space that divides the model and the step without a
// rest.
func (c cluster) each(s scaling.Shape, w space, f func(Layout)) {
	or := func(list, usual []int) []int {
		if len(list) > 0 {
			return list
		}
		return usual
	}
	recompute := w.recompute
	if len(recompute) == 0 {
		recompute = []scaling.Recompute{scaling.RecomputeAttention, scaling.RecomputeAll}
	}
	for _, t := range or(w.tensor, divisors(c.node)) {
		if w.ranks%t != 0 || !divides(s, t) {
			continue
		}
		for _, p := range or(w.pipeline, divisors(w.ranks/t)) {
			d := w.ranks / t / p
			if d*t*p != w.ranks || p > s.Layers || w.sequences%d != 0 {
				continue
			}
			for _, b := range or(w.microbatches, []int{1, 2, 4, 8, 16}) {
				m := w.sequences / d / b
				if m*b*d != w.sequences {
					continue
				}
				for _, zero := range or(w.zero, []int{0, 1, 3}) {
					if d == 1 && zero > 0 || p > 1 && zero > 2 { // weights would be gathered for every microbatch of a pipeline
						continue
					}
					for _, v := range or(w.chunks, []int{1, 2, 4}) {
						if v > 1 && (p == 1 || m%p != 0 || s.Blocks(p, p-1) < v) {
							continue
						}
						for _, r := range recompute {
							f(c.layout(s, scaling.Split{
								Data: d, Tensor: t, Pipeline: p, Zero: zero, Sequence: t > 1,
								Microbatch: b, Microbatches: m, Recompute: r,
							}, v, w.fused))
						}
					}
				}
			}
		}
	}
}

// divides reports whether heads and MLP can be divided over t ranks. Vocabularies are filled
// up.
func divides(s scaling.Shape, t int) bool {
	return s.Heads%t == 0 && s.KVHeads%t == 0 && s.MLP()%t == 0
}

// better reports whether a layout is the one to take of two: one that fits before one that
// does not, then the faster one, and of those that do not fit the one that needs less.
func (c cluster) better(a, b Layout) bool {
	switch fits := a.Fits(c.gpu); {
	case fits != b.Fits(c.gpu):
		return fits
	case fits:
		return a.Seconds < b.Seconds
	}
	return a.Needs() < b.Needs()
}

func divisors(n int) (list []int) {
	for d := 1; d <= n; d++ {
		if n%d == 0 {
			list = append(list, d)
		}
	}
	return list
}
