package judge

import (
	"strings"
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
		r := race(result(builtIn, 1e12), result(torchGPU, 25e12))
		r.Missing = missing
		return r
	}
	half := &fault.Remedy{Command: []string{"gpuplay", "race"}, Param: "dtype", Value: "bfloat16", Text: "what half the bits bring"}
	ladder := &fault.Remedy{Command: []string{"gpuplay", "learn", "matmul"}, Text: "how matrix products become fast, step by step"}
	listed := race(result(builtIn, 1e12))
	listed.Cards, listed.Missing = []hardware.Card{{Name: "Card"}}, []record.Missing{{Engine: "jax", Code: fault.Unavailable, Remedies: fault.Remedies{setup("jax")}}}
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
		{"MLX on Linux", run(record.Missing{Engine: "mlx", Code: fault.Unavailable, Remedies: fault.Remedies{setup("mlx")}}), half},
		{"a GPU that no engine reaches", listed, &fault.Remedy{Command: []string{"gpuplay", "setup", "jax"}, Text: "to have jax in the race"}},
		{"no GPU", race(result(builtIn, 1e12)), ladder},
		{"a software GPU", race(result(builtIn, 1e12), result(software, 1e9)), ladder},
		{"another dtype", race(result(builtIn, 1e12, recordtest.Integer), result(torchGPU, 25e12, recordtest.Integer)), nil},
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

// What could be had is named as its makers write it; MLX is made for Apple's GPUs,
// and other engines need a GPU that this machine has.
func TestPossible(t *testing.T) {
	r := race(result(builtIn, 1e12))
	for _, engine := range []string{"blas", "cuda", "cublaslt", "vulkan", "torch", "tensorflow", "mlx", "jax"} {
		r.Missing = append(r.Missing, record.Missing{Engine: engine, Code: fault.Unavailable, Reason: "it is not installed"})
	}
	r.Missing = append(r.Missing, record.Missing{Engine: "new", Code: fault.Crashed}, record.Missing{Engine: "blas", API: "mkl", Code: fault.Unavailable})
	if got, want := strings.Join(Possible(r), " "), "OpenBLAS PyTorch TensorFlow JAX"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for vendor, want := range map[string]string{"NVIDIA": "OpenBLAS cuBLASLt Vulkan PyTorch TensorFlow JAX", "AMD": "OpenBLAS Vulkan PyTorch TensorFlow JAX"} {
		r.Cards = []hardware.Card{{Vendor: vendor}}
		if got := strings.Join(Possible(r), " "); got != want {
			t.Errorf("with a card of %s: %q, want %q", vendor, got, want)
		}
	}
	r.Cards, r.Machine.OS = nil, "darwin"
	if got, want := strings.Join(Possible(r), " "), "OpenBLAS PyTorch TensorFlow MLX JAX"; got != want {
		t.Errorf("on a Mac: %q, want %q", got, want)
	}
}
