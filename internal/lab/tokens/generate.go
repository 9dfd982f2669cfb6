package tokens

import (
	"context"
	"strings"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/lora"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
)

// GenerateOptions say what is continued.
type GenerateOptions struct {
	lab.Language
	Adapter string // the folder of an adapter, absolute; "": none
	Prompt  string
	Tokens  int  // the most that are generated
	Raw     bool // continue the prompt as it stands, without the model's chat template
}

// Check refuses what makes no sense, whatever the model.
func (o GenerateOptions) Check() error {
	if err := o.Language.Check(); err != nil {
		return err
	}
	switch {
	case o.Tokens < 1:
		return fault.Errorf(fault.Invalid, "%d tokens: at least 1 is needed", o.Tokens).With(fault.Set("tokens", 64, "for example"))
	case strings.TrimSpace(o.Prompt) == "":
		return fault.Errorf(fault.Invalid, "the prompt is empty").With(fault.Change("prompt", "{} with some words in it"))
	}
	return nil
}

// Generate has a language model continue a prompt, greedily: the same model says the
// same again. What was generated before an error or the context's end is in the record.
func Generate(ctx context.Context, d lab.Deps, o GenerateOptions, s *event.Stream) (*record.Run, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	r := d.Begin(ctx, s, record.Generate)
	r.Threads = o.Threads
	bits := 0
	if o.Adapter != "" {
		var err error
		if o.Framework, bits, err = lab.Made(o.Adapter, o.Framework); err != nil {
			return nil, err
		}
		if err = lora.Fits(o.Adapter, o.Model); err != nil {
			return nil, err
		}
	}
	o.Language.Generate = true
	m, err := d.Load(ctx, s, r.Cards, o.Language, framework.Options{Adapter: o.Adapter, Bits: bits})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	r.Cards = m.Cards
	answer(ctx, s, r, m, o, d.Sensors())
	return d.Finish(ctx, s, r), nil
}

// warmTokens is how many tokens make a GPU load and compile all kernels of an answer.
const warmTokens = 4

// answer has a model that is loaded continue the prompt: once as it is asked to, and, where
// that was with one graph of kernels for each token, once more without. What a GPU does for
// the first time takes many times as long as the next, so that each is tried before.
func answer(ctx context.Context, s *event.Stream, r *record.Run, m *lab.Loaded, o GenerateOptions, sensors measure.Sensors) {
	prompt := llm.Request{Prompt: o.Prompt, Tokens: o.Tokens, Chat: m.About().Chat && !o.Raw}
	warm := func(eager bool) {
		if m.Facts.Device.Kind == hardware.CPU {
			return
		}
		few := prompt
		few.Tokens, few.Eager = min(warmTokens, few.Tokens), eager
		m.Generate(ctx, few, nil) // an error comes again with the answer
	}
	s.Emit(m.Lane, llm.Asked{Prompt: o.Prompt, Chat: prompt.Chat})
	warm(false)
	use := measure.Use{Start: s.Now(), Alone: true, Large: true}
	g, err := m.Generate(ctx, prompt, func(p llm.Piece) { s.Emit(m.Lane, p) })
	use.End = s.Now()
	r.Generation = &record.Generation{Model: o.Model.Path, Adapter: o.Adapter, Prompt: o.Prompt, Chat: prompt.Chat, Facts: m.Facts, About: m.About(), Answer: g}
	if g.Tokens > 1 {
		use.Windows = []measure.Window{{Start: use.Start, End: use.End}}
		use.Counted = []measure.Window{{Start: use.Start + g.First, End: use.End, Work: float64(g.Tokens - 1)}}
		r.Generation.Sensors = sensors.Sense(m.Facts.Device, use)
	}
	if g.Graph && err == nil {
		lab.Opened(s, r)
		warm(true)
		prompt.Eager = true
		if eager, err := m.Generate(ctx, prompt, nil); err == nil {
			both := *r.Generation // what was told does not change
			both.Eager = &eager
			r.Generation = &both
		}
	}
	if err != nil && ctx.Err() == nil {
		r.Error = fault.From(err)
		if prompt.Chat && r.Error.Code == fault.Unsupported { // by the chat template
			r.Error.Remedies = append(fault.Remedies{fault.Change("raw", "{} continues the prompt without the template")}, r.Error.Remedies...)
		}
	}
}
