package term

import (
	"io"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
)

// A sign stands before a check. Each is another one: its look only repeats it.
type sign struct {
	text string
	look look
}

var signs = map[record.Status]sign{
	record.OK:      {"✓", green},
	record.Warning: {"!", yellow | bold},
	record.Failed:  {"✗", red | bold},
	record.Absent:  {"–", dim},
	record.Unknown: {"?", dim},
}

// checkName is the width of a check's name.
const checkName = 12

// doctorPage writes a diagnosis without the reasons of what is in order.
func doctorPage(w io.Writer, r *record.Run, s Style) error { return Diagnosis(w, r, s, false) }

// Diagnosis writes the doctor's checks in their groups. Why a check matters stands
// below those that are not in order, below all when verbose. What is not known is named
// at the end, or in its place when verbose or when there is a reason for it.
func Diagnosis(w io.Writer, r *record.Run, s Style, verbose bool) error {
	p := &page{Style: s}
	var unknown []string
	name := ""
	for _, c := range r.Checks {
		if c.Status == record.Unknown && c.Why == "" && !verbose {
			unknown = append(unknown, c.Name)
			continue
		}
		if c.Group != name {
			if name != "" {
				p.line()
			}
			name = c.Group
			p.line(span{name, bold})
		}
		p.check(c, verbose)
	}
	if len(unknown) > 0 {
		p.line()
		p.hanging([]span{{"  ? ", usual}}, "Not known: "+strings.Join(unknown, ", "), dim)
	}
	p.line()
	for _, text := range judge.Sentences(r) {
		p.hanging(nil, text, bold)
	}
	return p.writeTo(w)
}

// check adds a check: what was seen, why it matters, how to fix it.
func (p *page) check(c record.Check, verbose bool) {
	mark, ok := signs[c.Status]
	if !ok {
		mark = signs[record.Unknown]
	}
	lead := []span{{"  ", usual}, {mark.text, mark.look}, {" " + pad(p.clean(c.Name), checkName) + " ", usual}}
	indent := strings.Repeat(" ", p.width(lead))
	seen, fixes := c.Seen, []string{}
	for _, f := range c.Remedies {
		fixes = append(fixes, f.Words(p.Words))
	}
	if c.Status == record.Absent && len(fixes) > 0 { // one line will do
		if short := seen + " → " + strings.Join(fixes, "; "); lipgloss.Width(indent+p.clean(short)) <= p.Width {
			seen, fixes = short, nil
		}
	}
	l := usual
	if c.Status == record.Absent || c.Status == record.Unknown {
		l = dim
	}
	p.hanging(lead, seen, l)
	if c.Why != "" && (verbose || c.Status != record.OK && c.Status != record.Absent) {
		p.hanging([]span{{indent, usual}}, c.Why, dim)
	}
	for _, f := range fixes { // unbroken, to be copied
		p.linef("%s→ %s", indent, f)
	}
}

// hanging adds a text with a lead before its first line, and as much space before the
// others.
func (p *page) hanging(lead []span, text string, l look) {
	indent := p.width(lead)
	for i, t := range Wrap(p.clean(text), p.Width-indent) {
		if i > 0 {
			lead = []span{{strings.Repeat(" ", indent), usual}}
		}
		p.line(append(lead[:len(lead):len(lead)], span{t, l})...)
	}
}

// width returns the columns that spans take.
func (p *page) width(spans []span) int {
	w := 0
	for _, s := range spans {
		w += lipgloss.Width(p.clean(s.text))
	}
	return w
}
