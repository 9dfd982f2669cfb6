package verdict

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/perf/benchmath"

	"github.com/gpuplay/gpuplay/internal/stats"
)

// around returns n values around a median, spread evenly by up to ± spread, in an order
// without a trend.
func around(n int, median, spread float64) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = median * (1 + spread*(2*float64(i)/float64(max(1, n-1))-1))
	}
	rand.New(rand.NewPCG(1, uint64(n))).Shuffle(n, func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func TestRuleVerdict(t *testing.T) {
	rising := around(16, 1, 0.001) // by 8 % while it is measured
	for i := range rising {
		rising[i] *= 1 + 0.005*float64(i)
	}
	tests := []struct {
		name  string
		a, b  []float64
		limit float64
		want  Word
	}{
		{"equal", around(16, 1, 0.002), around(12, 1, 0.002), 0.02, Same},
		{"twice as fast", around(16, 1, 0.01), around(16, 0.5, 0.01), 0.02, Faster},
		{"half as fast", around(16, 0.5, 0.01), around(16, 1, 0.01), 0.02, Slower},
		{"a difference that does not matter", around(16, 1, 0.001), around(16, 1.01, 0.001), 0.02, Same},
		{"the same difference where it matters", around(16, 1, 0.001), around(16, 1.01, 0.001), 0.005, Slower},
		{"a difference about as large as the threshold", around(16, 1, 0.005), around(16, 1.02, 0.005), 0.02, Undecided},
		{"noise as large as the threshold", around(16, 1, 0.03), around(16, 1, 0.03), 0.02, Undecided},
		{"too few", around(4, 1, 0.001), around(4, 2, 0.001), 0.02, Undecided},
		{"as few as are enough", around(5, 1, 0.001), around(5, 2, 0.001), 0.02, Slower},
		{"a single sample", []float64{1}, []float64{1}, 0.02, Undecided},
		{"too noisy, however large the difference", around(16, 1, 0.5), around(16, 20, 0.5), 0.02, Undecided},
		{"a drift as large as the difference", rising, around(16, 1.12, 0.001), 0.02, Undecided},
		{"a drift that is smaller than the difference", rising, around(16, 1.5, 0.001), 0.02, Slower},
	}
	for _, tt := range tests {
		v := Of(tt.a, tt.b, tt.limit)
		if v.Word != tt.want {
			t.Errorf("%s: %s, want %s: %+v", tt.name, v.Word, tt.want, v)
		}
		back := Of(tt.b, tt.a, tt.limit)
		opposite := map[Word]Word{Faster: Slower, Slower: Faster, Same: Same, Undecided: Undecided}
		if back.Word != opposite[v.Word] || math.Abs(back.Ratio.Value*v.Ratio.Value-1) > 1e-3 {
			t.Errorf("%s: %+v, the other way round %+v", tt.name, v, back)
		}
		if v.Word != Undecided && v.More != 0 {
			t.Errorf("%s: %d more samples for a verdict that is there", tt.name, v.More)
		}
	}
}

// As many samples as an undecided verdict asks for decide, if they are as noisy.
func TestRuleMore(t *testing.T) {
	for _, difference := range []float64{1, 1.05} {
		decided, asked := 0, 0
		for seed := range uint64(40) {
			random := rand.New(rand.NewPCG(seed, 3))
			draw := func(n int, median float64) []float64 {
				list := make([]float64, n)
				for i := range list {
					list[i] = median * math.Exp(0.025*random.NormFloat64())
				}
				return list
			}
			v := Of(draw(12, 1), draw(12, difference), Threshold)
			if v.Word != Undecided || v.More == 0 {
				continue
			}
			asked++
			if v.More <= 12 {
				t.Errorf("%d samples of 12", v.More)
			}
			if w := Of(draw(v.More, 1), draw(v.More, difference), Threshold); w.Word != Undecided {
				decided++
			}
		}
		if asked < 15 || decided*10 < asked*6 {
			t.Errorf("a difference of %g: %d of %d are decided with as many samples as were asked for", difference, decided, asked)
		}
	}
	if v := Of(around(3, 1, 0.01), around(3, 1, 0.01), Threshold); v.More < usual {
		t.Errorf("%d samples instead of 3", v.More)
	}
}

// The interval holds just the ratios that the rank test of benchmath does not reject.
func TestIntervalIsTheRankTests(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 60 {
		a, b := make([]float64, 5+random.IntN(12)), make([]float64, 5+random.IntN(12))
		for i := range a {
			a[i] = math.Exp(0.1 * random.NormFloat64())
		}
		for i := range b {
			b[i] = math.Exp(0.1 * random.NormFloat64())
		}
		r := ratio(a, b)
		thresholds := benchmath.DefaultThresholds
		thresholds.CompareAlpha = 1 - Confidence
		for _, tt := range []struct {
			at      float64
			outside bool
		}{{r.Low * (1 - 1e-9), true}, {r.Low * (1 + 1e-9), false}, {r.High * (1 - 1e-9), false}, {r.High * (1 + 1e-9), true}} {
			scaled := make([]float64, len(b))
			for i, x := range b {
				scaled[i] = x * tt.at
			}
			c := benchmath.AssumeNothing.Compare(benchmath.NewSample(slices.Clone(a), &thresholds), benchmath.NewSample(scaled, &thresholds))
			if (c.P < c.Alpha) != tt.outside {
				t.Errorf("%d and %d values, ratio %g of %+v: p %g", len(a), len(b), tt.at, r, c.P)
			}
		}
	}
}

func TestBlocks(t *testing.T) {
	few := []float64{3, 1, 2}
	if got := blocks(few); !slices.Equal(got, few) {
		t.Errorf("%v", got)
	}
	many := make([]float64, 1003)
	for i := range many {
		many[i] = float64(i)
	}
	got := blocks(many)
	if len(got) != most || !slices.IsSorted(got) || got[0] != stats.Median(many[:50]) {
		t.Errorf("%v", got)
	}
}

// Long series cost no more than short ones.
func BenchmarkOf(b *testing.B) {
	x, y := around(2000, 1, 0.01), around(2000, 1.1, 0.01)
	for b.Loop() {
		Of(x, y, Threshold)
	}
}
