package llm

import (
	"fmt"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/stats"
)

// A Sample is one round of a lane: what a person's prompt took, and what a long
// prompt took. The three figures are never added up.
type Sample struct {
	First        time.Duration `json:"first_ns"` // to the first token of the answer, from sending the prompt
	Tokens       int           `json:"tokens"`
	TokenTime    time.Duration `json:"token_ns"` // for Tokens-1 steps
	PromptTokens int           `json:"prompt_tokens"`
	PromptTime   time.Duration `json:"prompt_ns"`
	Start        time.Duration `json:"start_ns"` // on the runner's clock, since the run began
	End          time.Duration `json:"end_ns"`   // likewise
}

// EventType says that a sample is told of as a round.
func (Sample) EventType() event.Type { return event.TypeRound }

// A Result is what one lane came to. All figures are functions of its samples.
type Result struct {
	Lane     string           `json:"lane"` // the lane's id, unique within its run
	Name     string           `json:"name"` // the lane's name for people: "CPU", "GPU"
	Runtime  string           `json:"runtime"`
	Settings Settings         `json:"settings"`
	Facts    Facts            `json:"facts"`
	Tokens   int              `json:"tokens"`            // asked for in each generation
	Filler   int              `json:"filler"`            // tokens of the long prompts that were asked for; 0: none
	Round    bool             `json:"interleaved"`       // sample i of every such lane was taken in the same round
	Shown    *Generation      `json:"shown,omitempty"`   // the first answer: what is shown and checked; not timed, since candidates cost time
	Samples  []Sample         `json:"samples"`           //
	Sensors  *measure.Sensed  `json:"sensors,omitempty"` // readings of the device meanwhile; nil: no sensors were read
	Check    *Check           `json:"check"`             // nil when there was nothing to compare with, or the lane did not get that far
	Warnings measure.Warnings `json:"warnings,omitempty"`
	Error    *fault.Error     `json:"error,omitempty"` // why the lane stopped short; what was measured before stays
}

// EventType says that a result is told of as one.
func (*Result) EventType() event.Type { return event.TypeResult }

// A PeerResult is one test of a runtime's own benchmark, such as llama-bench's
// pp512: a number of tokens in each of its samples.
type PeerResult struct {
	Name    string          `json:"name"` // "pp512", "tg128"
	Tokens  int             `json:"tokens"`
	Samples []time.Duration `json:"samples_ns"`
}

// Rate returns the peer's median tokens per second with its interval.
func (p PeerResult) Rate() (rate stats.Interval, ok bool) {
	var rates []float64
	for _, d := range p.Samples {
		if r, ok := perSecond(p.Tokens, d); ok {
			rates = append(rates, r)
		}
	}
	return interval(rates)
}

// Limits are what a device can do at most, measured on this machine.
type Limits struct {
	Bandwidth *float64 `json:"bandwidth,omitempty"` // bytes/s from memory; nil when not known
	Peak      *float64 `json:"peak,omitempty"`      // FLOP/s of matrix products in float32; nil when not known
}

// A Metric is one of a lane's figures.
type Metric string

const (
	Generating Metric = "generation" // tokens per second
	Prompting  Metric = "prompt"     // tokens per second
	First      Metric = "first"      // seconds to the first token
)

// Values returns a figure's samples in the order of the rounds.
func (r *Result) Values(m Metric) []float64 {
	var list []float64
	for _, s := range r.Samples {
		var v float64
		ok := true
		switch m {
		case Generating:
			v, ok = perSecond(s.Tokens-1, s.TokenTime)
		case Prompting:
			v, ok = perSecond(s.PromptTokens, s.PromptTime)
		case First:
			v, ok = s.First.Seconds(), s.First > 0
		}
		if ok {
			list = append(list, v)
		}
	}
	return list
}

// Figure returns a figure's median with its interval; ok is false without samples.
func (r *Result) Figure(m Metric) (figure stats.Interval, ok bool) { return interval(r.Values(m)) }

func interval(values []float64) (stats.Interval, bool) {
	if len(values) == 0 {
		return stats.Interval{}, false
	}
	return stats.MedianInterval(values), true
}

// OnGPU reports whether the lane was meant for a GPU.
func (r *Result) OnGPU() bool { return r.Settings.Layers > 0 }

// Has reports whether the result carries that warning.
func (r *Result) Has(code measure.WarningCode) bool { return r.Warnings.Has(code) }

