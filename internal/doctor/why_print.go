package doctor

import (
	"fmt"
	"io"

	"charm.land/lipgloss/v2"

	"github.com/gpuplay/gpuplay/internal/report"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// PrintExplanation writes an explanation for people: slow lanes with their causes,
// the others in a line each.
func PrintExplanation(w io.Writer, e *Explanation, s report.Style) error {
	p := &printer{style: s}
	plain := lipgloss.NewStyle()
	p.wrapped("", e.Subject, bold)
	slow, width := 0, 0
	for _, v := range e.Lanes {
		if v.Slow {
			slow++
		}
		width = max(width, lipgloss.Width(v.Label))
	}
	for _, v := range e.Lanes {
		p.line("")
		p.verdict(v, min(width, p.style.Width/3))
	}
	for _, m := range e.NotRaced {
		p.line("")
		p.wrapped("  ", fmt.Sprintf("%s, %s: not raced: %s", m.Engine, m.API, m.Reason), plain)
		if len(m.Remedies) > 0 {
			p.line(p.text("    → " + report.Words(m.Remedies)))
		}
	}
	if slow == 0 {
		p.line("")
		p.wrapped("", fmt.Sprintf("Nothing to explain: no lane is below %s of its peak or of its fastest neighbour.", unit.Percent(fairShare)), bold)
	}
	_, err := io.WriteString(w, p.String())
	return err
}

func (p *printer) verdict(v Verdict, width int) {
	m := marks[OK]
	speed := v.gemm.Rate(v.Speed)
	switch {
	case v.Speed == 0:
		m, speed = marks[Failed], ""
	case v.Slow:
		m = marks[Warning]
	}
	lead := fmt.Sprintf("  %s %-*s  ", p.render(m.style, p.sign(m)), width, p.text(v.Label))
	if speed != "" {
		lead += fmt.Sprintf("%12s  ", speed)
	}
	p.wrapped(lead, v.Standing, lipgloss.NewStyle())
	for i, c := range v.Causes {
		p.wrapped(fmt.Sprintf("     %d. ", i+1), c.Claim, lipgloss.NewStyle())
		p.wrapped("        ", c.Evidence, faint)
		if c.Fix != "" {
			p.line(p.text("        → " + c.Fix))
		}
	}
	if v.Slow && len(v.Causes) == 0 {
		p.wrapped("     ", "No cause shows in this file. Measured again with nothing else running, and with --time 30s, it may.", faint)
	}
}

// ExplainJSON writes an explanation as one object.
func ExplainJSON(w io.Writer, e *Explanation) error { return encode(w, e) }
