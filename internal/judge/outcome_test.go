package judge

import (
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

func TestOutcome(t *testing.T) {
	good := result(builtIn, 1e12)
	failed := func(code fault.Code) *record.Run { return race(good, result(blas, 1e12, failing(code, "why"))) }
	swept := func(code fault.Code) *record.Run {
		r := failed(code)
		r.Kind = record.Sweep
		return r
	}
	missing := func(m record.Missing) *record.Run {
		r := race(good)
		r.Missing = []record.Missing{m}
		return r
	}
	tokens := func(x llm.Result) *record.Run {
		return &record.Run{Kind: record.LLM, Tokens: &record.Tokens{Results: []*llm.Result{{}, &x}}}
	}
	doctor := func(s record.Status) *record.Run {
		return &record.Run{Kind: record.Doctor, Checks: []record.Check{{Status: record.OK}, {Status: s}}}
	}
	stopped := race(good)
	stopped.Error = fault.Errorf(fault.Internal, "the disk is full")
	for _, tt := range []struct {
		name  string
		r     *record.Run
		asked bool
		want  bool
	}{
		{"all measured", race(good), true, true},
		{"nothing measured", race(), false, false},
		{"one crashed", failed(fault.Crashed), false, false},
		{"one was wrong", failed(fault.Wrong), false, false},
		{"one has no code for it", failed(fault.Unsupported), false, true},
		{"one was too large", failed(fault.OutOfMemory), false, false},
		{"the run stopped short", stopped, false, false},
		{"an engine is missing", missing(record.Missing{Engine: "jax"}), false, true},
		{"an engine that was asked for is missing", missing(record.Missing{Engine: "jax"}), true, false},
		{"a device of an engine that was asked for is missing", missing(record.Missing{Engine: "torch", API: "cuda", Kind: hardware.GPU}), true, true},
		{"a sweep with a lane that is too slow", swept(fault.Timeout), false, true},
		{"a sweep with a size that is too large", swept(fault.OutOfMemory), false, true},
		{"a sweep with a wrong lane", swept(fault.Wrong), false, false},
		{"a sweep of nothing", recordtest.Sweeps()["nothing"], false, false},
		{"tokens", tokens(llm.Result{}), false, true},
		{"tokens of a lane that failed", tokens(llm.Result{Error: fault.Errorf(fault.Crashed, "broke")}), false, false},
		{"tokens that differ", tokens(llm.Result{Check: &llm.Check{}}), false, false},
		{"a machine in order", doctor(record.Warning), false, true},
		{"a machine with something broken", doctor(record.Failed), false, false},
	} {
		if got := Outcome(tt.r, tt.asked); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
