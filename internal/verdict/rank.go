package verdict

import (
	"math"
	"slices"
	"sync"

	moremath "github.com/aclements/go-moremath/stats"

	"github.com/gpuplay/gpuplay/internal/stats"
)

// ratio returns how many times as fast as a the series b is, both in seconds, in the
// order in which they were measured: the median of the ratios of all pairs (the
// estimate of Hodges and Lehmann), with the interval of all ratios that the rank test of
// Mann and Whitney does not reject. With too few values for Confidence, the interval is
// from the smallest ratio to the largest, and Confidence is the level that it reaches.
func ratio(a, b []float64) stats.Interval {
	pairs := make([]float64, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			pairs = append(pairs, x/y)
		}
	}
	slices.Sort(pairs)
	cut, confidence := rank(len(a), len(b))
	return stats.Interval{Value: stats.Median(pairs), Low: pairs[cut], High: pairs[len(pairs)-1-cut], Confidence: confidence}
}

// ranks keeps what rank has computed, by the two numbers of values.
var ranks sync.Map

// rank returns how many of the ratios of n times m pairs are left out at each end of the
// interval, and its confidence: the probability that the statistic U of Mann and Whitney
// lies outside is at most half of 1 − Confidence on each side.
func rank(n, m int) (cut int, confidence float64) {
	type result struct {
		cut        int
		confidence float64
	}
	key := [2]int{n, m}
	if r, ok := ranks.Load(key); ok {
		return r.(result).cut, r.(result).confidence
	}
	u := moremath.UDist{N1: n, N2: m}
	r := result{0, 1 - 2*u.CDF(0)}
	for {
		next := 1 - 2*u.CDF(float64(r.cut+1))
		if next < Confidence || 2*(r.cut+2) > n*m {
			break
		}
		r = result{r.cut + 1, next}
	}
	r.confidence = math.Max(0, r.confidence)
	ranks.Store(key, r)
	return r.cut, r.confidence
}
