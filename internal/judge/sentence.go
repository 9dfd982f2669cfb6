package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Sentences say in plain words what a run means: first the one that people came for.
// They may name commands, and no parameters.
func Sentences(r *record.Run) []string {
	switch r.Kind {
	case record.Race, record.MatMul:
		return productSentences(r)
	case record.Sweep:
		return NewSweep(r).Sentences()
	case record.LLM:
		return tokenSentences(r)
	case record.Generate:
		return generationSentences(r)
	case record.Finetune:
		return trainingSentences(r)
	case record.CPUs:
		return cpuSentences(r)
	case record.GPUs:
		return gpuSentences(r)
	case record.Learn:
		if r.Noise != nil {
			return noiseSentences(r)
		}
		return ladderSentences(r)
	case record.Inputs:
		return inputSentences(r)
	case record.Scale:
		return scalingSentences(r)
	case record.Doctor:
		return doctorSentences(r)
	case record.Imported:
		return foreignSentences(r)
	}
	return nil
}

// interrupted is the sentence for a run that Ctrl-C ended.
const interrupted = "Interrupted: what was measured until then is shown."

// productSentences are those of a race, and of a single lane: what it came to, what was
// sustained, and what the sensors read during the fastest lanes.
func productSentences(r *record.Run) []string {
	out := append(comparing(r), sustained(r)...)
	return append(out, SensorLines(r)...)
}

// comparing are the sentences on how fast the lanes are.
func comparing(r *record.Run) []string {
	cpu, gpu := Best(r.Results, hardware.CPU), Best(r.Results, hardware.GPU)
	switch {
	case cpu != nil && gpu != nil && !(r.Interrupted && (cpu.Has(measure.Interrupted) || gpu.Has(measure.Interrupted))):
		out := []string{against(r, gpu, cpu)}
		if t := meaning(gpu, cpu); t != "" {
			out = append(out, t)
		}
		return out
	case r.Interrupted:
		return []string{interrupted}
	case r.Kind != record.Race: // the absence of other devices says nothing
		return nil
	}
	out := without(r, cpu, gpu)
	if cpu != nil {
		if t := amongCPUs(r.Results, cpu); t != "" {
			out = append(out, t)
		}
	}
	return out
}

// against compares the best of each kind. Where there are several cards it says which one
// it is.
func against(r *record.Run, gpu, cpu *bench.Result) string {
	c := Compare(gpu, cpu)
	the := "The GPU"
	if gpu.Device.Card != nil && len(r.Cards) > 1 {
		the = fmt.Sprintf("GPU %d", *gpu.Device.Card)
	}
	g := gpu.GEMM
	if len(c.Differs) > 0 {
		return fmt.Sprintf("No ratio of GPU and CPU: they differ in %s.", strings.Join(c.Differs, ", "))
	}
	same := fmt.Sprintf("same matrices, same %s, %s, both verified", Operands(g), unit.Cube(g.M, g.N, g.K))
	if even(c) {
		return fmt.Sprintf("No difference that can be seen between the GPU and the CPU (%s): %s.", Range(c.Ratio), same)
	}
	if c.Ratio.Value < 1 {
		c = Compare(cpu, gpu)
		return fmt.Sprintf("The CPU is %s× as fast as the GPU (%s): %s.", unit.Times(c.Ratio.Value), Range(c.Ratio), same)
	}
	return fmt.Sprintf("%s is %s× as fast as the CPU (%s): %s.", the, unit.Times(c.Ratio.Value), Range(c.Ratio), same)
}

// without says why there is no ratio of GPU and CPU.
func without(r *record.Run, cpu, gpu *bench.Result) []string {
	switch {
	case gpu == nil && slices.ContainsFunc(r.Results, func(x *bench.Result) bool { return x.Has(measure.NotOnGPU) }):
		return []string{"No comparison: no lane is shown to have run on the GPU."}
	case gpu == nil && has(r, hardware.GPU):
		return []string{"No comparison: no GPU lane has a verified result at this size."}
	case cpu == nil && has(r, hardware.CPU):
		return []string{"No comparison: no CPU lane has a verified result at this size."}
	case cpu == nil || gpu != nil:
		return nil // only one kind was asked for
	}
	var looked []string
	seen := map[string]bool{}
	for _, m := range r.Missing {
		if m.Kind == hardware.GPU && !seen[m.API] { // the first reason will do: engines come in the order of their worth
			looked = append(looked, fmt.Sprintf("%s (%s)", apiName(m.API), m.Reason))
			seen[m.API] = true
		}
	}
	text := "No GPU was found."
	if has(r, hardware.SoftwareGPU) {
		text = "No GPU was found, only a software one: a CPU behind a GPU's interface."
	}
	if len(looked) > 0 {
		text += " Looked for: " + strings.Join(looked, ", ") + "."
	}
	return []string{text + " If this machine has one: gpuplay doctor"}
}

