package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// tokenLaneJSON is a lane as JSON has it: the samples and what follows from them.
// A model's text is as it came, with whatever it holds.
type tokenLaneJSON struct {
	TokenLane
	Verified   bool            `json:"verified"`
	Generation *stats.Interval `json:"generation"`                // tokens/s; null without samples
	Prompt     *stats.Interval `json:"prompt"`                    // tokens/s
	First      *stats.Interval `json:"first"`                     // seconds
	Bandwidth  *float64        `json:"bandwidth_share,omitempty"` // that generation needs
	Peak       *float64        `json:"peak_share,omitempty"`      // that prompts reach
}

func (d *Tokens) json() any {
	lanes := []tokenLaneJSON{}
	for _, l := range d.Results {
		j := tokenLaneJSON{TokenLane: l, Verified: l.Verified()}
		for m, into := range map[llm.Metric]**stats.Interval{llm.Generating: &j.Generation, llm.Prompting: &j.Prompt, llm.First: &j.First} {
			if f, ok := l.Figure(m); ok {
				*into = &f
			}
		}
		if share, ok := l.BandwidthShare(d.Model); ok {
			j.Bandwidth = &share
		}
		if share, ok := l.PeakShare(d.Model); ok {
			j.Peak = &share
		}
		lanes = append(lanes, j)
	}
	return struct {
		*Tokens
		Results     []tokenLaneJSON   `json:"results"`
		Comparisons []tokenComparison `json:"comparisons"`
	}{d, lanes, d.comparisons()}
}

// TokensJSON writes the whole document as one indented object.
func TokensJSON(w io.Writer, d *Tokens) error {
	e := encoder(w)
	e.SetIndent("", "  ")
	return e.Encode(d.json())
}

// TokensJSONL writes a line a lane, each a document of the same schema with that
// lane alone.
func TokensJSONL(w io.Writer, d *Tokens) error {
	e := encoder(w)
	for _, l := range d.Results {
		alone := *d
		alone.Results, alone.NotRaced = []TokenLane{l}, nil
		if err := e.Encode(alone.json()); err != nil {
			return err
		}
	}
	return nil
}

// TokensCSV writes a row a lane: the summary, in base units.
func TokensCSV(w io.Writer, d *Tokens) error {
	c := csv.NewWriter(w)
	c.Write([]string{"lane", "kind", "hardware", "runtime", "model", "ngl", "layers", "threads", "tokens", "samples",
		"generation", "generation_low", "generation_high", "prompt_tokens", "prompt", "prompt_low", "prompt_high",
		"first_seconds", "first_low", "first_high", "load_seconds", "memory", "verified", "error"})
	float := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	for _, l := range d.Results {
		f := l.Facts
		figure := func(m llm.Metric) []string {
			if s, ok := l.Figure(m); ok {
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
		if l.Error != nil {
			failure = l.Error.Message
		}
		if len(l.Samples) > 0 {
			prompt = strconv.Itoa(l.Samples[0].PromptTokens)
		}
		row := []string{l.Lane, string(f.Device.Kind), f.Device.Name, f.Runtime, d.Model.Name, strconv.Itoa(l.Result.Lane.Layers), layers,
			strconv.Itoa(f.Threads), strconv.Itoa(l.Tokens), strconv.Itoa(len(l.Samples))}
		row = append(append(row, figure(llm.Generating)...), prompt)
		row = append(append(row, figure(llm.Prompting)...), figure(llm.First)...)
		c.Write(append(row, float(f.Load.Seconds()), memory, strconv.FormatBool(l.Verified()), failure))
	}
	c.Flush()
	return c.Error()
}

// TokensLine writes exactly one line a lane:
//
//	[llama.cpp] device=cpu model=gemma-3-270m tokens=64 repeat=6 first=0.046s prompt=343 generation=63.2 tok/s
//
// A lane without figures says why in their place, a doubtful one says so behind.
func TokensLine(w io.Writer, d *Tokens) error {
	for i := range d.Results {
		l := &d.Results[i]
		api := l.Facts.Device.API
		if api == "" {
			api = map[bool]string{true: "gpu", false: "cpu"}[l.OnGPU()]
		}
		text := fmt.Sprintf("[%s] device=%s", l.Runtime, api)
		if l.OnGPU() {
			text += fmt.Sprintf(" ngl=%d", l.Result.Lane.Layers)
		}
		text += fmt.Sprintf(" model=%s tokens=%d", strings.ReplaceAll(d.Model.Name, " ", "_"), l.Tokens)
		switch {
		case len(l.Samples) == 0 && l.Error != nil:
			text += " failed: " + withHint(l.Error)
		case len(l.Samples) == 0:
			text += " interrupted"
		default:
			text += fmt.Sprintf(" repeat=%d first=%s prompt=%s generation=%s tok/s", len(l.Samples), lineSeconds(rateOf(l, llm.First)),
				unit.Digits3(rateOf(l, llm.Prompting)), unit.Digits3(rateOf(l, llm.Generating)))
			if l.Error != nil {
				text += " incomplete: " + withHint(l.Error)
			}
			if l.Check != nil && !l.Check.Passed {
				text += " wrong: " + l.Check.Reason
			}
			for _, w := range l.Warnings {
				text += "; " + w.Text
			}
		}
		if _, err := fmt.Fprintln(w, plain.Line(text)); err != nil {
			return err
		}
	}
	return nil
}

// TokensMarkdown writes a table to paste, the sentences and the texts.
func TokensMarkdown(w io.Writer, d *Tokens) error {
	var b strings.Builder
	b.WriteString("| device | lane | generation, tok/s | ± 95 % | prompt, tok/s | ± 95 % | first token | load | |\n|---|---|--:|--:|--:|--:|--:|--:|---|\n")
	for i := range d.Results {
		l := &d.Results[i]
		var words []string
		switch {
		case l.Error != nil:
			words = append(words, withHint(l.Error))
		case l.Verified():
			words = append(words, "same tokens")
		case l.Check != nil && !l.Check.Passed:
			words = append(words, "wrong: "+l.Check.Reason)
		}
		for _, x := range l.Warnings {
			words = append(words, x.Text)
		}
		fmt.Fprintf(&b, "| %s | %s |", cell(l.device(d)), cell(l.label()))
		if g, ok := l.Figure(llm.Generating); ok {
			p, _ := l.Figure(llm.Prompting)
			fmt.Fprintf(&b, " %s | %s | %s | %s | %s | %s |", unit.Digits3(g.Value), spread(g), unit.Digits3(p.Value), spread(p), lineSeconds(rateOf(l, llm.First)), unit.Seconds(l.Facts.Load))
		} else {
			b.WriteString(" – | – | – | – | – | – |")
		}
		fmt.Fprintf(&b, " %s |\n", cell(plain.Line(strings.Join(append(words, l.Facts.Notes...), "; "))))
	}
	fmt.Fprintf(&b, "\n%s\n", plain.Line(strings.Join(d.sentences(), " ")))
	_, err := io.WriteString(w, b.String())
	return err
}
