package bench_test

import (
	stdcmp "cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
)

// A device with products of 20 ms makes run 1 while it is prepared, runs 2 to 26 to
// warm up, and its samples from run 27 on. A check calls MulVec twice: the first is of
// run 1, the second of run 2, the third of the first sample.
const each = 20 * ms

// stages are the calls at which something can go wrong.
var stages = []struct {
	stage   fake.Stage
	call    int
	phase   bench.Phase
	samples int // taken by then
}{
	{fake.Prepare, 1, bench.Preparing, 0},
	{fake.Run, 1, bench.Preparing, 0},
	{fake.MulVec, 1, bench.Checking, 0},
	{fake.MulVec, 2, bench.Checking, 0},
	{fake.Run, 2, bench.WarmingUp, 0},
	{fake.Run, 26, bench.WarmingUp, 0},
	{fake.Run, 27, bench.Sampling, 0},
	{fake.Run, 30, bench.Sampling, 3},
	{fake.MulVec, 3, bench.Checking, 0},
	{fake.MulVec, 5, bench.Checking, 1},
	{fake.MulVec, 9, bench.Checking, 3},
}

// A lane that fails reports where and why, keeps its samples, and does not affect
// the others.
func TestFailureStaysInItsLane(t *testing.T) {
	for _, tt := range stages {
		for _, err := range []error{
			&fault.Error{Code: fault.OutOfMemory, Message: "full"},
			fmt.Errorf("call: %w", &fault.Error{Code: fault.Crashed, Message: "gone"}),
			errors.New("an unforeseen error"),
		} {
			t.Run(fmt.Sprintf("%s %d %v", tt.stage, tt.call, err), func(t *testing.T) {
				bad := gpu("B", each)
				bad.Hook = fake.FailAt(tt.stage, tt.call, err)
				r := newRig(gpu("A", each), bad, gpu("C", each))
				results := r.race(t, budget)
				verified(t, results[0])
				verified(t, results[2])
				want := fault.Internal
				if e := (*fault.Error)(nil); errors.As(err, &e) {
					want = e.Code
				}
				failed(t, results[1], want, tt.phase, tt.samples)
				if !strings.Contains(err.Error(), results[1].Error.Message) {
					t.Errorf("error %q became %q", err, results[1].Error)
				}
				checkEvents(t, r, results)
			})
		}
	}
}

// When the user interrupts, what was measured so far is kept.
func TestCancel(t *testing.T) {
	for _, tt := range stages {
		t.Run(fmt.Sprintf("%s %d", tt.stage, tt.call), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ends := gpu("B", each)
			ends.Hook = func(_ context.Context, s fake.Stage, k int) error {
				if s == tt.stage && k == tt.call {
					cancel()
				}
				return nil
			}
			r := newRig(gpu("A", each), ends, gpu("C", each))
			results := r.Race(ctx, r.lanes, 1, budget)
			for _, result := range results {
				if len(result.Samples) == 0 {
					if result.Error == nil {
						t.Errorf("%s has neither samples nor an error", result.Device.ID)
					} else if !errors.Is(result.Error, fault.Interrupted) {
						t.Errorf("%s: error %q", result.Device.ID, result.Error)
					}
					continue
				}
				if codes(result) != "interrupted" || !result.Verified() {
					t.Errorf("%s: %d samples, error %v, warnings %v", result.Device.ID, len(result.Samples), result.Error, result.Warnings)
				}
			}
			if b := results[1]; len(b.Samples) != tt.samples || tt.samples == 0 && b.Stage != tt.phase {
				t.Errorf("%d samples, ended while %s; want %d, %s", len(b.Samples), b.Stage, tt.samples, tt.phase)
			}
			checkEvents(t, r, results)
		})
	}
}

func TestStepLimit(t *testing.T) {
	for _, tt := range stages {
		if tt.samples == 0 && tt.call == 2 {
			continue
		}
		t.Run(fmt.Sprintf("%s %d", tt.stage, tt.call), func(t *testing.T) {
			t.Parallel()
			hangs := gpu("B", each)
			hangs.Hook = fake.HangAt(tt.stage, tt.call)
			r := newRig(gpu("A", each), hangs)
			r.StepLimit = 200 * ms
			results := r.race(t, budget)
			verified(t, results[0])
			failed(t, results[1], fault.Timeout, tt.phase, tt.samples)
			if got, want := results[1].Error.Message, "no answer within 200 ms"; got != want {
				t.Errorf("error %q, want %q", got, want)
			}
		})
	}
}

