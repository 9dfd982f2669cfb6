package judge

import (
	"fmt"
	"math"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// noticeable is the smallest effect of inputs that is reported, as a share.
const noticeable = 0.01

// shows returns the smallest difference from 1 that a ratio shows, as a share: twice the half
// width of its interval. An interval of 95 % misses 1 once in twenty times by chance, and
// there are four of them; but it hardly misses it by its own width.
func shows(ratio stats.Interval) float64 { return max(noticeable, 2*ratio.Spread()) }

// randomInputs returns the lane of a comparison of inputs that the others are held against;
// nil if it has no result that is verified.
func randomInputs(r *record.Run) *bench.Result {
	for _, x := range r.Results {
		if x.GEMM.Data == matrix.Random && x.Verified() {
			return x
		}
	}
	return nil
}

// inputComparisons hold the lanes of a comparison of inputs against the one with random
// inputs. It is the one place where products of different inputs have a ratio: it says what
// the inputs do, not what a device or a library is worth.
func inputComparisons(r *record.Run) []Comparison {
	base := randomInputs(r)
	if base == nil {
		return nil
	}
	var list []Comparison
	for _, x := range r.Results {
		if x == base || len(x.Samples) == 0 {
			continue
		}
		same := *x
		same.GEMM.Data = base.GEMM.Data
		list = append(list, Comparison{Lane: x.Lane, Base: base.Lane, Comparison: Compare(&same, base)})
	}
	return list
}

// InputEffect returns how many times as fast as on random inputs a lane of a comparison of
// inputs is; ok is false where that cannot be said.
func InputEffect(r *record.Run, x *bench.Result) (c Comparison, ok bool) {
	for _, c := range inputComparisons(r) {
		if c.Lane == x.Lane {
			return c, len(c.Differs) == 0
		}
	}
	return c, false
}

// inputSentences say what the inputs of a product change on this machine, and why.
func inputSentences(r *record.Run) []string {
	base := randomInputs(r)
	switch {
	case r.Interrupted:
		return []string{interrupted}
	case base == nil:
		return []string{"No comparison: there is no verified result with random inputs."}
	}
	var most *Comparison
	var farthest *bench.Result
	seen := 0.0 // smaller differences would not show, of one kind of inputs at least
	for _, x := range r.Results {
		c, ok := InputEffect(r, x)
		if !ok || !c.Ratio.Firm() {
			continue
		}
		seen = max(seen, shows(c.Ratio))
		away := func(c *Comparison) float64 { return math.Abs(c.Ratio.Value - 1) }
		if away(&c) >= shows(c.Ratio) && (most == nil || away(&c) > away(most)) {
			most, farthest = &c, x
		}
	}
	var out []string
	switch {
	case seen == 0:
		return []string{"No comparison: the samples are too few for an interval, or no other result is verified."}
	case most != nil:
		out = append(out, fmt.Sprintf("The inputs matter here: a product of %s is %s× as fast as one of random numbers (%s).", farthest.GEMM.Data, unit.Times(most.Ratio.Value), Range(most.Ratio)))
	case seen > measure.Noisy:
		out = append(out, fmt.Sprintf("No difference can be seen: this machine is noisy now, and one below %s would not show.", unit.Percent(seen)))
	default:
		out = append(out, fmt.Sprintf("No difference on this machine: no kind of inputs is faster or slower than random numbers by %s or more.", unit.Percent(seen)))
	}
	why := "Every lane does the same multiplications and additions. But a transistor takes energy when it switches, and numbers that are alike switch few of them: a device at its limit of power or heat then keeps a higher clock."
	if base.Device.Kind == hardware.CPU {
		why += " Most CPUs are not at such a limit here, and show little or nothing."
	}
	return append(out, why+" On an A100, which is limited to 400 W, zeros were 15 % faster than normally distributed numbers (Horace He, thonking.ai).",
		"So gpuplay measures with random numbers, and never compares figures of other inputs with them.")
}
