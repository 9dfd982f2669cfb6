package judge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// LadderDevice names the GPU of a ladder, through what it was reached, and whether it is
// software.
func LadderDevice(l *record.Ladder) string {
	name := l.GPU
	if l.API == "vulkan" {
		name += " through Vulkan"
	}
	if l.Software {
		name += ", a software GPU"
	}
	return name
}

// RungSpeeds returns the median FLOP/s of every rung of a ladder.
func RungSpeeds(l *record.Ladder) []float64 {
	speeds := make([]float64, len(l.Rungs))
	for i, r := range l.Rungs {
		speeds[i] = bench.Square(l.Size, matrix.Float32).FLOP() / stats.Median(r.Seconds)
	}
	return speeds
}

// RungGains returns how many times as fast as the one before each rung of a ladder is; 0
// for the first, and for all of a ladder that was interrupted or is that of a software GPU:
// as elsewhere, there is no ratio of what was cut short, nor of what a CPU does in a GPU's
// place.
func RungGains(r *record.Run) []float64 {
	if r.Ladder == nil {
		return nil
	}
	speeds := RungSpeeds(r.Ladder)
	gains := make([]float64, len(speeds))
	for i := 1; i < len(gains) && climbed(r); i++ {
		if r.Ladder.Rungs[i].DType == r.Ladder.Rungs[i-1].DType { // else they are different tasks
			gains[i] = speeds[i] / speeds[i-1]
		}
	}
	return gains
}

// climbed reports whether the rungs of a ladder may be compared with each other.
func climbed(r *record.Run) bool { return !r.Interrupted && !r.Ladder.Software }

// RungShare returns a rung's share of cuBLASLt's speed: the median of the ratios of samples
// that were taken in turns; 0 if it was not measured beside it.
func RungShare(r record.Rung) float64 {
	if len(r.Library) == 0 || len(r.Library) != len(r.Seconds) {
		return 0
	}
	ratios := make([]float64, len(r.Seconds))
	for i, s := range r.Seconds {
		ratios[i] = r.Library[i] / s
	}
	return stats.Median(ratios)
}

// What a multiprocessor of an NVIDIA GPU can read in a clock at most, in bytes: 128 from
// shared memory (CUDA C++ Programming Guide, "Shared Memory", 32 banks of 4 bytes), and 64
// from the L2 cache, which is what one of its slices delivers (NVIDIA A100 Tensor Core GPU
// Architecture: 5120 for all 80 slices). An A100 has more multiprocessors than slices, so
// that each gets less when all of them read.
//
// Through Vulkan it is not known what a GPU's compute units can do, so that limits are
// calculated for a typical one: with these reads, and as many multiplications of float32 as
// most multiprocessors of NVIDIA's make (the same guide, "Throughput of Native Arithmetic
// Instructions").
const sharedPerClock, globalPerClock, typicalPerClock = 128, 64, 128

// typical reports whether a rung's limit is that of a typical compute unit.
func typical(l *record.Ladder, r record.Rung) bool {
	return l.API == "vulkan" && !l.Software && r.PerClock == 0 && r.DType == matrix.Float32
}

// RungBound says what limits a rung on a GPU, calculated from the bytes and multiplications
// that were counted, not measured: what takes the most clocks of a multiprocessor, relative
// to those of its arithmetic. Where it is not known how fast that is, it says what was
// counted. Empty for a rung on the CPU.
func RungBound(l *record.Ladder, r record.Rung) string {
	perClock, text := r.PerClock, "calculated limit"
	if typical(l, r) {
		perClock, text = typicalPerClock, "calculated limit of a typical compute unit"
	}
	memory, shared := r.Global/globalPerClock*perClock, r.Shared/sharedPerClock*perClock
	switch {
	case perClock == 0 && r.Global == 0:
		return ""
	case perClock == 0 && r.Shared == 0:
		return fmt.Sprintf("counted for each multiplication: %s bytes from memory and caches", unit.Digits3(r.Global))
	case perClock == 0:
		return fmt.Sprintf("counted for each multiplication: %s bytes from memory and caches, %s from shared memory", unit.Digits3(r.Global), unit.Digits3(r.Shared))
	case memory > 1 && memory >= shared:
		return fmt.Sprintf("%s: reads of memory and caches, which take %s times as long as the arithmetic", text, unit.Digits3(memory))
	case shared > 1:
		return fmt.Sprintf("%s: reads of shared memory, which take %s times as long as the arithmetic", text, unit.Digits3(shared))
	}
	return fmt.Sprintf("%s: arithmetic; reads of shared memory take %s of its time, those of memory %s", text, unit.Percent(shared), unit.Percent(memory))
}

// gpuLadderSentence says what the rungs of each type bring; empty if there is one rung of
// each, and no library beside it.
func gpuLadderSentence(l *record.Ladder, speeds []float64) string {
	var parts []string
	for first := 0; first < len(l.Rungs); {
		last := first
		for last+1 < len(l.Rungs) && l.Rungs[last+1].DType == l.Rungs[first].DType {
			last++
		}
		from, to, share := l.Rungs[first], l.Rungs[last], RungShare(l.Rungs[last])
		text := ""
		if first < last {
			text = fmt.Sprintf("In %s from %s to %s: %s× as fast", to.DType, from.Name, to.Name, unit.Times(speeds[last]/speeds[first]))
			if share > 0 {
				text += fmt.Sprintf(", %s of cuBLASLt", unit.Percent(share))
			}
		} else if share > 0 {
			text = fmt.Sprintf("In %s, %s reaches %s of cuBLASLt", to.DType, to.Name, unit.Percent(share))
		}
		if text != "" {
			parts = append(parts, text+".")
		}
		first = last + 1
	}
	return strings.Join(parts, " ")
}

// ladderSentences say what the whole ladder brings.
func ladderSentences(r *record.Run) []string {
	var out []string
	l := r.Ladder
	switch {
	case l == nil:
	case l.Software:
		out = append(out, fmt.Sprintf("%s is a software GPU: a CPU does the work behind a GPU's interface, so these speeds show nothing about GPUs.", l.GPU))
	case len(l.Rungs) > 1 && climbed(r):
		text := ladderSentence
		if l.GPU != "" {
			text = gpuLadderSentence
		}
		if text := text(l, RungSpeeds(l)); text != "" {
			out = append(out, text)
		}
	}
	if l != nil && slices.ContainsFunc(l.Rungs, func(x record.Rung) bool { return typical(l, x) }) {
		out = append(out, fmt.Sprintf("A typical compute unit is assumed to multiply %d times in a clock, and to read %d bytes from caches and %d from shared memory, as many of NVIDIA's do.", typicalPerClock, globalPerClock, sharedPerClock))
	}
	if r.Interrupted {
		out = append(out, interrupted)
	}
	return out
}

// ladderSentence says what the last rung brings over the first.
func ladderSentence(l *record.Ladder, speeds []float64) string {
	last := len(speeds) - 1
	text := fmt.Sprintf("From %s to %s: %s× as fast, with the same multiplications.", l.Rungs[0].Name, l.Rungs[last].Name, unit.Times(speeds[last]/speeds[0]))
	if shares := rungShares(l, speeds); shares != "" {
		text += " " + shares
	}
	return text
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
