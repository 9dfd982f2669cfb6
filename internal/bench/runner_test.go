package bench_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
)

const ms = time.Millisecond

func TestSamplesAreInterleaved(t *testing.T) {
	r := newRig(gpu("A", ms), gpu("B", 2*ms), gpu("C", 3*ms))
	r.race(t, bench.Stop{Repeat: 4})
	if got, want := r.order(12), "ABCCBAABCCBA"; got != want {
		t.Errorf("samples taken in the order %s, want %s", got, want)
	}
}

func TestResultSaysWhereItComesFrom(t *testing.T) {
	d := scripted("A", fake.Fixed(5*ms).First(time.Second))
	d.PrepareTime = 3 * time.Second
	d.Facts = bench.Facts{Threads: 7, Notes: []string{"a note"}}
	r := newRig(d)
	r.lanes[0].Start = 2 * time.Second
	got := r.Race(t.Context(), r.lanes, 42, bench.Stop{Repeat: 1})[0]
	want := &bench.Result{
		Lane: "A", Engine: "fake", Device: d.Device, GEMM: small, Seed: 42, Protocol: bench.Steady, Facts: d.Facts,
		Start: 2 * time.Second, Prepare: 3 * time.Second, First: time.Second + 5*ms,
		Samples: []bench.Sample{{Iters: 1, Wall: 5 * ms, Start: 4510 * ms, End: 4515 * ms}},
		Check:   got.Check,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.Ready() != 6*time.Second+5*ms {
		t.Errorf("ready after %v", got.Ready())
	}
}

// warmUp returns the number of products, and their time, in the runs between the
// first product and the samples.
func warmUp(r *rig, samples int, each time.Duration) (runs int, wall time.Duration) {
	calls := r.runsOf("A")
	if each < 20*ms { // the closing checks compute two products alone
		calls = calls[:len(calls)-2]
	}
	for _, n := range calls[1 : len(calls)-samples] {
		runs += n
		wall += time.Duration(n) * each
	}
	return runs, wall
}

func TestWarmUp(t *testing.T) {
	tests := []struct {
		name     string
		kind     hardware.Kind
		each     time.Duration
		min, max time.Duration
		cold     bool
	}{
		{"GPU", hardware.GPU, ms, 500 * ms, 530 * ms, false},
		{"CPU", hardware.CPU, ms, 200 * ms, 230 * ms, false},
		{"software GPU", hardware.SoftwareGPU, ms, 500 * ms, 530 * ms, false},
		{"three at least", hardware.CPU, 2 * time.Second, 6 * time.Second, 6 * time.Second, false},
		{"short products", hardware.GPU, time.Microsecond, 500 * ms, 530 * ms, false},
		{"cold", hardware.GPU, ms, 3 * ms, 30 * ms, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := gpu("A", tt.each)
			d.Kind = tt.kind
			r := newRig(d)
			stop := budget
			stop.Cold = tt.cold
			result := r.race(t, stop)[0]
			runs, wall := warmUp(r, len(result.Samples), tt.each)
			if runs < 3 || wall < tt.min || wall > tt.max {
				t.Errorf("warmed up by %d products in %v, want between %v and %v", runs, wall, tt.min, tt.max)
			}
			for i, s := range result.Samples {
				if s.Wall < 20*ms || s.Wall > max(26*ms, tt.each) {
					t.Errorf("sample %d: %d products in %v", i, s.Iters, s.Wall)
				}
			}
		})
	}
}

// The warm-up is longer while the speed has not settled, but it ends.
func TestWarmUpSettles(t *testing.T) {
	faster := func(by float64, runs int) fake.Timing {
		return func(_ bench.GEMM, run int) time.Duration {
			return time.Duration(float64(100*ms) * math.Pow(by, float64(min(run, runs))))
		}
	}
	for _, tt := range []struct {
		name string
		time fake.Timing
		runs int // in all
	}{
		{"settled", fake.Fixed(100 * ms), 1 + 5 + 10},
		{"settles with its run 12", faster(0.94, 11), 1 + 11 + 10},
		{"never settles", func(_ bench.GEMM, run int) time.Duration { return 100*ms + time.Duration(run%2)*100*ms }, 1 + 10 + 16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(scripted("A", tt.time))
			r.race(t, budget)
			if len(r.runs) != tt.runs {
				t.Errorf("%d runs, want %d", len(r.runs), tt.runs)
			}
		})
	}
}

