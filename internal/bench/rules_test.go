package bench_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
)

// products counts the products that a lane has been asked for, so that a device can
// skip some of them, as a broken library does.
type products struct{ done int }

// skipping returns a device that computes nothing in a run whose last product is one
// of those that skip names, by their number from 1.
func skipping(each time.Duration, skip func(product int) bool) fake.Device {
	d := gpu("A", each)
	var p products
	d.Skip = func(_, n int) bool {
		p.done += n
		return skip(p.done)
	}
	return d
}

// Rule 9: a product that was not computed is never verified, whichever runs it was
// missing in, and has no figure.
func TestSkippedProducts(t *testing.T) {
	for name, skip := range map[string]func(product int) bool{
		"all":                    func(int) bool { return true },
		"all but the first four": func(p int) bool { return p > 4 },
		"every second, the even": func(p int) bool { return p%2 == 0 },
		"every second, the odd":  func(p int) bool { return p%2 == 1 },
		"every third":            func(p int) bool { return p%3 == 0 },
		"from the twelfth on":    func(p int) bool { return p >= 12 },
	} {
		for _, each := range []time.Duration{40 * time.Microsecond, ms, 20 * ms, 300 * ms} {
			t.Run(fmt.Sprintf("%s, %s", name, each), func(t *testing.T) {
				r := newRig(skipping(each, skip), gpu("B", each))
				results := r.race(t, budget)
				a := results[0]
				if a.Verified() || a.Error == nil || a.Error.Code != fault.Wrong {
					t.Errorf("verified %t, error %v, %d samples", a.Verified(), a.Error, len(a.Samples))
				}
				if _, ok := a.Speed(); ok {
					t.Error("a wrong product has a figure")
				}
				verified(t, results[1])
			})
		}
	}
}

// Rule 9: the operands alternate from run to run, so that an old C is wrong.
func TestOperandsAlternate(t *testing.T) {
	d := gpu("A", each)
	r := newRig(d)
	var sets []int
	r.lanes[0].Engine = watching{r.lanes[0].Engine, func(set int) { sets = append(sets, set) }}
	verified(t, r.race(t, budget)[0])
	for i, set := range sets {
		if set != i%matrix.Sets {
			t.Fatalf("run %d has set %d of operands: %v", i, set, sets)
		}
	}
}

// watching is an engine whose tasks tell which operands they are run with.
type watching struct {
	bench.Engine
	run func(set int)
}

func (e watching) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	task, err := e.Engine.Prepare(ctx, d, g, seed, tell)
	return observed{task, e.run}, err
}

type observed struct {
	bench.Task
	run func(set int)
}

func (t observed) Run(ctx context.Context, n, set int) (bench.Sample, error) {
	t.run(set)
	return t.Task.Run(ctx, n, set)
}

// Rule 9: besides the first and the last product, at least three that timed samples
// left behind are checked, and which ones depends on the seed.
func TestTimedSamplesAreChecked(t *testing.T) {
	patterns := map[string]bool{}
	for seed := range uint64(8) {
		r := newRig(gpu("A", each))
		r.Race(t.Context(), r.lanes, seed, budget)
		pattern, checks := "", 0
		for _, e := range r.events {
			switch e.Data.(type) {
			case bench.Sample:
				pattern += "."
			case bench.Checked:
				if strings.Contains(pattern, ".") {
					checks++
				}
				pattern += "c"
			}
		}
		if checks < 4 || !strings.HasSuffix(pattern, ".c") {
			t.Errorf("seed %d: %s", seed, pattern)
		}
		patterns[pattern] = true
	}
	if len(patterns) < 4 {
		t.Errorf("8 seeds check %d patterns of samples", len(patterns))
	}
}

