package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/record"
)

// A server's figures are its own: nothing is said of a device, of this machine's limits,
// or of a comparison.
func TestServerLane(t *testing.T) {
	lane := &llm.Result{Lane: "openai/server", Name: "server", Runtime: model.OpenAI, Samples: []llm.Sample{{First: time.Second, Tokens: 11, TokenTime: time.Second, PromptTokens: 100, PromptTime: time.Second}}}
	bandwidth := 1e9
	r := &record.Run{Kind: record.LLM, Tokens: &record.Tokens{Model: model.Model{Name: "m", Place: "example.com:8000", TokenBytes: 1e9}, Results: []*llm.Result{lane}, Limits: &llm.Limits{Bandwidth: &bandwidth}}}
	r.Machine.CPU = "this CPU"
	if name, place := TokenLane(lane), TokenPlace(r, lane); name != "server" || place != "example.com:8000" {
		t.Errorf("%s at %s", name, place)
	}
	if task, figure := Summary(r); task != "m" || figure != "10.0 tok/s" {
		t.Errorf("%s: %s", task, figure)
	}
	h, ok := NewHeadline(r)
	if !ok || h.Figure != "10.0" || h.Claim != "At generation by the server at example.com:8000" {
		t.Errorf("%+v", h)
	}
	if said := strings.Join(Sentences(r), " "); strings.Contains(said, "memory") || strings.Contains(said, "CPU") {
		t.Errorf("said: %s", said)
	}
	if got := described(r); !strings.HasSuffix(got, " UTC, llm, server at example.com:8000") {
		t.Errorf("%q", got)
	}
	lane.Samples = append(lane.Samples, lane.Samples[0], lane.Samples[0])
	r.Machine.ID = "0123456789abcdef"
	v, err := NewVersus(r, r, 0.02)
	if err != nil {
		t.Fatal(err)
	}
	if said := strings.Join(v.Sentences(), " "); !strings.Contains(said, "how it is set up, and whether that changed, is not known") || strings.Contains(said, "same machine") {
		t.Errorf("said: %s", said)
	}
}
