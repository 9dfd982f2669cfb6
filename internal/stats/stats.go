// Package stats turns repeated timings into figures that can be quoted: a median
// with its interval, a ratio of two series taken in turns, and what is odd about
// a series. Nothing here assumes a normal distribution; timings have none.
package stats

import (
	"math"
	"slices"
)

// Confidence is what intervals aim for.
const Confidence = 0.95

// An Interval is an estimate with the range that holds the true value with the
// given confidence. With too few values no range reaches 0.95: Low and High are
// then the extremes and Confidence says what they are worth.
type Interval struct {
	Value      float64 `json:"value"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Confidence float64 `json:"confidence"`
}

// Spread returns the larger of the interval's two sides as a share of its value:
// the "± 0.4 %" beside a figure.
func (i Interval) Spread() float64 {
	return max(i.High-i.Value, i.Value-i.Low) / math.Abs(i.Value)
}

// Firm reports whether the interval has the full confidence.
func (i Interval) Firm() bool { return i.Confidence >= Confidence }

// Median returns the middle of values, or the mean of the two in the middle; NaN
// of none.
func Median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	return (s[(n-1)/2] + s[n/2]) / 2
}

// MedianInterval returns the median with its interval by order statistics: the
// true median lies between the r-th smallest and the r-th largest value unless
// fewer than r of n fair coins fall on one side. It needs 6 values for 95 %.
func MedianInterval(values []float64) Interval {
	n := len(values)
	if n == 0 {
		nan := math.NaN()
		return Interval{nan, nan, nan, 0}
	}
	s := slices.Sorted(slices.Values(values))
	// Coverage of r is 1 − 2·P(Binomial(n, ½) < r).
	r, confidence := 1, 1-2*chance(n, 0)
	for {
		next := confidence - 2*chance(n, r)
		if 2*(r+1) > n || next < Confidence {
			return Interval{Median(s), s[r-1], s[n-r], max(0, confidence)}
		}
		r, confidence = r+1, next
	}
}

// chance returns the probability that exactly i of n fair coins show heads.
func chance(n, i int) float64 {
	all, _ := math.Lgamma(float64(n) + 1)
	heads, _ := math.Lgamma(float64(i) + 1)
	tails, _ := math.Lgamma(float64(n-i) + 1)
	return math.Exp(all - heads - tails - float64(n)*math.Ln2)
}

// Ratio returns the median of a[i]/b[i] with its interval. The two series must
// have been taken in turns, so that what disturbs one disturbs its partner; the
// longer one's surplus is left out.
func Ratio(a, b []float64) Interval {
	n := min(len(a), len(b))
	r := make([]float64, n)
	for i := range n {
		r[i] = a[i] / b[i]
	}
	return MedianInterval(r)
}

// Outliers counts the values farther from the median than 5 times the scaled
// median absolute deviation: for a normal distribution one in two million.
func Outliers(values []float64) int {
	m := Median(values)
	dev := make([]float64, len(values))
	for i, v := range values {
		dev[i] = math.Abs(v - m)
	}
	// 1.4826 makes the deviation of a normal distribution its σ. Series that
	// agree to a fraction of a thousandth have no outliers worth the name.
	limit := max(5*1.4826*Median(dev), 1e-3*math.Abs(m))
	count := 0
	for _, d := range dev {
		if d > limit {
			count++
		}
	}
	return count
}

// Drift returns by what share the values changed from the first third of the
// series to the last, and whether the two thirds' intervals are apart. Fewer
// than 9 values are never called drifting.
func Drift(values []float64) (change float64, certain bool) {
	n := len(values) / 3
	if n < 3 {
		return 0, false
	}
	first, last := MedianInterval(values[:n]), MedianInterval(values[len(values)-n:])
	return last.Value/first.Value - 1, first.High < last.Low || last.High < first.Low
}
