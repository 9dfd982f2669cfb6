package main

import (
	"bytes"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/term"
)

// A buildLog shows what a build says as one line that changes, on a terminal, and
// elsewhere every tenth of it; all of it is in the log file.
type buildLog struct {
	out   io.Writer
	live  *term.Live // nil: not on a terminal
	end   func()     // to be called when live is no longer used
	rest  []byte
	shown int // the last tenth
}

func newBuildLog(out io.Writer, style term.Style) *buildLog {
	l := &buildLog{out: out, shown: -1}
	l.live, l.end = onTerminal(out, style)
	return l
}

// step is how Ninja and make number their steps: "[12/345] …", "[ 36%] …".
var step = regexp.MustCompile(`^\[\s*(\d+)(?:/(\d+)|%)\]`)

func (l *buildLog) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		l.line(strings.TrimRight(string(l.rest[:i]), "\r"))
		l.rest = l.rest[i+1:]
	}
}

func (l *buildLog) line(line string) {
	share := -1.0
	if m := step.FindStringSubmatch(line); m != nil {
		done, _ := strconv.ParseFloat(m[1], 64)
		of := 100.0
		if m[2] != "" {
			of, _ = strconv.ParseFloat(m[2], 64)
		}
		share = done / max(of, 1)
	}
	switch {
	case l.live != nil:
		l.live.Show("  " + plain.Line(ansi.Strip(line)))
	case strings.HasPrefix(line, "gpuplay: "):
		say(l.out, "  %s\n", strings.TrimPrefix(line, "gpuplay: "))
	case share >= 0 && int(share*10) > l.shown:
		l.shown = int(share * 10)
		say(l.out, "  built %d %%\n", l.shown*10)
	}
}

// close leaves nothing on a terminal.
func (l *buildLog) close() {
	if l.live != nil {
		l.live.Show()
		l.end()
	}
}
