package judge

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// unnamed is the kind of a device that a server does not name.
const unnamed hardware.Kind = ""

// BestTokens returns the lane that is fastest at generation on a kind of device, of
// those whose figures may be quoted; nil if there is none.
func BestTokens(t *record.Tokens, kind hardware.Kind) *llm.Result {
	var best *llm.Result
	for _, r := range tokenLanes(t) {
		if r.Facts.Device.Kind != kind || !Quotable(r) {
			continue
		}
		if best == nil || TokenRate(r, llm.Generating) > TokenRate(best, llm.Generating) {
			best = r
		}
	}
	return best
}

// tokenLanes returns the results of a run, none of a run that came to nothing.
func tokenLanes(t *record.Tokens) []*llm.Result {
	if t == nil {
		return nil
	}
	return t.Results
}

// TokenRate returns the median of a figure: tokens per second, or seconds to the first
// token; 0 without samples.
func TokenRate(r *llm.Result, m llm.Metric) float64 {
	f, _ := r.Figure(m)
	return f.Value
}

// TokenLimits returns what the device of a lane can do at most, nil where that is not
// known: only those of this machine's CPU are measured.
func TokenLimits(t *record.Tokens, r *llm.Result) *llm.Limits {
	if r.Facts.Device.Kind != hardware.CPU || r.Facts.Host != "" || r.Has(measure.NotOnGPU) {
		return nil
	}
	return t.Limits
}

// TokenLane names a lane below its device: how much of the model is on the GPU.
func TokenLane(r *llm.Result) string {
	f := r.Facts
	switch {
	case r.Runtime == model.OpenAI:
		return "server"
	case !r.OnGPU() && f.Threads > 0:
		return "CPU, " + unit.Plural(f.Threads, "thread")
	case !r.OnGPU():
		return "CPU"
	case f.Layers != nil && f.Total != nil && *f.Layers == *f.Total:
		return fmt.Sprintf("GPU, all %d layers", *f.Total)
	case f.Layers != nil && f.Total != nil:
		return fmt.Sprintf("GPU, %d of %d layers", *f.Layers, *f.Total)
	}
	return fmt.Sprintf("GPU, ngl %d", r.Settings.Layers)
}

// TokenPlace names the hardware that a lane was meant for.
func TokenPlace(run *record.Run, r *llm.Result) string {
	d := r.Facts.Device
	switch {
	case r.Runtime == model.OpenAI: // which does not say what it computes on
		return run.Tokens.Model.Place
	case r.Facts.Host != "":
		return d.Name
	case d.Name == "" && r.OnGPU():
		return "GPU"
	case d.Name == "" || d.Kind == hardware.CPU:
		return Processor(run, run.Machine.CPU)
	case d.Kind == hardware.SoftwareGPU:
		return d.Name + ", a software GPU"
	}
	return d.Place(len(run.Cards))
}

// LoadTime returns how long a lane took to load its model; a dash for a server, which loads
// it before it is asked, or when it chooses to.
func LoadTime(r *llm.Result) string {
	if r.Facts.Load <= 0 {
		return "–"
	}
	return unit.Seconds(r.Facts.Load)
}

// Server returns the address of the server that computed a run, of which only that is
// known, and whether that is another machine; empty where gpuplay started what computed.
func Server(r *record.Run) (address string, elsewhere bool) {
	if r.Tokens == nil {
		return "", false
	}
	for _, x := range r.Tokens.Results {
		switch {
		case x.Runtime == model.OpenAI:
			return r.Tokens.Model.Place, x.Facts.Host != ""
		case x.Facts.Host != "":
			return x.Facts.Host, true
		}
	}
	return "", false
}

// A TokenComparison says how many times as fast as a base a lane is, at each of the
// three figures.
type TokenComparison struct {
	Lane, Base                string // lane ids
	Generation, Prompt, First measure.Comparison
}

