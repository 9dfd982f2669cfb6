package judge

import (
	"fmt"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/train"
)

// TrainingSpeed returns the tokens per second of the median iteration: the first may
// have compiled what it computes with. It is NaN of no iterations.
func TrainingSpeed(r *train.Result) float64 {
	var speeds []float64
	for _, s := range r.Steps {
		if s.Loss != nil {
			speeds = append(speeds, s.Speed)
		}
	}
	return stats.Median(speeds)
}

// Losses returns what the loss was at the beginning of a training and at its end: the
// means of a few iterations, since one alone is of few rows. They are NaN of none.
func Losses(losses []float64) (first, last float64) {
	const few = 5
	n := min(few, max(1, len(losses)/4), len(losses))
	return mean(losses[:n]), mean(losses[len(losses)-n:])
}

func mean(list []float64) float64 {
	sum := 0.0
	for _, x := range list {
		sum += x
	}
	return sum / float64(len(list))
}

// HeldLosses returns the losses on rows that were not trained on.
func HeldLosses(r *train.Result) []float64 {
	var list []float64
	for _, s := range r.Steps {
		if s.Validation != nil {
			list = append(list, *s.Validation)
		}
	}
	return list
}

// trainingSentences say how the loss went.
func trainingSentences(r *record.Run) []string {
	t := r.Training
	if t == nil {
		return nil
	}
	losses, _ := t.Result.Losses()
	if len(losses) == 0 {
		return nil
	}
	first, last := Losses(losses)
	text := fmt.Sprintf("loss %.2f → %.2f in %d iterations of %d rows", first, last, len(losses), t.Settings.Batch)
	if held := HeldLosses(&t.Result); len(held) > 1 {
		text += fmt.Sprintf("; on %d rows not trained on %.2f → %.2f", t.Data.Held, held[0], held[len(held)-1])
	}
	return append([]string{text}, perTokens(r, t.Facts.Device, t.Sensors, "learned")...)
}

// trainingNext suggests to ask the model with its new adapter.
func trainingNext(r *record.Run) *fault.Remedy {
	t := r.Training
	if t == nil || t.Result.End != train.Complete || t.Result.Saved == 0 {
		return nil
	}
	return &fault.Remedy{Command: []string{"gpuplay", "generate", t.Model}, Param: "adapter", Value: t.Settings.Adapter, Text: "what the model says with its adapter"}
}
