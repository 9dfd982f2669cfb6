package term

import (
	"io"

	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// inputsTable writes one row per kind of inputs, with how it does against random ones and
// the power that it took.
func inputsTable(w io.Writer, r *record.Run, s Style) error {
	p := &page{Style: s}
	if len(r.Results) == 0 {
		p.linef("Nothing was measured.")
		return p.writeTo(w)
	}
	first := r.Results[0]
	g := first.GEMM
	p.title("what the inputs change", "matrix multiply "+unit.Cube(g.M, g.N, g.K), string(judge.DType(g)), judge.Checked(r.Results))
	scale, name := judge.Scale(r.Results)
	t := table{
		columns: []column{{head: name, key: true}, {head: "±", rank: 2, look: dim}, {head: "÷ random", rank: 1, left: true}, {head: "power", rank: 3}},
		bars:    bars{on: true, rank: 4, from: 60},
	}
	top, sensed := 0.0, false
	for _, x := range r.Results {
		top = max(top, judge.Speed(x))
	}
	lanes := group{title: judge.Place(r, first.Device) + ", " + first.Device.Label()}
	for _, x := range r.Results {
		lane := row{name: x.GEMM.Data.String(), best: x.GEMM.Data == matrix.Random, notes: p.laneNotes(x)}
		speed, measured := x.Speed()
		switch {
		case measured:
			ratio, power := "", "–"
			if c, ok := judge.InputEffect(r, x); ok && !r.Interrupted {
				ratio = judge.Ratio(c.Comparison)
			}
			if watts, ok := judge.Watts(x.Sensors); ok {
				power, sensed = unit.Digits3(watts)+" W", true
			}
			lane.cells = []string{unit.Digits3(speed.Value / scale), judge.Spread(speed), ratio, power}
			lane.bar = speed.Value / top
		case x.Error != nil:
			lane.failure = x.Error.Words(p.Words)
		default:
			lane.failure = "not measured"
		}
		lanes.rows = append(lanes.rows, lane)
	}
	if !sensed {
		t.columns = t.columns[:3]
	}
	t.groups = []group{lanes}
	p.table(t)
	if !sensed {
		p.notes([]string{"Power: no sensor can be read here."})
	}
	p.sentences(judge.Sentences(r))
	return p.writeTo(w)
}