func TestWrongProduct(t *testing.T) {
	tests := []struct {
		name    string
		wrong   fake.Wrong
		samples int
		message string
	}{
		{"one element", fake.Wrong{Row: 3, Col: 5, Add: 8}, 0, "wrong result: error 1.5e+00 where at most 2.4e-06 is expected"},
		{"NaN", fake.Wrong{Add: math.NaN()}, 0, "wrong result: NaN or infinity where at most 2.4e-06 is expected"},
		{"in the end", fake.Wrong{Row: 3, Col: 5, Add: 8, From: 51}, 25, "wrong result: error 1.5e+00 where at most 2.4e-06 is expected"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bad := gpu("A", each)
			bad.Wrong = &tt.wrong
			r := newRig(bad, gpu("B", each))
			results := r.race(t, budget)
			failed(t, results[0], fault.Wrong, bench.Checking, tt.samples)
			verified(t, results[1])
			if results[0].Error.Message != tt.message || results[0].Check.Passed {
				t.Errorf("error %q, want %q; check %+v", results[0].Error, tt.message, results[0].Check)
			}
			if c := bench.Compare(results[0], results[1]); !slices.Contains(c.Differs, "Library A is not verified") {
				t.Errorf("a wrong result can be compared: %+v", c)
			}
		})
	}
}

// A shortcut that was detected once is not forgotten because a later product is
// right.
func TestShortCutIsMeasuredAndNotCompared(t *testing.T) {
	cut := gpu("A", each)
	cut.Operand = matrix.TF32
	r := newRig(cut, gpu("B", each))
	results := r.race(t, budget)
	a := results[0]
	if a.Error != nil || len(a.Samples) != 25 || a.Check.Arithmetic != "tf32" || codes(a) != "arithmetic" || a.Verified() {
		t.Errorf("result %+v, check %+v", a, a.Check)
	}
	if c := bench.Compare(a, results[1]); len(c.Differs) != 1 {
		t.Errorf("a short cut can be compared: %+v", c)
	}

	r = newRig(gpu("A", each))
	r.lanes[0].Engine = imprecise{r.lanes[0].Engine, func(call int) bool { return call <= 2 }}
	if a := r.race(t, budget)[0]; codes(a) != "arithmetic" || a.Verified() {
		t.Errorf("result %+v, check %+v", a, a.Check)
	}
}

func TestLessPreciseLater(t *testing.T) {
	r := newRig(gpu("A", each))
	r.lanes[0].Engine = imprecise{r.lanes[0].Engine, func(call int) bool { return call > 2 }}
	if a := r.race(t, budget)[0]; a.Error == nil || a.Error.Code != fault.Wrong {
		t.Errorf("result %+v, check %+v, want a wrong result", a, a.Check)
	}
}

// imprecise is an engine whose C is slightly wrong in some calls of MulVec, of which
// a check makes two.
type imprecise struct {
	bench.Engine
	wrong func(call int) bool
}

func (e imprecise) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	task, err := e.Engine.Prepare(ctx, d, g, seed, tell)
	return &impreciseTask{Task: task, wrong: e.wrong}, err
}

type impreciseTask struct {
	bench.Task
	wrong func(call int) bool
	calls int
}

func (t *impreciseTask) MulVec(ctx context.Context, x []float64) ([]float64, error) {
	y, err := t.Task.MulVec(ctx, x)
	if t.calls++; t.wrong(t.calls) {
		for i := range y {
			y[i] += 2e-4
		}
	}
	return y, err
}

func TestMemory(t *testing.T) {
	has := func(n int64) *int64 { return &n }
	free := func(n int64) func() int64 { return func() int64 { return n } }
	tests := []struct {
		name   string
		kind   hardware.Kind
		memory *int64
		free   func() int64
		n      int
		dtype  matrix.DType
		want   string // message: remedy
	}{
		{"GPU", hardware.GPU, has(1e9), nil, 16384, matrix.Float32, "too big: 16384³ in float32 needs 4.29 GB of memory, 1.00 GB is available: the largest size that fits: size 7680"},
		{"half as big elements", hardware.GPU, has(1e9), nil, 16384, matrix.Float16, "too big: 16384³ in float16 needs 2.15 GB of memory, 1.00 GB is available: the largest size that fits: size 11008"},
		{"CPU", hardware.CPU, nil, free(1e9), 16384, matrix.Float64, "too big: 16384³ in float64 needs 8.59 GB of memory, 1.00 GB is available: the largest size that fits: size 5376"},
		{"software GPU", hardware.SoftwareGPU, has(1 << 40), free(1e9), 16384, matrix.Float64, "too big: 16384³ in float64 needs 8.59 GB of memory, 1.00 GB is available: the largest size that fits: size 5376"},
		{"overflow", hardware.GPU, has(1e12), nil, 1e9, matrix.Float32, "too big: 1000000000³ in float32 needs 16.0 EB of memory, 1.00 TB is available: the largest size that fits: size 249856"},
		{"nothing fits", hardware.GPU, has(1000), nil, 16, matrix.Float32, "too big: 16³ in float32 needs 4.10 kB of memory, 1.00 kB is available: "},
		{"GPU beside a full host", hardware.GPU, nil, free(1), 16, matrix.Float32, ""},
		{"memory not known", hardware.CPU, nil, free(0), 16, matrix.Float32, ""},
		{"just fits", hardware.GPU, has(4096), nil, 16, matrix.Float32, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := gpu("A", each)
			d.Kind, d.Memory = tt.kind, tt.memory
			r := newRig(d)
			r.Free = tt.free
			r.lanes[0].GEMM = bench.Square(tt.n, tt.dtype)
			result := r.race(t, bench.Stop{Repeat: 1})[0]
			if tt.want == "" {
				if result.Error != nil {
					t.Error(result.Error)
				}
				return
			}
			failed(t, result, fault.OutOfMemory, bench.Preparing, 0)
			if got := result.Error.Message + ": " + result.Error.Remedies.String(); got != tt.want {
				t.Errorf("error\n%s, want\n%s", got, tt.want)
			}
			if len(r.runs) > 0 {
				t.Error("it ran anyway")
			}
		})
	}
}

