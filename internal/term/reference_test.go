package term

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"charm.land/lipgloss/v2"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// cards are kept records of other machines. Their figures are made up.
func cards() []*record.Run {
	return []*record.Run{recordtest.Reference("Example H100", 40.1e12), recordtest.Reference("Example H200", 45.2e12),
		recordtest.Reference("Example H200", 700e12, func(r *bench.Result) { r.GEMM = bench.Square(8192, matrix.BFloat16) })}
}

// A race on a machine without a GPU, beside reference cards: the bar of the CPU is as
// small as it is.
func TestReferencePages(t *testing.T) {
	fresh := recordtest.Run(record.Race, recordtest.Result(recordtest.BuiltIn, 0.41e12, recordtest.Engine("gocpu"), recordtest.Peak(0.45e12)))
	fresh.Missing = recordtest.Races()["cpu"].Missing
	for name, r := range map[string]*record.Run{"reference": fresh, "reference.cpus": recordtest.Races()["cpu"]} {
		for _, s := range styles {
			s.References = cards()
			file := fmt.Sprintf("%s.%d.txt", name, s.Width)
			if !s.Unicode {
				file = fmt.Sprintf("%s.%d.ascii.txt", name, s.Width)
			}
			text := tableOf(t, r, s)
			golden.Compare(t, file, []byte(text))
			for line := range strings.Lines(text) {
				if line = strings.TrimRight(line, "\n"); lipgloss.Width(line) > s.Width {
					t.Errorf("%s: line is %d columns wide: %q", file, lipgloss.Width(line), line)
				}
			}
			s.Color = true
			if withoutColours(tableOf(t, r, s)) != text {
				t.Errorf("%s: colour changes the text", file)
			}
			if lines := strings.Count(text, "\n"); s.Width >= 80 && name == "reference" && lines > 24 {
				t.Errorf("%s: %d lines", file, lines)
			}
		}
	}
}

// A reference is in the table at equal size and type alone, marked as one; it is in no
// format that programs read, in no ratio, and nowhere once it is switched off. What is
// published is never said to be measured.
func TestRuleReferences(t *testing.T) {
	half := func(r *bench.Result) { r.GEMM = bench.Square(4096, matrix.BFloat16) }
	for _, tt := range []struct {
		name  string
		r     *record.Run
		shown bool
	}{
		{"equal", recordtest.Run(record.Race, recordtest.Result(recordtest.BuiltIn, 1e12), recordtest.Result(recordtest.OpenBLAS, 0.9e12)), true},
		{"another size", recordtest.Run(record.Race, recordtest.Result(recordtest.BuiltIn, 1e12, recordtest.Size(2048, 2048, 2048))), false},
		{"another type", recordtest.Run(record.Race, recordtest.Result(recordtest.BuiltIn, 1e12, half)), false},
		{"a GPU", recordtest.Run(record.Race, recordtest.Result(recordtest.BuiltIn, 1e12), recordtest.Result(recordtest.TorchGPU, 9e12)), false},
		{"one lane by name", recordtest.Run(record.MatMul, recordtest.Result(recordtest.BuiltIn, 1e12)), false},
	} {
		for _, format := range encode.Formats(tt.r.Kind) {
			var b bytes.Buffer
			if err := encode.Write(&b, tt.r, format, recordtest.Flags{}); err != nil {
				t.Fatal(err)
			}
			if regexp.MustCompile(`(?i)reference|published peaks`).Match(b.Bytes()) {
				t.Errorf("%s: %s holds a reference:\n%s", tt.name, format, b.String())
			}
		}
		for _, width := range []int{120, 80} {
			with, without := Style{Width: width, Unicode: true, References: cards()}, Style{Width: width, Unicode: true}
			text, off := tableOf(t, tt.r, with), tableOf(t, tt.r, without)
			flat := strings.Join(strings.Fields(text), " ")
			if strings.Contains(flat, "Example H200") != tt.shown || strings.Contains(flat, "times this CPU") != tt.shown {
				t.Errorf("%s at %d columns, shown should be %v:\n%s", tt.name, width, tt.shown, text)
			}
			if tt.shown && (!strings.Contains(flat, "Reference, measured with gpuplay on other machines") || !strings.Contains(flat, "Reference: Example H200, measured with gpuplay on 2026-01-02: ")) {
				t.Errorf("%s: a reference is not marked:\n%s", tt.name, text)
			}
			if strings.Contains(off, "Reference") || strings.Contains(off, "Example H") || strings.Contains(off, "Published") {
				t.Errorf("%s: switched off it is there:\n%s", tt.name, off)
			}
			if len(ratiosIn(flat)) != len(ratiosIn(strings.Join(strings.Fields(off), " "))) {
				t.Errorf("%s: a reference is in a ratio:\n%s", tt.name, text)
			}
			for paragraph := range strings.SplitSeq(text, "\n\n") {
				if flat := strings.Join(strings.Fields(paragraph), " "); strings.Contains(flat, "RTX 4090") && (!strings.Contains(flat, "Published peaks, not measured: ") || strings.Contains(flat, "measured with")) {
					t.Errorf("%s: a published figure is called measured:\n%s", tt.name, paragraph)
				}
			}
		}
	}
}

// ratiosIn returns the ratios in a text.
func ratiosIn(text string) []string {
	return append(shown.FindAllString(text, -1), bare.FindAllString(text, -1)...)
}
