// Package term typesets runs for people at a terminal: tables, sentences, plots. It
// measures nothing and decides nothing about a figure: that is package judge's. Nor
// does it know how parameters are written on the surface that it writes for: that is
// the wording of its Style.
//
// All text goes through page.line, where what comes from elsewhere (device names,
// errors, versions, a model's answer) is made harmless before it is styled.
package term

import (
	"fmt"
	"io"

	"github.com/gpuplay/gpuplay/internal/record"
)

// Table writes any kind of run for people.
func Table(w io.Writer, r *record.Run, s Style) error {
	switch r.Kind {
	case record.Race, record.MatMul:
		return raceTable(w, r, s)
	case record.Sweep:
		return sweepTable(w, r, s)
	case record.LLM:
		return tokensTable(w, r, s)
	case record.Generate:
		return generationText(w, r, s)
	case record.Finetune:
		return trainingText(w, r, s)
	case record.CPUs:
		return cpuTable(w, r, s)
	case record.GPUs:
		return gpuSheets(w, r, s)
	case record.Learn:
		if r.Noise != nil {
			return noisePage(w, r, s)
		}
		return ladderTable(w, r, s)
	case record.Inputs:
		return inputsTable(w, r, s)
	case record.Scale:
		return scalingTable(w, r, s)
	case record.Doctor:
		return doctorPage(w, r, s)
	case record.Imported:
		return foreignTable(w, r, s)
	}
	return fmt.Errorf("term: no table for a run of kind %q", r.Kind)
}
