package term

import (
	"fmt"
	"io"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Explain writes an explanation: slow lanes with their causes, the others in one line
// each.
func Explain(w io.Writer, e *record.Explanation, s Style) error {
	p := &page{Style: s}
	p.hanging(nil, e.Subject, bold)
	slow, label := false, 0
	for _, v := range e.Lanes {
		slow = slow || v.Slow
		label = max(label, lipgloss.Width(p.clean(v.Label)))
	}
	for _, v := range e.Lanes {
		p.line()
		p.verdict(v, min(label, s.Width/3))
	}
	for _, m := range e.Missing {
		p.line()
		p.hanging([]span{{"  ", usual}}, fmt.Sprintf("%s, %s: not raced: %s", m.Engine, m.API, m.Reason), usual)
		p.fixes("    ", m.Remedies)
	}
	if !slow {
		p.line()
		p.hanging(nil, fmt.Sprintf("Nothing to explain: no lane is below %s of its peak or of the fastest other lane.", unit.Percent(e.Fair)), bold)
	}
	return p.writeTo(w)
}

// fixes adds remedies, one on each line, unbroken, to be copied.
func (p *page) fixes(indent string, list fault.Remedies) {
	for _, r := range list {
		p.linef("%s→ %s", indent, r.Words(p.Words))
	}
}

func (p *page) verdict(v record.Verdict, label int) {
	mark := signs[record.OK]
	speed := ""
	switch {
	case v.Speed == 0:
		mark = signs[record.Failed]
	case v.Slow:
		mark = signs[record.Warning]
	}
	if v.Speed > 0 {
		speed = fmt.Sprintf("%12s  ", unit.Rate(v.Speed, v.Op))
	}
	p.hanging([]span{{"  ", usual}, {mark.text, mark.look}, {" " + pad(p.clean(v.Label), label) + "  " + speed, usual}}, v.Standing, usual)
	for i, c := range v.Causes {
		p.hanging([]span{{fmt.Sprintf("     %d. ", i+1), usual}}, c.Claim, usual)
		indent := strings.Repeat(" ", 8)
		p.hanging([]span{{indent, usual}}, c.Evidence, dim)
		p.fixes(indent, c.Remedies)
	}
	if v.Slow && len(v.Causes) == 0 {
		again := fault.Set("time", "30s", "No cause shows in this file. Measured again with nothing else running, and with {}, it may.")
		p.hanging([]span{{"     ", usual}}, again.Words(p.Words), dim)
	}
}
