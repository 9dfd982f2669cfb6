package plan

import (
	"math"
	"slices"

	"github.com/gpuplay/gpuplay/internal/scaling"
	"github.com/gpuplay/gpuplay/internal/stats"
)

// A Published is a training step that others have measured and published.
type Published struct {
	Study   Study
	Model   string
	GPUs    int
	Split   string  // as far as the source says it
	Seconds float64 // of a step, measured or computed from what the source reports
	Memory  float64 // bytes that the fullest GPU had allocated at most; 0: not reported
	shape   scaling.Shape
	space   space
	cluster cluster
}

// A Study is where several published steps are from.
type Study struct {
	Name   string // "Megatron-LM 2021"
	Source string // where the figures were read
	// Taken is what the source does not say and was taken to be so.
	Taken string
}

// A Comparison is a published step beside the model's.
type Comparison struct {
	Published
	Modelled Layout
	Time     float64 // the model's seconds over the published ones, less one: -0.1 is a tenth too fast
	Memory   float64 // likewise of bytes; NaN where none is reported
}

// Compare returns all published steps beside the model's. What a source does not say is
// chosen as a plan chooses it: the fastest that fits. Nothing is fitted to them.
func Compare() (list []Comparison) {
	for _, p := range published() {
		var best *Layout
		p.cluster.each(p.shape, p.space, func(l Layout) {
			if best == nil || p.cluster.better(l, *best) {
				best = &l
			}
		})
		c := Comparison{Published: p, Modelled: *best, Time: best.Seconds/p.Seconds - 1, Memory: math.NaN()}
		if p.Memory > 0 {
			c.Memory = best.Memory.Total()/p.Memory - 1
		}
		list = append(list, c)
	}
	return list
}

// Errors returns the median and the largest absolute value of errors, without those that
// are no numbers.
func Errors(list []float64) (median, worst float64) {
	var sizes []float64
	for _, e := range list {
		if !math.IsNaN(e) {
			sizes = append(sizes, math.Abs(e))
		}
	}
	return stats.Median(sizes), slices.Max(sizes)
}
