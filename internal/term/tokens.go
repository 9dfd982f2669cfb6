package term

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// tokenColumns are the figures of lanes; tokenCells and peerRow have them in this
// order.
var tokenColumns = []column{
	{head: "generation", key: true},
	{head: "±", rank: 1, look: dim},
	{head: "prompt"},
	{head: "±", rank: 2, look: dim},
	{head: "1st token", rank: 3, look: dim},
	{head: "±", rank: 5, look: dim},
	{head: "load", rank: 4, look: dim},
}

// layerColumns are those where lanes differ in how many layers are on the GPU, whose
// bars are the curve that was asked for.
var layerColumns = []column{
	{head: "memory", rank: 1, look: dim},
	{head: "generation", key: true},
	{head: "±", rank: 2, look: dim},
	{head: "prompt"},
	{head: "±", rank: 4, look: dim},
	{head: "1st token", rank: 5, look: dim},
}

// tokensTable writes the lanes of a language model, one group for each piece of
// hardware, and what they mean in sentences.
func tokensTable(w io.Writer, r *record.Run, s Style) error {
	p := &page{Style: s}
	t := r.Tokens
	if t == nil {
		t = &record.Tokens{}
	}
	p.title(tokensTitle(t)...)
	layout := table{columns: tokenColumns, bars: bars{on: true, rank: 9, from: 60}}
	if t.Layers {
		layout.columns, layout.bars.rank = layerColumns, 0
	}
	top, longest := 0.0, 0
	for _, x := range t.Results {
		top, longest = max(top, judge.TokenRate(x, llm.Generating)), max(longest, x.Filler)
	}
	for _, x := range t.Results {
		lane := row{
			name:  judge.TokenLane(x),
			best:  len(t.Results) > 1 && x == judge.BestTokens(t, x.Facts.Device.Kind),
			notes: p.tokenNotes(x, longest),
		}
		switch {
		case len(x.Samples) > 0:
			lane.cells = tokenCells(x, t.Layers)
			lane.bar = judge.TokenRate(x, llm.Generating) / top
		case x.Error != nil:
			lane.failure = x.Error.Words(p.Words)
			if x.Shown != nil && x.Shown.Tokens > 0 {
				lane.failure += fmt.Sprintf("; %d tokens were generated before", x.Shown.Tokens)
			}
		default:
			lane.failure = "not measured"
		}
		rows := []row{lane}
		if peer, ok := peerRow(t, x); ok {
			rows = append(rows, peer)
		}
		title := judge.TokenPlace(r, x)
		if n := len(layout.groups); n == 0 || layout.groups[n-1].title != title {
			layout.groups = append(layout.groups, group{title: title})
		}
		last := &layout.groups[len(layout.groups)-1]
		last.rows = append(last.rows, rows...)
	}
	p.table(layout)
	for i, text := range judge.Sentences(r) {
		look := usual
		if i == 0 {
			p.line()
			look = bold
		}
		p.paragraph(text, look)
	}
	var missing []string
	for _, m := range r.Missing {
		text := m.Reason
		if len(m.Remedies) > 0 {
			text += " (" + m.Remedies.Words(p.Words) + ")"
		}
		missing = append(missing, text)
	}
	p.notes(missing)
	p.next(judge.Next(r))
	return p.writeTo(w)
}

// tokensTitle says what was measured and how.
func tokensTitle(t *record.Tokens) []string {
	parts := []string{strings.TrimSpace(t.Model.Name + " " + t.Model.Quantization)}
	if t.Model.Bytes > 0 {
		parts[0] += ", " + unit.Bytes(float64(t.Model.Bytes))
	}
	if i := slices.IndexFunc(t.Results, func(x *llm.Result) bool { return x.Facts.Runtime != "" }); i >= 0 {
		parts = append(parts, t.Results[i].Facts.Runtime)
	}
	if len(t.Results) > 0 {
		parts = append(parts, fmt.Sprintf("%d tokens, greedy", t.Results[0].Tokens))
	}
	filler := 0
	for _, x := range t.Results {
		filler = max(filler, x.Filler)
	}
	if filler > 0 {
		parts = append(parts, fmt.Sprintf("prompts of %d tokens", filler))
	}
	return append(parts, "tokens per second")
}

// tokenNotes are a lane's caveats; longest is the length of the long prompts of other
// lanes.
func (p *page) tokenNotes(x *llm.Result, longest int) []string {
	var notes []string
	if len(x.Samples) > 0 {
		if n := x.Samples[0].PromptTokens; x.Filler < longest && n > 0 && n < longest {
			notes = append(notes, fmt.Sprintf("prompts of %d tokens: longer ones would take too long", n))
		}
		if x.Error != nil {
			notes = append(notes, "incomplete: "+x.Error.Words(p.Words))
		}
	}
	if c := x.Check; c != nil && !c.Passed {
		notes = append(notes, "wrong: "+c.Reason)
	}
	for _, w := range x.Warnings {
		notes = append(notes, w.Text)
	}
	if text := x.Facts.Device.Renumbered(); text != "" {
		notes = append(notes, text)
	}
	return append(notes, x.Facts.Notes...)
}

// tokenCells are a lane's figures in the order of the columns.
func tokenCells(x *llm.Result, layers bool) []string {
	figure := func(m llm.Metric) (value, spread string) {
		f, ok := x.Figure(m)
		switch {
		case !ok:
			return "–", ""
		case m == llm.First:
			return unit.Seconds(time.Duration(f.Value * float64(time.Second))), judge.Spread(f)
		}
		return unit.Digits3(f.Value), judge.Spread(f)
	}
	generation, generationSpread := figure(llm.Generating)
	prompt, promptSpread := figure(llm.Prompting)
	first, firstSpread := figure(llm.First)
	if layers {
		memory := "–"
		if x.Facts.Memory != nil {
			memory = unit.Bytes(float64(*x.Facts.Memory))
		}
		return []string{memory, generation, generationSpread, prompt, promptSpread, first}
	}
	return []string{generation, generationSpread, prompt, promptSpread, first, firstSpread, judge.LoadTime(x)}
}

// peerRow is what the runtime's own benchmark measured on a lane.
func peerRow(t *record.Tokens, x *llm.Result) (row, bool) {
	i := slices.IndexFunc(t.Peers, func(p record.Peer) bool { return p.Lane == x.Lane })
	if i < 0 || t.Layers {
		return row{}, false
	}
	r := row{name: t.Peers[i].Name, cells: []string{"–", "", "–", "", "", "", ""}}
	var names []string
	for _, p := range t.Peers[i].Results {
		f, ok := p.Rate()
		if !ok {
			continue
		}
		at := 0
		if strings.HasPrefix(p.Name, "pp") {
			at = 2
		}
		r.cells[at], r.cells[at+1] = unit.Digits3(f.Value), judge.Spread(f)
		names = append(names, p.Name)
	}
	slices.Sort(names)
	slices.Reverse(names) // tg before pp, as the columns
	r.notes = []string{fmt.Sprintf("%s's own benchmark, run for comparison: %s", x.Runtime, unit.List(names))}
	return r, len(names) > 0
}
