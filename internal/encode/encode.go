// Package encode turns runs into what programs read, and people paste: JSON, JSON
// lines, CSV, Markdown, the one-line form of tutorials, a plot. It decides nothing
// about a figure: that is package judge's.
package encode

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/record"
)

// A Writer writes a run in one format. Remedies are said in the words of the surface
// that the reader has at hand; nil: as they are named.
type Writer func(w io.Writer, r *record.Run, words fault.Wording) error

// formats are the names of all formats, in the order in which they are listed.
var formats = []string{"line", "json", "jsonl", "csv", "md", "svg", "html", "benchfmt"}

// writers are the formats that each kind of run has.
var writers = map[record.Kind]map[string]Writer{
	record.Race:     {"line": Line, "json": JSON, "jsonl": JSONL, "csv": productsCSV, "md": productsMarkdown, "html": HTML, "benchfmt": Benchfmt},
	record.MatMul:   {"line": Line, "json": JSON, "jsonl": JSONL, "csv": productsCSV, "md": productsMarkdown, "html": HTML, "benchfmt": Benchfmt},
	record.Sweep:    {"json": JSON, "jsonl": JSONL, "csv": sweepCSV, "md": sweepMarkdown, "svg": SVG, "html": HTML, "benchfmt": Benchfmt},
	record.LLM:      {"line": tokensLine, "json": JSON, "jsonl": JSONL, "csv": tokensCSV, "md": tokensMarkdown, "html": HTML, "benchfmt": Benchfmt},
	record.Generate: {"json": JSON, "html": HTML},
	record.Finetune: {"json": JSON, "jsonl": trainingJSONL, "csv": trainingCSV, "html": HTML, "benchfmt": Benchfmt},
	record.CPUs:     {"json": JSON, "csv": cpuCSV, "html": HTML},
	record.GPUs:     {"json": JSON, "csv": gpuCSV, "md": gpuMarkdown, "html": HTML},
	record.Learn:    {"json": JSON, "html": HTML, "benchfmt": Benchfmt},
	record.Inputs:   {"json": JSON, "jsonl": JSONL, "csv": productsCSV, "md": productsMarkdown, "html": HTML, "benchfmt": Benchfmt},
	record.Scale:    {"json": JSON, "csv": scalingCSV, "md": scalingMarkdown, "svg": scalingSVG, "html": HTML},
	record.Doctor:   {"json": JSON, "html": HTML},
	record.Imported: {"json": JSON, "csv": foreignCSV, "md": foreignMarkdown, "html": HTML, "benchfmt": Benchfmt},
}

// AllFormats returns the names of the formats that there are for any kind of run.
func AllFormats() []string { return slices.Clone(formats) }

// Formats returns the names of the formats that a kind of run has.
func Formats(kind record.Kind) []string {
	var list []string
	for _, f := range formats {
		if writers[kind][f] != nil {
			list = append(list, f)
		}
	}
	return list
}

// Write writes a run in the format of that name.
func Write(w io.Writer, r *record.Run, format string, words fault.Wording) error {
	write := writers[r.Kind][format]
	if write == nil {
		return fmt.Errorf("encode: no format %q for a run of kind %q: it has %s", format, r.Kind, strings.Join(Formats(r.Kind), ", "))
	}
	return write(w, r, words)
}
