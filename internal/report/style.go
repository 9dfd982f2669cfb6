package report

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// A Style says what the reader's terminal can show.
type Style struct {
	Width   int  // columns
	Color   bool // bold, dim and red; they carry no meaning alone
	Unicode bool // else plain ASCII
}

func (s Style) render(on lipgloss.Style, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return on.Render(text)
}

func (s Style) bold(t string) string { return s.render(lipgloss.NewStyle().Bold(true), t) }
func (s Style) dim(t string) string  { return s.render(lipgloss.NewStyle().Faint(true), t) }
func (s Style) red(t string) string {
	return s.render(lipgloss.NewStyle().Foreground(lipgloss.Red), t)
}

var ascii = strings.NewReplacer("×", "x", "–", "-", "±", "+-", "²", "^2", "³", "^3", "ᵀ", "^T", "·", "-", "µ", "u", "°", "",
	"“", "\"", "”", "\"", "…", "...", "→", "->", "≥", ">=", "✗", "x", "█", "#")

// Plain replaces what a terminal without UTF-8 cannot show.
func (s Style) Plain(t string) string {
	if s.Unicode {
		return t
	}
	return strings.Map(func(r rune) rune {
		if r > '~' {
			return '?'
		}
		return r
	}, ascii.Replace(t))
}
