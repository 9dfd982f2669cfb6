package judge

import (
	"slices"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
)

// Next returns one thing to try next that was not tried and can be run here: a
// command, and what it brings; nil where nothing suggests itself.
func Next(r *record.Run) *fault.Remedy {
	switch {
	case r.Interrupted:
		return nil
	case r.Kind == record.Race:
		return raceNext(r)
	case r.Kind == record.LLM:
		return tokenNext(r)
	case r.Kind == record.Finetune:
		return trainingNext(r)
	}
	return nil
}

func raceNext(r *record.Run) *fault.Remedy {
	if len(r.Results) == 0 {
		return nil
	}
	for _, m := range r.Missing {
		if m.API != "" || m.Code != fault.Unavailable {
			continue
		}
		for _, fix := range m.Remedies {
			if len(fix.Command) > 2 && slices.Equal(fix.Command[:2], []string{"gpuplay", "setup"}) {
				fix.Text = "to have " + m.Engine + " in the race"
				return &fix
			}
		}
	}
	if DType(r.Results[0].GEMM) == matrix.Float32 {
		return &fault.Remedy{Command: []string{"gpuplay", "race"}, Param: "dtype", Value: string(matrix.BFloat16), Text: "what half the bits bring"}
	}
	return nil
}
