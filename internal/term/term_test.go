package term

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"charm.land/lipgloss/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// styles are the terminals that tables are made for in tests.
var styles = []Style{
	{Width: 120, Unicode: true, Words: recordtest.Flags{}},
	{Width: 100, Unicode: true, Words: recordtest.Flags{}},
	{Width: 80, Unicode: true, Words: recordtest.Flags{}},
	{Width: 80, Words: recordtest.Flags{}},
	{Width: 60, Unicode: true, Words: recordtest.Flags{}},
	{Width: 40, Unicode: true, Words: recordtest.Flags{}},
}

func tableOf(t *testing.T, r *record.Run, s Style) string {
	t.Helper()
	var b bytes.Buffer
	if err := Table(&b, r, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// copied reports whether a line is a command, which is not broken, so that it can be
// copied.
func copied(line string) bool {
	line = strings.TrimLeft(line, " ")
	return strings.HasPrefix(line, "→ ") || strings.HasPrefix(line, "-> ") || strings.HasPrefix(line, "Next: gpuplay generate ")
}

// Every example looks as its golden files do, and fits.
func TestTables(t *testing.T) {
	for name, r := range recordtest.Examples() {
		for _, s := range styles {
			file := fmt.Sprintf("%s.%d.txt", name, s.Width)
			if !s.Unicode {
				file = fmt.Sprintf("%s.%d.ascii.txt", name, s.Width)
			}
			t.Run(file, func(t *testing.T) {
				text := tableOf(t, r, s)
				golden.Compare(t, file, []byte(text))
				for line := range strings.Lines(text) {
					line = strings.TrimRight(line, "\n")
					if lipgloss.Width(line) > s.Width && !copied(line) {
						t.Errorf("line is %d columns wide: %q", lipgloss.Width(line), line)
					}
					if strings.TrimRight(line, " ") != line {
						t.Errorf("line ends in blanks: %q", line)
					}
					if !s.Unicode && strings.ContainsFunc(line, func(r rune) bool { return r > 126 }) {
						t.Errorf("line is not ASCII: %q", line)
					}
				}
			})
		}
	}
}

// A run that was written and read back looks as it did, whatever was added for other
// readers.
func TestTablesOfReadRuns(t *testing.T) {
	for name, r := range recordtest.Examples() {
		var text, line bytes.Buffer
		if err := encode.JSON(&text, r, nil); err != nil {
			t.Fatal(err)
		}
		if err := record.Write(&line, r); err != nil {
			t.Fatal(err)
		}
		for form, b := range map[string][]byte{"JSON": text.Bytes(), "record": line.Bytes()} {
			back, err := record.Parse(b)
			if err != nil {
				t.Fatalf("%s: %s: %v", name, form, err)
			}
			for _, s := range styles {
				if diff := cmp.Diff(tableOf(t, r, s), tableOf(t, back, s)); diff != "" {
					t.Errorf("%s at %d columns, read back from its %s (-before +after):\n%s", name, s.Width, form, diff)
				}
			}
		}
	}
}

// Files of older versions have tables too.
func TestTablesOfOlderFiles(t *testing.T) {
	for name, r := range recordtest.Older(t) {
		if text := tableOf(t, r, styles[2]); !strings.Contains(text, "\n") {
			t.Errorf("%s: %q", name, text)
		}
	}
}

// Colour must not change what the text says.
func TestColourIsOnlyColour(t *testing.T) {
	for name, r := range recordtest.Examples() {
		for _, s := range styles {
			colour := s
			colour.Color = true
			text := tableOf(t, r, colour)
			if diff := cmp.Diff(tableOf(t, r, s), withoutColours(text)); diff != "" {
				t.Errorf("%s: colour changes the text:\n%s", name, diff)
			}
			if strings.Contains(withoutColours(text), "AI GPU Playground ·") && !strings.Contains(text, "\x1b[") {
				t.Errorf("%s: no colour", name)
			}
		}
	}
}

// withoutColours takes what this package styles with out of a text, and nothing else.
func withoutColours(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "\x1b[")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		end := strings.IndexByte(after, 'm')
		if end < 0 || strings.Trim(after[:end], "0123456789;") != "" {
			b.WriteString("\x1b[")
			s = after
			continue
		}
		s = after[end+1:]
	}
}

// Text from elsewhere commands no terminal: neither by escape sequences and other
// controls, nor by the direction of writing, nor by lines of its own.
func TestHostileText(t *testing.T) {
	const hostile = "\x1b[2J\x1b]0;title\a\x1b[31m\r\b\x7f\u0085\u009b1m\u202e\u2066\u2028\ufeff"
	check := func(t *testing.T, text string) {
		t.Helper()
		for line := range strings.Lines(withoutColours(text)) {
			for _, r := range strings.TrimSuffix(line, "\n") {
				if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) && r != '\u200c' && r != '\u200d' {
					t.Fatalf("%U reaches the terminal in %q", r, line)
				}
			}
		}
	}
	for name := range recordtest.Examples() {
		for _, s := range styles {
			s.Color = true
			t.Run(fmt.Sprintf("%s/%d", name, s.Width), func(t *testing.T) {
				r := recordtest.Examples()[name]
				recordtest.Poison(r, hostile)
				text := tableOf(t, r, s)
				check(t, text)
				if strings.Contains(text, "\x1b[31m\x1b") || strings.Contains(text, "[2J") && !strings.Contains(text, "^[[2J") {
					t.Errorf("a sequence came through: %q", text)
				}
				if r.Kind == record.Generate { // lines of an answer are its own
					return
				}
				broken, whole := recordtest.Examples()[name], recordtest.Examples()[name]
				recordtest.Poison(broken, "\n\t\n")
				recordtest.Poison(whole, " ")
				if diff := cmp.Diff(tableOf(t, whole, s), tableOf(t, broken, s)); diff != "" {
					t.Errorf("line breaks in names break lines:\n%s", diff)
				}
			})
		}
	}
	for _, kind := range recordtest.Kinds {
		for seed := range uint64(60) {
			r := recordtest.Random(kind, seed)
			for _, s := range styles {
				s.Color = seed%2 == 0
				check(t, tableOf(t, r, s))
			}
		}
	}
}

func TestUnknownKind(t *testing.T) {
	if err := Table(new(bytes.Buffer), &record.Run{Kind: "dance"}, Style{}); err == nil || !strings.Contains(err.Error(), `"dance"`) {
		t.Errorf("error %v", err)
	}
}