// Rule 9: what the classic loop left behind is checked.
func TestClassicIsCheckedAfterwards(t *testing.T) {
	late := gpu("A", ms)
	late.Wrong = &fake.Wrong{Row: 1, Add: 8, From: 3} // the timed run is the third
	r := newRig(late, gpu("B", ms))
	results := r.Classic(t.Context(), r.lanes, 1, 10)
	failed(t, results[0], fault.Wrong, bench.Checking, 1)
	if !results[1].Verified() {
		t.Errorf("the other lane: %+v", results[1])
	}
}

// Rule 9: what could not be checked, since the user interrupted in the middle of a
// product, says so and enters no ratio.
func TestInterruptedAndUnchecked(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d := gpu("A", each)
	d.Hook = func(_ context.Context, s fake.Stage, k int) error {
		if s == fake.Run && k == 45 {
			cancel()
		}
		return nil
	}
	r := newRig(d, gpu("B", each))
	results := r.Race(ctx, r.lanes, 3, budget)
	a := results[0]
	checkedLast := false
	for _, e := range r.events {
		switch e.Data.(type) {
		case bench.Sample:
			if e.Lane == "A" {
				checkedLast = false
			}
		case bench.Checked:
			if e.Lane == "A" {
				checkedLast = true
			}
		}
	}
	if a.Has(measure.Unchecked) == checkedLast || a.Verified() != checkedLast || len(a.Samples) == 0 {
		t.Errorf("last product checked: %t, warnings %v, verified %t", checkedLast, a.Warnings, a.Verified())
	}
	if c := bench.Compare(a, results[1]); !checkedLast && len(c.Differs) == 0 {
		t.Error("what was not checked can be compared")
	}
	if !results[1].Verified() {
		t.Errorf("a lane that could be checked is not verified: %+v", results[1])
	}
}

// Rule 10: a lane that cannot be faster than this CPU's peak is bounded by it, also
// when its own engine does not know it; a GPU is bounded by what its maker publishes.
func TestBounds(t *testing.T) {
	speed := small.FLOP() / (100 * ms).Seconds()
	cpu := func(id string) fake.Device {
		d := scripted(id, fake.Fixed(100*ms))
		d.Kind = hardware.CPU
		return d
	}
	low, high := speed/1.2, speed*1.2
	known := cpu("K")
	known.Facts.Peak = &low
	for _, tt := range []struct {
		name    string
		devices []fake.Device
		change  func(r *rig)
		want    string // the codes of the last lane
	}{
		{"unbounded", []fake.Device{known, cpu("A")}, func(*rig) {}, ""},
		{"by another lane's peak", []fake.Device{known, cpu("A")}, func(r *rig) { r.lanes[1].Bounded = true }, "above_peak"},
		{"by a peak that is measured", []fake.Device{cpu("A")}, func(r *rig) {
			r.lanes[0].Bounded = true
			r.Peak = func(context.Context, bench.GEMM) (float64, bool) { return low, true }
		}, "above_peak"},
		{"below a peak that is measured", []fake.Device{cpu("A")}, func(r *rig) {
			r.lanes[0].Bounded = true
			r.Peak = func(context.Context, bench.GEMM) (float64, bool) { return high, true }
		}, ""},
		{"a peak that other load made too low at first", []fake.Device{cpu("A")}, func(r *rig) {
			r.lanes[0].Bounded = true
			found := []float64{low, low / 2, low / 2, high}
			r.Peak = func(context.Context, bench.GEMM) (float64, bool) {
				now := found[0]
				found = found[1:]
				return now, true
			}
		}, ""},
		{"no peak", []fake.Device{cpu("A")}, func(r *rig) {
			r.lanes[0].Bounded = true
			r.Peak = func(context.Context, bench.GEMM) (float64, bool) { return 0, false }
		}, ""},
		{"a GPU above what is published", []fake.Device{scripted("A", fake.Fixed(100*ms))}, func(r *rig) { r.lanes[0].Published = &low }, "above_peak"},
		{"a GPU below it", []fake.Device{scripted("A", fake.Fixed(100*ms))}, func(r *rig) { r.lanes[0].Published = &high }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(tt.devices...)
			tt.change(r)
			results := r.race(t, budget)
			last := results[len(results)-1]
			if codes(last) != tt.want || last.Verified() != (tt.want == "") {
				t.Errorf("warnings %v, verified %t, want %q", last.Warnings, last.Verified(), tt.want)
			}
		})
	}
}

