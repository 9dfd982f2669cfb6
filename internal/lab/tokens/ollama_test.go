package tokens

import (
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm"
)

// Ollama keeps some models in files that llama.cpp does not understand.
func TestOllamasFile(t *testing.T) {
	const leads = "only it can read: runtime ollama"
	for code, want := range map[fault.Code]bool{fault.Crashed: true, fault.OutOfMemory: false} { // whichever runtime it is
		failing := fakeRuntime{gpu: fault.Errorf(code, "wrong number of tensors").With(fault.Advice("something else")...)}
		_, err := ollamasFile{failing}.Load(t.Context(), "m.gguf", llm.Settings{Layers: llm.AllLayers})
		remedies := fault.From(err).Remedies.String()
		if strings.Contains(remedies, leads) != want || !strings.Contains(remedies, "something else") {
			t.Errorf("%s: %s", code, remedies)
		}
	}
	if s, err := (ollamasFile{fakeRuntime{}}).Load(t.Context(), "m.gguf", llm.Settings{}); s == nil || err != nil {
		t.Errorf("%v, %v", s, err)
	}
}
