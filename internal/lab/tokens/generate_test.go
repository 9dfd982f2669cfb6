package tokens

import (
	"context"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/train"
)

// coldModel takes an hour for whatever it does for the first time, as a GPU that compiles
// its kernels.
type coldModel struct {
	kind  hardware.Kind
	done  map[bool]bool // by whether kernels are launched one by one
	asked int
}

func (m *coldModel) Facts() llm.Facts {
	return llm.Facts{Device: hardware.Device{ID: "x", Kind: m.kind}}
}
func (*coldModel) About() llm.About { return llm.About{} }
func (*coldModel) Close() error     { return nil }

func (m *coldModel) Generate(_ context.Context, r llm.Request, each func(llm.Piece)) (llm.Generation, error) {
	m.asked++
	g := llm.Generation{Text: "Moi", PromptTokens: 3, Tokens: r.Tokens, TokenTime: time.Second, Graph: m.kind == hardware.GPU && !r.Eager}
	if !m.done[r.Eager] {
		m.done[r.Eager] = true
		g.TokenTime = time.Hour
	}
	return g, nil
}

func (*coldModel) Tune(context.Context, train.Settings) (train.Plan, error) { panic("not asked for") }
func (*coldModel) Train(context.Context, int, time.Duration, func(train.Step)) (train.Trained, bool, error) {
	panic("not asked for")
}

// Neither of the two speeds of a GPU has the first launch of its kernels in it. A CPU
// compiles nothing and answers once.
func TestRuleWarmAnswers(t *testing.T) {
	for kind, asked := range map[hardware.Kind]int{hardware.GPU: 4, hardware.CPU: 1} {
		m := &coldModel{kind: kind, done: map[bool]bool{}}
		s := event.NewStream("r1", nil)
		d := lab.Deps{Program: record.Program{Version: "1"}}
		r := d.Begin(t.Context(), s, record.Generate)
		answer(t.Context(), s, r, &lab.Loaded{Model: m, Facts: m.Facts(), Lane: "fake"}, GenerateOptions{Prompt: "Hei", Tokens: 8}, d.Sensors())
		s.Close()
		if m.asked != asked {
			t.Errorf("%s: %d answers, want %d", kind, m.asked, asked)
		}
		if kind == hardware.GPU && (r.Generation.Answer.TokenTime != time.Second || r.Generation.Eager == nil || r.Generation.Eager.TokenTime != time.Second) {
			t.Errorf("with a first launch in it: %+v", r.Generation)
		}
	}
}
