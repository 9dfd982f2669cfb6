// Package stats turns repeated timings into figures that can be quoted: a median
// with its interval, the ratio of two series that were measured in turns, and signs
// of trouble in a series. Nothing here assumes a normal distribution, because
// timings do not have one.
package stats

import (
	"math"
	"slices"
)

// Confidence is the confidence level of intervals.
const Confidence = 0.95

// An Interval is an estimate with the range that contains the true value with the
// given confidence. With too few values no range reaches 0.95: Low and High are
// then the extremes, and Confidence is the level that they reach.
type Interval struct {
	Value      float64 `json:"value"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Confidence float64 `json:"confidence"`
}

// Spread returns the larger of the interval's two half widths as a share of its
// value: the "± 0.4 %" beside a figure.
func (i Interval) Spread() float64 {
	return max(i.High-i.Value, i.Value-i.Low) / math.Abs(i.Value)
}

// Firm reports whether the interval has the full confidence.
func (i Interval) Firm() bool { return i.Confidence >= Confidence }

// Median returns the median of values; NaN if there are none.
func Median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	return (s[(n-1)/2] + s[n/2]) / 2
}

// MedianInterval returns the median with its interval from order statistics: the
// true median lies between the r-th smallest and the r-th largest value, unless
// fewer than r of n fair coin flips come up on one side. 95 % needs at least 6
// values.
func MedianInterval(values []float64) Interval {
	n := len(values)
	if n == 0 {
		nan := math.NaN()
		return Interval{nan, nan, nan, 0}
	}
	s := slices.Sorted(slices.Values(values))
	// The coverage of r is 1 − 2·P(Binomial(n, ½) < r).
	r, confidence := 1, 1-2*chance(n, 0)
	for {
		next := confidence - 2*chance(n, r)
		if 2*(r+1) > n || next < Confidence {
			return Interval{Median(s), s[r-1], s[n-r], max(0, confidence)}
		}
		r, confidence = r+1, next
	}
}

// chance returns the probability that exactly i of n fair coin flips are heads.
func chance(n, i int) float64 {
	all, _ := math.Lgamma(float64(n) + 1)
	heads, _ := math.Lgamma(float64(i) + 1)
	tails, _ := math.Lgamma(float64(n-i) + 1)
	return math.Exp(all - heads - tails - float64(n)*math.Ln2)
}

// Ratio returns the median of a[i]/b[i] with its interval. The two series must have
// been measured in turns, so that a disturbance affects both values of a pair;
// surplus values of the longer series are ignored.
func Ratio(a, b []float64) Interval {
	n := min(len(a), len(b))
	r := make([]float64, n)
	for i := range n {
		r[i] = a[i] / b[i]
	}
	return MedianInterval(r)
}

// Outliers counts the values whose distance from the median exceeds 5 times the
// scaled median absolute deviation: in a normal distribution, one in two million.
func Outliers(values []float64) int {
	m := Median(values)
	dev := make([]float64, len(values))
	for i, v := range values {
		dev[i] = math.Abs(v - m)
	}
	// 1.4826 times the median absolute deviation of a normal distribution is its σ.
	// A series that agrees to within a thousandth has no outliers that matter.
	limit := max(5*1.4826*Median(dev), 1e-3*math.Abs(m))
	count := 0
	for _, d := range dev {
		if d > limit {
			count++
		}
	}
	return count
}

// Drift returns the relative change from the first third of the series to the last,
// and whether the intervals of the two thirds are disjoint. A series of fewer than
// 9 values is never called drifting.
func Drift(values []float64) (change float64, certain bool) {
	n := len(values) / 3
	if n < 3 {
		return 0, false
	}
	first, last := MedianInterval(values[:n]), MedianInterval(values[len(values)-n:])
	return last.Value/first.Value - 1, first.High < last.Low || last.High < first.Low
}