// TokenComparisons compares every measured lane with the CPU's, or with the fastest on
// a GPU where no CPU was measured.
func TokenComparisons(t *record.Tokens) []TokenComparison {
	base := BestTokens(t, hardware.CPU)
	if base == nil {
		base = BestTokens(t, hardware.GPU)
	}
	var list []TokenComparison
	for _, r := range tokenLanes(t) {
		if base == nil || r == base || len(r.Samples) == 0 {
			continue
		}
		of := func(m llm.Metric) measure.Comparison { return llm.Compare(r, base, m) }
		list = append(list, TokenComparison{r.Lane, base.Lane, of(llm.Generating), of(llm.Prompting), of(llm.First)})
	}
	return list
}

// tokenSentences say what the lanes mean, whether they made the same tokens, and what
// limits them.
func tokenSentences(r *record.Run) []string {
	t := r.Tokens
	cpu, gpu := BestTokens(t, hardware.CPU), BestTokens(t, hardware.GPU)
	var out []string
	switch {
	case cpu != nil && gpu != nil && !(r.Interrupted && (cpu.Has(measure.Interrupted) || gpu.Has(measure.Interrupted))):
		out = append(out, tokensAgainst(gpu, cpu))
	case r.Interrupted:
		out = append(out, interrupted)
	case BestTokens(t, hardware.SoftwareGPU) != nil:
		out = append(out, "No comparison: the only GPU here is a software one, a CPU behind a GPU's interface.")
	case cpu == nil && gpu == nil:
	case slices.ContainsFunc(t.Results, func(x *llm.Result) bool { return x.Has(measure.NotOnGPU) }):
		out = append(out, "No comparison: nothing ran on the GPU.")
	case slices.ContainsFunc(t.Results, func(x *llm.Result) bool { return x.OnGPU() && (x.Error != nil || x.Check != nil && !x.Check.Passed) }):
		out = append(out, "No comparison: the GPU lane has no verified result.")
	}
	out = append(out, sameTokens(t)...)
	for _, x := range []*llm.Result{cpu, gpu} {
		if x != nil {
			out = append(out, tokenBounds(t, x)...)
		}
	}
	return append(out, sensedTokens(r, cpu, gpu)...)
}

// tokensAgainst compares the fastest GPU lane with the fastest on the CPU.
func tokensAgainst(gpu, cpu *llm.Result) string {
	g, p := llm.Compare(gpu, cpu, llm.Generating), llm.Compare(gpu, cpu, llm.Prompting)
	if len(g.Differs) > 0 {
		return fmt.Sprintf("No ratio of GPU and CPU: they differ in %s.", strings.Join(g.Differs, ", "))
	}
	text := ""
	switch {
	case g.Even():
		text = fmt.Sprintf("No difference between the GPU and the CPU that can be seen at generation (%s)", Range(g.Ratio))
	case g.Ratio.Value < 1:
		back := llm.Compare(cpu, gpu, llm.Generating)
		text = fmt.Sprintf("The CPU is %s× as fast as the GPU at generation (%s)", unit.Times(back.Ratio.Value), Range(back.Ratio))
	default:
		text = fmt.Sprintf("The GPU is %s× as fast at generation (%s)", unit.Times(g.Ratio.Value), Range(g.Ratio))
	}
	switch {
	case len(p.Differs) > 0:
	case p.Even():
		text += fmt.Sprintf(", none that can be seen at prompts (%s)", Range(p.Ratio))
	default:
		text += fmt.Sprintf(", %s× at prompts (%s)", unit.Times(p.Ratio.Value), Range(p.Ratio))
	}
	return fmt.Sprintf("%s: same model, same prompt, %d tokens each.", text, cpu.Tokens)
}

