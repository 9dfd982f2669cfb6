package term

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/unit"
	"github.com/gpuplay/gpuplay/internal/verdict"
)

// Versus writes a comparison of two runs: a row for each lane with its verdict, what
// changed, and why there is no verdict where there is none.
func Versus(w io.Writer, v *judge.Versus, s Style) error {
	p := &page{Style: s}
	scale, unitName := versusScale(v)
	several := slices.ContainsFunc(v.Rows, func(r judge.VersusRow) bool { return r.Task != v.Rows[0].Task })
	title := []string{"B against A"}
	if !several {
		title = append(title, v.Rows[0].Task)
	}
	p.title(append(title, unitName)...)
	p.line()
	for i := range 2 {
		p.paragraph(v.Described(i), usual)
	}
	t := table{columns: []column{
		{head: "A", from: 56}, {head: "±", rank: 1, look: dim}, {head: "B", from: 56, key: true}, {head: "±", rank: 1, look: dim},
		{head: "n", from: 72, look: dim}, {head: "B ÷ A"}, {head: fmt.Sprintf("at %.0f %%", 100*verdict.Confidence), from: 72, look: dim},
		{head: "verdict", left: true, key: true},
	}}
	for _, r := range v.Rows {
		title, name := r.Place, r.Lane
		if several {
			title, name = r.Lane+", "+r.Place, r.Task
		}
		i := slices.IndexFunc(t.groups, func(g group) bool { return g.title == title })
		if i < 0 {
			i = len(t.groups)
			t.groups = append(t.groups, group{title: title})
		}
		t.groups[i].rows = append(t.groups[i].rows, versusRow(v, r, name, scale))
	}
	p.table(t)
	p.sentences(v.Sentences())
	return p.writeTo(w)
}

// versusRow is the row of a lane.
func versusRow(v *judge.Versus, r judge.VersusRow, name string, scale float64) row {
	out := row{name: name}
	figures := func(side judge.VersusSide) (speed, spread string) {
		if side.N == 0 {
			return "–", "–"
		}
		return unit.Digits3(side.Speed.Value / scale), judge.Spread(side.Speed)
	}
	a, spreadA := figures(r.A)
	b, spreadB := figures(r.B)
	n := fmt.Sprint(r.A.N)
	if r.A.N != r.B.N {
		n += fmt.Sprintf(", %d", r.B.N)
	}
	out.cells = []string{a, spreadA, b, spreadB, n, "–", "–", r.Said()}
	if r.Compared() {
		out.cells[5] = judge.Fine(r.Ratio.Value)
		if !r.Few() {
			out.cells[6] = judge.FineRange(r.Ratio)
		}
	}
	if why := v.Why(r); why != "" {
		out.notes = append(out.notes, why)
	}
	if len(r.Doubts) > 0 {
		out.notes = append(out.notes, strings.Join(r.Doubts, "; "))
	}
	switch r.Word {
	case verdict.Faster:
		out.best = true
	case verdict.Slower:
		out.looks = map[int]look{7: red}
	}
	return out
}

// versusScale returns the unit in which all speeds are easy to read, and its name.
func versusScale(v *judge.Versus) (scale float64, name string) {
	top := 0.0
	for _, r := range v.Rows {
		top = max(top, r.A.Speed.Value, r.B.Speed.Value)
	}
	switch name = v.Rows[0].Unit; {
	case v.A.Tokens != nil:
		return 1, name
	case top >= 1e12:
		return 1e12, "T" + name
	}
	return 1e9, "G" + name
}
