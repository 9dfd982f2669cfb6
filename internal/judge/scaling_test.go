package judge

import (
	"math"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/scaling"
)

// scaled is a run of two worlds in which messages cost 10 µs and a byte a nanosecond.
func scaled() *record.Scaling {
	s := scaling.Shape{Layers: 2, Width: 64, Heads: 4, Vocab: 256, Seq: 32, Positions: true}
	ten := func(v float64) []float64 { return []float64{v, v, v, v, v, v, v, v, v, v} }
	right := record.Trained{Losses: []float64{6, 5}, Reference: []float64{6, 5}}
	one, two := right, right
	one.Strategy, one.Seconds = scaling.Single, ten(1)
	two.Strategy, two.Seconds = scaling.DP, ten(0.5)
	peak, update := int64(1000), int64(900)
	c := &record.Scaling{Model: "x", Shape: s, DType: "float32", Worlds: []record.World{
		{Ranks: 1, Batch: 8, Backend: "nccl", Steps: []record.Trained{one}},
		{Ranks: 2, Batch: 8, Backend: "nccl", Hosts: []string{"a", "a"}, Steps: []record.Trained{two}},
	}}
	for _, p := range []int{2, 4} {
		c.Worlds[0].Shares = append(c.Worlds[0].Shares, record.Share{Strategy: scaling.DP, Parts: p, Seconds: ten(0.8 / float64(p)), Update: ten(0.1), Peak: &peak, UpdatePeak: &update, Held: record.Held{Weights: 100}})
	}
	l := scaling.Link{Alpha: 10e-6, Beta: 1e-9}
	for n := int64(1024); n <= 1<<24; n *= 4 {
		for _, op := range scaling.Ops {
			c.Worlds[1].Collectives = append(c.Worlds[1].Collectives, record.Collective{Op: op, Bytes: n, Repeat: 2, Seconds: ten(l.Seconds(op, 2, float64(n)))})
		}
	}
	return c
}

// A strategy is measured and modelled side by side, and beyond what was measured modelled
// alone, with the error that the model had where it could be checked.
func TestRuleModelIsChecked(t *testing.T) {
	list := ScaledOf(scaled())
	if len(list) != 3 {
		t.Fatalf("%d rows", len(list))
	}
	dp, beyond := list[1], list[2]
	comm := float64(scaled().Shape.Params()) * 4 * 1e-9
	want := 0.5 + comm
	if dp.Speedup != 2 || dp.Efficiency != 1 || dp.Predicted == nil || math.Abs(dp.Predicted.Seconds-want) > 1e-4 || math.Abs(dp.Off-(want/0.5-1)) > 1e-3 || !dp.OffKnown {
		t.Errorf("%+v %+v", dp, dp.Predicted)
	}
	if beyond.Step != nil || beyond.Ranks != 4 || beyond.Off != math.Abs(dp.Off) || !beyond.OffKnown || math.Abs(beyond.Predicted.Seconds-(0.3+1.5*comm)) > 1e-4 {
		t.Errorf("%+v %+v", beyond, beyond.Predicted)
	}
	if median, worst, of, n := ModelError(list); n != 1 || median != worst || of.Strategy != scaling.DP {
		t.Errorf("%g %g %d", median, worst, n)
	}
}

