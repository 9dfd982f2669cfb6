package tokens

import (
	"slices"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/model"
)

// llamaCpp is a llama.cpp that cannot load a model onto its GPU.
type llamaCpp struct{ fakeRuntime }

func (llamaCpp) Name() string { return model.LlamaCpp }

// Ollama keeps some models in files that llama.cpp does not understand.
func TestOllamasOwnFormat(t *testing.T) {
	for _, tt := range []struct {
		runtimes []string
		code     fault.Code
		leads    bool
	}{
		{[]string{model.LlamaCpp, model.Ollama}, fault.Crashed, true},
		{[]string{model.LlamaCpp, model.Ollama}, fault.OutOfMemory, false}, // whichever runtime it is
		{[]string{model.LlamaCpp}, fault.Crashed, false},
	} {
		o := options
		o.Bench, o.Layers = Never, []int{llm.AllLayers}
		o.Model.Runtimes = tt.runtimes
		failing := llamaCpp{fakeRuntime{gpu: fault.Errorf(tt.code, "wrong number of tensors").With(fault.Advice("something else")...)}}
		r, _ := run(t.Context(), deps, o, chosen{Runtime: failing, mayHaveGPU: true})
		e := r.Tokens.Results[0].Error
		if e == nil || len(e.Remedies) == 0 {
			t.Fatalf("error %v", e)
		}
		leads := slices.ContainsFunc(e.Remedies, func(r fault.Remedy) bool { return r.Param == "runtime" && r.Value == model.Ollama })
		if leads != tt.leads || !strings.Contains(e.Remedies.String(), "something else") {
			t.Errorf("%v, %s: %s", tt.runtimes, tt.code, e.Remedies)
		}
	}
}
