package term

import (
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/record"
)

// A Style says what the reader's terminal can show.
type Style struct {
	Width   int           // columns
	Lines   int           // that can be seen at once: a table leaves out what has no room; 0: any number
	Color   bool          // bold, dim and red; they carry no meaning alone
	Unicode bool          // else plain ASCII
	Words   fault.Wording // how parameters and commands are written; nil: as they are named
	// References are kept records of cards of other machines, to be shown beside a race on a
	// machine without a GPU, with what makers publish of theirs; nil: neither is shown.
	References []*record.Run
}

// A look is how a text is shown where there is colour. Looks can be joined: bold|red.
type look uint8

const (
	usual look = 0
	bold  look = 1 << (iota - 1)
	dim
	red
	green
	yellow
)

// show styles a text that is clean already.
func (s Style) show(text string, l look) string {
	if !s.Color || text == "" || l == usual {
		return text
	}
	on := lipgloss.NewStyle().Bold(l&bold != 0).Faint(l&dim != 0)
	switch {
	case l&red != 0:
		on = on.Foreground(lipgloss.Red)
	case l&green != 0:
		on = on.Foreground(lipgloss.Green)
	case l&yellow != 0:
		on = on.Foreground(lipgloss.Yellow)
	}
	return on.Render(text)
}

var ascii = strings.NewReplacer("×", "x", "–", "-", "±", "+-", "²", "^2", "³", "^3", "ᵀ", "^T", "·", "-", "µ", "u", "°", "",
	"“", "\"", "”", "\"", "…", "...", "→", "->", "≥", ">=", "✓", "+", "✗", "x", "█", "#", "▉", "#", "▊", "#", "▋", "#", "▌", "#", "▍", ".", "▎", ".", "▏", ".", "÷", "/")

// Plain makes text harmless, and replaces what a terminal without UTF-8 cannot show.
// Line breaks stay. It must come before colours, which it would show as text.
func (s Style) Plain(t string) string {
	t = plain.Text(t)
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

// clean is Plain for what must stay on one line. Cleaning twice changes nothing more.
func (s Style) clean(t string) string { return s.Plain(plain.Line(t)) }
