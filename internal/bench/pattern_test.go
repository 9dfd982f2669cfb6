package bench_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
)

// spoiler is an engine that answers otherwise than it computes, and keeps the inputs that it
// was asked for.
type spoiler struct {
	bench.Engine
	asked  []matrix.Data
	mulVec func(task bench.Task, data matrix.Data, x []float64) ([]float64, error)
}

func (e *spoiler) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	if g.M > 1 { // of 1 are those that ask for the peak
		e.asked = append(e.asked, g.Data)
	}
	task, err := e.Engine.Prepare(ctx, d, g, seed, tell)
	return &spoilt{Task: task, engine: e, data: g.Data}, err
}

type spoilt struct {
	bench.Task
	engine *spoiler
	data   matrix.Data
}

func (t *spoilt) MulVec(ctx context.Context, x []float64) ([]float64, error) {
	if t.engine.mulVec == nil {
		return t.Task.MulVec(ctx, x)
	}
	return t.engine.mulVec(t.Task, t.data, x)
}

// on returns a rig whose one lane has these inputs, and its engine.
func on(data matrix.Data, d fake.Device) (*rig, *spoiler) {
	r := newRig(d)
	e := &spoiler{Engine: r.lanes[0].Engine}
	r.lanes[0].Engine, r.lanes[0].GEMM.Data = e, data
	return r, e
}

// Rule 2: a lane whose inputs follow a pattern computes on random ones first, from both sets
// of operands, and on the pattern from then on. The first product is that on random inputs.
func TestRuleProvedOnRandomInputs(t *testing.T) {
	for _, data := range matrix.Kinds {
		r, e := on(data, gpu("A", ms))
		var checks []matrix.Data // of what was checked
		e.mulVec = func(task bench.Task, of matrix.Data, x []float64) ([]float64, error) {
			checks = append(checks, of)
			return task.MulVec(t.Context(), x)
		}
		results := r.race(t, budget)
		verified(t, results[0])
		if results[0].GEMM.Data != data {
			t.Errorf("%s: the result is of %s", data, results[0].GEMM.Data)
		}
		want, proofs := []matrix.Data{data}, 0
		if data.Patterned() {
			want, proofs = []matrix.Data{matrix.Random, data}, 2*matrix.Sets // two vectors each
		}
		if len(e.asked) != len(want) || e.asked[0] != want[0] || e.asked[len(want)-1] != data {
			t.Errorf("%s: prepared with %v", data, e.asked)
		}
		for i, of := range checks {
			if (i < proofs) != (data.Patterned() && of == matrix.Random) {
				t.Errorf("%s: check %d was of %s", data, i, of)
			}
		}
	}
}

// What would pass on a pattern alone is not verified: computing nothing, a remembered result,
// less precise arithmetic.
func TestRulePatternsProveNothing(t *testing.T) {
	for _, data := range []matrix.Data{matrix.Zeros, matrix.Ones, matrix.Ramp} {
		for name, mulVec := range map[string]func(bench.Task, matrix.Data, []float64) ([]float64, error){
			"computes nothing": func(_ bench.Task, _ matrix.Data, x []float64) ([]float64, error) {
				return make([]float64, len(x)), nil
			},
			"remembers": func(task bench.Task, _ matrix.Data, x []float64) ([]float64, error) {
				if _, err := task.Run(t.Context(), 1, 0); err != nil {
					return nil, err
				}
				return task.MulVec(t.Context(), x)
			},
		} {
			t.Run(fmt.Sprintf("%s, %s", data, name), func(t *testing.T) {
				r, e := on(data, gpu("A", ms))
				e.mulVec = mulVec
				failed(t, r.race(t, budget)[0], fault.Wrong, bench.Checking, 0)
			})
		}
		d := gpu("A", ms)
		d.Operand = matrix.TF32
		r, _ := on(data, d)
		if x := r.race(t, budget)[0]; x.Verified() || !x.Has(measure.Arithmetic) || len(x.Samples) == 0 {
			t.Errorf("%s in TF32: verified %t, %v, %d samples", data, x.Verified(), x.Warnings, len(x.Samples))
		}
	}
}

// What timed samples left behind is checked against the pattern.
func TestRulePatternsAreChecked(t *testing.T) {
	for _, data := range []matrix.Data{matrix.Zeros, matrix.Ones, matrix.Ramp} {
		r, e := on(data, gpu("A", ms))
		e.mulVec = func(task bench.Task, of matrix.Data, x []float64) ([]float64, error) {
			y, err := task.MulVec(t.Context(), x)
			if of == data {
				y[3] += 1.0 / 64 // the smallest step of a ramp's sums
			}
			return y, err
		}
		x := r.race(t, budget)[0]
		failed(t, x, fault.Wrong, bench.Checking, 0)
		if !strings.Contains(x.Error.Message, "products of "+data.String()+" are exact") {
			t.Errorf("%s: %s", data, x.Error.Message)
		}
	}
	r, _ := on(matrix.Ones, skipping(ms, func(p int) bool { return p >= 40 }))
	if x := r.race(t, budget)[0]; x.Verified() || x.Error == nil || x.Error.Code != fault.Wrong {
		t.Errorf("products of ones that are not computed: verified %t, %v", x.Verified(), x.Error)
	}
}

func TestRuleOtherInputsAreNotCompared(t *testing.T) {
	r := newRig(gpu("A", ms), gpu("B", ms))
	r.lanes[1].GEMM.Data = matrix.Normal
	results := r.race(t, budget)
	if c := bench.Compare(results[0], results[1]); strings.Join(c.Differs, "; ") != "inputs: random against normal" {
		t.Errorf("compared: %q", c.Differs)
	}
	if a, b := results[0].Label(), results[1].Label(); strings.Contains(a, "random") || !strings.HasSuffix(b, ", normal") {
		t.Errorf("lanes are named %q and %q", a, b)
	}
}

// A k at which sums of ones leave float16, or are rounded, is refused.
func TestMaxK(t *testing.T) {
	r, e := on(matrix.Ones, gpu("A", ms))
	r.lanes[0].GEMM = bench.GEMM{M: 2, N: 2, K: 65505, In: matrix.Float16, Acc: matrix.Float32, Out: matrix.Float16, Data: matrix.Ones}
	x := r.race(t, budget)[0]
	failed(t, x, fault.Invalid, bench.Preparing, 0)
	if len(e.asked) > 0 || !strings.Contains(x.Error.Message, "65504") {
		t.Errorf("prepared with %v: %v", e.asked, x.Error)
	}
}

func TestLongerSamples(t *testing.T) {
	r := newRig(gpu("A", ms))
	x := r.race(t, bench.Stop{Budget: time.Minute, Sample: time.Second})[0]
	verified(t, x)
	for _, s := range x.Samples {
		if s.Wall < time.Second || s.Wall > 2*time.Second {
			t.Errorf("a sample of %s", s.Wall)
		}
	}
}
