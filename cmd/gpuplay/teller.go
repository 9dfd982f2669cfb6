package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/report"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// teller shows a model's answers as they are made, one lane after the other, and
// what goes on between: on a terminal in a line that is replaced, else in lines.
// It is told between samples only and never during one.
type teller struct {
	out    io.Writer
	quiet  bool
	live   bool // a terminal
	style  report.Style
	lanes  []llm.Contender
	indent int    // of an answer
	open   bool   // an answer is
	column int    // of it
	begun  bool   // its line has its indent
	word   string // of an answer, not shown yet since it may have to go to the next line
	status bool   // a line that is to be replaced is shown
}

func newTeller(out io.Writer, quiet bool, style report.Style) *teller {
	t := &teller{out: out, quiet: quiet, style: style, indent: answerIndent}
	_, t.live = terminal(out)
	return t
}

const answerIndent = 4

// say shows a line that stays.
func (t *teller) say(format string, args ...any) {
	if t.quiet {
		return
	}
	t.clear()
	fmt.Fprintln(t.out, t.style.Plain(plain.Line(fmt.Sprintf(format, args...))))
}

// show shows a line on a terminal that the next one replaces, elsewhere nothing.
func (t *teller) show(format string, args ...any) {
	if t.quiet || !t.live {
		return
	}
	t.clear()
	fmt.Fprint(t.out, ansi.Truncate("  "+t.style.Plain(fmt.Sprintf(format, args...)), t.style.Width-1, ""))
	t.status = true
}

// clear ends an answer and takes away the line that is to be replaced.
func (t *teller) clear() {
	if t.open {
		t.flush()
		if t.begun {
			fmt.Fprintln(t.out)
		}
		t.open, t.begun = false, false
	}
	if t.status {
		fmt.Fprint(t.out, "\r"+ansi.EraseEntireLine)
		t.status = false
	}
}

// observe is the runner's observer.
func (t *teller) observe(e llm.Event) {
	if t.quiet {
		return
	}
	name := t.lanes[e.Lane].Name
	switch e.Phase {
	case llm.Loading:
		t.show("%s: loading the model", name)
	case llm.Loaded:
		f := e.Result.Facts
		where := f.Device.Name
		if e.Result.OnGPU() && f.Device.Kind == hardware.CPU {
			where = "no layer is on the GPU"
		}
		t.say("%s: %s, model loaded in %s", name, where, unit.Seconds(f.Load))
	case llm.Answering:
		t.answer(plain.Text(e.Text))
	case llm.Answered:
		t.clear()
	case llm.Measuring:
		t.show("%s: measuring, round %d of %d", name, e.Done+1, e.Total)
		if !t.live && e.Done == 0 {
			t.say("%s: measuring", name)
		}
	case llm.Finished:
		if err := e.Result.Error; err != nil && len(e.Result.Samples) == 0 {
			t.say("%s: %s", name, err.Message)
		}
	}
}

// answer shows a piece of an answer, broken between words, without the blanks that
// it may begin with.
func (t *teller) answer(text string) {
	text = t.style.Plain(text)
	for _, r := range text {
		blank := r == ' ' || r == '\t'
		if !t.open {
			if blank || r == '\n' {
				continue
			}
			t.open, t.column, t.begun, t.word = true, t.indent, false, ""
		}
		switch {
		case r == '\n':
			t.flush()
			t.newLine()
		case blank:
			t.flush()
			t.word = " "
		default:
			t.word += string(r)
		}
	}
	if t.live { // what is a whole token is seen at once
		t.flush()
	}
}

func (t *teller) newLine() {
	fmt.Fprintln(t.out)
	t.column, t.begun = t.indent, false
}

// flush shows the open word, on the next line if it does not fit.
func (t *teller) flush() {
	if t.column+ansi.StringWidth(t.word) > t.style.Width-2 && t.column > t.indent {
		t.word = strings.TrimPrefix(t.word, " ")
		t.newLine()
	}
	if t.word == "" {
		return
	}
	if !t.begun {
		fmt.Fprint(t.out, strings.Repeat(" ", t.indent))
		t.begun = true
	}
	fmt.Fprint(t.out, t.word)
	t.column += ansi.StringWidth(t.word)
	t.word = ""
}
