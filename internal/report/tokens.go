package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// TokensSchema names the version of the JSON form of Tokens;
// docs/tokens.schema.json describes it.
const TokensSchema = "gpuplay/tokens/v1"

// Tokens is a measurement of a language model with all that is needed to judge it.
type Tokens struct {
	Schema      string       `json:"schema"`
	Created     time.Time    `json:"created"`
	Program     Program      `json:"program"`
	Command     []string     `json:"command"`
	Machine     host.Machine `json:"machine"`
	Model       model.Model  `json:"model"`
	Prompt      string       `json:"prompt"`
	Results     []TokenLane  `json:"results"`
	NotRaced    []NotRaced   `json:"not_raced,omitempty"`
	Interrupted bool         `json:"interrupted,omitempty"`
	Sweep       bool         `json:"-"` // the lanes differ in how many layers are on the GPU: their curve is what was asked for
	Next        string       `json:"-"` // one thing to try next, for people
}

// A TokenLane is a lane with its name and what follows from its samples.
type TokenLane struct {
	Lane string `json:"lane"`
	*llm.Result
}

// NewTokenLane names a result.
func NewTokenLane(r *llm.Result) TokenLane {
	name := r.Runtime + "/cpu"
	if r.OnGPU() {
		name = fmt.Sprintf("%s/gpu/%d", r.Runtime, r.Lane.Layers)
	}
	return TokenLane{name, r}
}

// label names a lane in a table, below its device.
func (l TokenLane) label() string {
	f := l.Facts
	switch {
	case !l.OnGPU() && f.Threads == 1:
		return "CPU, 1 thread"
	case !l.OnGPU() && f.Threads > 1:
		return fmt.Sprintf("CPU, %d threads", f.Threads)
	case !l.OnGPU():
		return "CPU"
	case f.Layers != nil && f.Total != nil && *f.Layers == *f.Total:
		return fmt.Sprintf("GPU, all %d layers", *f.Total)
	case f.Layers != nil && f.Total != nil:
		return fmt.Sprintf("GPU, %d of %d layers", *f.Layers, *f.Total)
	}
	return fmt.Sprintf("GPU, --ngl %d", l.Result.Lane.Layers)
}

// device names the hardware that a lane was meant for.
func (l TokenLane) device(d *Tokens) string {
	switch {
	case l.Facts.Device.Name == "" && l.OnGPU():
		return "GPU"
	case l.Facts.Device.Kind == hardware.CPU || l.Facts.Device.Name == "":
		if d.Machine.Cores > 0 {
			return fmt.Sprintf("%s, %d cores", d.Machine.CPU, d.Machine.Cores)
		}
		return d.Machine.CPU
	case l.Facts.Device.Kind == hardware.SoftwareGPU:
		return l.Facts.Device.Name + ", a software GPU"
	}
	return l.Facts.Device.Name
}

// best returns the fastest lane at generating of a kind whose figures may be
// quoted; nil if there is none.
func (d *Tokens) best(kind hardware.Kind) *TokenLane {
	var best *TokenLane
	for i := range d.Results {
		l := &d.Results[i]
		if l.Facts.Device.Kind != kind || l.Error != nil || len(l.Samples) == 0 || l.Has(llm.WarnNotGPU) || l.Check != nil && !l.Check.Passed {
			continue
		}
		if best == nil || rateOf(l, llm.Generating) > rateOf(best, llm.Generating) {
			best = l
		}
	}
	return best
}

func rateOf(l *TokenLane, m llm.Metric) float64 {
	f, _ := l.Figure(m)
	return f.Value
}

// A tokenComparison as JSON has it.
type tokenComparison struct {
	Lane       string     `json:"lane"`
	Base       string     `json:"base"`
	Generation comparison `json:"generation"`
	Prompt     comparison `json:"prompt"`
	First      comparison `json:"first"`
}

type comparison struct {
	Ratio   *stats.Interval `json:"ratio"` // how many times as fast; null when Differs is not empty
	Differs []string        `json:"differs,omitempty"`
}

// comparisons holds every measured lane against the CPU's, or the first where none
// was measured.
func (d *Tokens) comparisons() []tokenComparison {
	list := []tokenComparison{}
	base := d.best(hardware.CPU)
	if base == nil {
		base = d.best(hardware.GPU)
	}
	for i := range d.Results {
		l := &d.Results[i]
		if base == nil || l == base || len(l.Samples) == 0 {
			continue
		}
		of := func(m llm.Metric) comparison {
			c := llm.Compare(l.Result, base.Result, m)
			if len(c.Differs) > 0 {
				return comparison{Differs: c.Differs}
			}
			return comparison{Ratio: &c.Ratio}
		}
		list = append(list, tokenComparison{l.Lane, base.Lane, of(llm.Generating), of(llm.Prompting), of(llm.First)})
	}
	return list
}

