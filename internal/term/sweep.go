package term

import (
	"io"

	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
)

// sweepTable writes one row per size: as many lanes as there is room for, what share of
// the peak the first one reaches, and how it does against the best of the others.
func sweepTable(w io.Writer, r *record.Run, s Style) error {
	p := &page{Style: s}
	x := judge.NewSweep(r)
	if len(x.Points) == 0 {
		p.linef("Nothing was measured.")
		return p.writeTo(w)
	}
	p.title("sweep", string(judge.DType(x.Points[0].GEMM)), r.Machine.CPU, "medians of samples taken in turns", judge.Checked(r.Results))
	all := sizes(x, r, len(x.Lanes))
	if p.natural(all) > s.Width { // the first lane, and the best of the others at each size
		all = sizes(x, r, 1)
	}
	p.table(all)
	p.notes(append(x.Legend(), x.Notes(s.Words)...))
	p.sentences(x.Sentences())
	return p.writeTo(w)
}

// sizes is the table of a sweep with columns for the first of its lanes.
func sizes(x *judge.Sweep, r *record.Run, lanes int) table {
	scale, unitName := judge.Scale(r.Results)
	t := table{corner: unitName}
	for _, l := range x.Lanes[:lanes] {
		t.columns = append(t.columns, column{head: l.Name})
	}
	several := len(x.Lanes) > 1
	best := several && lanes < len(x.Lanes)
	peak := x.Peak() > 0
	if best {
		t.columns = append(t.columns, column{head: "best", rank: 2})
	}
	if peak {
		t.columns = append(t.columns, column{head: "of peak", rank: 3})
	}
	if several {
		t.columns = append(t.columns, column{head: "÷ best other", left: true}, column{rank: 1, left: true, look: dim})
	}
	var rows []row
	for _, point := range x.Points {
		fastest := point.Fastest()
		one := row{name: point.Cube(), looks: map[int]look{}}
		for i, y := range point.Results[:lanes] {
			text := judge.Figure(y, scale)
			switch {
			case i == fastest:
				one.looks[i] = bold
			case text == "wrong":
				one.looks[i] = red
			}
			one.cells = append(one.cells, text)
		}
		figure, ratio, name := "", "", ""
		if point.Peer >= 0 {
			figure, ratio, name = judge.Figure(point.Results[point.Peer], scale), judge.Ratio(point.Ratio), x.Lanes[point.Peer].Name
		}
		if best {
			one.cells = append(one.cells, figure)
		}
		if peak {
			one.cells = append(one.cells, judge.ShareOfPeak(point.Results[0]))
		}
		one.cells = append(one.cells, ratio, name)
		rows = append(rows, one)
	}
	t.groups = []group{{rows: rows}}
	return t
}
