package encode

import (
	"io"
	"strconv"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/train"
)

// stepsOf returns what happened in a training.
func stepsOf(r *record.Run) []train.Step {
	if r.Training == nil {
		return nil
	}
	return r.Training.Result.Steps
}

// trainingJSONL writes one line per step of a training, then the whole run.
func trainingJSONL(w io.Writer, r *record.Run, _ fault.Wording) error {
	e := encoder(w)
	for _, s := range stepsOf(r) {
		if err := e.Encode(s); err != nil {
			return err
		}
	}
	return e.Encode(derive(r))
}

// trainingCSV writes one row per iteration and validation, in base units; what one of
// them does not have is empty.
func trainingCSV(w io.Writer, r *record.Run, _ fault.Wording) error {
	c := newRows(w)
	c.Write([]string{"iteration", "loss", "validation_loss", "learning_rate", "tokens_per_second", "trained_tokens", "peak_bytes"})
	for _, s := range stepsOf(r) {
		switch {
		case s.Loss != nil:
			c.Write([]string{strconv.Itoa(s.Iteration), float(*s.Loss), "", float(s.LR), float(s.Speed), strconv.FormatInt(s.Tokens, 10), strconv.FormatInt(s.Peak, 10)})
		case s.Validation != nil:
			c.Write([]string{strconv.Itoa(s.Iteration), "", float(*s.Validation), "", "", "", ""})
		}
	}
	c.Flush()
	return c.Error()
}
