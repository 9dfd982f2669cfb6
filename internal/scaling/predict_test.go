package scaling

import (
	"math"
	"testing"
)

// line returns the curve of a link.
func line(op Op, p int, l Link) Curve {
	c := Curve{Op: op, Ranks: p}
	for n := 1024.; n <= 1<<28; n *= 4 {
		c.Points = append(c.Points, Point{n, l.Seconds(op, p, n)})
	}
	return c
}

// The link of a curve is the one that it was made from, and its points are themselves.
func TestCurve(t *testing.T) {
	want := Link{Alpha: 20e-6, Beta: 1 / 300e9}
	for _, op := range Ops {
		c := line(op, 4, want)
		got, off := c.Link()
		close(t, "alpha", got.Alpha, want.Alpha, 0.002) // of the small messages, which hold a few bytes too
		close(t, "beta", got.Beta, want.Beta, 1e-9)
		if off > 0.002 {
			t.Errorf("%s: off by %g", op, off)
		}
		for _, p := range c.Points {
			close(t, "a point", c.Seconds(p.Bytes), p.Seconds, 1e-12)
		}
		close(t, "beyond", c.Seconds(1<<32), want.Seconds(op, 4, 1<<32), 1e-6)
		close(t, "below", c.Seconds(1), c.Points[0].Seconds, 1e-12)
		between := c.Seconds(3000)
		if between <= c.Points[0].Seconds || between >= c.Points[1].Seconds {
			t.Errorf("%s: %g is not between its neighbours", op, between)
		}
	}
	if got := (Curve{}).Seconds(5); got != 0 {
		t.Errorf("no points: %g", got)
	}
}

// Over more ranks, a curve is what the link says.
func TestCurveOver(t *testing.T) {
	l := Link{Alpha: 20e-6, Beta: 1 / 300e9}
	for _, op := range Ops {
		for _, p := range line(op, 2, l).Over(8, false).Points {
			close(t, string(op), p.Seconds, l.Seconds(op, 8, p.Bytes), 0.003)
		}
		for _, p := range line(op, 2, l).Over(8, true).Points {
			flat := Link{Alpha: l.Alpha * op.Steps(2), Beta: l.Beta, Flat: true}
			if op == SendRecv {
				flat = l
			}
			close(t, string(op)+" flat", p.Seconds, flat.Seconds(op, 8, p.Bytes), 0.003)
		}
	}
}

// Each strategy over 4 ranks, against the formulas with numbers in their places.
func TestPredict(t *testing.T) {
	s := Shape{Layers: 3, Width: 256, Heads: 4, Vocab: 1024, Seq: 128, Positions: true}
	l := Link{Alpha: 0, Beta: 1e-9}
	in := Inputs{Shape: s, Value: 4, Ranks: 4, Batch: 8, Microbatches: 8, Messages: map[Op]Curve{}, Alone: []Alone{{Seconds: 3, Update: 1, Held: 100e6, Gradients: 25e6, Peak: 180e6, UpdatePeak: 150e6}}}
	for _, op := range Ops {
		in.Messages[op] = line(op, 4, l)
	}
	n := float64(s.Params()) * 4
	tokens := 8 * 128.
	for _, x := range []struct {
		strategy               Strategy
		compute, comm, sent, m float64
	}{
		{DP, 4, 1.5 * n * 1e-9, 1.5 * n, 180e6},
		{DDP, 4, 1.5 * n * 1e-9, 1.5 * n, 180e6},
		{FSDP, 3.25, 3 * 0.75 * n * 1e-9, 3 * 0.75 * n, s.ShardedPeak(4, 256, 4, 75e6/4) + 180e6 - 25e6 - s.ShardedPeak(1, 256, 4, 75e6)},
		{TP, 4, (14*tokens*256*4 + 3*4*tokens) * 1.5e-9, (14*tokens*256*4 + 3*4*tokens) * 1.5, 180e6},
	} {
		p := Predict(x.strategy, in)
		close(t, string(x.strategy)+": computing", p.Compute, x.compute, 1e-12)
		close(t, string(x.strategy)+": communication", p.Exposed, x.comm, 0.01) // between points of a line
		close(t, string(x.strategy)+": sum", p.Seconds, p.Compute+p.Exposed, 1e-12)
		close(t, string(x.strategy)+": sent", p.Sent, x.sent, 1e-12)
		close(t, string(x.strategy)+": memory", p.Memory, x.m, 1e-12)
		in.Hidden = 1
		least := Predict(x.strategy, in)
		in.Hidden = 0
		switch x.strategy {
		case DDP, FSDP: // computing takes much longer than the messages behind it
			if least.Exposed != 0 || least.Seconds != p.Compute {
				t.Errorf("%s: at best %g s are exposed of %g s", x.strategy, least.Exposed, least.Seconds)
			}
		default:
			if least != p {
				t.Errorf("%s hides nothing: %+v, not %+v", x.strategy, least, p)
			}
		}
	}
	if p := Predict(TP, Inputs{}); p != (Prediction{}) {
		t.Errorf("from nothing: %+v", p)
	}
}

