package judge

import (
	"fmt"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// RungSpeeds returns the median FLOP/s of every rung of a ladder.
func RungSpeeds(l *record.Ladder) []float64 {
	speeds := make([]float64, len(l.Rungs))
	for i, r := range l.Rungs {
		speeds[i] = bench.Square(l.Size, matrix.Float32).FLOP() / stats.Median(r.Seconds)
	}
	return speeds
}

// RungGains returns how many times as fast as the one before each rung of a ladder is; 0
// for the first, and for all of a ladder that was interrupted: as elsewhere, there is no
// ratio of what was cut short.
func RungGains(r *record.Run) []float64 {
	if r.Ladder == nil {
		return nil
	}
	speeds := RungSpeeds(r.Ladder)
	gains := make([]float64, len(speeds))
	for i := 1; i < len(gains) && !r.Interrupted; i++ {
		gains[i] = speeds[i] / speeds[i-1]
	}
	return gains
}

// ladderSentences say what the whole ladder brings.
func ladderSentences(r *record.Run) []string {
	var out []string
	if l := r.Ladder; l != nil && len(l.Rungs) > 1 && !r.Interrupted {
		speeds := RungSpeeds(l)
		last := len(speeds) - 1
		text := fmt.Sprintf("From %s to %s: %s× as fast, with the same multiplications.", l.Rungs[0].Name, l.Rungs[last].Name, unit.Times(speeds[last]/speeds[0]))
		if shares := rungShares(l, speeds); shares != "" {
			text += " " + shares
		}
		out = append(out, text)
	}
	if r.Interrupted {
		out = append(out, interrupted)
	}
	return out
}

// rungShares says how near to their peak one thread comes and all of them do, where
// that is known.
func rungShares(l *record.Ladder, speeds []float64) string {
	text, last := "", 0
	for i, r := range l.Rungs {
		if r.Peak == nil || r.Threads == last { // the last rung has one thread on one CPU
			continue
		}
		last = r.Threads
		share := unit.Percent(speeds[i] / *r.Peak)
		if text != "" {
			text += fmt.Sprintf(", %s %s of theirs", unit.Plural(r.Threads, "thread"), share)
			continue
		}
		text = fmt.Sprintf("One thread reaches %s of the most that it can multiply and add", share)
	}
	if text != "" {
		text += "."
	}
	return text
}
