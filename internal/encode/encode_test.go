package encode

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/stats"
)

func encoded(t *testing.T, r *record.Run, format string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r, format, recordtest.Flags{}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Every example is written as its golden files are, in every format that it has.
func TestFormats(t *testing.T) {
	for name, r := range recordtest.Examples() {
		for _, format := range Formats(r.Kind) {
			ending := format
			switch format {
			case "line":
				ending = "line.txt"
			case "html": // TestReports has some of them
				continue
			}
			t.Run(name+"."+ending, func(t *testing.T) { golden.Compare(t, name+"."+ending, encoded(t, r, format)) })
		}
	}
}

func TestFormatNames(t *testing.T) {
	for kind, want := range map[record.Kind][]string{
		record.Race:   {"line", "json", "jsonl", "csv", "md", "html", "benchfmt"},
		record.Sweep:  {"json", "jsonl", "csv", "md", "svg", "html", "benchfmt"},
		record.Doctor: {"json", "html"},
		"dance":       nil,
	} {
		if got := Formats(kind); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", kind, got, want)
		}
	}
	for _, kind := range recordtest.Kinds {
		if !slices.Contains(Formats(kind), "json") {
			t.Errorf("%s cannot be written as JSON", kind)
		}
	}
	if err := Write(io.Discard, &record.Run{Kind: record.Race}, "svg", nil); err == nil || !strings.Contains(err.Error(), "line, json, jsonl, csv, md") {
		t.Errorf("a format that races do not have: %v", err)
	}
}

// What follows from a run and stands beside it does not keep it from being read back
// as it was; nor does a line of a lane or a size lose anything of it.
func TestJSONIsReadBack(t *testing.T) {
	runs := recordtest.Examples()
	for _, kind := range recordtest.Kinds {
		for seed := range uint64(60) {
			runs[fmt.Sprintf("%s %d", kind, seed)] = recordtest.Random(kind, seed)
		}
	}
	for name, r := range runs {
		back, err := record.Parse(encoded(t, r, "json"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(r, back); d != "" {
			t.Errorf("%s (-written +read):\n%s", name, d)
		}
		switch r.Kind {
		case record.Race, record.MatMul, record.Sweep, record.LLM:
			linesAreReadBack(t, name, r)
		}
	}
}

// linesAreReadBack joins the runs that the lines of a run are.
func linesAreReadBack(t *testing.T, name string, r *record.Run) {
	t.Helper()
	joined := *r
	joined.Results = nil
	if r.Tokens != nil {
		tokens := *r.Tokens
		tokens.Results = nil
		joined.Tokens = &tokens
	}
	lines := 0
	for line := range bytes.Lines(encoded(t, r, "jsonl")) {
		lines++
		part, err := record.Parse(line)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		joined.Results = append(joined.Results, part.Results...)
		part.Results, part.Missing = r.Results, r.Missing
		if r.Tokens != nil {
			joined.Tokens.Results = append(joined.Tokens.Results, part.Tokens.Results...)
			for _, p := range part.Tokens.Peers {
				if p.Lane != part.Tokens.Results[0].Lane {
					t.Errorf("%s: a line of %s has a peer of %s", name, part.Tokens.Results[0].Lane, p.Lane)
				}
			}
			part.Tokens.Results, part.Tokens.Peers = r.Tokens.Results, r.Tokens.Peers
		}
		if d := cmp.Diff(r, part); d != "" {
			t.Errorf("%s: a line (-written +read):\n%s", name, d)
		}
	}
	if lines == 0 {
		return
	}
	if d := cmp.Diff(r, &joined); d != "" {
		t.Errorf("%s: its lines (-written +read):\n%s", name, d)
	}
}

// A line per lane, of a sweep per size.
func TestJSONLines(t *testing.T) {
	for name, want := range map[string]int{"gpu": 4, "sweep": 6, "alone": 1, "nothing": 0} {
		if got := bytes.Count(encoded(t, recordtest.Examples()[name], "jsonl"), []byte("\n")); got != want {
			t.Errorf("%s: %d lines, want %d", name, got, want)
		}
	}
}

// The raw samples are all there: every figure can be computed again from them.
func TestJSONHoldsTheSamples(t *testing.T) {
	r := recordtest.Examples()["gpu"]
	var got struct {
		Results []struct {
			Speed    stats.Interval
			Verified bool
			bench.Result
		}
		Comparisons []struct {
			Lane, Base string
			Ratio      *stats.Interval
		}
		Sentences []string
	}
	if err := json.Unmarshal(encoded(t, r, "json"), &got); err != nil {
		t.Fatal(err)
	}
	for i, x := range got.Results {
		again, ok := x.Result.Speed()
		if !ok || !x.Verified || again != x.Speed || !cmp.Equal(x.Samples, r.Results[i].Samples) {
			t.Errorf("%s: %+v does not follow from its samples", x.Lane, x.Speed)
		}
	}
	if len(got.Comparisons) != 3 {
		t.Fatalf("%d comparisons, want each of the other lanes with the base", len(got.Comparisons))
	}
	for _, c := range got.Comparisons {
		if c.Base != "gocpu/cpu:0" || c.Ratio == nil || !(c.Ratio.Low <= c.Ratio.Value && c.Ratio.Value <= c.Ratio.High) {
			t.Errorf("comparison %+v, want a ratio with the fastest CPU lane", c)
		}
	}
	if len(got.Sentences) != 2 || !strings.HasPrefix(got.Sentences[0], "The GPU is 25× as fast") || !strings.HasPrefix(got.Sentences[1], "What the CPU does in a minute") {
		t.Errorf("sentences %q", got.Sentences)
	}
}

// By a clock of coarse steps a small product may take no time at all.
func TestNoTimeAtAll(t *testing.T) {
	r := recordtest.Run(record.Race,
		recordtest.Result(recordtest.BuiltIn, 1e12, recordtest.Engine("gocpu")),
		recordtest.Result(recordtest.OpenBLAS, 1e12, recordtest.Engine("blas"), recordtest.First(1), func(x *bench.Result) { x.Samples[0].Wall = 0 }))
	for _, format := range Formats(r.Kind) {
		encoded(t, r, format)
	}
	var got struct {
		Results []struct{ Speed *stats.Interval }
	}
	if err := json.Unmarshal(encoded(t, r, "json"), &got); err != nil {
		t.Fatal(err)
	}
	if got.Results[0].Speed == nil || got.Results[1].Speed != nil {
		t.Errorf("%+v: only the other lane has a speed", got.Results)
	}
}

// Rows of CSV are of one length, and begin with the lane's id.
func TestCSV(t *testing.T) {
	for name, r := range recordtest.Examples() {
		if !slices.Contains(Formats(r.Kind), "csv") || len(r.Results) == 0 {
			continue
		}
		rows, err := csv.NewReader(bytes.NewReader(encoded(t, r, "csv"))).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(rows) != len(r.Results)+1 || rows[0][0] != "lane" {
			t.Errorf("%s: %d rows of %d results, the first column is %s", name, len(rows), len(r.Results), rows[0][0])
		}
		ids := map[string]bool{}
		for _, x := range r.Results {
			ids[x.Lane] = true
		}
		for _, row := range rows[1:] {
			if !ids[row[0]] {
				t.Errorf("%s: no lane has the id %q", name, row[0])
			}
		}
	}
}

// What people paste or read at a terminal holds nothing that commands one, and keeps
// its lines, whatever the names in a run are.
func TestHostileText(t *testing.T) {
	for _, kind := range recordtest.Kinds {
		for seed := range uint64(60) {
			r := recordtest.Random(kind, seed)
			for _, format := range Formats(kind) {
				text := string(encoded(t, r, format))
				for _, c := range text {
					if c != '\n' && unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) && c != '\u200c' && c != '\u200d' {
						t.Fatalf("%s of %s %d: %U in %q", format, kind, seed, c, text)
					}
				}
				if lines := strings.Count(text, "\n"); format == "line" && r.Tokens == nil && lines != len(r.Results) {
					t.Errorf("%d lines of %d results: %q", lines, len(r.Results), text)
				}
				if format == "svg" {
					wellFormed(t, []byte(text))
				}
			}
		}
	}
}

func wellFormed(t *testing.T, svg []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("not XML: %v\n%s", err, svg)
		}
	}
}