// A step that differs from that of one device has no speed-up and says why.
func TestRuleStepIsChecked(t *testing.T) {
	for _, x := range []struct {
		name  string
		spoil func(*record.Trained)
		want  string
	}{
		{"right", func(*record.Trained) {}, "right"},
		{"almost", func(s *record.Trained) { s.Losses = []float64{6.00005, 5}; s.GradientError = 0.9e-4 }, "right"},
		{"the first loss", func(s *record.Trained) { s.Losses = []float64{6.0001, 5} }, "wrong: the loss of step 1"},
		{"the second loss", func(s *record.Trained) { s.Losses = []float64{6, 5.0001} }, "wrong: the loss of step 2"},
		{"gradients", func(s *record.Trained) { s.GradientError = 2e-4 }, "wrong: gradients are off by 0.0002"},
		{"no number", func(s *record.Trained) { s.GradientError = math.NaN() }, "wrong: gradients"},
		{"rounding allows it", func(s *record.Trained) {
			s.Losses, s.GradientError, s.Rounding = []float64{6.05, 5}, 0.05, &record.Rounding{Loss: 0.003, Gradient: 0.02}
		}, "right"},
		{"and not more", func(s *record.Trained) {
			s.GradientError, s.Rounding = 0.07, &record.Rounding{Loss: 0.003, Gradient: 0.02}
		}, "wrong: gradients are off by 0.07"},
		{"nothing to check against", func(s *record.Trained) { s.Reference = nil }, "not checked"},
	} {
		c := scaled()
		x.spoil(&c.Worlds[1].Steps[0])
		dp := ScaledOf(c)[1]
		if !strings.HasPrefix(dp.Checked, x.want) || dp.Wrong != strings.HasPrefix(x.want, "wrong") || dp.Wrong != (dp.Speedup == 0) {
			t.Errorf("%s: %q, speed-up %g", x.name, dp.Checked, dp.Speedup)
		}
		r := &record.Run{Kind: record.Scale, Scaling: c}
		if Outcome(r, false) == dp.Wrong {
			t.Errorf("%s: the outcome is %t", x.name, Outcome(r, false))
		}
	}
}

// A strategy that had too little memory is no failure of the run, and has no figures.
func TestScaledOutOfMemory(t *testing.T) {
	c := scaled()
	c.Worlds[1].Steps[0] = record.Trained{Strategy: scaling.DP, Error: fault.Errorf(fault.OutOfMemory, "rank 1 ran out of memory")}
	r := &record.Run{Kind: record.Scale, Scaling: c}
	if x := ScaledOf(c)[1]; x.Speedup != 0 || x.Wrong || x.OffKnown || !Outcome(r, false) {
		t.Errorf("%+v", x)
	}
	c.Worlds[1].Steps[0].Error.Code = fault.Crashed
	if Outcome(r, false) {
		t.Error("a rank that crashed is a failure")
	}
}

// What was measured of computing and sending at once says how much is hidden.
func TestHidden(t *testing.T) {
	for _, x := range [][4]float64{{10, 4, 10, 1}, {10, 4, 14, 0}, {10, 4, 12, 0.5}, {10, 4, 9, 1}, {10, 4, 20, 0}, {4, 10, 12, 0.5}, {0, 0, 0, 0}} {
		o := &record.Overlap{Compute: x[:1], Messages: x[1:2], Both: x[2:3]}
		if got := Hidden(o); math.Abs(got-x[3]) > 1e-12 {
			t.Errorf("%v: %g", x, got)
		}
	}
	if Hidden(nil) != 0 || Hidden(&record.Overlap{}) != 0 {
		t.Error("nothing was measured")
	}
}

// Where the time goes: of a pipeline, waiting for a stage is no communication.
func TestTimeline(t *testing.T) {
	c := scaled()
	step := &c.Worlds[1].Steps[0]
	step.Timeline = []record.Lived{{
		Compute:     record.Busy{Seconds: 6, Spans: [][2]float64{{0, 6}}},
		Communicate: record.Busy{Seconds: 3, Spans: [][2]float64{{5, 8}}},
		Hidden:      1,
	}, {
		Compute:     record.Busy{Seconds: 4, Spans: [][2]float64{{0, 4}}},
		Communicate: record.Busy{Seconds: 2, Spans: [][2]float64{{6, 8}}},
	}}
	x := ScaledOf(c)[1]
	if math.Abs(x.Compute-0.625) > 1e-12 || math.Abs(x.Exposed-0.25) > 1e-12 || math.Abs(x.Idle-0.125) > 1e-12 {
		t.Errorf("%g %g %g", x.Compute, x.Exposed, x.Idle)
	}
}
