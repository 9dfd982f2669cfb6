package report

import (
	"fmt"
	"io"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/gpuplay/gpuplay/internal/plain"
)

// A page is what people get at a terminal, line by line. Words of others, such as a
// driver's, cannot command it.
type page struct {
	Style
	text strings.Builder
}

// line adds a line, without blanks at its end.
func (p *page) line(format string, args ...any) {
	p.text.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

// title says whose page it is and what was measured how, on as few lines as the
// parts need.
func (p *page) title(parts ...string) {
	const name = "AI GPU Playground"
	for i, l := range joined(append([]string{name}, parts...), p.Width) {
		for _, l := range Wrap(p.Plain(plain.Line(l)), p.Width) {
			if i == 0 {
				l = strings.Replace(l, name, p.bold(name), 1)
			}
			p.line("%s", l)
		}
	}
}

// paragraph adds a text, wrapped and indented; show says how its lines look.
func (p *page) paragraph(text string, show func(string) string) {
	for _, l := range Wrap(p.Plain(plain.Line(text)), p.Width-4) {
		p.line("  %s", show(l))
	}
}

// notes adds an empty line and the texts, if there are any.
func (p *page) notes(texts []string) {
	for i, t := range texts {
		if i == 0 {
			p.line("")
		}
		p.paragraph(t, p.dim)
	}
}

// sentences adds what the figures mean, the first in bold.
func (p *page) sentences(texts []string) {
	for i, t := range texts {
		p.line("")
		show := usual
		if i == 0 {
			show = p.bold
		}
		p.paragraph(t, show)
	}
}

func (p *page) writeTo(w io.Writer) error {
	_, err := io.WriteString(w, p.text.String())
	return err
}

// interrupted is said of what Ctrl-C ended.
const interrupted = "Interrupted: what was measured until then is shown."

// usual shows a text as it is.
func usual(t string) string { return t }

// joined puts parts on as few lines as they need.
func joined(parts []string, width int) []string {
	lines := parts[:1:1]
	for _, part := range parts[1:] {
		last := &lines[len(lines)-1]
		if lipgloss.Width(*last+" · "+part) > width {
			lines = append(lines, part)
			continue
		}
		*last += " · " + part
	}
	return lines
}

func pad(t string, width int) string {
	return t + strings.Repeat(" ", max(0, width-lipgloss.Width(t)))
}

func right(t string, width int) string {
	return strings.Repeat(" ", max(0, width-lipgloss.Width(t))) + t
}

// fit shortens a text to width.
func fit(t string, width int) string {
	if lipgloss.Width(t) <= width {
		return t
	}
	runes := []rune(t)
	for len(runes) > 0 && lipgloss.Width(string(runes)) > width-1 {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "~"
}

// Wrap breaks a text between words, and not between a number and its %. Libraries for
// it also break at hyphens, which would tear names such as AVX-512.
func Wrap(t string, width int) []string {
	lines := []string{""}
	for i, word := range strings.Split(strings.ReplaceAll(t, " %", "\u00a0%"), " ") {
		word = strings.ReplaceAll(word, "\u00a0%", " %")
		last := &lines[len(lines)-1]
		switch {
		case i == 0:
			*last = word
		case lipgloss.Width(*last)+1+lipgloss.Width(word) > max(12, width):
			*last = strings.TrimRight(*last, " ")
			lines = append(lines, word)
		default:
			*last += " " + word
		}
	}
	return lines
}
