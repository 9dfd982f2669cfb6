package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// SweepSchema names the version of a sweep's JSON form: points, a list of documents
// of Schema, a size each.
const SweepSchema = "gpuplay/sweep/v1"

// SweepJSON writes all sizes as one object; docs/sweep.schema.json describes it.
func SweepJSON(w io.Writer, s *Sweep) error {
	e := encoder(w)
	e.SetIndent("", "  ")
	points := make([]any, len(s.Points))
	for i, d := range s.Points {
		points[i] = d.json()
	}
	return e.Encode(struct {
		Schema      string `json:"schema"`
		Interrupted bool   `json:"interrupted,omitempty"`
		Points      []any  `json:"points"`
	}{SweepSchema, s.Interrupted, points})
}

// Record writes a size as one line: what a sweep is continued from.
func Record(w io.Writer, d *Document) error { return encoder(w).Encode(d.json()) }

// SweepJSONL writes a line a size, each a document of its own.
func SweepJSONL(w io.Writer, s *Sweep) error {
	for _, d := range s.Points {
		if err := Record(w, d); err != nil {
			return err
		}
	}
	return nil
}

// SweepCSV writes a row a lane and size, in base units, with how many times as fast
// as that lane the first one is.
func SweepCSV(w io.Writer, s *Sweep) error {
	c := csv.NewWriter(w)
	c.Write([]string{"m", "n", "k", "in", "acc", "out", "engine", "device", "library", "version", "threads", "samples", "seconds",
		"flops_median", "flops_low", "flops_high", "peak_flops", "first_times_as_fast", "first_low", "first_high", "verified", "error"})
	float := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	lanes, _ := s.lanes()
	for _, p := range s.points(lanes) {
		for i, r := range p.results {
			if r == nil {
				continue
			}
			g := r.GEMM
			row := []string{strconv.Itoa(g.M), strconv.Itoa(g.N), strconv.Itoa(g.K), string(g.In), string(g.Acc), string(g.Out),
				r.Engine, r.Device.ID, r.Device.Library, r.Device.Version, strconv.Itoa(r.Facts.Threads), strconv.Itoa(len(r.Samples))}
			if v, ok := r.Speed(); ok {
				row = append(row, float(g.FLOP()/v.Value), float(v.Value), float(v.Low), float(v.High))
			} else {
				row = append(row, "", "", "", "")
			}
			peak, failure := "", ""
			if r.Facts.Peak != nil {
				peak = float(*r.Facts.Peak)
			}
			if r.Error != nil {
				failure = r.Error.Message
			}
			row = append(row, peak)
			ratio := []string{"", "", ""}
			if first := p.results[0]; i > 0 && first != nil {
				if c := bench.Compare(first, r); len(c.Differs) == 0 {
					ratio = []string{float(c.Ratio.Value), float(c.Ratio.Low), float(c.Ratio.High)}
				}
			}
			row = append(row, ratio...)
			c.Write(append(row, strconv.FormatBool(r.Verified()), failure))
		}
	}
	c.Flush()
	return c.Error()
}

// SweepMarkdown writes a table with every lane, and how the first one does against
// each of the others.
func SweepMarkdown(w io.Writer, s *Sweep) error {
	var b strings.Builder
	lanes, devices := s.lanes()
	points := s.points(lanes)
	if len(points) == 0 {
		_, err := io.WriteString(w, "Nothing was measured.\n")
		return err
	}
	names := short(devices)
	scale, unitName := scaleOfSweep(points)
	peak := peakOf(points) > 0
	fmt.Fprintf(&b, "%s, %s; medians of samples taken in turns, ratios with their 95 %% intervals.\n\n", dtype(points[0].gemm), s.Points[0].Machine.CPU)
	head, rule := []string{"m×n×k", names[0] + ", " + unitName}, []string{"-", "-:"}
	if peak {
		head, rule = append(head, "of peak"), append(rule, "-:")
	}
	for _, n := range names[1:] {
		head, rule = append(head, "÷ "+n), append(rule, "-")
	}
	row := func(cells []string) {
		for i, c := range cells {
			cells[i] = cell(c)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	row(head)
	row(rule)
	for _, p := range points {
		first := p.results[0]
		cells := []string{unit.Cube(p.gemm.M, p.gemm.N, p.gemm.K), figure(first, scale)}
		if peak {
			cells = append(cells, shareOfPeak(first))
		}
		for _, r := range p.results[1:] {
			text := figure(r, scale)
			if first != nil && r != nil {
				if c := bench.Compare(first, r); len(c.Differs) == 0 {
					text = ratioText(c)
				}
			}
			cells = append(cells, text)
		}
		row(cells)
	}
	b.WriteString("\n")
	for _, l := range append(legend(points, devices, names), s.notes(points, names)...) {
		fmt.Fprintf(&b, "- %s\n", cell(l))
	}
	for _, t := range s.sentences(points, names) {
		fmt.Fprintf(&b, "\n%s\n", t)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
