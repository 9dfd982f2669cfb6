package worker

import (
	"bytes"
	"io"
	"strings"
	"sync"
)

// A journal keeps of a worker's log what says how it ended: the latest lines, and the
// line with which a Go program's crash begins, however long the stacks behind it are.
type journal struct {
	trace io.Writer // gets a copy of everything; nil: nobody does

	mu    sync.Mutex
	text  []byte // the latest of the log, journalSize at least
	line  []byte // the beginning of the line that is being written
	crash string // the first line since the latest request that begins as crashes do
}

const (
	journalSize = 64 << 10
	lineSize    = 4 << 10 // of a line, what is looked at
)

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.trace != nil {
		j.trace.Write(p)
	}
	j.text = append(j.text, p...)
	if len(j.text) > 2*journalSize {
		j.text = append(j.text[:0], j.text[len(j.text)-journalSize:]...)
	}
	for rest := p; len(rest) > 0; {
		part, after, ended := bytes.Cut(rest, []byte("\n"))
		j.line = append(j.line, part[:min(len(part), lineSize-len(j.line))]...)
		if ended {
			j.note()
		}
		rest = after
	}
	return len(p), nil
}

// note looks at a line that is complete.
func (j *journal) note() {
	line := strings.TrimSpace(string(j.line))
	j.line = j.line[:0]
	if j.crash == "" && crashes(line) {
		j.crash = line
	}
}

// crashes reports whether a line is the first of a Go program's crash.
func crashes(line string) bool {
	return strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "SIG")
}

// turn begins a new request: what was logged before it is not how it ends.
func (j *journal) turn() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.crash = ""
}

// words returns the line of the log that says most about an end: a Go program begins
// with it, before its stacks, others end with it.
func (j *journal) words() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.crash != "" {
		return clip(j.crash)
	}
	last := ""
	for line := range strings.Lines(string(j.text)) {
		if line = strings.TrimSpace(line); line != "" {
			last = line
		}
	}
	return clip(last)
}

// clip shortens a line and takes out what would move a terminal's cursor.
func clip(line string) string {
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, strings.ToValidUTF8(line, "?"))
	if runes := []rune(line); len(runes) > 200 {
		line = string(runes[:200]) + "…"
	}
	return line
}
