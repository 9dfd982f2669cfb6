package term

import (
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/charmbracelet/x/ansi"
)

// A Live is lines at the end of a terminal that change in place. Once they are taken
// away nothing is left of them, neither on the screen nor in what has scrolled off it.
// Its methods may be called by several goroutines.
type Live struct {
	out   io.Writer
	style Style
	size  func() (columns, lines int) // of the terminal, which change with its window

	mu    sync.Mutex // held while anything is written
	drawn []string   // the lines as they are on the screen
}

// NewLive returns lines on out, a terminal of a size; there are none yet.
func NewLive(out io.Writer, style Style, size func() (columns, lines int)) *Live {
	return &Live{out: out, style: style, size: size}
}

// Show replaces the lines. Those that are too long end in an ellipsis. Without any it
// leaves none.
func (l *Live) Show(texts ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	columns, _ := l.size()
	list := make([]string, len(texts))
	for i, t := range texts {
		list[i] = l.style.cut(t, columns-1)
	}
	if !slices.Equal(list, l.drawn) {
		l.replace(list)
	}
}

// Suspend takes the lines away and calls stop, before whose return nothing is written.
// It is for a stop that stops the program, as Ctrl-Z does: the shell then writes where
// the lines were.
func (l *Live) Suspend(stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.replace(nil)
	stop()
}

// replace writes lines in place of those on the screen, in a single write. It also erases
// what the terminal has echoed below them, such as ^Z. It erases line by line, since some
// terminals, such as tmux, copy a screen that is erased as a whole (ED) to what has
// scrolled off. In a window that became narrower, the old lines take more rows, since the
// terminal has wrapped them.
func (l *Live) replace(list []string) {
	columns, lines := l.size()
	var b strings.Builder
	if n := rows(l.drawn, columns); n > 0 {
		b.WriteString("\r" + ansi.EraseLineRight + strings.Repeat(ansi.CUU1+ansi.EraseEntireLine, min(n, lines-1)))
	}
	for _, t := range list {
		b.WriteString(t + "\n")
	}
	if b.Len() > 0 {
		io.WriteString(l.out, b.String())
	}
	l.drawn = list
}

// rows is how many rows of a screen texts take.
func rows(texts []string, columns int) int {
	n := 0
	for _, t := range texts {
		n += max(1, (ansi.StringWidth(t)+columns-1)/columns)
	}
	return n
}
