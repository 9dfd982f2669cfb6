package setup

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// lastWords are how many lines of a program that failed are repeated at most.
const lastWords = 10

// said adds to an error what the program said last: from the first line on that
// begins with "error", if there is one, with the warning just before it, which is
// where pip says that it is offline.
func said(err error, text string) error {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	begins := func(i int, word string) bool {
		return i >= 0 && strings.HasPrefix(strings.ToLower(lines[i]), word)
	}
	for i := range lines {
		if begins(i, "error") {
			if begins(i-1, "warning") {
				i--
			}
			lines = lines[i:]
			break
		}
	}
	if len(lines) == 0 {
		return err
	}
	lines = lines[max(0, len(lines)-lastWords):]
	return fmt.Errorf("%w: “%s”", err, strings.Join(lines, " / "))
}

// A transcript passes on what is written to it and remembers the end.
type transcript struct {
	to  io.Writer
	mu  sync.Mutex
	end []byte
}

// enough holds an installer's last words.
const enough = 16 << 10

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, p...)
	t.end = t.end[max(0, len(t.end)-enough):]
	return t.to.Write(p)
}

// forget begins anew, with the words of the next program.
func (t *transcript) forget() { t.end = nil }
