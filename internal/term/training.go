package term

import (
	"fmt"
	"io"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/train"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// trainingText writes what a model was taught: what was trained, the curve of its
// loss, what it said before and after, and how to continue.
func trainingText(w io.Writer, r *record.Run, s Style) error {
	p := &page{Style: s}
	t := r.Training
	if t == nil {
		t = &record.Training{}
	}
	result := &t.Result
	loaded := llm.Loaded{Model: t.Name, Facts: t.Facts, About: &t.About}
	for i, text := range trainingHead(loaded, len(r.Cards)) {
		if i == 0 {
			p.hanging(nil, text, bold)
			continue
		}
		p.wrapped("  ", text)
	}
	if plan := result.Plan; plan != nil {
		planned := train.Planned{Plan: *plan, Estimate: result.Estimate, Data: t.Data, Settings: t.Settings, Iters: t.Iters}
		const what = 2 // rows and adapter; what else was said of the plan has happened or not
		for _, text := range trainingPlan(loaded, planned, p.Words)[:what] {
			p.wrapped("  ", text)
		}
	}
	if losses, first := result.Losses(); len(losses) > 0 {
		p.line()
		for _, l := range Curve(losses, first, min(s.Width-4, curveWidth), curveHeight, s.Unicode) {
			p.line(span{"  ", usual}, span{l, usual})
		}
		p.line()
		for _, text := range judge.Sentences(r) {
			p.wrapped("  ", text)
		}
		how := []string{fmt.Sprintf("%s tokens/s, the median of the iterations", unit.Digits3(judge.TrainingSpeed(result))), unit.Seconds(result.Wall)}
		if result.Peak > 0 {
			how = append(how, fmt.Sprintf("memory at most %s, of %s", unit.Bytes(float64(result.Peak)), t.About.PeakOf))
		}
		p.wrapped("  ", strings.Join(how, " · "))
	}
	p.line()
	p.quoted("asked", result.Prompt)
	p.quoted("before", result.Before)
	if result.After != "" {
		p.quoted("after", result.After)
	}
	if result.Saved > 0 {
		p.line()
		p.wrapped("  ", fmt.Sprintf("adapter of iteration %d in %s", result.Saved, fault.Run("", t.Settings.Adapter).Words(s.Words)))
		if next := judge.Next(r); next != nil { // unbroken, to be copied
			command := *next
			command.Text = ""
			p.linef("  Next: %s %s", command.Words(s.Words), fault.Set("prompt", "…", "").Words(s.Words))
		} else {
			p.linef("  %s", fault.Change("resume", "{} continues it").Words(s.Words))
		}
	}
	return p.writeTo(w)
}

// wrapped adds a text with a lead before its first line, and as much space and two
// blanks more before the others.
func (p *page) wrapped(lead, text string) {
	rest := strings.Repeat(" ", lipgloss.Width(lead)+2)
	for i, t := range Wrap(p.clean(text), p.Width-len(rest)-2) {
		if i > 0 {
			lead = rest
		}
		p.line(span{lead + t, usual})
	}
}

// quoted adds a text of a model below a name, in few lines.
func (p *page) quoted(name, text string) {
	const margin, least, most = 10, 20, 4
	text = strings.Join(strings.Fields(p.clean(text)), " ")
	if text == "" {
		text = "(nothing)"
	}
	lines := Wrap(text, max(least, p.Width-margin-1))
	if len(lines) > most {
		lines = append(lines[:most-1], lines[most-1]+" "+p.clean("…"))
	}
	for i, l := range lines {
		if i > 0 {
			name = ""
		}
		p.line(span{pad("  "+name, margin) + l, usual})
	}
}

// place names what computes; cards is how many GPUs the machine has.
func place(d hardware.Device, cards int) string {
	if d.Kind == hardware.CPU {
		return "the CPU"
	}
	return fmt.Sprintf("%s (%s)", d.Place(cards), d.API)
}
