package judge

import (
	"fmt"
	"slices"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Spread returns an interval's half width as a share, "0.4 %"; a dash where the
// samples are too few for an interval, and "unstable" where it is wider than the figure.
func Spread(s stats.Interval) string {
	switch {
	case !s.Firm():
		return "–"
	case s.Spread() > 1:
		return "unstable"
	}
	return unit.Percent(s.Spread())
}

// Range returns a ratio's interval, "3.8–3.9×", and how far to trust it when that is
// less than usual.
func Range(r stats.Interval) string {
	low, high := unit.Times(r.Low), unit.Times(r.High)
	switch {
	case r.Confidence == 0:
		return "from a single pair of samples"
	case !r.Firm():
		return fmt.Sprintf("%s–%s×, from few samples", low, high)
	case low == high:
		return "±" + unit.Percent(r.Spread())
	}
	return fmt.Sprintf("%s–%s×", low, high)
}

// Ratio returns a ratio with its interval, "1.08 (1.06–1.10)"; without one where the
// samples are too few for it, as Spread.
func Ratio(c measure.Comparison) string {
	text := unit.Times(c.Ratio.Value)
	if c.Ratio.Firm() {
		text += fmt.Sprintf(" (%s–%s)", unit.Times(c.Ratio.Low), unit.Times(c.Ratio.High))
	}
	return text
}

// even reports whether a reader can see no difference.
func even(c measure.Comparison) bool { return c.Even() || unit.Times(c.Ratio.Value) == "1.00" }

// Processor names a CPU of the machine of a run with its cores: "Chip, 8 cores, 16
// threads"; the name alone where they are not known.
func Processor(r *record.Run, name string) string {
	if cores := r.Machine.Processors(); cores != "" {
		return name + ", " + cores
	}
	return name
}

// DType returns the name of a product's types as people ask for them: tf32 is float32
// in other arithmetic.
func DType(g bench.GEMM) matrix.DType {
	if g.Acc == matrix.TF32 {
		return matrix.TF32
	}
	return g.In
}

// Operands returns the name of a product's types, and of its inputs unless they are random:
// "float32", "float32 zeros".
func Operands(g bench.GEMM) string {
	if g.Data == matrix.Random {
		return string(DType(g))
	}
	return fmt.Sprintf("%s %s", DType(g), g.Data)
}

// Bound returns the head of the column that compares a result with what bounds it,
// and its figures: GB/s where that is memory, else the share of the peak.
func Bound(results []*bench.Result) (head string, figure func(*bench.Result) string) {
	if slices.ContainsFunc(results, func(r *bench.Result) bool { return r.GEMM.MemoryBound() }) {
		return "GB/s", func(r *bench.Result) string {
			bytes, ok := r.Bandwidth()
			if !ok {
				return "–"
			}
			return unit.Digits3(bytes / 1e9)
		}
	}
	peak := cpuPeak(results)
	return "of peak", func(r *bench.Result) string {
		if r.Facts.Peak == nil && r.Device.Kind == hardware.CPU && peak != nil {
			same := *r
			same.Facts.Peak = peak
			r = &same
		}
		if share := ShareOfPeak(r); share != "" {
			return share
		}
		return "–"
	}
}

// cpuPeak returns the peak that was measured in one of the CPU lanes, of which all others
// have a share too; nil where none knows it, and where one of them is faster: then it
// computes with what the peak was not measured with, such as a matrix unit.
func cpuPeak(results []*bench.Result) *float64 {
	var peak *float64
	top := 0.0
	for _, r := range results {
		if r.Device.Kind != hardware.CPU {
			continue
		}
		top = max(top, Speed(r))
		if p := r.Peak(); p != nil && (peak == nil || *p > *peak) {
			peak = p
		}
	}
	if peak == nil || top > *peak {
		return nil
	}
	return peak
}

// ShareOfPeak returns what a result reaches of the peak that was measured with its
// samples, "92 %"; empty where that is not known.
func ShareOfPeak(r *bench.Result) string {
	if r == nil || r.Peak() == nil {
		return ""
	}
	speed, ok := r.Speed()
	if !ok {
		return ""
	}
	return unit.Percent(speed.Value / *r.Peak())
}

// Doubt returns why a result that was measured is not verified; empty for one that is.
func Doubt(r *bench.Result) string {
	if r.Verified() || len(r.Samples) == 0 {
		return ""
	}
	for _, w := range r.Warnings {
		if w.Code == measure.Arithmetic || w.Code == measure.AbovePeak || w.Code == measure.Unchecked || w.Code == measure.NotOnGPU {
			return w.Text
		}
	}
	return "its product was not checked"
}

// Checked says whether every result that has samples was checked.
func Checked(results []*bench.Result) string {
	for _, x := range results {
		if x != nil && x.Error == nil && len(x.Samples) > 0 && (x.Check == nil || x.Has(measure.Unchecked)) {
			return "not every result checked"
		}
	}
	return "every result checked"
}
