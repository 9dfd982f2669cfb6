package term

import (
	"io"
	"strings"

	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// generationText writes a prompt's continuation, and how fast it came.
func generationText(w io.Writer, r *record.Run, s Style) error {
	p := &page{Style: s}
	if g := r.Generation; g != nil {
		text := g.Answer.Text
		if !g.Chat { // it continues the prompt
			text = g.Prompt + text
		}
		for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
			p.linef("%s", line)
		}
		if _, ok := g.Answer.PromptRate(); ok || g.Answer.First > 0 {
			p.line()
		}
		p.figures(g.Answer, g.Eager)
		p.launches(g)
	}
	return p.writeTo(w)
}

// Figures writes how fast an answer came, below the answer itself.
func Figures(w io.Writer, r *record.Run, s Style) error {
	p := &page{Style: s}
	if r.Generation != nil {
		p.figures(r.Generation.Answer, r.Generation.Eager)
		p.launches(r.Generation)
	}
	return p.writeTo(w)
}

// launches adds what launching kernels costs.
func (p *page) launches(g *record.Generation) {
	for _, text := range judge.Launches(g) {
		p.line()
		p.paragraph(text, usual)
	}
}

// figures adds what was measured of an answer, and of the same with every kernel launched
// from Python, nil if there is none.
func (p *page) figures(g llm.Generation, eager *llm.Generation) {
	rate := func(name string, tokens int, r float64, ok bool) {
		if ok {
			p.linef("  %-10s  %5d tokens  %6s tok/s", name, tokens, unit.Digits3(r))
		}
	}
	r, ok := g.PromptRate()
	rate("prompt", g.PromptTokens, r, ok)
	r, ok = g.Rate()
	rate("generation", g.Tokens, r, ok)
	if eager != nil {
		r, ok = eager.Rate()
		rate("eager", eager.Tokens, r, ok)
	}
	if g.First > 0 {
		p.linef("  first token after %s", unit.Seconds(g.First))
	}
	if g.Peak > 0 {
		p.linef("  memory at most %s, of %s", unit.Bytes(float64(g.Peak)), g.PeakOf)
	}
}
