package encode

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/record"
)

// sweepCSV writes one row per lane and size, in base units, with how many times as fast
// as that lane the first one is.
func sweepCSV(w io.Writer, r *record.Run, _ fault.Wording) error {
	c := newRows(w)
	c.Write([]string{"lane", "m", "n", "k", "in", "acc", "out", "data", "engine", "device", "library", "version", "threads", "samples", "seconds",
		"flops_median", "flops_low", "flops_high", "peak_flops", "first_times_as_fast", "first_low", "first_high", "verified", "error", "round_trips", "copy_in_seconds", "launch_seconds", "compute_seconds", "copy_out_seconds", "round_trip_seconds", "round_trip_low", "round_trip_high"})
	for _, p := range judge.NewSweep(r).Points {
		for i, x := range p.Results {
			if x == nil {
				continue
			}
			g := x.GEMM
			row := []string{x.Lane, strconv.Itoa(g.M), strconv.Itoa(g.N), strconv.Itoa(g.K), string(g.In), string(g.Acc), string(g.Out), g.Data.String(),
				x.Engine, x.Device.ID, x.Device.Library, x.Device.Version, strconv.Itoa(x.Facts.Threads), strconv.Itoa(len(x.Samples))}
			if v, ok := x.Speed(); ok {
				row = append(row, float(g.FLOP()/v.Value), float(v.Value), float(v.Low), float(v.High))
			} else {
				row = append(row, "", "", "", "")
			}
			row = append(row, peak(x))
			ratio := []string{"", "", ""}
			if first := p.Results[0]; i > 0 && first != nil {
				if c := judge.Compare(first, x); len(c.Differs) == 0 {
					ratio = []string{float(c.Ratio.Value), float(c.Ratio.Low), float(c.Ratio.High)}
				}
			}
			row = append(row, ratio...)
			c.Write(append(append(row, strconv.FormatBool(x.Verified()), failure(x)), parts(x)...))
		}
	}
	c.Flush()
	return c.Error()
}

// parts are the cells of where the time of a lane's round trips goes.
func parts(x *bench.Result) []string {
	p, ok := x.Parts()
	if !ok {
		return []string{"", "", "", "", "", "", "", ""}
	}
	launch, compute := "", ""
	if p.Launch != nil {
		launch, compute = float(p.Launch.Value), float(p.Compute.Value)
	}
	return []string{strconv.Itoa(len(x.RoundTrips)), float(p.In.Value), launch, compute, float(p.Out.Value), float(p.Total.Value), float(p.Total.Low), float(p.Total.High)}
}

// sweepMarkdown writes a table with every lane, and how the first one does against
// each of the others.
func sweepMarkdown(w io.Writer, r *record.Run, words fault.Wording) error {
	s := judge.NewSweep(r)
	if len(s.Points) == 0 {
		_, err := io.WriteString(w, "Nothing was measured.\n")
		return err
	}
	var b strings.Builder
	scale, unitName := judge.Scale(r.Results)
	peak := s.Peak() > 0
	fmt.Fprintf(&b, "%s, %s; medians of samples taken in turns, ratios with their 95 %% intervals.\n\n", judge.Operands(s.Points[0].GEMM), plain.Line(r.Machine.CPU))
	head, rule := []string{"m×n×k", s.Lanes[0].Name + ", " + unitName}, []string{"-", "-:"}
	if peak {
		head, rule = append(head, "of peak"), append(rule, "-:")
	}
	for _, l := range s.Lanes[1:] {
		head, rule = append(head, "÷ "+l.Name), append(rule, "-")
	}
	row := func(cells []string) {
		for i, c := range cells {
			cells[i] = cell(c)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	row(head)
	row(rule)
	for _, p := range s.Points {
		first := p.Results[0]
		cells := []string{p.Cube(), judge.Figure(first, scale)}
		if peak {
			cells = append(cells, judge.ShareOfPeak(first))
		}
		for _, x := range p.Results[1:] {
			text := judge.Figure(x, scale)
			if first != nil && x != nil {
				if c := judge.Compare(first, x); len(c.Differs) == 0 {
					text = judge.Ratio(c)
				}
			}
			cells = append(cells, text)
		}
		row(cells)
	}
	b.WriteString("\n")
	if heads, rows := s.Trips(); len(rows) > 0 {
		row(heads)
		row(append(append([]string{"-"}, slices.Repeat([]string{"-:"}, len(heads)-2)...), "-"))
		for _, r := range rows {
			row(r)
		}
		fmt.Fprintf(&b, "\n- %s\n", judge.TripsNote)
	}
	for _, l := range append(s.Legend(), s.Notes(words)...) {
		fmt.Fprintf(&b, "- %s\n", cell(l))
	}
	sentences(&b, s.Sentences())
	_, err := io.WriteString(w, b.String())
	return err
}
