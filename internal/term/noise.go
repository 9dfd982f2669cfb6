package term

import (
	"fmt"
	"io"
	"math"

	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
	"github.com/gpuplay/gpuplay/internal/verdict"
)

// noisePage writes how far the timings of one lane are apart, and what comparing it with
// itself came to.
func noisePage(w io.Writer, r *record.Run, s Style) error {
	p := &page{Style: s}
	title := []string{"how noisy are timings here?"}
	if x := judge.NoiseLane(r.Noise); x != nil {
		g := x.GEMM
		title = append(title, unit.Cube(g.M, g.N, g.K)+" "+string(judge.DType(g)), x.Label(), judge.Place(r, x.Device), unit.Plural(len(r.Noise.Results), "run"))
	}
	p.title(title...)
	const nameWidth, figureWidth = 12, 10
	for _, f := range judge.NoiseFigures(r.Noise) {
		share := "unstable" // as elsewhere
		if f.Share <= 1 {
			share = "± " + unit.Percent(f.Share)
		}
		p.line()
		p.line(span{"  ", usual}, span{pad(f.Name, nameWidth), bold}, span{right(p.clean(share), figureWidth), usual})
		for _, t := range Wrap(p.clean(f.Idea), s.Width-6) {
			p.line(span{"    " + t, dim})
		}
	}
	if tests := judge.SelfTests(r.Noise, verdict.Threshold); len(tests) > 0 {
		t := table{corner: "a run with", columns: []column{
			{head: "apart", from: 50, look: dim}, {head: "compared"}, {head: "same"}, {head: "undecided"}, {head: "different", key: true}, {head: "sees", from: 60},
		}}
		g := group{}
		for _, x := range tests {
			name := "the next"
			if x.Apart > 1 {
				name = fmt.Sprintf("the %dth after it", x.Apart)
			}
			sees := "nothing"
			if !math.IsInf(x.Sees, 0) {
				sees = unit.Percent(x.Sees)
			}
			g.rows = append(g.rows, row{name: name, cells: []string{unit.Seconds(x.Time), fmt.Sprint(x.N), fmt.Sprint(x.Same), fmt.Sprint(x.Unknown), fmt.Sprint(x.Wrong), sees}})
		}
		t.groups = []group{g}
		p.table(t)
		p.notes([]string{
			"Nothing changed between the runs, so “different” is a false verdict. It is to be at most " + unit.Percent(judge.WrongAtMost) + ".",
			"“sees” is the difference that nine of ten comparisons would exclude.",
		})
	}
	p.sentences(judge.Sentences(r))
	return p.writeTo(w)
}
