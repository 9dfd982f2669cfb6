package term

import (
	"slices"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		text  string
		width int
		want  []string
	}{
		{"", 20, []string{""}},
		{"a text that is too long for a line", 20, []string{"a text that is too", "long for a line"}},
		{"built in, AVX-512 and more", 14, []string{"built in,", "AVX-512 and", "more"}},
		{"an interval of 12 % here", 17, []string{"an interval of", "12 % here"}},
		{"gpuplay race   what it brings", 14, []string{"gpuplay race", "what it brings"}},
		{"one    word", 14, []string{"one    word"}},
		{"incomprehensibilities are too long", 12, []string{"incomprehensibilities", "are too long"}},
		{"narrow columns hold twelve", 3, []string{"narrow", "columns hold", "twelve"}},
	} {
		if got := Wrap(tt.text, tt.width); !slices.Equal(got, tt.want) {
			t.Errorf("%q at %d: %q, want %q", tt.text, tt.width, got, tt.want)
		}
	}
}

func TestHanging(t *testing.T) {
	for _, tt := range []struct {
		lead, text string
		width      int
		want       []string
	}{
		{"  cpu  ", "what this CPU can do", 80, []string{"  cpu  what this CPU can do"}},
		{"  cpu         ", "what this CPU can do, with its caches", 40, []string{"  cpu         what this CPU can do, with", "              its caches"}},
		{"  cpu              ", "what this CPU can do, with its caches", 40, []string{"  cpu", "      what this CPU can do, with its", "      caches"}},
		{"  cpu              ", "", 40, []string{"  cpu"}},
		{"      ", "a text of its own", 18, []string{"      a text of", "      its own"}},
	} {
		if got := Hanging(tt.lead, tt.text, tt.width); !slices.Equal(got, tt.want) {
			t.Errorf("%q %q at %d: %q, want %q", tt.lead, tt.text, tt.width, got, tt.want)
		}
	}
}

func TestFit(t *testing.T) {
	for _, tt := range []struct {
		text  string
		width int
		want  string
	}{{"abc", 3, "abc"}, {"abcd", 3, "ab~"}, {"漢字漢", 5, "漢字~"}, {"漢字漢", 4, "漢~"}, {"abc", 0, "~"}} {
		if got := fit(tt.text, tt.width); got != tt.want {
			t.Errorf("%q in %d: %q, want %q", tt.text, tt.width, got, tt.want)
		}
	}
}

// A line is cleaned, then styled, and ends without blanks.
func TestLine(t *testing.T) {
	for _, tt := range []struct {
		spans []span
		want  string
	}{
		{nil, "\n"},
		{[]span{{"   ", bold}}, "\n"},
		{[]span{{"a ", bold}, {"b  ", usual}, {"  ", dim}}, "\x1b[1ma \x1b[mb\n"},
		{[]span{{"a\x1b[2J\n\tb\u202e", red}}, "\x1b[31ma^[[2J b<U+202E>\x1b[m\n"},
	} {
		p := &page{Style: Style{Width: 80, Color: true, Unicode: true}}
		p.line(tt.spans...)
		if got := p.text.String(); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.spans, got, tt.want)
		}
	}
}

func TestTitle(t *testing.T) {
	for width, want := range map[int]string{
		80: "\x1b[1mAI GPU Playground\x1b[m · one · two of them\n",
		24: "\x1b[1mAI GPU Playground\x1b[m · one\ntwo of them\n",
		13: "AI GPU\nPlayground\none\ntwo of them\n",
	} {
		p := &page{Style: Style{Width: width, Color: true, Unicode: true}}
		p.title("one", "two of them")
		if got := p.text.String(); got != want {
			t.Errorf("at %d: %q, want %q", width, got, want)
		}
	}
}

func TestNext(t *testing.T) {
	p := &page{Style: Style{Width: 80, Words: recordtest.Flags{}}}
	p.next(nil)
	if p.text.Len() > 0 {
		t.Errorf("nothing to try: %q", p.text.String())
	}
	p.next(&fault.Remedy{Command: []string{"gpuplay", "race"}, Param: "dtype", Value: "bfloat16", Text: "what half the bits bring"})
	if got, want := p.text.String(), "\n  Next: gpuplay race --dtype bfloat16   what half the bits bring\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
