package term

import (
	"io"
	"slices"

	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
)

// sweepTable writes one row per size: as many lanes as there is room for, what share of
// the peak the first one reaches, how it does against the best of the others of its kind,
// and how the GPUs do against the CPUs.
func sweepTable(w io.Writer, r *record.Run, s Style) error {
	p := &page{Style: s}
	x := judge.NewSweep(r)
	if len(x.Points) == 0 {
		p.linef("Nothing was measured.")
		return p.writeTo(w)
	}
	p.title("sweep", judge.Operands(x.Points[0].GEMM), r.Machine.CPU, "medians of samples taken in turns", judge.Checked(r.Results))
	all := sizes(x, r, len(x.Lanes))
	if p.natural(all) > s.Width { // the first lane, and the best of the others at each size
		all = sizes(x, r, 1)
	}
	p.table(all)
	notes := append(x.Legend(), x.Notes(s.Words)...)
	if heads, rows := x.Trips(); len(rows) > 0 {
		p.table(trips(heads, rows))
		notes = append([]string{judge.TripsNote}, notes...)
	}
	p.notes(notes)
	p.sentences(x.Sentences())
	return p.writeTo(w)
}

// trips is the table of what judge.Sweep.Trips returns.
func trips(heads []string, rows [][]string) table {
	t := table{corner: heads[0], groups: []group{{}}}
	ranks := map[string]int{"by": 4, "GPU ÷ CPU": 3, "launch": 2, "copy in": 1, "copy out": 1}
	for _, h := range heads[1:] {
		c := column{head: h, rank: ranks[h], left: h == "by" || h == "GPU ÷ CPU"}
		if h == "by" {
			c.look = dim
		}
		t.columns = append(t.columns, c)
	}
	for _, r := range rows {
		t.groups[0].rows = append(t.groups[0].rows, row{name: r[0], cells: r[1:]})
	}
	return t
}

// sizes is the table of a sweep with columns for the first of its lanes.
func sizes(x *judge.Sweep, r *record.Run, lanes int) table {
	scale, unitName := judge.Scale(r.Results)
	t := table{corner: unitName}
	for _, l := range x.Lanes[:lanes] {
		t.columns = append(t.columns, column{head: l.Name})
	}
	peers := slices.ContainsFunc(x.Points, func(p judge.Point) bool { return p.Peer >= 0 })
	gains := slices.ContainsFunc(x.Points, func(p judge.Point) bool { return p.GPU >= 0 })
	best := lanes < len(x.Lanes)
	rival, rivalOf := "best GPU", func(p judge.Point) int { return p.GPU }
	if x.Lanes[0].Device.Kind == hardware.GPU {
		rival, rivalOf = "best CPU", func(p judge.Point) int { return p.CPU }
	}
	peak := x.Peak() > 0
	if best && peers {
		t.columns = append(t.columns, column{head: "best", rank: 4})
	}
	if best && gains {
		t.columns = append(t.columns, column{head: rival, rank: 1})
	}
	if peak {
		t.columns = append(t.columns, column{head: "of peak", rank: 5})
	}
	if peers {
		other := column{head: "÷ best other", left: true}
		if gains {
			other.rank = 2
		}
		t.columns = append(t.columns, other, column{rank: 3, left: true, look: dim})
	}
	if gains {
		t.columns = append(t.columns, column{head: "GPU ÷ CPU", left: true})
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
		figure := func(lane int) string {
			if lane < 0 {
				return ""
			}
			return judge.Figure(point.Results[lane], scale)
		}
		if best && peers {
			one.cells = append(one.cells, figure(point.Peer))
		}
		if best && gains {
			one.cells = append(one.cells, figure(rivalOf(point)))
		}
		if peak {
			one.cells = append(one.cells, judge.ShareOfPeak(point.Results[0]))
		}
		if peers {
			ratio, name := "", ""
			if point.Peer >= 0 {
				ratio, name = judge.Ratio(point.Ratio), x.Lanes[point.Peer].Name
			}
			one.cells = append(one.cells, ratio, name)
		}
		if gains {
			gain := ""
			if point.GPU >= 0 {
				gain = judge.Ratio(point.Gain)
			}
			one.cells = append(one.cells, gain)
		}
		rows = append(rows, one)
	}
	t.groups = []group{{rows: rows}}
	return t
}
