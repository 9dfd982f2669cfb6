package worker

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A journal keeps of a worker's log what says how it ended: the latest lines, and the
// line that says why a program crashed, however long the stacks behind it are.
type journal struct {
	trace io.Writer // gets a copy of everything; nil: nobody does

	mu    sync.Mutex
	text  []byte // the latest of the log, journalSize at least
	line  []byte // the beginning of the line that is being written
	crash string // the line since the latest request that says most about a crash
	rank  int    // how much it says
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
	if rank := crashes(line); rank > j.rank {
		j.crash, j.rank = line, rank
	}
}

// reasons match the lines in which programs, libraries and loaders say why they end.
// Stacks may follow such a line.
var reasons = []*regexp.Regexp{
	regexp.MustCompile(`^(panic|fatal error|runtime/cgo): |^SIG`),                           // Go
	regexp.MustCompile(`\bCheck failed: |\bCHECK failed: `),                                 // TensorFlow, XLA
	regexp.MustCompile(`[Aa]ssertion .*failed|failed assertion|ASSERT(_\w+)?\(.*\) failed`), // assert(3), Metal, GGML
	regexp.MustCompile(`^what\(\):`),                                                        // C++, of an exception that nobody caught
	regexp.MustCompile(`^LLVM ERROR: |^Intel (oneMKL|MKL) FATAL ERROR|^OMP: Error #`),
	regexp.MustCompile(`symbol lookup error: |error while loading shared libraries: |Library not loaded: `), // loaders
}

// hints match lines that say that a program crashed, but not why.
var hints = regexp.MustCompile(`^terminate called |^libc\+\+abi: terminating|^Fatal Python error: |^\*\*\* stack smashing detected|^(free|malloc|corrupted|double free)[^:]*\(\): `)

// crashes returns how much a line says about why a program crashed: 2 for a reason, 1
// for no more than that it did, 0 for nothing.
func crashes(line string) int {
	switch {
	case slices.ContainsFunc(reasons, func(r *regexp.Regexp) bool { return r.MatchString(line) }):
		return 2
	case hints.MatchString(line):
		return 1
	}
	return 0
}

// turn begins a new request: what was logged before it is not how it ends.
func (j *journal) turn() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.crash, j.rank = "", 0
}

// words returns the line of the log that says most about an end: that of a crash, whose
// stacks may follow it, or else the last.
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
