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
	return []string{text + "."}
}
