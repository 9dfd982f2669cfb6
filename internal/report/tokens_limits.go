package report

import (
	"fmt"
	"math"

	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// limits say why generation is slower than the TFLOP/s promise, a line each for
// generation and prompts.
func (d *Tokens) limits(l *TokenLane) []string {
	var out []string
	where := "The CPU"
	if l.OnGPU() {
		where = "The GPU"
	}
	if share, ok := l.BandwidthShare(d.Model); ok {
		rate, _ := l.Figure(llm.Generating)
		needs := rate.Value * float64(d.Model.TokenBytes)
		out = append(out, fmt.Sprintf("%s reads all %s of weights for each token: %s tok/s need %s/s, %s of what its memory gives (%s/s).",
			where, unit.Bytes(float64(d.Model.TokenBytes)), unit.Digits3(rate.Value), unit.Bytes(needs), unit.Percent(share), unit.Bytes(*l.Limits.Bandwidth)))
	}
	if share, ok := l.PeakShare(d.Model); ok {
		rate, _ := l.Figure(llm.Prompting)
		flops := rate.Value * 2 * float64(d.Model.PromptParameters)
		out = append(out, fmt.Sprintf("A prompt's tokens share each weight that is read, so arithmetic is the limit: %s tok/s are %s, %s of its peak in float32 (%s).",
			unit.Digits3(rate.Value), unit.Rate(flops, "FLOP"), unit.Percent(share), unit.Rate(*l.Limits.Peak, "FLOP")))
	}
	return out
}

// percentOf prints a probability given by its logarithm.
func percentOf(logprob float64) string { return unit.Percent(math.Exp(logprob)) }
