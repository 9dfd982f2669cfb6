package encode

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
)

// seriesOf returns what another tool has measured, nothing of a run without any.
func seriesOf(r *record.Run) []record.Series {
	if r.Foreign == nil {
		return nil
	}
	return r.Foreign.Series
}

// foreignCSV writes a row per series of another tool.
func foreignCSV(w io.Writer, r *record.Run, _ fault.Wording) error {
	c := newRows(w)
	c.Write([]string{"tool", "name", "device", "unit", "value", "of", "samples"})
	for _, s := range seriesOf(r) {
		of, samples := "median", len(s.Values)
		if s.Of > 0 {
			of, samples = "mean", s.Of
		}
		c.Write([]string{judge.ForeignTool(r.Foreign), s.Name, s.Device, s.Unit, float(stats.Median(s.Values)), of, strconv.Itoa(samples)})
	}
	c.Flush()
	return c.Error()
}

// foreignMarkdown writes a table of what another tool has measured.
func foreignMarkdown(w io.Writer, r *record.Run, _ fault.Wording) error {
	var b strings.Builder
	b.WriteString("| measured | device | figure | |\n|---|---|--:|---|\n")
	for _, s := range seriesOf(r) {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(s.Name), cell(s.Device), cell(judge.SeriesFigure(s)), judge.SeriesSamples(s))
	}
	sentences(&b, judge.Sentences(r))
	_, err := io.WriteString(w, b.String())
	return err
}
