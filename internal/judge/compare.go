package judge

import (
	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
)

// A Comparison says how many times as fast as a base a lane is.
type Comparison struct {
	Lane, Base string  // lane ids
	Size       *[3]int // m, n and k, of a sweep, which has a comparison per size; else nil
	measure.Comparison
}

// Compare returns how many times as fast as base a lane of products is. Beyond what
// bench.Compare refuses, it refuses what says less than it seems to: a lane that was
// cut short, and one that was given a smaller product than its neighbours.
func Compare(r, base *bench.Result) measure.Comparison {
	c := bench.Compare(r, base)
	for _, x := range []*bench.Result{r, base} {
		if x.Has(measure.Interrupted) {
			c.Differs = append(c.Differs, x.Device.Library+" was interrupted")
		}
		if x.Has(measure.Smaller) {
			c.Differs = append(c.Differs, x.Device.Library+" had a smaller product")
		}
	}
	return c
}

// Comparisons holds every measured lane of products against the base: of a sweep at
// each size, of a comparison of inputs the one with random ones.
func Comparisons(r *record.Run) []Comparison {
	if r.Kind == record.Inputs {
		return inputComparisons(r)
	}
	var list []Comparison
	for _, results := range r.Points() {
		base := Base(results)
		for _, x := range results {
			if base == nil || x == base || len(x.Samples) == 0 {
				continue
			}
			c := Comparison{Lane: x.Lane, Base: base.Lane, Comparison: Compare(x, base)}
			if r.Kind == record.Sweep {
				c.Size = &[3]int{x.GEMM.M, x.GEMM.N, x.GEMM.K}
			}
			list = append(list, c)
		}
	}
	return list
}