// sentences say in plain words what the lanes mean.
func (d *Tokens) sentences() []string {
	var out []string
	cpu, gpu := d.best(hardware.CPU), d.best(hardware.GPU)
	switch {
	case cpu != nil && gpu != nil:
		out = append(out, d.against(gpu, cpu))
	case d.Interrupted:
		out = append(out, interrupted)
	case d.best(hardware.SoftwareGPU) != nil:
		out = append(out, "No comparison: the only GPU here is a software one, a CPU behind a GPU's interface.")
	case cpu == nil && gpu == nil:
	case slices.ContainsFunc(d.Results, func(l TokenLane) bool { return l.Has(llm.WarnNotGPU) }):
		out = append(out, "No comparison: nothing ran on the GPU.")
	case d.failedGPU():
		out = append(out, "No comparison: the GPU lane has no verified result.")
	}
	out = append(out, d.checks()...)
	for _, l := range []*TokenLane{cpu, gpu} {
		if l != nil {
			out = append(out, d.limits(l)...)
		}
	}
	return out
}

func (d *Tokens) failedGPU() bool {
	for _, l := range d.Results {
		if l.OnGPU() && (l.Error != nil || l.Check != nil && !l.Check.Passed) {
			return true
		}
	}
	return false
}

// against compares the fastest GPU lane with the CPU's.
func (d *Tokens) against(gpu, cpu *TokenLane) string {
	g := llm.Compare(gpu.Result, cpu.Result, llm.Generating)
	p := llm.Compare(gpu.Result, cpu.Result, llm.Prompting)
	if len(g.Differs) > 0 {
		return fmt.Sprintf("No ratio of GPU and CPU: they differ in %s.", strings.Join(g.Differs, ", "))
	}
	same := fmt.Sprintf("same model, same prompt, %d tokens each", cpu.Tokens)
	text := ""
	switch {
	case g.Even():
		text = fmt.Sprintf("No difference between the GPU and the CPU that can be seen at generation (%s)", interval(g.Ratio))
	case g.Ratio.Value < 1:
		back := llm.Compare(cpu.Result, gpu.Result, llm.Generating)
		text = fmt.Sprintf("The CPU is %s× as fast as the GPU at generation (%s)", unit.Times(back.Ratio.Value), interval(back.Ratio))
	default:
		text = fmt.Sprintf("The GPU is %s× as fast at generation (%s)", unit.Times(g.Ratio.Value), interval(g.Ratio))
	}
	switch {
	case len(p.Differs) > 0:
	case p.Even():
		text += fmt.Sprintf(", none that can be seen at prompts (%s)", interval(p.Ratio))
	default:
		text += fmt.Sprintf(", %s× at prompts (%s)", unit.Times(p.Ratio.Value), interval(p.Ratio))
	}
	return text + ": " + same + "."
}

// checks say whether the lanes made the same tokens.
func (d *Tokens) checks() []string {
	var out []string
	agreed, of := 0, 0
	for i := range d.Results {
		l := &d.Results[i]
		c := l.Check
		switch {
		case c == nil || l.Lane == d.Results[0].Lane && c.Difference == nil && c.Passed && c.Agree == c.Of && i == 0:
		case !c.Passed:
			out = append(out, fmt.Sprintf("%s is wrong: %s. It is left out of the comparison.", l.label(), plain.Line(c.Reason)))
		case c.Difference == nil:
			agreed, of = agreed+1, c.Of
		default:
			out = append(out, fmt.Sprintf("%s makes the same %d tokens as the %s lane, then %s instead of %s%s.", l.label(), c.Agree, c.Base, quoteToken(c.Difference.Lane), quoteToken(c.Difference.Base), likely(c.Difference)))
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
	if seen := plain.Line(strings.TrimSpace(t)); seen != "" {
		return "“" + seen + "”"
	}
	return strconv.Quote(t)
}

// likely says how near a tie a difference is.
func likely(d *llm.Difference) string {
	if d.BaseLogProb == nil || d.LaneLogProb == nil {
		return ""
	}
	return fmt.Sprintf(" (%s and %s likely there: rounding decides)", percentOf(*d.LaneLogProb), percentOf(*d.BaseLogProb))
}
