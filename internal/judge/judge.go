// Package judge decides what a run means: which lane is best, what may be compared
// with what, from which size on the GPU wins, which sentences are true, what to try
// next. Its functions are pure: they work it out anew from the record each time, so
// that a record read from a file means the same as on the day it was measured.
//
// It measures nothing, imports no engine and no renderer, and refuses a ratio of what
// cannot be compared.
package judge

import (
	"cmp"
	"slices"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
)

// Best returns the fastest verified result of a kind of device, nil if there is none.
// One that had a smaller product than the others does not count.
func Best(results []*bench.Result, kind hardware.Kind) *bench.Result {
	var best *bench.Result
	for _, r := range results {
		if r.Device.Kind != kind || !r.Verified() || r.Has(measure.Smaller) {
			continue
		}
		if best == nil || Speed(r) > Speed(best) {
			best = r
		}
	}
	return best
}

// Base returns what the other lanes are compared with: the fastest CPU lane, or the
// fastest GPU lane where no CPU was measured; nil if there is neither.
func Base(results []*bench.Result) *bench.Result {
	if b := Best(results, hardware.CPU); b != nil {
		return b
	}
	return Best(results, hardware.GPU)
}

// Largest returns the result with the largest product, of at least one.
func Largest(results []*bench.Result) *bench.Result {
	return slices.MaxFunc(results, func(a, b *bench.Result) int { return cmp.Compare(a.GEMM.FLOP(), b.GEMM.FLOP()) })
}

// Speed returns a result's median FLOP/s, or OP/s of integers; 0 without samples.
func Speed(r *bench.Result) float64 {
	s, _ := r.Speed()
	return s.Value
}

// Scale returns the unit in which the results' speeds are easy to read, and its name:
// 1e12, "TFLOP/s".
func Scale(results []*bench.Result) (scale float64, name string) {
	top := 0.0
	what := bench.GEMM{}.Op()
	for i, r := range results {
		top = max(top, Speed(r))
		if i == 0 { // all are of one type
			what = r.GEMM.Op()
		}
	}
	if top >= 1e12 {
		return 1e12, "T" + what + "/s"
	}
	return 1e9, "G" + what + "/s"
}