func has(r *record.Run, kind hardware.Kind) bool {
	return slices.ContainsFunc(r.Results, func(x *bench.Result) bool { return x.Device.Kind == kind })
}

// withGPU reports whether the machine of a run has a GPU, whether an engine reached it
// or not.
func withGPU(r *record.Run) bool { return has(r, hardware.GPU) || len(r.Cards) > 0 }

// apiName writes an interface as its maker does.
func apiName(api string) string {
	switch api {
	case "cuda", "mps", "xpu", "rocm":
		return strings.ToUpper(api)
	case "vulkan":
		return "Vulkan"
	case "metal":
		return "Metal"
	}
	return api
}

// amongCPUs compares the fastest CPU lane with the others.
func amongCPUs(results []*bench.Result, best *bench.Result) string {
	var parts []string
	bySpeed := slices.SortedStableFunc(slices.Values(results), func(a, b *bench.Result) int { return cmp.Compare(Speed(b), Speed(a)) })
	for _, r := range bySpeed {
		if r == best || r.Device.Kind != hardware.CPU || !r.Verified() {
			continue
		}
		c := Compare(best, r)
		switch {
		case len(c.Differs) > 0:
		case even(c):
			parts = append(parts, fmt.Sprintf("level with %s (%s)", r.Device.Label(), Range(c.Ratio)))
		default:
			parts = append(parts, fmt.Sprintf("%s× %s (%s)", unit.Times(c.Ratio.Value), r.Device.Label(), Range(c.Ratio)))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	g := best.GEMM
	return fmt.Sprintf("Fastest on this CPU is %s: %s; same matrices, same %s, %s, all verified.",
		best.Device.Label(), strings.Join(parts, ", "), Operands(g), unit.Cube(g.M, g.N, g.K))
}

// Protocols says why the two protocols of timing differ in a run that used both;
// empty for any other. The share that classic shows of steady is given where both are verified,
// with its interval: the two were not measured in turns, so that no samples are pairs,
// and the share lies within what the intervals of the two medians allow.
func Protocols(r *record.Run) string {
	const why = "classic also times the sum of C, its way to the host and a wait after every product; steady times products alone, warm and in batches"
	at := func(p bench.Protocol) *bench.Result {
		for _, x := range r.Results {
			if x.Protocol == p {
				return x
			}
		}
		return nil
	}
	steady, classic := at(bench.Steady), at(bench.Classic)
	if steady == nil || classic == nil {
		return ""
	}
	share, ok := shareOf(classic, steady)
	if !ok {
		return why
	}
	said := unit.Percent(share.Value)
	switch {
	case share.Confidence == 0:
		said += " (a single sample)"
	case share.Firm():
		said += fmt.Sprintf(" (%s to %s)", unit.Percent(share.Low), unit.Percent(share.High))
	default:
		said += fmt.Sprintf(" (%s to %s, from few samples)", unit.Percent(share.Low), unit.Percent(share.High))
	}
	if share.Low > 0.97 {
		return fmt.Sprintf("classic shows %s of steady here: what else it times is lost beside products of this size", said)
	}
	return fmt.Sprintf("classic shows %s of steady: %s", said, why)
}

// shareOf returns the speed of a product timed by the classic loop as a share of what
// the steady one showed; ok is false where one is not to be believed, or where more
// than the timing differs.
func shareOf(classic, steady *bench.Result) (share stats.Interval, ok bool) {
	same := *steady // but for what the classic protocol changes
	same.Protocol, same.GEMM.Sum = classic.Protocol, classic.GEMM.Sum
	if len(Compare(classic, &same).Differs) > 0 || classic.Engine != steady.Engine || classic.Device.ID != steady.Device.ID {
		return share, false
	}
	a, _ := classic.Speed()
	b, _ := steady.Speed()
	share = stats.Interval{Value: a.Value / b.Value, Low: a.Low / b.High, High: a.High / b.Low, Confidence: min(a.Confidence, b.Confidence)}
	finite := share.Value > 0 && !math.IsInf(share.High, 0) && !math.IsNaN(share.Value+share.Low+share.High)
	return share, finite
}
