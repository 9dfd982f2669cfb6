package encode

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// gpuCSV writes one row per figure, in seconds.
func gpuCSV(w io.Writer, r *record.Run, _ fault.Wording) error {
	out := newRows(w)
	out.Write([]string{"engine", "device", "what", "of", "bytes", "unit", "median", "low", "high", "confidence", "samples"})
	for _, g := range r.GPUs {
		engine := g.Engine
		row := func(what, of string, bytes int64, seconds []float64) {
			if len(seconds) > 0 {
				m := stats.MedianInterval(seconds)
				out.Write([]string{engine, g.Device.Name, what, of, strconv.FormatInt(bytes, 10), "s", float(m.Value), float(m.Low), float(m.High), float(m.Confidence), strconv.Itoa(len(seconds))})
			}
		}
		for _, c := range g.Copies {
			row("copy "+string(c.Route), cmp.Or(c.Memory, c.Peer), c.Bytes, c.Seconds)
		}
		row("launch", "with a wait", 0, g.Launch)
		row("launch", "in succession", 0, g.Launches)
		for _, x := range verified(g.Fastest) {
			engine = x.Engine
			row("product "+unit.Cube(x.GEMM.M, x.GEMM.N, x.GEMM.K), string(g.Fastest.DType), int64(x.GEMM.Bytes()), x.Seconds())
		}
	}
	out.Flush()
	return out.Error()
}

// verified returns the products that were measured in turns and are right.
func verified(f *record.Fastest) []*bench.Result {
	if f == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(f.Finals), func(r *bench.Result) bool { return !r.Verified() })
}

// gpuMarkdown writes a table for each GPU.
func gpuMarkdown(w io.Writer, r *record.Run, _ fault.Wording) error {
	var b strings.Builder
	for _, sheet := range judge.Sheets(r) {
		for i, part := range sheet.Parts {
			head := part.Title
			if i == 0 {
				head = sheet.Title
			}
			var rows [][]string
			for _, f := range part.Facts {
				rows = append(rows, f[:])
			}
			if b.Len() > 0 {
				b.WriteString("\n")
			}
			writeTable(&b, []string{cell(head), ""}, rows)
		}
	}
	sentences(&b, judge.Sentences(r))
	_, err := io.WriteString(w, b.String())
	return err
}

// gpus shows what is known of each GPU.
func (p *report) gpus(r *record.Run) {
	for _, sheet := range judge.Sheets(r) {
		for i, part := range sheet.Parts {
			title := sheet.Title
			if i > 0 {
				title += ", through " + part.Title
			}
			s := p.section(title)
			for _, f := range part.Facts {
				s.fact(f[0], f[1])
			}
		}
	}
	raw := numbers("Samples as numbers", "engine", "what", "#seconds")
	for _, g := range r.GPUs {
		engine := g.Engine
		row := func(what string, seconds []float64) {
			if len(seconds) == 0 {
				return
			}
			var list []string
			for _, v := range seconds {
				list = append(list, float(v))
			}
			raw.row(engine+", "+g.Device.Name, what, strings.Join(list, " "))
		}
		for _, c := range g.Copies {
			row(strings.TrimSpace("copy "+string(c.Route)+" "+cmp.Or(c.Memory, c.Peer)), c.Seconds)
		}
		row("launch with a wait", g.Launch)
		row("launch in succession", g.Launches)
		for _, x := range verified(g.Fastest) {
			engine = x.Engine
			row(fmt.Sprintf("product %s in %s", unit.Cube(x.GEMM.M, x.GEMM.N, x.GEMM.K), g.Fastest.DType), x.Seconds())
		}
	}
	p.add(raw)
}
