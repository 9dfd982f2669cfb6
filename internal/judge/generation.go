package judge

import (
	"fmt"

	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// generationSentences say how fast an answer came.
func generationSentences(r *record.Run) []string {
	if r.Generation == nil {
		return nil
	}
	g := r.Generation.Answer
	rate, ok := g.Rate()
	if !ok {
		return nil
	}
	text := fmt.Sprintf("%s tokens per second at generation", unit.Digits3(rate))
	if prompt, ok := g.PromptRate(); ok {
		text += fmt.Sprintf(", %s at the prompt", unit.Digits3(prompt))
	}
	if g.First > 0 {
		text += fmt.Sprintf("; the first token after %s", unit.Seconds(g.First))
	}
	list := append([]string{text + "."}, Launches(r.Generation)...)
	return append(list, perTokens(r, r.Generation.Facts.Device, r.Generation.Sensors, "generated")...)
}

// Launches say what it costs to launch every kernel from Python, where an answer was also
// made in that way; nothing where it was not.
func Launches(g *record.Generation) []string {
	if g.Eager == nil {
		return nil
	}
	rate, ok := g.Answer.Rate()
	eager, measured := g.Eager.Rate()
	if !ok || !measured {
		return nil
	}
	text := fmt.Sprintf("With the kernels of each token launched as one CUDA graph, generation is %s× as fast as with every kernel launched from Python (%s tokens per second).",
		unit.Times(rate/eager), unit.Digits3(eager))
	if rate > 1.2*eager {
		text += " A small model's kernels are done before the CPU has launched the next: the CPU sets the pace."
	}
	if g.Eager.Text != g.Answer.Text {
		text += " The two answers are not the same: their sums are rounded in another order."
	}
	return []string{text}
}