// sameTokens says whether the lanes made the same tokens.
func sameTokens(t *record.Tokens) []string {
	var out []string
	agreed, of := 0, 0
	lanes := tokenLanes(t)
	base := 0 // older files do not say whose tokens count
	if i := slices.IndexFunc(lanes, func(r *llm.Result) bool { return r.Check != nil && r.Check.Base == r.Name }); i > 0 {
		base = i
	}
	for i, r := range lanes {
		c := r.Check
		switch {
		case c == nil, i == base && c.Passed && c.Difference == nil && c.Agree == c.Of: // the base itself
		case !c.Passed:
			out = append(out, fmt.Sprintf("%s is wrong: %s. It is left out of the comparison.", TokenLane(r), c.Reason))
		case c.Difference == nil:
			agreed, of = agreed+1, c.Of
		default:
			out = append(out, fmt.Sprintf("%s makes the same %d tokens as the %s lane, then %s instead of %s%s.",
				TokenLane(r), c.Agree, c.Base, quoteToken(c.Difference.Lane), quoteToken(c.Difference.Base), likely(c.Difference)))
		}
	}
	switch {
	case agreed == 1 && len(out) == 0:
		out = append(out, fmt.Sprintf("Both lanes made the same %d tokens.", of))
	case agreed > 1 && len(out) == 0:
		out = append(out, fmt.Sprintf("All lanes made the same %d tokens.", of))
	}
	return out
}

// quoteToken shows a token; one of blanks alone by their escapes.
func quoteToken(t string) string {
	if seen := strings.TrimSpace(t); seen != "" {
		return "“" + seen + "”"
	}
	return strconv.Quote(t)
}

// likely says how near a tie a difference is.
func likely(d *llm.Difference) string {
	if d.BaseLogProb == nil || d.LaneLogProb == nil {
		return ""
	}
	percent := func(logprob float64) string { return unit.Percent(math.Exp(logprob)) }
	return fmt.Sprintf(" (%s and %s likely there: rounding decides)", percent(*d.LaneLogProb), percent(*d.BaseLogProb))
}

// tokenBounds say why a lane is not faster: the memory's bandwidth for generation, the
// peak of arithmetic for prompts.
func tokenBounds(t *record.Tokens, r *llm.Result) []string {
	var out []string
	where := "The CPU"
	if r.OnGPU() {
		where = "The GPU"
	}
	limits := TokenLimits(t, r)
	if share, ok := r.BandwidthShare(t.Model, limits); ok {
		rate := TokenRate(r, llm.Generating)
		out = append(out, fmt.Sprintf("%s reads all %s of weights for each token: %s tok/s need %s/s, %s of what its memory gives (%s/s).",
			where, unit.Bytes(float64(t.Model.TokenBytes)), unit.Digits3(rate), unit.Bytes(rate*float64(t.Model.TokenBytes)), unit.Percent(share), unit.Bytes(*limits.Bandwidth)))
	}
	if share, ok := r.PeakShare(t.Model, limits); ok {
		rate := TokenRate(r, llm.Prompting)
		out = append(out, fmt.Sprintf("A prompt's tokens share each weight that is read, so arithmetic is the limit: %s tok/s are %s, %s of its peak in float32 (%s).",
			unit.Digits3(rate), unit.Rate(rate*2*float64(t.Model.PromptParameters), "FLOP"), unit.Percent(share), unit.Rate(*limits.Peak, "FLOP")))
	}
	return out
}

// tokenNext suggests the curve over layers where a GPU was measured and the curve was
// not, by a runtime that splits layers between devices.
func tokenNext(r *record.Run) *fault.Remedy {
	t := r.Tokens
	if t == nil || t.Layers || !slices.ContainsFunc(t.Results, func(x *llm.Result) bool { return x.Facts.Device.Kind == hardware.GPU && x.Verified() }) {
		return nil
	}
	const text = "how speed and memory grow with the layers on the GPU"
	switch t.Results[0].Runtime {
	case model.LlamaCpp:
		command := []string{"gpuplay", "llm"}
		if t.Model.Ref != "" {
			command = append(command, t.Model.Ref)
		}
		return &fault.Remedy{Command: command, Param: "sweep", Text: text}
	case model.Ollama: // the model's name alone would have llama.cpp run it
		return &fault.Remedy{Param: "sweep", Text: "with the same command: " + text}
	}
	return nil
}

// Quotable reports whether a lane's figures may be quoted: it has some, made the right
// tokens as far as that was checked, and ran where it was meant to.
func Quotable(r *llm.Result) bool {
	return r.Error == nil && len(r.Samples) > 0 && !r.Has(measure.NotOnGPU) && (r.Check == nil || r.Check.Passed)
}
