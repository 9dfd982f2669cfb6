package encode

import (
	"strconv"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// inputs shows one lane on inputs of every kind.
func (p *report) inputs(r *record.Run, words fault.Wording) {
	if len(r.Results) == 0 {
		return
	}
	scale, name := judge.Scale(r.Results)
	top := topSpeed(r.Results)
	s := p.section("Inputs")
	first := r.Results[0].Device
	s.Intro = plain.Line(judge.PlaceWithCores(r, first) + ", " + first.Label())
	s.stackedHead("inputs", "#"+name, "#±", "#÷ random", "#power", "")
	for _, x := range r.Results {
		cells := []string{x.GEMM.Data.String(), "–", "–", "–", "–", laneVerdict(x, words)}
		if speed, ok := x.Speed(); ok {
			copy(cells[1:], []string{unit.Digits3(speed.Value / scale), judge.Spread(speed)})
		}
		if c, ok := judge.InputEffect(r, x); ok && !r.Interrupted {
			cells[3] = judge.Ratio(c.Comparison)
		}
		if watts, ok := judge.Watts(x.Sensors); ok {
			cells[4] = unit.Digits3(watts) + " W"
		}
		s.laneRow(x, cells, 1, top)
	}
	p.productSamples(r.Kind, r.Results)
}

// noise shows how far apart the timings of one lane are, and what comparing it with
// itself came to.
func (p *report) noise(r *record.Run) {
	x := judge.NoiseLane(r.Noise)
	if x == nil {
		return
	}
	if figures := judge.NoiseFigures(r.Noise); len(figures) > 0 {
		s := p.section("How far apart timings are")
		s.Intro = plain.Line(judge.PlaceWithCores(r, x.Device) + ", " + x.Label() + ", " + unit.Plural(len(r.Noise.Results), "run"))
		s.stackedHead("", "#spread", "")
		for _, f := range figures {
			s.row(f.Name, f.Says(), f.Idea)
		}
	}
	if tests := judge.SelfTests(r.Noise); len(tests) > 0 {
		s := p.section("The lane compared with itself")
		s.stackedHead("a run with", "#apart", "#compared", "#same", "#undecided", "#different", "#sees")
		for _, t := range tests {
			s.row(t.Later(), unit.Seconds(t.Time), strconv.Itoa(t.N), strconv.Itoa(t.Same), strconv.Itoa(t.Unknown), strconv.Itoa(t.Wrong), t.Visible())
		}
		for _, t := range judge.SelfTestNotes() {
			s.note(t)
		}
	}
	p.productSamples(r.Kind, r.Noise.Results)
}
