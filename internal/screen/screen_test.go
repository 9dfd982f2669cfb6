package screen

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/golden"
)

func TestScreen(t *testing.T) {
	s := New(10, 2)
	io.WriteString(s, "one\ntwo\n\x1b[Athree\n")
	if got, want := s.Text(), "one\nthree\n"; got != want || s.Above() != 1 {
		t.Errorf("%q and %d lines above, want %q", got, s.Above(), want)
	}
	if got, want := s.Window(), "one\n┄┄┄┄┄┄┄┄┄┄\nthree\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	s.Narrow(3)
	if got, want := s.Text(), "one\nthr\nee\n"; got != want {
		t.Errorf("narrower: %q, want %q", got, want)
	}
}

func TestSVG(t *testing.T) {
	s := New(40, 2)
	io.WriteString(s, "\x1b[2m$\x1b[m gpuplay <race>\n\n  \x1b[1mGPU ¹\x1b[m  ████  50.4\n  CPU    \x1b[31mfailed: no\x1b[m \x1b[32mok\x1b[m\n   100 ┤\x1b[36m ⣀⣿⡇\x1b[m\n")
	var b bytes.Buffer
	if err := s.SVG(&b, `a "race"`); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "screen.svg", b.Bytes())
	d := xml.NewDecoder(strings.NewReader(b.String()))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