func TestErrorsHaveCodes(t *testing.T) {
	var err error = &fault.Error{Code: fault.Timeout, Message: "m"}
	wrapped := fmt.Errorf("w: %w", err)
	if !errors.Is(wrapped, fault.Timeout) || errors.Is(wrapped, fault.Crashed) || errors.Is(wrapped, context.Canceled) {
		t.Errorf("%v is not told apart", wrapped)
	}
	if err.Error() != "m" || fault.Timeout.Error() != "timeout" {
		t.Errorf("texts %q, %q", err, fault.Timeout)
	}
}

// checkEvents fails the test unless the events let a reader follow every lane: each
// sample, check and result has its event, in a sensible order, and nothing follows
// the result.
func checkEvents(t *testing.T, r *rig, results []*bench.Result) {
	t.Helper()
	last := time.Duration(0)
	for _, e := range r.events {
		if e.At < last {
			t.Errorf("%s at %s after %s", e.Type, e.At, last)
		}
		last = e.At
	}
	for _, result := range results {
		var samples []bench.Sample
		var finished *bench.Result
		checks, done, total, sized := 0, 0, 0, false
		for _, e := range r.events {
			if e.Lane != result.Lane {
				continue
			}
			if finished != nil {
				t.Errorf("lane %s: %s after its result", e.Lane, e.Type)
			}
			switch d := e.Data.(type) {
			case event.Size:
				sized = true
			case bench.Sample:
				samples = append(samples, d)
			case bench.Checked:
				checks++
			case event.Progress:
				if d.Done != done+1 || d.Total < d.Done || d.Done != len(samples) {
					t.Errorf("lane %s: %d of %d samples after %d, of %d told", e.Lane, d.Done, d.Total, done, len(samples))
				}
				done, total = d.Done, d.Total
			case *bench.Result:
				finished = d
			}
		}
		if finished != result || !sized {
			t.Errorf("lane %s: its result was not told, or no size", result.Lane)
		}
		if d := cmp.Diff(result.Samples, samples, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("lane %s: samples and what was told of them: %s", result.Lane, d)
		}
		if result.Check != nil && checks == 0 {
			t.Errorf("lane %s: no check was told", result.Lane)
		}
		if done != total && result.Error == nil && !result.Has(measure.Interrupted) && result.Protocol == bench.Steady {
			t.Errorf("lane %s ended with %d of %d samples", result.Lane, done, total)
		}
	}
}

func TestEvents(t *testing.T) {
	wrong := gpu("B", each)
	wrong.Wrong = &fake.Wrong{Add: 1}
	r := newRig(gpu("A", each), wrong, gpu("C", time.Minute), scripted("D", fake.Fixed(each).Jitter(0.3, 1)), gpu("E", 3*ms))
	// The result is final when its event is sent.
	told := map[string]string{}
	r.told = func(lane string, d event.Data) {
		if result, ok := d.(*bench.Result); ok {
			told[lane] = toJSON(t, result)
		}
	}
	results := r.race(t, bench.Stop{Budget: 5 * time.Second})
	checkEvents(t, r, results)
	for _, result := range results {
		if now := toJSON(t, result); now != told[result.Lane] {
			t.Errorf("lane %s changed after it had finished:\n%s\n%s", result.Lane, told[result.Lane], now)
		}
	}
}

// Samples carry the time at which they were taken on the runner's clock, and do not
// overlap.
func TestSampleTimes(t *testing.T) {
	r := newRig(gpu("A", each), gpu("B", 3*each))
	var all []bench.Sample
	for _, result := range r.race(t, budget) {
		all = append(all, result.Samples...)
	}
	slices.SortFunc(all, func(a, b bench.Sample) int { return stdcmp.Compare(a.Start, b.Start) })
	end := time.Duration(0)
	for _, s := range all {
		if s.Start < end || s.End-s.Start != s.Wall || s.Start == 0 {
			t.Fatalf("a sample of %s from %s to %s, the one before ended at %s", s.Wall, s.Start, s.End, end)
		}
		end = s.End
	}
}

// Each variant that an engine tries out while it prepares has its event.
func TestTuning(t *testing.T) {
	d := gpu("A", each)
	d.Tunings = 3
	r := newRig(d)
	r.race(t, budget)
	n := 0
	for _, e := range r.events {
		if tuning, ok := e.Data.(bench.Tuning); ok {
			if n++; e.Lane != "A" || tuning.Done != n || tuning.Total != 3 {
				t.Errorf("%+v", e)
			}
		}
	}
	if n != 3 {
		t.Errorf("%d tuning steps were told of, want 3", n)
	}
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