func TestStop(t *testing.T) {
	tests := []struct {
		name    string
		time    fake.Timing
		stop    bench.Stop
		samples int
		iters   int
		codes   string
	}{
		{"quiet, half a second", fake.Fixed(ms), budget, 20, 25, ""},
		{"quiet, ten samples", fake.Fixed(100 * ms), budget, 10, 1, ""},
		{"noisy", fake.Fixed(100*ms).Jitter(0.06, 1), budget, 16, 1, ""},
		{"very noisy", fake.Fixed(100*ms).Jitter(0.3, 1), budget, 16, 1, "noise"},
		{"budget", fake.Fixed(100 * ms), bench.Stop{Budget: 650 * ms}, 6, 1, ""},
		{"budget of a few products", fake.Fixed(300 * ms), bench.Stop{Budget: time.Second}, 3, 1, "few_samples"},
		{"budget of one product", fake.Fixed(300 * ms), bench.Stop{Budget: 500 * ms}, 1, 1, "few_samples"},
		{"no budget", fake.Fixed(300 * ms), bench.Stop{}, 1, 1, "few_samples"},
		{"slow to load only", fake.Fixed(ms).First(5 * time.Second), bench.Stop{Budget: 6 * time.Second}, 20, 25, ""},
		{"repeat", fake.Fixed(ms), bench.Stop{Repeat: 77}, 77, 1, "short"},
		{"repeat once", fake.Fixed(5 * ms), bench.Stop{Repeat: 1}, 1, 1, ""},
		{"repeat beyond budget", fake.Fixed(time.Second), bench.Stop{Repeat: 3, Budget: ms}, 3, 1, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(scripted("A", tt.time))
			result := r.race(t, tt.stop)[0]
			if len(result.Samples) != tt.samples || codes(result) != tt.codes || !result.Verified() {
				t.Fatalf("%d samples, warnings %v, error %v; want %d, %q", len(result.Samples), result.Warnings, result.Error, tt.samples, tt.codes)
			}
			for i, s := range result.Samples {
				if s.Iters != tt.iters || s.Wall > 2*time.Duration(tt.iters)*tt.time(small, 2) {
					t.Errorf("sample %d: %d products in %v, want %d", i, s.Iters, s.Wall, tt.iters)
				}
			}
		})
	}
}

// Few samples are explained by the time that they took, however short a product is.
func TestFewSamples(t *testing.T) {
	r := newRig(scripted("A", fake.Fixed(100*ms)))
	result := r.race(t, bench.Stop{Budget: 550 * ms})[0]
	if got, want := result.Warnings[0].Text, "5 samples in 500 ms: there was time for no more"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Every lane gets its share of the budget and of what others leave over, and a slow
// lane does not take time from the others.
func TestBudgetIsShared(t *testing.T) {
	r := newRig(gpu("A", 100*ms), gpu("B", 5*time.Second), gpu("C", 50*ms))
	results := r.race(t, bench.Stop{Budget: 3 * 650 * ms})
	for i, want := range []int{8, 1, 10} {
		if got := len(results[i].Samples); got != want {
			t.Errorf("%s has %d samples, want %d", results[i].Device.ID, got, want)
		}
	}
	if diff := cmp.Diff([]int{1}, r.runsOf("B")); diff != "" {
		t.Errorf("the slow lane ran\n%s", diff)
	}
}

// A lane with time for only a few products uses them as samples.
func TestSlowLaneIsNotWarmedUp(t *testing.T) {
	r := newRig(gpu("A", 300*ms))
	r.race(t, bench.Stop{Budget: time.Second})
	if diff := cmp.Diff([]int{1, 1, 1, 1, 1}, r.runsOf("A")); diff != "" { // load, run again, three samples
		t.Error(diff)
	}
}

// coarse is an engine whose clock has a resolution of one microsecond.
type coarse struct{ bench.Engine }

func (e coarse) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	task, err := e.Engine.Prepare(ctx, d, g, seed, tell)
	return reporting{task, func(s *bench.Sample) { s.Wall = s.Wall.Truncate(time.Microsecond) }}, err
}

// reporting changes the samples that a task returns.
type reporting struct {
	bench.Task
	change func(*bench.Sample)
}

