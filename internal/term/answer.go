package term

import (
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// An Answer shows a text as a model generates it: piece by piece, broken between words,
// made harmless. Its methods are called one at a time. What w says to a write is not
// looked at: whoever generates does not stop for a reader that is gone.
type Answer struct {
	w      io.Writer
	out    strings.Builder // goes to w in one write
	live   bool            // a terminal: what came is seen at once, also of a word that is not complete
	indent int
	style  Style

	open   bool   // something was written since End
	begun  bool   // the line has its indent
	column int    // where the line ends
	shown  string // of the latest word, without the blank before it
	word   string // what comes next, with the blank before it; it may have to go to the next line
}

// NewAnswer returns an answer on w, a terminal if it is live. Its lines begin with
// indent blanks and end within the style's width; with a width of 0 the text is not
// broken into lines and keeps the blanks that it may begin with.
func NewAnswer(w io.Writer, live bool, indent int, s Style) *Answer {
	return &Answer{w: w, live: live, indent: indent, style: s}
}

// Text adds a piece of the text.
func (a *Answer) Text(piece string) {
	piece = a.style.Plain(piece)
	if piece == "" {
		return
	}
	if a.style.Width == 0 {
		a.open, a.begun = true, !strings.HasSuffix(piece, "\n")
		io.WriteString(a.w, piece)
		return
	}
	for _, r := range piece {
		blank := r == ' ' || r == '\t'
		if !a.open {
			if blank || r == '\n' {
				continue
			}
			a.open, a.column, a.begun, a.shown, a.word = true, a.indent, false, "", ""
		}
		wide := ansi.StringWidth(string(r)) > 1
		switch {
		case r == '\n':
			a.flush()
			a.newLine()
		case blank:
			a.flush()
			a.shown, a.word = "", " "
		case wide && !strings.HasSuffix(a.shown+a.word, joiner):
			a.flush() // Chinese and Japanese have no blanks: a line may end at any character
			a.shown = ""
			a.word += string(r)
		default:
			a.word += string(r)
		}
	}
	if a.live {
		a.flush()
	}
	a.send()
}

func (a *Answer) send() {
	if a.out.Len() > 0 {
		io.WriteString(a.w, a.out.String())
		a.out.Reset()
	}
}

// joiner makes one emoji of two.
const joiner = "\u200d"

// End ends the text: what comes next is another one, on a line of its own.
func (a *Answer) End() {
	if !a.open {
		return
	}
	a.flush()
	if a.begun {
		a.out.WriteString("\n")
	}
	a.open, a.begun = false, false
	a.send()
}

func (a *Answer) newLine() {
	a.out.WriteString("\n")
	a.column, a.begun, a.shown = a.indent, false, ""
}

// flush shows the open word, on the next line if it does not fit. What is shown of it
// already goes there too.
func (a *Answer) flush() {
	if a.word == "" {
		return
	}
	behind := ansi.StringWidth(a.shown)
	if a.column+ansi.StringWidth(a.word) > a.style.Width-2 && a.column-behind > a.indent {
		word := strings.TrimPrefix(a.shown+a.word, " ")
		if behind > 0 {
			a.out.WriteString(ansi.CursorBackward(behind) + ansi.EraseLineRight)
		}
		a.newLine()
		if a.word = word; word == "" {
			return
		}
	}
	if !a.begun {
		a.out.WriteString(strings.Repeat(" ", a.indent))
		a.begun = true
	}
	a.out.WriteString(a.word)
	a.column += ansi.StringWidth(a.word)
	a.shown += strings.TrimPrefix(a.word, " ")
	a.word = ""
}
