package main

import (
	"bytes"
	"testing"

	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/report"
)

// An answer comes in pieces, may begin with blanks, be wider than the terminal, and
// hold what would command one.
func TestTellerAnswer(t *testing.T) {
	var out bytes.Buffer
	tell := newTeller(&out, false, report.Style{Width: 24, Unicode: true})
	tell.lanes = []llm.Contender{{Name: "CPU"}}
	for _, piece := range []string{"\n\n ", "Hei", ", maa", "ilma!", " Tämä on 你好\n\n", "\x1b[2J\x1b]0;owned\a", "x\r", " aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", " b"} {
		tell.observe(llm.Event{Phase: llm.Answering, Text: piece})
	}
	tell.observe(llm.Event{Phase: llm.Answered})
	tell.observe(llm.Event{Phase: llm.Answering, Text: "ends\n"})
	tell.observe(llm.Event{Phase: llm.Answered})
	const want = `    Hei, maailma! Tämä
    on 你好

    ^[[2J^[]0;owned^Gx^M
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    b
    ends
`
	if got := out.String(); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}