func (t reporting) Run(ctx context.Context, n, set int) (bench.Sample, error) {
	s, err := t.Task.Run(ctx, n, set)
	t.change(&s)
	return s, err
}

func TestProductsShorterThanTheClock(t *testing.T) {
	r := newRig(gpu("A", 100*time.Nanosecond))
	r.lanes[0].Engine = coarse{r.lanes[0].Engine}
	result := r.race(t, budget)[0]
	verified(t, result)
	if s := result.Samples[0]; s.Wall < 20*ms {
		t.Errorf("samples of %v", s.Wall)
	}
}

// lying is an engine that reports other samples than it measured.
type lying struct {
	bench.Engine
	change func(*bench.Sample)
}

func (e lying) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	task, err := e.Engine.Prepare(ctx, d, g, seed, tell)
	return reporting{task, e.change}, err
}

// A run that was ended early counts with the products that it had, and is named.
func TestRunsThatStalled(t *testing.T) {
	r := newRig(gpu("A", time.Microsecond))
	runs := 0
	r.lanes[0].Engine = lying{r.lanes[0].Engine, func(s *bench.Sample) {
		if runs++; runs > 10 && runs%3 == 0 && s.Iters > 1 {
			s.Iters /= 2
		}
	}}
	result := r.race(t, budget)[0]
	if !result.Verified() || !result.Has(measure.Stalled) {
		t.Errorf("error %v, warnings %v", result.Error, result.Warnings)
	}
}

// Two products close a lane of which a sample held several, also where the last one was
// ended early and held a single one.
func TestClosedAfterAStall(t *testing.T) {
	r := newRig(gpu("A", time.Microsecond))
	var ran []int
	r.lanes[0].Engine = lying{r.lanes[0].Engine, func(s *bench.Sample) {
		if ran = append(ran, s.Iters); len(ran) > 30 {
			s.Iters = 1
		}
	}}
	samples := r.race(t, budget)[0].Samples
	if n := len(ran); samples[0].Iters == 1 || samples[len(samples)-1].Iters != 1 || ran[n-1] != 1 || ran[n-2] != 1 {
		t.Errorf("samples of %d to %d products; in the end it ran %v", samples[0].Iters, samples[len(samples)-1].Iters, ran[n-2:])
	}
}

func TestSamplesThatMakeNoSense(t *testing.T) {
	for name, change := range map[string]func(*bench.Sample){
		"no products":      func(s *bench.Sample) { s.Iters = 0 },
		"more products":    func(s *bench.Sample) { s.Iters++ },
		"time before zero": func(s *bench.Sample) { s.Wall = -s.Wall },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(gpu("A", ms), gpu("B", ms))
			r.lanes[0].Engine = lying{r.lanes[0].Engine, change}
			results := r.race(t, budget)
			failed(t, results[0], fault.Internal, bench.Preparing, 0)
			verified(t, results[1])
		})
	}
}

func TestWarnings(t *testing.T) {
	peak := small.FLOP() / (100 * ms).Seconds()
	lower, bit := peak/1.2, peak/1.05
	tests := []struct {
		name   string
		change func(d *fake.Device)
		want   string
	}{
		{"none", func(*fake.Device) {}, ""},
		{"above peak", func(d *fake.Device) { d.Facts.Peak = &lower }, "above_peak"},
		{"at its peak", func(d *fake.Device) { d.Facts.Peak = &bit }, ""},
		{"slower", func(d *fake.Device) { d.Time = d.Time.Drift(0.007) }, "drift"},
		{"faster", func(d *fake.Device) { d.Time = d.Time.Drift(-0.005) }, "drift"},
		{"hardly slower", func(d *fake.Device) { d.Time = d.Time.Drift(0.002) }, ""},
		{"outlier", func(d *fake.Device) { d.Time = d.Time.At(10, 3) }, "outliers"},
		{"noise", func(d *fake.Device) { d.Time = d.Time.Jitter(0.3, 1) }, "noise"},
		{"software GPU", func(d *fake.Device) { d.Kind = hardware.SoftwareGPU }, "software_gpu"},
		{"short cut", func(d *fake.Device) { d.Operand = matrix.TF32 }, "arithmetic"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := gpu("A", 100*ms)
			tt.change(&d)
			result := newRig(d).race(t, budget)[0]
			if got := codes(result); got != tt.want {
				t.Errorf("warnings %v, want %q", result.Warnings, tt.want)
			}
			if result.Error != nil || len(result.Samples) < 10 {
				t.Errorf("%d samples, error %v", len(result.Samples), result.Error)
			}
		})
	}
}

