package term

import (
	"io"
	"strings"

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
		p.figures(g.Answer)
	}
	return p.writeTo(w)
}

// Figures writes how fast an answer came, below the answer itself.
func Figures(w io.Writer, r *record.Run, s Style) error {
	p := &page{Style: s}
	if r.Generation != nil {
		p.figures(r.Generation.Answer)
	}
	return p.writeTo(w)
}

// figures adds what was measured of an answer.
func (p *page) figures(g llm.Generation) {
	rate := func(name string, tokens int, r float64, ok bool) {
		if ok {
			p.linef("  %-10s  %5d tokens  %6s tok/s", name, tokens, unit.Digits3(r))
		}
	}
	r, ok := g.PromptRate()
	rate("prompt", g.PromptTokens, r, ok)
	r, ok = g.Rate()
	rate("generation", g.Tokens, r, ok)
	if g.First > 0 {
		p.linef("  first token after %s", unit.Seconds(g.First))
	}
	if g.Peak > 0 {
		p.linef("  memory at most %s, of %s", unit.Bytes(float64(g.Peak)), g.PeakOf)
	}
}