// All lanes stay in memory together: those on one card share its memory.
func TestLanesShareACard(t *testing.T) {
	memory := int64(9000) // one footprint of 16³ in float32 is 4096 bytes
	card, other := 0, 1
	lane := func(id string, number *int) fake.Device {
		d := gpu(id, each)
		d.Memory, d.Card = &memory, number
		return d
	}
	r := newRig(lane("A", &card), lane("B", &card), lane("C", &card), lane("D", &other))
	results := r.race(t, budget)
	for i, want := range []bool{true, true, false, true} {
		if results[i].Verified() != want {
			t.Errorf("%s: verified %t, error %v", results[i].Lane, results[i].Verified(), results[i].Error)
		}
	}
	failed(t, results[2], fault.OutOfMemory, bench.Preparing, 0)
}

var _ event.Sink = (*rig)(nil)

// A lane that its container's CPU quota has stopped says so, and looks for no other
// cause of its noise. What other lanes were stopped for does not count.
func TestRuleThrottled(t *testing.T) {
	r := newRig(scripted("A", fake.Fixed(100*ms).Jitter(0.3, 1)), scripted("B", fake.Fixed(100*ms).Jitter(0.3, 1)))
	r.Throttled = func() (int64, int64) { return int64(len(r.runs)), int64(len(r.runsOf("A"))) }
	results := r.race(t, budget)
	if got := codes(results[0]); got != "throttled" {
		t.Errorf("the lane that was stopped warns of %q", got)
	}
	if got := codes(results[1]); got != "noise" {
		t.Errorf("the other lane warns of %q", got)
	}
}

// Lanes that compute on different numbers of cores are not compared, but a lane knows how
// many there are only if it is one of the CPU.
func TestRuleCores(t *testing.T) {
	one, two := scripted("A", fake.Fixed(100*ms)), scripted("B", fake.Fixed(100*ms))
	one.Kind, two.Kind = hardware.CPU, hardware.CPU
	one.Facts.Threads, two.Facts.Threads = 1, 2
	r := newRig(one, two, gpu("C", 100*ms))
	for i := range r.lanes {
		r.lanes[i].Cores = 2
	}
	results := r.race(t, budget)
	if c := bench.Compare(results[0], results[1]); len(c.Differs) != 1 {
		t.Errorf("1 thread against 2 on 2 cores: %q", c.Differs)
	}
	if c := bench.Compare(results[2], results[0]); len(c.Differs) != 0 || results[2].Facts.Cores != 0 {
		t.Errorf("a GPU against a CPU: %q, %d cores", c.Differs, results[2].Facts.Cores)
	}
}

// Matrix-vector products: GB/s take the place of the share of the peak in products with one row or one column
// from 64 MB on.
func TestRuleVectors(t *testing.T) {
	for _, tt := range []struct {
		m, n, k int
		want    bool
	}{
		{1, 4000, 4000, true}, {4000, 1, 4000, true}, // 64 MB of float32, and two vectors
		{1, 3999, 3999, false}, {3999, 1, 3999, false}, {2, 4000, 4000, false}, {4000, 4000, 1, false},
	} {
		g := bench.Square(1, matrix.Float32)
		g.M, g.N, g.K = tt.m, tt.n, tt.k
		r := &bench.Result{GEMM: g, Samples: []bench.Sample{{Iters: 2, Wall: 2 * time.Second}}}
		bytes, ok := r.Bandwidth()
		if want := 4 * float64(tt.m*tt.k+tt.k*tt.n+tt.m*tt.n); ok != tt.want || math.Abs(bytes/want-1) > 1e-9 {
			t.Errorf("%+v: %g B/s, want %g; bound by memory: %v", tt, bytes, want, ok)
		}
	}
}
