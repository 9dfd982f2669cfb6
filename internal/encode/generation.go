package encode

import "github.com/gpuplay/gpuplay/internal/record"

// generation is a prompt that was continued, with how fast that was.
type generation struct {
	*record.Generation
	PromptRate *float64 `json:"prompt_tokens_per_second"` // null when it was not measured
	Rate       *float64 `json:"tokens_per_second"`        // likewise
	EagerRate  *float64 `json:"eager_tokens_per_second,omitempty"`
}

// derivedGeneration returns a run's generation with its speeds.
func derivedGeneration(r *record.Run) any {
	g := generation{Generation: r.Generation}
	if rate, ok := r.Generation.Answer.PromptRate(); ok {
		g.PromptRate = &rate
	}
	if rate, ok := r.Generation.Answer.Rate(); ok {
		g.Rate = &rate
	}
	if r.Generation.Eager != nil {
		if rate, ok := r.Generation.Eager.Rate(); ok {
			g.EagerRate = &rate
		}
	}
	return g
}
