package encode

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// tokens is a language model's run with what follows from it.
type tokens struct {
	*record.Tokens
	Results     []tokenResult     `json:"results"`
	Comparisons []tokenComparison `json:"comparisons,omitempty"`
}

// A tokenResult is a lane: the samples and what follows from them. A model's text is as
// it came, whatever it holds.
type tokenResult struct {
	*llm.Result
	Verified       bool            `json:"verified"`
	Generation     *stats.Interval `json:"generation"`                 // tokens/s; null without samples
	Prompt         *stats.Interval `json:"prompt"`                     // tokens/s; likewise
	First          *stats.Interval `json:"first"`                      // seconds; likewise
	Bandwidth      *float64        `json:"bandwidth_share,omitempty"`  // of the memory's, that generation needs
	Peak           *float64        `json:"peak_share,omitempty"`       // of the arithmetic's, that prompts reach
	TokensPerJoule *float64        `json:"tokens_per_joule,omitempty"` // generated
	Proof          measure.Proof   `json:"proof,omitempty"`            // of a GPU lane: what the sensors say of its being one
}

// A tokenComparison says how many times as fast as another a lane is.
type tokenComparison struct {
	Lane       string     `json:"lane"`
	Base       string     `json:"base"`
	Generation tokenRatio `json:"generation"`
	Prompt     tokenRatio `json:"prompt"`
	First      tokenRatio `json:"first"`
}

type tokenRatio struct {
	Ratio   *stats.Interval `json:"ratio"` // of speeds; null when Differs is not empty
	Differs []string        `json:"differs,omitempty"`
}

// derivedTokens returns a run's lanes with what follows from their samples.
func derivedTokens(r *record.Run) any {
	t := r.Tokens
	d := tokens{Tokens: t}
	if t.Results != nil {
		d.Results = []tokenResult{}
	}
	for _, x := range t.Results {
		figure := func(m llm.Metric) *stats.Interval {
			f, ok := x.Figure(m)
			if !ok {
				return nil
			}
			return finite(f)
		}
		limits := judge.TokenLimits(t, x)
		share := func(s float64, ok bool) *float64 {
			if !ok || math.IsInf(s, 0) || math.IsNaN(s) {
				return nil
			}
			return &s
		}
		d.Results = append(d.Results, tokenResult{
			Result: x, Verified: x.Verified(),
			TokensPerJoule: share(judge.TokensPerJoule(x)), Proof: proof(x.Facts.Device, x.Sensors),
			Generation: figure(llm.Generating), Prompt: figure(llm.Prompting), First: figure(llm.First),
			Bandwidth: share(x.BandwidthShare(t.Model, limits)), Peak: share(x.PeakShare(t.Model, limits)),
		})
	}
	ratio := func(c measure.Comparison) tokenRatio {
		if len(c.Differs) > 0 {
			return tokenRatio{Differs: c.Differs}
		}
		return tokenRatio{Ratio: finite(c.Ratio)}
	}
	for _, c := range judge.TokenComparisons(t) {
		d.Comparisons = append(d.Comparisons, tokenComparison{c.Lane, c.Base, ratio(c.Generation), ratio(c.Prompt), ratio(c.First)})
	}
	return d
}

// lanesOf returns the lanes of a language model's run.
func lanesOf(r *record.Run) (*record.Tokens, []*llm.Result) {
	if r.Tokens == nil {
		return &record.Tokens{}, nil
	}
	return r.Tokens, r.Tokens.Results
}

// tokensCSV writes one row per lane: the summary, in base units.
func tokensCSV(w io.Writer, r *record.Run, _ fault.Wording) error {
	c := newRows(w)
	c.Write([]string{"lane", "kind", "hardware", "runtime", "model", "ngl", "layers", "threads", "tokens", "samples",
		"generation", "generation_low", "generation_high", "prompt_tokens", "prompt", "prompt_low", "prompt_high",
		"first_seconds", "first_low", "first_high", "load_seconds", "memory", "verified", "error"})
	t, lanes := lanesOf(r)
	for _, x := range lanes {
		f := x.Facts
		figure := func(m llm.Metric) []string {
			if s, ok := x.Figure(m); ok {
				return []string{float(s.Value), float(s.Low), float(s.High)}
			}
			return []string{"", "", ""}
		}
		layers, memory, failure, prompt := "", "", "", ""
		if f.Layers != nil {
			layers = strconv.Itoa(*f.Layers)
		}
		if f.Memory != nil {
			memory = strconv.FormatInt(*f.Memory, 10)
		}
		if x.Error != nil {
			failure = x.Error.Message
		}
		if len(x.Samples) > 0 {
			prompt = strconv.Itoa(x.Samples[0].PromptTokens)
		}
		row := []string{x.Lane, string(f.Device.Kind), f.Device.Name, f.Runtime, t.Model.Name, strconv.Itoa(x.Settings.Layers), layers,
			strconv.Itoa(f.Threads), strconv.Itoa(x.Tokens), strconv.Itoa(len(x.Samples))}
		row = append(append(row, figure(llm.Generating)...), prompt)
		row = append(append(row, figure(llm.Prompting)...), figure(llm.First)...)
		c.Write(append(row, float(f.Load.Seconds()), memory, strconv.FormatBool(x.Verified()), failure))
	}
	c.Flush()
	return c.Error()
}