// peaks is an engine whose tasks report these peaks, one after the other, and whose
// Prepare then fails.
type peaks struct {
	bench.Engine
	left *[]float64
}

func (e peaks) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	if len(*e.left) == 0 {
		return nil, errors.New("no more")
	}
	task, err := e.Engine.Prepare(ctx, d, g, seed, tell)
	peak := (*e.left)[0]
	*e.left = (*e.left)[1:]
	return peaked{task, peak}, err
}

type peaked struct {
	bench.Task
	peak float64
}

func (t peaked) Facts() bench.Facts { return bench.Facts{Peak: &t.peak} }

// The peak belongs to the current size: it is measured before its samples and after
// them.
func TestPeakAroundTheSamples(t *testing.T) {
	speed := small.FLOP() / (100 * ms).Seconds()
	for _, tt := range []struct {
		name  string
		peaks []float64 // relative to the speed
		want  float64
		codes string
	}{
		{"disturbed before", []float64{0.5, 1.25}, 1.25, ""},
		{"disturbed after", []float64{1.25, 0.5}, 1.25, ""},
		{"not there after", []float64{1.25}, 1.25, ""},
		{"disturbed for a while", []float64{0.5, 0.5, 0.6, 0.5, 1.25}, 1.25, ""},
		{"too low each time", []float64{0.5, 0.5, 0.5, 0.5, 0.5, 0.6}, 0.6, "above_peak"},
	} {
		r := newRig(gpu("A", 100*ms))
		var left []float64
		for _, p := range tt.peaks {
			left = append(left, p*speed)
		}
		r.lanes[0].Engine = peaks{r.lanes[0].Engine, &left}
		result := r.race(t, budget)[0]
		if p := result.Facts.Peak; p == nil || *p != tt.want*speed || codes(result) != tt.codes || result.Error != nil || len(left) > 0 {
			t.Errorf("%s: peak %v, warnings %q, error %v; want %v and %q", tt.name, p, codes(result), result.Error, tt.want*speed, tt.codes)
		}
	}
}

func TestClassic(t *testing.T) {
	bad := gpu("B", ms)
	bad.Hook = fake.FailAt(fake.Run, 2, &fault.Error{Code: fault.OutOfMemory, Message: "no"})
	worse := gpu("C", ms)
	worse.Hook = fake.FailAt(fake.Run, 3, &fault.Error{Code: fault.Crashed, Message: "no"})
	wrong := gpu("D", ms)
	wrong.Wrong = &fake.Wrong{Add: 1}
	r := newRig(gpu("A", ms), bad, worse, wrong)
	results := r.Classic(t.Context(), r.lanes, 1, 10)
	if diff := cmp.Diff([]bench.Sample{{Iters: 10, Wall: 10 * ms, Start: 7 * ms, End: 17 * ms}}, results[0].Samples); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{1, 3, 10, 1, 1}, r.runsOf("A")); diff != "" {
		t.Error(diff)
	}
	if a := results[0]; !a.Verified() || a.Protocol != bench.Classic || len(a.Warnings) > 0 {
		t.Errorf("result %+v", a)
	}
	failed(t, results[1], fault.OutOfMemory, bench.WarmingUp, 0)
	failed(t, results[2], fault.Crashed, bench.Sampling, 0)
	failed(t, results[3], fault.Wrong, bench.Checking, 0)
	checkEvents(t, r, results)
}

// A lane that was delayed while warming up seems to need only few products per
// sample.
func TestHeldUpWhileWarmingUp(t *testing.T) {
	r := newRig(scripted("a", fake.Fixed(10*time.Microsecond).At(3, 1e6)))
	result := r.race(t, budget)[0]
	if len(result.Samples) < 10 {
		t.Fatalf("%d samples: %v", len(result.Samples), result.Error)
	}
	for _, s := range result.Samples {
		if s.Wall < 10*time.Millisecond {
			t.Fatalf("a sample of %d products lasts %s", s.Iters, s.Wall)
		}
	}
}
