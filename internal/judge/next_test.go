package judge

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

func TestRaceNext(t *testing.T) {
	setup := func(words ...string) fault.Remedy {
		return fault.Run("{} makes one", append([]string{"gpuplay", "setup"}, words...)...)
	}
	run := func(missing ...record.Missing) *record.Run {
		r := race(result(builtIn, 1e12))
		r.Missing = missing
		return r
	}
	half := &fault.Remedy{Command: []string{"gpuplay", "race"}, Param: "dtype", Value: "bfloat16", Text: "what half the bits bring"}
	interrupted := run()
	interrupted.Interrupted = true
	jax := record.Missing{Engine: "jax", Code: fault.Unavailable, Remedies: fault.Remedies{fault.Change("python", "{} names an interpreter"), setup("jax")}}
	for _, tt := range []struct {
		name string
		r    *record.Run
		want *fault.Remedy
	}{
		{"all there", run(), half},
		{"a framework is missing", run(jax), &fault.Remedy{Command: []string{"gpuplay", "setup", "jax"}, Text: "to have jax in the race"}},
		{"it is broken", run(record.Missing{Engine: "jax", Code: fault.Crashed, Remedies: jax.Remedies}), half},
		{"only its GPU is missing", run(record.Missing{Engine: "torch", API: "cuda", Kind: hardware.GPU, Code: fault.Unavailable, Remedies: fault.Remedies{setup("torch")}}), half},
		{"nothing of ours gets it", run(record.Missing{Engine: "blas", Code: fault.Unavailable, Remedies: fault.Remedies{fault.Run("", "pip", "install", "mkl")}}), half},
		{"another dtype", race(result(builtIn, 1e12, recordtest.Integer)), nil},
		{"no lanes", race(), nil},
		{"interrupted", interrupted, nil},
		{"one lane", recordtest.Run(record.MatMul, result(builtIn, 1e12)), nil},
	} {
		if d := cmp.Diff(tt.want, Next(tt.r)); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
	if jax.Remedies[1].Text != "{} makes one" {
		t.Error("the run was changed")
	}
}
