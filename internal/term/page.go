package term

import (
	"fmt"
	"io"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/gpuplay/gpuplay/internal/fault"
)

// A page is what people get at a terminal, line by line.
type page struct {
	Style
	text strings.Builder
}

// A span is a piece of a line with its look.
type span struct {
	text string
	look look
}

// line adds a line, without blanks at its end. It is the one place where terminal
// text is made: each span is cleaned, then styled, so that words of others, such as
// a driver's, cannot command the terminal.
func (p *page) line(spans ...span) {
	texts := make([]string, len(spans))
	blank := true
	for i := len(spans) - 1; i >= 0; i-- {
		text := p.clean(spans[i].text)
		if blank {
			text = strings.TrimRight(text, " ")
			blank = text == ""
		}
		texts[i] = p.show(text, spans[i].look)
	}
	p.text.WriteString(strings.Join(texts, "") + "\n")
}

// linef adds a line in the usual look.
func (p *page) linef(format string, args ...any) {
	p.line(span{fmt.Sprintf(format, args...), usual})
}

// title says whose page it is and what was measured how, on as few lines as the
// parts need.
func (p *page) title(parts ...string) {
	const name = "AI GPU Playground"
	all := []string{name}
	for _, part := range parts {
		all = append(all, p.clean(part))
	}
	for i, l := range joined(all, p.clean(" · "), p.Width) {
		for j, l := range Wrap(l, p.Width) {
			rest, whole := strings.CutPrefix(l, name)
			if i == 0 && j == 0 && whole {
				p.line(span{name, bold}, span{rest, usual})
				continue
			}
			p.linef("%s", l)
		}
	}
}

// paragraph adds a text, wrapped and indented.
func (p *page) paragraph(text string, l look) {
	for _, t := range Wrap(p.clean(text), p.Width-4) {
		p.line(span{"  ", usual}, span{t, l})
	}
}

// notes adds an empty line and the texts, if there are any.
func (p *page) notes(texts []string) {
	for i, t := range texts {
		if i == 0 {
			p.line()
		}
		p.paragraph(t, dim)
	}
}

// sentences adds what the figures mean, the first in bold.
func (p *page) sentences(texts []string) {
	for i, t := range texts {
		p.line()
		l := usual
		if i == 0 {
			l = bold
		}
		p.paragraph(t, l)
	}
}

// next adds the one thing to try next, if there is any: its command, and what it is
// good for.
func (p *page) next(r *fault.Remedy) {
	if r == nil {
		return
	}
	command := *r
	command.Text = ""
	p.line()
	p.paragraph("Next: "+command.Words(p.Words)+"   "+r.Text, usual)
}

func (p *page) writeTo(w io.Writer) error {
	_, err := io.WriteString(w, p.text.String())
	return err
}

// joined puts parts on as few lines as they need.
func joined(parts []string, between string, width int) []string {
	lines := parts[:1:1]
	for _, part := range parts[1:] {
		last := &lines[len(lines)-1]
		if lipgloss.Width(*last+between+part) > width {
			lines = append(lines, part)
			continue
		}
		*last += between + part
	}
	return lines
}

// Hanging returns a text behind a lead, broken between words, with the other lines below
// the first word; below the lead where beside it there would be little room.
func Hanging(lead, text string, width int) []string {
	const least, below = 24, 6
	indent := lipgloss.Width(lead)
	var list []string
	if indent > below && width-indent < least && indent+lipgloss.Width(text) > width {
		list, lead, indent = []string{strings.TrimRight(lead, " ")}, strings.Repeat(" ", below), below
	}
	for _, t := range Wrap(text, width-indent) {
		list = append(list, strings.TrimRight(lead+t, " "))
		lead = strings.Repeat(" ", indent)
	}
	return list
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
		case i == 0, len(lines) > 1 && *last == "":
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