func TestSVGIsXML(t *testing.T) {
	for _, r := range recordtest.Sweeps() {
		r.Machine.CPU = "a\ufffe & <b>\uffff"
		wellFormed(t, encoded(t, r, "svg"))
	}
}

// A bar within a text does not end a cell, whatever is before it, and HTML is text.
func TestMarkdownCells(t *testing.T) {
	r := recordtest.Run(record.Race, recordtest.Result(recordtest.BuiltIn, 1e12, recordtest.Failed(fault.Crashed, "a|b\nc\\|<b>")))
	text := string(encoded(t, r, "md"))
	if !strings.Contains(text, `a\|b c\\\|\<b> |`) {
		t.Errorf("%s", text)
	}
}

// Each sentence is a paragraph of its own: one may end with a command to run.
func TestMarkdownParagraphs(t *testing.T) {
	r := recordtest.Examples()["cpu"]
	texts := judge.Sentences(r)
	if len(texts) < 2 {
		t.Fatalf("%q: an example with two is needed", texts)
	}
	_, below, _ := strings.Cut(string(encoded(t, r, "md")), "|\n\n")
	if d := cmp.Diff(texts, strings.Split(strings.TrimSuffix(below, "\n"), "\n\n")); d != "" {
		t.Error(d)
	}
}

// Two lanes that differ in the protocol alone can be told apart.
func TestTwoProtocols(t *testing.T) {
	classic := recordtest.Result(recordtest.BuiltIn, 1e12, func(r *bench.Result) { r.Protocol, r.GEMM.Sum = bench.Classic, true })
	r := recordtest.Run(record.MatMul, recordtest.Result(recordtest.BuiltIn, 1e12), classic)
	for format, want := range map[string][]string{
		"md":   {"| gpuplay (built in, AVX-512) |", "| gpuplay (built in, AVX-512), classic |"},
		"line": {" size=4096 protocol=steady repeat=", " size=4096 repeat="},
	} {
		text := string(encoded(t, r, format))
		for _, w := range want {
			if strings.Count(text, w) != 1 {
				t.Errorf("%s: not one %q in\n%s", format, w, text)
			}
		}
	}
}

func TestLabelsAreApart(t *testing.T) {
	labels := []label{{y: 100, lane: 1}, {y: 101, lane: 0}, {y: 300, lane: 2}}
	spreadOut(labels)
	for i := 1; i < len(labels); i++ {
		if labels[i].y-labels[i-1].y < labelApart-0.02 {
			t.Errorf("labels %v lie on each other", labels)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, tt := range []struct {
		low, high float64
		want      []float64
	}{
		{3e9, 120e9, []float64{5e9, 10e9, 20e9, 50e9, 100e9}},
		{28e9, 125e9, []float64{30e9, 40e9, 50e9, 60e9, 80e9, 100e9}},
		{1e6, 2e12, []float64{1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12}},
	} {
		near := cmp.Comparer(func(a, b float64) bool { return a/b-1 < 1e-9 && b/a-1 < 1e-9 })
		if d := cmp.Diff(tt.want, ticks(tt.low, tt.high), near); d != "" {
			t.Errorf("%g to %g: %s", tt.low, tt.high, d)
		}
	}
}