// tokensLine writes exactly one line per lane:
//
//	[llama.cpp] device=cpu model=gemma-3-270m tokens=64 repeat=6 first=0.046s prompt=343 generation=63.2 tok/s
//
// A lane without figures says why in their place, a doubtful one says so at the end.
func tokensLine(w io.Writer, r *record.Run, words fault.Wording) error {
	t, lanes := lanesOf(r)
	for _, x := range lanes {
		api := x.Facts.Device.API
		if api == "" {
			api = map[bool]string{true: "gpu", false: "cpu"}[x.OnGPU()]
		}
		text := fmt.Sprintf("[%s] device=%s", x.Runtime, api)
		if x.OnGPU() {
			text += fmt.Sprintf(" ngl=%d", x.Settings.Layers)
		}
		text += fmt.Sprintf(" model=%s tokens=%d", strings.ReplaceAll(t.Model.Name, " ", "_"), x.Tokens)
		switch {
		case len(x.Samples) == 0 && x.Error != nil:
			text += " failed: " + x.Error.Words(words)
		case len(x.Samples) == 0:
			text += " interrupted"
		default:
			text += fmt.Sprintf(" repeat=%d first=%s prompt=%s generation=%s tok/s", len(x.Samples), lineSeconds(judge.TokenRate(x, llm.First)),
				unit.Digits3(judge.TokenRate(x, llm.Prompting)), unit.Digits3(judge.TokenRate(x, llm.Generating)))
			if x.Error != nil {
				text += " incomplete: " + x.Error.Words(words)
			}
			if x.Check != nil && !x.Check.Passed {
				text += " wrong: " + x.Check.Reason
			}
			for _, w := range x.Warnings {
				text += "; " + w.Text
			}
		}
		if _, err := fmt.Fprintln(w, plain.Line(text)); err != nil {
			return err
		}
	}
	return nil
}

// tokensMarkdown writes a table to paste and the sentences below it.
func tokensMarkdown(w io.Writer, r *record.Run, words fault.Wording) error {
	var b strings.Builder
	b.WriteString("| device | lane | generation, tok/s | ± | prompt, tok/s | ± | first token | load | |\n|---|---|--:|--:|--:|--:|--:|--:|---|\n")
	_, lanes := lanesOf(r)
	for _, x := range lanes {
		fmt.Fprintf(&b, "| %s | %s |", cell(judge.TokenPlace(r, x)), cell(judge.TokenLane(x)))
		if g, ok := x.Figure(llm.Generating); ok {
			p, _ := x.Figure(llm.Prompting)
			fmt.Fprintf(&b, " %s | %s | %s | %s | %s | %s |", unit.Digits3(g.Value), judge.Spread(g), unit.Digits3(p.Value), judge.Spread(p), lineSeconds(judge.TokenRate(x, llm.First)), judge.LoadTime(x))
		} else {
			b.WriteString(" – | – | – | – | – | – |")
		}
		fmt.Fprintf(&b, " %s |\n", cell(tokenVerdict(x, words)))
	}
	sentences(&b, judge.Sentences(r))
	_, err := io.WriteString(w, b.String())
	return err
}

// tokenVerdict says in a few words how far to trust a lane's figures.
func tokenVerdict(x *llm.Result, words fault.Wording) string {
	var parts []string
	switch {
	case x.Error != nil:
		parts = append(parts, x.Error.Words(words))
	case x.Verified():
		parts = append(parts, "same tokens")
	case x.Check != nil && !x.Check.Passed:
		parts = append(parts, "wrong: "+x.Check.Reason)
	}
	for _, w := range x.Warnings {
		parts = append(parts, w.Text)
	}
	if text := x.Facts.Device.Renumbered(); text != "" {
		parts = append(parts, text)
	}
	return strings.Join(append(parts, x.Facts.Notes...), "; ")
}
