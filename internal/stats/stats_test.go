package stats

import (
	"math"
	"testing"
)

func TestMedianInterval(t *testing.T) {
	// The confidence levels are the exact binomial ones of nonparametric tables.
	tests := []struct {
		values []float64
		want   Interval
	}{
		{[]float64{7}, Interval{7, 7, 7, 0}},
		{[]float64{1, 3}, Interval{2, 1, 3, 0.5}},
		{[]float64{5, 1, 4, 2, 3}, Interval{3, 1, 5, 0.9375}},
		{[]float64{6, 5, 4, 3, 2, 1}, Interval{3.5, 1, 6, 0.96875}},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8}, Interval{4.5, 1, 8, 0.9921875}},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, Interval{5.5, 2, 9, 0.978515625}},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, Interval{6.5, 3, 10, 0.96142578125}},
	}
	for _, tt := range tests {
		got := MedianInterval(tt.values)
		got.Confidence = math.Round(got.Confidence*1e12) / 1e12
		if got != tt.want {
			t.Errorf("MedianInterval(%v) = %+v, want %+v", tt.values, got, tt.want)
		}
	}
	if got := MedianInterval(nil); !math.IsNaN(got.Value) || got.Firm() {
		t.Errorf("MedianInterval(nil) = %+v, want NaN without confidence", got)
	}
}

func TestMedianKeepsInput(t *testing.T) {
	v := []float64{3, 1, 2}
	if Median(v) != 2 || v[0] != 3 {
		t.Errorf("Median reordered its input: %v", v)
	}
}

// The interval contains the true median about as often as it claims.
func TestMedianIntervalCovers(t *testing.T) {
	state := uint64(1)
	next := func() float64 { // an exponential distribution, skewed like timings
		state = state*6364136223846793005 + 1442695040888963407
		return -math.Log(1 - float64(state>>11)*0x1p-53)
	}
	const rounds = 4000
	hits := 0
	for range rounds {
		v := make([]float64, 20)
		for i := range v {
			v[i] = next()
		}
		if in := MedianInterval(v); in.Low <= math.Ln2 && math.Ln2 <= in.High {
			hits++
		}
	}
	if got := float64(hits) / rounds; got < 0.945 || got > 0.975 { // for 20 values exactly 0.9586
		t.Errorf("the interval held the median in %.3f of the cases, want 0.959", got)
	}
}

func TestRatio(t *testing.T) {
	a := []float64{2, 4, 8, 16, 32, 64, 99}
	b := []float64{1, 2, 4, 8, 16, 32}
	if got := Ratio(a, b); got.Value != 2 || got.Low != 2 || got.High != 2 || !got.Firm() {
		t.Errorf("Ratio = %+v, want exactly 2: pairs cancel a common drift", got)
	}
}

func TestSpread(t *testing.T) {
	if got := (Interval{Value: 100, Low: 98, High: 101}).Spread(); got != 0.02 {
		t.Errorf("Spread = %v, want 0.02", got)
	}
}

func TestOutliers(t *testing.T) {
	tests := []struct {
		values []float64
		want   int
	}{
		{nil, 0},
		{[]float64{1, 1, 1, 1}, 0},
		{[]float64{1, 1, 1, 1.0001}, 0},
		{[]float64{1, 1, 1, 2}, 1},
		{[]float64{1.00, 1.01, 0.99, 1.02, 0.98, 1.5}, 1},
		{[]float64{1, 2, 3, 4, 5}, 0},
	}
	for _, tt := range tests {
		if got := Outliers(tt.values); got != tt.want {
			t.Errorf("Outliers(%v) = %d, want %d", tt.values, got, tt.want)
		}
	}
}

func TestDrift(t *testing.T) {
	tests := []struct {
		name    string
		values  []float64
		change  float64
		certain bool
	}{
		{"too few", []float64{1, 1, 1, 2, 2, 2, 3, 3}, 0, false},
		{"steady", []float64{1, 1.1, 0.9, 1, 1.1, 0.9, 1, 1.1, 0.9}, 0, false},
		{"slower", []float64{1, 1.1, 0.9, 1.2, 1.3, 1.2, 1.5, 1.6, 1.4}, 0.5, true},
	}
	for _, tt := range tests {
		change, certain := Drift(tt.values)
		if math.Abs(change-tt.change) > 1e-9 || certain != tt.certain {
			t.Errorf("%s: Drift = %v, %v, want %v, %v", tt.name, change, certain, tt.change, tt.certain)
		}
	}
}
