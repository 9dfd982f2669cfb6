package term

import (
	"fmt"
	"io"

	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// noisePage writes how far apart the timings of one lane are, and what comparing it with
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
		p.line()
		p.line(span{"  ", usual}, span{pad(f.Name, nameWidth), bold}, span{right(p.clean(f.Says()), figureWidth), usual})
		for _, t := range Wrap(p.clean(f.Idea), s.Width-6) {
			p.line(span{"    " + t, dim})
		}
	}
	if tests := judge.SelfTests(r.Noise); len(tests) > 0 {
		t := table{corner: "a run with", columns: []column{
			{head: "apart", from: 50, look: dim}, {head: "compared"}, {head: "same"}, {head: "undecided"}, {head: "different", key: true}, {head: "sees", from: 60},
		}}
		g := group{}
		for _, x := range tests {
			g.rows = append(g.rows, row{name: x.Later(), cells: []string{unit.Seconds(x.Time), fmt.Sprint(x.N), fmt.Sprint(x.Same), fmt.Sprint(x.Unknown), fmt.Sprint(x.Wrong), x.Visible()}})
		}
		t.groups = []group{g}
		p.table(t)
		p.notes(judge.SelfTestNotes())
	}
	p.sentences(judge.Sentences(r))
	return p.writeTo(w)
}
