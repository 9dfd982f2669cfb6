// Package verdict decides whether one series of timings is faster than another that was
// measured at another time: before and after a change, or on two machines. It knows
// numbers alone; what they were measured of, and whether they may be compared, is
// package judge's.
//
// The verdict follows from where the interval of the ratio of the two speeds lies. If all
// of it is further from 1 than the threshold, one is faster; if all of it is nearer to 1,
// they are the same; else it is undecided. docs/MEASURING.md gives the reasons.
package verdict

import (
	"math"
	"slices"

	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/stats"
)

const (
	// Confidence is the level of the interval of a ratio: if samples are independent, at
	// most one in a hundred comparisons of a thing with itself has an interval without 1.
	Confidence = 0.99
	// Threshold is the usual difference that matters, as a share.
	Threshold = 0.02
	// Least is how many values each series needs for an interval of that level.
	Least = 5
	// Bearable is how many samples somebody may want to wait for; no larger estimate is given.
	Bearable = 2000

	// most is how many values of a series are compared. Those of a longer one are joined
	// into as many blocks of neighbours, since neighbours are alike: they share the
	// machine's clock and its other load.
	most = 20
	// usual is how many samples gpuplay takes of a lane at least if there is time.
	usual = 10
)

// A Word is the outcome of a comparison.
type Word string

const (
	Faster    Word = "faster"    // by more than the threshold
	Slower    Word = "slower"    // by more than the threshold
	Same      Word = "same"      // a difference as large as the threshold is excluded
	Undecided Word = "undecided" // none of these can be said
)

// Words are all of them.
var Words = []Word{Faster, Slower, Same, Undecided}

// A Verdict compares series b with series a.
type Verdict struct {
	Word Word
	// Ratio is how many times as fast as a the series b is, with its interval at
	// Confidence, Drift included.
	Ratio stats.Interval
	// Drift is how far apart the quarters of a are and those of b, added up, as a share: what
	// a lane does while it is measured it may also do from one run to the next.
	Drift float64
	// Spread is the wider of the 95 % intervals of the two medians: half its width, as a
	// share. Above measure.Noisy there is no verdict.
	Spread float64
	// More estimates how many values each series would need for a verdict, if they are as
	// noisy as these; 0: none are needed, or no number of them that is Bearable would do.
	More int
}

// Noisy reports whether the verdict is Undecided because of the spread of a series.
func (v Verdict) Noisy() bool { return v.Spread > measure.Noisy }

// Few reports whether there are too few values for an interval.
func (v Verdict) Few() bool { return v.Ratio.Confidence < Confidence }

// Of compares b with a: seconds, finite and more than 0, in the order in which they were
// measured, at least one in each. threshold is the difference that matters, as a share
// above 0.
func Of(a, b []float64, threshold float64) Verdict {
	v := Verdict{Word: Undecided, Ratio: ratio(blocks(a), blocks(b))}
	apart := wander(a) + wander(b)
	v.Drift = math.Expm1(apart)
	v.Ratio.Low /= math.Exp(apart)
	v.Ratio.High *= math.Exp(apart)
	v.Spread = max(stats.MedianInterval(a).Spread(), stats.MedianInterval(b).Spread())
	switch {
	case v.Few(), v.Noisy():
	case v.Ratio.Low > 1+threshold:
		v.Word = Faster
	case v.Ratio.High < 1/(1+threshold):
		v.Word = Slower
	case v.Ratio.Low > 1/(1+threshold) && v.Ratio.High < 1+threshold:
		v.Word = Same
	}
	if v.Word == Undecided {
		v.More = v.more(min(len(a), len(b)), threshold)
	}
	return v
}

// more estimates how many values each series would need, from n: the width of an
// interval falls with the square root of their number. The estimate has half as many
// again, since the ratio may turn out nearer to the threshold than it seems.
func (v Verdict) more(n int, threshold float64) int {
	off, limit := math.Abs(math.Log(v.Ratio.Value)), math.Log1p(threshold)
	half := max(math.Log(v.Ratio.High/v.Ratio.Value), math.Log(v.Ratio.Value/v.Ratio.Low))
	times := max(half/math.Abs(off-limit), v.Spread/measure.Noisy)
	need := 1.5 * float64(n) * times * times
	switch {
	case math.IsNaN(need) || need > Bearable:
		return 0
	case v.Few():
		return max(usual, int(math.Ceil(need)))
	}
	return max(n+1, int(math.Ceil(need)))
}

// wander returns how far apart the medians of the four quarters of a series are, as a
// logarithm; 0 of fewer values.
func wander(values []float64) float64 {
	const parts = 4
	n := len(values)
	if n < parts {
		return 0
	}
	medians := make([]float64, parts)
	for i := range medians {
		medians[i] = stats.Median(values[i*n/parts : (i+1)*n/parts])
	}
	return math.Log(slices.Max(medians) / slices.Min(medians))
}

// blocks joins neighbours, so that there are at most that many values: the medians of
// blocks of about the same length.
func blocks(values []float64) []float64 {
	n := len(values)
	if n <= most {
		return values
	}
	joined := make([]float64, most)
	for i := range joined {
		joined[i] = stats.Median(values[i*n/most : (i+1)*n/most])
	}
	return joined
}