// Verified reports whether the figures may be compared with those of others: they
// were measured, and the tokens are those that the other lane makes.
func (r *Result) Verified() bool {
	return r.Error == nil && len(r.Samples) > 0 && r.Check != nil && r.Check.Passed && !r.Has(measure.NotOnGPU)
}

// Compare returns how many times as fast as base a lane is.
func Compare(r, base *Result, m Metric) measure.Comparison {
	var c measure.Comparison
	differ := func(yes bool, format string, args ...any) {
		if yes {
			c.Differs = append(c.Differs, fmt.Sprintf(format, args...))
		}
	}
	for _, x := range []*Result{r, base} {
		name := x.Facts.Device.Name
		differ(x.Facts.Device.Kind == hardware.SoftwareGPU, "%s is a software GPU: a CPU does its work", name)
		differ(x.Has(measure.NotOnGPU), "nothing ran on the GPU")
		differ(x.Error != nil, "%s did not finish", name)
		differ(x.Has(measure.Interrupted), "%s was interrupted", name)
		differ(x.Error == nil && x.Check != nil && !x.Check.Passed, "%s failed the check", name)
	}
	if a, b := r.Facts.DType, base.Facts.DType; a != "" && b != "" {
		differ(a != b, "computing in %s against %s", a, b)
	}
	differ(r.Check == nil && r.Error == nil && base.Error == nil, "nothing was checked")
	a, b := r.work(m), base.work(m)
	switch {
	case a == 0 || b == 0:
		differ(true, "no samples of both")
	case m == Generating:
		differ(a != b, "%d tokens generated against %d", a, b)
	case m == Prompting:
		differ(a != b, "prompts of %d tokens against %d", a, b)
		differ(r.short() || base.short(), "no long prompts")
	}
	c.Ratio = ratio(r, base, m)
	return c
}

// work returns the tokens of every sample of a figure, -1 when they differ, 0
// without samples.
func (r *Result) work(m Metric) int {
	n := 0
	for _, s := range r.Samples {
		tokens := s.Tokens
		if m == Prompting {
			tokens = s.PromptTokens
		}
		switch {
		case tokens == 0: // cut off before
		case n == 0:
			n = tokens
		case tokens != n:
			return -1
		}
	}
	return n
}

// short reports whether the prompts that were timed are the one that was given, or may
// be: a few tokens fill no batch, so that their time says nothing about the speed of
// prompts, even where all lanes read the same ones.
func (r *Result) short() bool {
	return r.Filler == 0 || r.Shown != nil && r.work(Prompting) == r.Shown.PromptTokens && r.Shown.PromptTokens < r.Filler
}

func ratio(r, base *Result, m Metric) stats.Interval {
	a, b := r.Values(m), base.Values(m)
	if m == First { // seconds: speeds divide the other way round
		a, b = b, a
	}
	if len(a) == 0 || len(b) == 0 {
		return stats.MedianInterval(nil)
	}
	if r.Round && base.Round {
		return stats.Ratio(a, b)
	}
	// Nothing pairs samples of two times: the ratio lies within what both intervals
	// allow.
	x, y := stats.MedianInterval(a), stats.MedianInterval(b)
	return stats.Interval{Value: x.Value / y.Value, Low: x.Low / y.High, High: x.High / y.Low, Confidence: min(x.Confidence, y.Confidence)}
}

// BandwidthShare returns how much of the memory's bandwidth generating needs: the
// bytes of weights that a token reads, times tokens per second. ok is false when
// one of them is not known.
func (r *Result) BandwidthShare(m model.Model, l *Limits) (share float64, ok bool) {
	rate, measured := r.Figure(Generating)
	if !measured || m.TokenBytes == 0 || l == nil || l.Bandwidth == nil {
		return 0, false
	}
	return rate.Value * float64(m.TokenBytes) / *l.Bandwidth, true
}

// PeakShare returns how much of the device's peak in matrix products prompts
// reach: two operations for each weight and token.
func (r *Result) PeakShare(m model.Model, l *Limits) (share float64, ok bool) {
	rate, measured := r.Figure(Prompting)
	if !measured || m.PromptParameters == 0 || l == nil || l.Peak == nil {
		return 0, false
	}
	return rate.Value * 2 * float64(m.PromptParameters) / *l.Peak, true
}