func TestPredictPipeline(t *testing.T) {
	s := Shape{Layers: 4, Width: 256, Heads: 4, Vocab: 1024, Seq: 128, Positions: true}
	in := Inputs{Shape: s, Value: 4, Ranks: 4, Batch: 8, Microbatches: 8, Messages: map[Op]Curve{SendRecv: line(SendRecv, 2, Link{Alpha: 0.25})}}
	for i := range 4 {
		in.Alone = append(in.Alone, Alone{Seconds: 1, Update: 0.5 + float64(i), Peak: 100, Held: 60, Kept: 30, UpdatePeak: 90})
	}
	p := Predict(PP, in)
	close(t, "time", p.Seconds, 11+6*0.25+3.5, 1e-12)
	close(t, "computing", p.Compute, 8+3.5, 1e-12)
	bubble := p.Seconds - p.Compute - p.Exposed
	close(t, "bubble", bubble, 3, 1e-12)
	close(t, "hops", p.Exposed, 1.5, 1e-12)
	messages := 8 * 128. * 256 * 4
	close(t, "memory", p.Memory, 100+messages*(1+1024./256), 1e-12) // of the last stage, with its logits
	in.Alone[0].Kept = 1e9
	close(t, "memory of the first stage", Predict(PP, in).Memory, 100+3e9+2*messages, 1e-12)
	close(t, "bubble as a share of computing and waiting", bubble/(bubble+8), 3./11, 1e-12)
}

func TestBuckets(t *testing.T) {
	sum := 0.0
	list := buckets(60 << 20)
	for _, b := range list {
		sum += b
	}
	if len(list) != 4 || list[0] != 1<<20 || list[1] != 25<<20 || sum != 60<<20 {
		t.Errorf("%v", list)
	}
	s := Shape{Layers: 3, Width: 256, Heads: 4, Vocab: 1024, Seq: 128, Positions: true}
	sum = 0
	for _, u := range s.units(4) {
		sum += u
	}
	close(t, "units of FSDP", sum, 4*float64(s.Params()), 1e-12)
	if math.IsNaN(sum) {
		t.Error("NaN")
	}
}

func TestDivisible(t *testing.T) {
	s := Shape{Layers: 4, Width: 128, Heads: 4, Vocab: 512, Seq: 64}
	for _, x := range []struct {
		strategy Strategy
		p, batch int
		ok       bool
	}{
		{DP, 2, 8, true}, {DDP, 3, 8, false}, {FSDP, 16, 8, false},
		{TP, 4, 1, true}, {TP, 8, 8, false}, {TP, 3, 9, false},
		{PP, 4, 8, true}, {PP, 8, 64, false}, {PP, 3, 8, true}, {PP, 4, 3, false}, {PP, 4, 7, true},
	} {
		if err := s.Divisible(x.strategy, x.p, x.batch); (err == nil) != x.ok {
			t.Errorf("%s over %d with a batch of %d: %v", x.strategy, x.p, x.batch, err)
		}
	}
	for _, x := range [][3]int{{8, 2, 8}, {16, 2, 8}, {64, 4, 16}, {8, 3, 8}, {7, 4, 7}, {11, 2, 0}, {3, 4, 0}} {
		if got := Microbatches(x[0], x[1]); got != x[2] {
			t.Errorf("a batch of %d over %d stages: %d microbatches", x[0], x[1], got)
		}
	}
}
