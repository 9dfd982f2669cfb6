package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/gpuplay/gpuplay/internal/report"
)

type mark struct {
	sign, ascii string
	style       lipgloss.Style
}

// marks stand before checks. Each is a sign of its own: colour only repeats it.
var marks = map[Status]mark{
	OK:      {"✓", "+", lipgloss.NewStyle().Foreground(lipgloss.Green)},
	Warning: {"!", "!", lipgloss.NewStyle().Foreground(lipgloss.Yellow).Bold(true)},
	Failed:  {"✗", "x", lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)},
	Absent:  {"–", "-", lipgloss.NewStyle().Faint(true)},
	Unknown: {"?", "?", lipgloss.NewStyle().Faint(true)},
}

var (
	bold  = lipgloss.NewStyle().Bold(true)
	faint = lipgloss.NewStyle().Faint(true)
)

// printer writes text that fits the reader's terminal.
type printer struct {
	strings.Builder
	style report.Style
}

func (p *printer) text(t string) string { return p.style.Plain(t) }

func (p *printer) render(on lipgloss.Style, t string) string {
	if !p.style.Color || t == "" {
		return t
	}
	return on.Render(t)
}

func (p *printer) sign(m mark) string {
	if p.style.Unicode {
		return m.sign
	}
	return m.ascii
}

func (p *printer) line(t string) { p.WriteString(strings.TrimRight(t, " ") + "\n") }

// wrapped writes a text with a lead before its first line and as much space
// before the others.
func (p *printer) wrapped(lead, t string, on lipgloss.Style) {
	indent := lipgloss.Width(lead)
	for i, l := range report.Wrap(p.text(t), p.style.Width-indent) {
		if i > 0 {
			lead = strings.Repeat(" ", indent)
		}
		p.line(lead + p.render(on, l))
	}
}

const nameWidth = 12

// Print writes the checks for people: what matters and how to mend it stand below
// those that are not in order, or below all when verbose. What is not known is
// named at the end.
func Print(w io.Writer, list []Check, s report.Style, verbose bool) error {
	p := &printer{style: s}
	var missing []string
	group := ""
	for _, c := range list {
		if c.Status == Unknown && !verbose {
			missing = append(missing, c.Name)
			continue
		}
		if c.Group != group {
			if group != "" {
				p.line("")
			}
			group = c.Group
			p.line(p.render(bold, group))
		}
		p.check(c, verbose)
	}
	if len(missing) > 0 {
		p.line("")
		p.wrapped("  ? ", "Not known: "+strings.Join(missing, ", "), faint)
	}
	p.line("")
	p.wrapped("", Summary(list), bold)
	_, err := io.WriteString(w, p.String())
	return err
}

func (p *printer) check(c Check, verbose bool) {
	m := marks[c.Status]
	lead := fmt.Sprintf("  %s %-*s ", p.render(m.style, p.sign(m)), nameWidth, c.Name)
	indent := strings.Repeat(" ", lipgloss.Width(lead))
	seen, fix := c.Seen, c.Fix
	if c.Status == Absent && fix != "" { // one line will do
		if short := seen + " → " + fix; lipgloss.Width(indent+p.text(short)) <= p.style.Width {
			seen, fix = short, ""
		}
	}
	on := lipgloss.NewStyle()
	if c.Status == Absent || c.Status == Unknown {
		on = faint
	}
	p.wrapped(lead, seen, on)
	if c.Why != "" && (verbose || c.Status == Warning || c.Status == Failed) {
		p.wrapped(indent, c.Why, faint)
	}
	if fix != "" { // unbroken, to be copied
		p.line(indent + p.text("→ "+fix))
	}
}

// Summary says in a sentence what the checks come to.
func Summary(list []Check) string {
	failed, warnings := Count(list, Failed), Count(list, Warning)
	limits := "limits or changes its results."
	if warnings != 1 {
		limits = "limit or change its results."
	}
	switch {
	case failed > 0 && warnings > 0:
		return fmt.Sprintf("%s must be mended (✗); %s (!).", count(failed, "thing"), count(warnings, "warning"))
	case failed > 0:
		return fmt.Sprintf("%s must be mended (✗).", count(failed, "thing"))
	case warnings > 0:
		return fmt.Sprintf("A race can run; %s %s", count(warnings, "thing"), limits)
	}
	return "A race can run; nothing was found that limits it."
}

// JSON writes the checks as one object.
func JSON(w io.Writer, list []Check) error {
	return encode(w, struct {
		Ready  bool    `json:"ready"` // no check failed
		Checks []Check `json:"checks"`
	}{Count(list, Failed) == 0, list})
}

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
