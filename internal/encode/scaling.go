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
	"github.com/gpuplay/gpuplay/internal/unit"
)

// scalingCSV writes a row per figure: steps and what the model says of them, then what
// messages cost.
func scalingCSV(w io.Writer, r *record.Run, _ fault.Wording) error {
	c := newRows(w)
	c.Write([]string{"what", "of", "ranks", "bytes", "seconds", "low", "high", "samples", "speedup", "modelled_seconds", "modelled_error", "peak_bytes", "modelled_peak_bytes", "check"})
	for _, x := range judge.ScaledOf(r.Scaling) {
		row := []string{"step", string(x.Strategy), strconv.Itoa(x.Ranks), "", "", "", "", "", "", "", "", "", "", x.Checked}
		switch {
		case x.Step == nil:
			row[0], row[13] = "modelled step", ""
		case x.Step.Error != nil:
			row[13] = x.Step.Error.Message
		case len(x.Step.Seconds) > 0:
			row[4], row[5], row[6], row[7] = float(x.Seconds.Value), float(x.Seconds.Low), float(x.Seconds.High), strconv.Itoa(len(x.Step.Seconds))
		}
		if x.Speedup > 0 {
			row[8] = float(x.Speedup)
		}
		if x.Predicted != nil {
			if x.Predicted.Seconds > 0 {
				row[9] = float(x.Predicted.Seconds)
			}
			if x.Predicted.Memory > 0 {
				row[12] = float(x.Predicted.Memory)
			}
		}
		if x.OffKnown {
			row[10] = float(x.Off)
		}
		if x.Peak > 0 {
			row[11] = strconv.FormatInt(x.Peak, 10)
		}
		c.Write(row)
	}
	for _, world := range worlds(r) {
		for _, x := range world.Collectives {
			m := stats.MedianInterval(x.Seconds)
			c.Write([]string{"message", string(x.Op), strconv.Itoa(world.Ranks), strconv.FormatInt(x.Bytes, 10), float(m.Value), float(m.Low), float(m.High), strconv.Itoa(len(x.Seconds)), "", "", "", "", "", ""})
		}
	}
	c.Flush()
	return c.Error()
}

// worlds returns those of a run, none of a run without any.
func worlds(r *record.Run) []record.World {
	if r.Scaling == nil {
		return nil
	}
	return r.Scaling.Worlds
}

// scalingRows are the cells of the table of steps, for Markdown and for a page.
func scalingRows(r *record.Run) (rows [][]string) {
	for _, x := range judge.ScaledOf(r.Scaling) {
		row := []string{strconv.Itoa(x.Ranks), string(x.Strategy), judge.StepTime(x), judge.StepSpread(x), "", judge.ModelledTime(x), judge.ModelledOff(x), "", "", x.Checked}
		if x.Speedup > 0 {
			row[4] = unit.Times(x.Speedup) + "×"
		}
		if x.Peak > 0 {
			row[7] = unit.Bytes(float64(x.Peak))
		}
		if x.Predicted != nil && x.Predicted.Memory > 0 {
			row[8] = unit.Bytes(x.Predicted.Memory)
			if x.Peak > 0 {
				row[8] += fmt.Sprintf(" (%+.1f %%)", 100*x.PeakOff)
			}
		}
		switch {
		case x.Step == nil:
			row[9] = "modelled"
		case x.Step.Error != nil:
			row[9] = x.Step.Error.Message
		}
		rows = append(rows, row)
	}
	return rows
}

// scalingHeads are those of scalingRows; a # marks numbers.
var scalingHeads = []string{"#ranks", "strategy", "#step", "#±", "#speed-up", "#modelled", "#off", "#peak memory", "#modelled", "check"}

// scalingMarkdown writes the table of steps, and what messages cost.
func scalingMarkdown(w io.Writer, r *record.Run, _ fault.Wording) error {
	var b strings.Builder
	writeTable(&b, scalingHeads, scalingRows(r))
	if rows := messageRows(r); len(rows) > 0 {
		b.WriteString("\n")
		writeTable(&b, messageHeads, rows)
	}
	sentences(&b, judge.Sentences(r))
	_, err := io.WriteString(w, b.String())
	return err
}

var messageHeads = []string{"#ranks", "operation", "#start", "#bus bandwidth", "#at"}

// messageRows are what each operation costs over each number of ranks.
func messageRows(r *record.Run) (rows [][]string) {
	for _, world := range worlds(r) {
		for _, x := range judge.MessageCosts(&world) {
			rows = append(rows, append([]string{strconv.Itoa(world.Ranks)}, x[:]...))
		}
	}
	return rows
}

// writeTable writes a table of Markdown.
func writeTable(b *strings.Builder, heads []string, rows [][]string) {
	line, rule := "|", "|"
	for _, h := range heads {
		name, number := strings.CutPrefix(h, "#")
		line += " " + name + " |"
		if number {
			rule += "--:|"
		} else {
			rule += "---|"
		}
	}
	b.WriteString(line + "\n" + rule + "\n")
	for _, row := range rows {
		for _, text := range row {
			b.WriteString("| " + cell(text) + " ")
		}
		b.WriteString("|\n")
	}
}

// scaling adds the sections of a run on several ranks.
func (p *report) scaling(r *record.Run) {
	if r.Scaling == nil {
		return
	}
	s := p.section("Steps")
	s.Intro = "Speed-up: sequences per second over those of one rank. Modelled: made from one rank and from messages alone, with its error."
	s.stackedHead(scalingHeads...)
	for _, row := range scalingRows(r) {
		s.row(row...)
	}
	m := &section{Title: "Messages"}
	m.head(messageHeads...)
	for _, row := range messageRows(r) {
		m.row(row...)
	}
	n := numbers("Every sample", "#ranks", "strategy", "seconds")
	for _, world := range worlds(r) {
		for _, t := range world.Steps {
			var all []string
			for _, v := range t.Seconds {
				all = append(all, unit.Digits3(v))
			}
			n.row(strconv.Itoa(world.Ranks), string(t.Strategy), strings.Join(all, ", "))
		}
	}
	p.add(m, n)
}
