package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	xterm "golang.org/x/term"

	"github.com/gpuplay/gpuplay/internal/plain"
)

// say writes text for people. Whatever in it could command a terminal is made visible.
// All text goes through say, except that of packages term and encode, which make it
// harmless themselves. On a terminal, lines break between words; elsewhere they stay
// whole, so that other programs can search them. checked notices a write that fails.
func say(w io.Writer, format string, args ...any) {
	text := plain.Text(fmt.Sprintf(format, args...))
	if width, ok := terminal(w); ok {
		var b strings.Builder
		for l := range strings.Lines(text) {
			words := strings.TrimLeft(l, " ")
			if !strings.HasSuffix(l, "\n") || len(l) <= width { // a question, or short
				b.WriteString(l)
				continue
			}
			lines(&b, l[:len(l)-len(words)], strings.TrimSuffix(words, "\n"), width)
		}
		text = b.String()
	}
	io.WriteString(w, text)
}

// A plainly makes harmless what others write, such as an installer, or cobra, which
// repeats the words of a command line.
type plainly struct {
	io.Writer
	mu   sync.Mutex
	rest []byte // the beginning of a character whose end is yet to come
}

func (w *plainly) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := append(w.rest, p...)
	whole := len(text)
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if at := len(text) - back; utf8.RuneStart(text[at]) {
			if !utf8.FullRune(text[at:]) {
				whole = at
			}
			break
		}
	}
	_, err := io.WriteString(w.Writer, plain.Text(strings.ReplaceAll(string(text[:whole]), "\r\n", "\n")))
	w.rest = text[whole:]
	return len(p), err
}

// A checked remembers the first error of a writer: a command must not succeed when
// its output was lost.
type checked struct {
	io.Writer
	mu  sync.Mutex
	err error
}

func (c *checked) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err == nil {
			c.err = err
		}
	}
	return n, err
}

// failed returns the error that it remembers.
func (c *checked) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// fileOf returns the file behind a stream; nil if it is none.
func fileOf(stream any) *os.File {
	if c, ok := stream.(*checked); ok {
		stream = c.Writer
	}
	f, _ := stream.(*os.File)
	return f
}

// terminal returns the columns of the terminal that a stream leads to, if it does.
func terminal(stream any) (width int, ok bool) {
	f := fileOf(stream)
	if f == nil || !xterm.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _ = window(f)
	return width, true
}

// window returns the columns and lines of a terminal, the usual ones if it does not
// say.
func window(stream any) (columns, lines int) {
	if f := fileOf(stream); f != nil {
		columns, lines, err := xterm.GetSize(int(f.Fd()))
		if err == nil && columns > 0 && lines > 0 {
			return columns, lines
		}
	}
	return 80, 24
}
