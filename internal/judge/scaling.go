package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/scaling"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// How far a step may be from the reference. In float32 the loss agrees to within lossBound
// and the gradients to within gradientBound. In other types rounding alone moves the
// reference, by as much as Rounding says: a strategy rounds in other places, and may be
// as far away in another direction, with some room.
const (
	lossBound     = 1e-5
	gradientBound = 1e-4
	roundings     = 3
	leastRounding = 1. / 256 // of bfloat16
)

// A Scaled is what a strategy came to over a number of ranks, or what the model says of
// it.
type Scaled struct {
	Strategy scaling.Strategy
	Ranks    int
	Step     *record.Trained // nil: modelled alone
	// Seconds of a step; of what is modelled alone, Value is the model's and there is no
	// interval.
	Seconds    stats.Interval
	Speedup    float64 // sequences per second over those of one rank; 0: not known
	Efficiency float64 // Speedup over Ranks
	Checked    string  // "right", "wrong: …", or "not checked" where the model has no room on one device
	Wrong      bool

	Predicted *scaling.Prediction // nil: not known
	Off       float64             // of the prediction from what was measured, as a share; of what is modelled alone, the largest of the strategy
	OffKnown  bool
	Peak      int64   // bytes of the fullest rank; 0: not counted
	PeakOff   float64 // of the predicted one

	// Shares of a step that a rank computes, communicates without computing, and waits, on
	// average over the ranks; all 0 where no timeline was taken.
	Compute, Exposed, Idle float64
}

// ScaledOf returns every strategy over every number of ranks, measured and then modelled,
// by ranks; of what is left out there is none.
func ScaledOf(c *record.Scaling) []Scaled {
	if c == nil {
		return nil
	}
	m := newModelled(c)
	var list []Scaled
	one := 0.0 // seconds per sequence
	for i := range c.Worlds {
		w := &c.Worlds[i]
		for j := range w.Steps {
			t := &w.Steps[j]
			x := Scaled{Strategy: t.Strategy, Ranks: w.Ranks, Step: t, Seconds: stats.MedianInterval(t.Seconds)}
			x.Checked, x.Wrong = checkedStep(t)
			if x.measured() && w.Batch > 0 {
				each := x.Seconds.Value / float64(w.Batch)
				if t.Strategy == scaling.Single {
					one = each
				}
				if one > 0 && each > 0 && !x.Wrong {
					x.Speedup = one / each
					x.Efficiency = x.Speedup / float64(max(1, w.Ranks))
				}
			}
			for _, b := range t.Peak {
				x.Peak = max(x.Peak, b)
			}
			if p, ok := m.predict(t.Strategy, w.Ranks, w.Batch); ok && x.measured() {
				x.Predicted, x.Off, x.OffKnown = &p, p.Seconds/x.Seconds.Value-1, true
				if x.Peak > 0 && p.Memory > 0 {
					x.PeakOff = p.Memory/float64(x.Peak) - 1
				}
			}
			x.timeline(t)
			list = append(list, x)
		}
	}
	return append(list, m.beyond(list, one)...)
}

// measured reports whether there is a time that can be divided by.
func (x *Scaled) measured() bool {
	return x.Step.Error == nil && x.Seconds.Value > 0 && finite(x.Seconds.Value)
}

// checkedStep says how a step compares with that of one device.
func checkedStep(t *record.Trained) (text string, wrong bool) {
	switch {
	case t.Error != nil:
		return "", false
	case len(t.Reference) == 0 || len(t.Losses) < len(t.Reference):
		return "not checked", false
	}
	loss, gradient := lossBound, gradientBound
	if t.Rounding != nil {
		loss, gradient = max(leastRounding, roundings*t.Rounding.Loss), max(leastRounding, roundings*t.Rounding.Gradient)
	}
	for i, r := range t.Reference {
		if off := math.Abs(t.Losses[i]-r) / math.Abs(r); !(off <= loss) {
			return fmt.Sprintf("wrong: the loss of step %d is %.6g, on one device %.6g", i+1, t.Losses[i], r), true
		}
	}
	if !(t.GradientError <= gradient) {
		return fmt.Sprintf("wrong: gradients are off by %.2g, at most %.2g is rounding", t.GradientError, gradient), true
	}
	return "right", false
}

// timeline works out where the time of a step goes.
func (x *Scaled) timeline(t *record.Trained) {
	n := 0.0
	for _, l := range t.Timeline {
		end := 0.0
		for _, spans := range [][][2]float64{l.Compute.Spans, l.Communicate.Spans} {
			for _, s := range spans {
				end = max(end, s[1])
			}
		}
		exposed := max(0, l.Communicate.Seconds-l.Hidden)
		if end <= 0 || !finite(end) || l.Compute.Seconds+exposed > 1.001*end {
			continue
		}
		n++
		x.Compute, x.Exposed = x.Compute+l.Compute.Seconds/end, x.Exposed+exposed/end
	}
	if n == 0 {
		x.Compute, x.Exposed = 0, 0
		return
	}
	x.Compute, x.Exposed = x.Compute/n, x.Exposed/n
	x.Idle = max(0, 1-x.Compute-x.Exposed)
	if x.Predicted != nil && x.Strategy == scaling.PP {
		// A rank that waits for a stage is in the operation that receives: what the messages
		// themselves take is known from their measurement, the rest is the bubble.
		sending := min(x.Exposed, x.Predicted.Exposed/x.Seconds.Value)
		x.Exposed, x.Idle = sending, max(0, 1-x.Compute-sending)
	}
}

// modelled is what predictions are made from: one rank alone, and messages over the
// fewest ranks of which there are any.
type modelled struct {
	c      *record.Scaling
	alone  *record.World
	pair   *record.World
	hidden float64
	flat   bool
	curves map[scaling.Op]scaling.Curve
}

func newModelled(c *record.Scaling) *modelled {
	m := &modelled{c: c, curves: map[scaling.Op]scaling.Curve{}}
	for i := range c.Worlds {
		w := &c.Worlds[i]
		switch {
		case w.Ranks == 1:
			m.alone = w
		case len(w.Collectives) > 0 && (m.pair == nil || w.Ranks < m.pair.Ranks):
			m.pair = w
		}
	}
	if m.pair == nil {
		return m
	}
	m.curves = Curves(m.pair)
	// Inside one host, NCCL's time for a small message is that of starting a kernel.
	hosts := slices.Compact(slices.Sorted(slices.Values(m.pair.Hosts)))
	m.flat = m.pair.Backend == "nccl" && len(hosts) == 1
	m.hidden = Hidden(m.pair.Overlap)
	return m
}

// Hidden returns the share of communication that computing hides where both go on at once,
// from 0 to 1; 0 where it was not measured.
func Hidden(o *record.Overlap) float64 {
	if o == nil || len(o.Compute) == 0 || len(o.Messages) == 0 || len(o.Both) == 0 {
		return 0
	}
	compute, messages, both := stats.Median(o.Compute), stats.Median(o.Messages), stats.Median(o.Both)
	hidden := (compute + messages - both) / min(compute, messages)
	if math.IsNaN(hidden) {
		return 0
	}
	return min(1, max(0, hidden))
}

// Curves returns what was measured of messages in a world.
func Curves(w *record.World) map[scaling.Op]scaling.Curve {
	curves := map[scaling.Op]scaling.Curve{}
	for _, x := range w.Collectives {
		t := stats.Median(x.Seconds)
		if !(t > 0) || !finite(t) || x.Bytes < 1 || w.Ranks < 2 || !slices.Contains(scaling.Ops, x.Op) {
			continue
		}
		c := curves[x.Op]
		c.Op, c.Ranks = x.Op, w.Ranks
		if x.Op == scaling.SendRecv {
			c.Ranks = 2
		}
		c.Points = append(c.Points, scaling.Point{Bytes: float64(x.Bytes), Seconds: t})
		curves[x.Op] = c
	}
	for op, c := range curves {
		slices.SortStableFunc(c.Points, func(a, b scaling.Point) int { return int(a.Bytes - b.Bytes) })
		c.Points = slices.CompactFunc(c.Points, func(a, b scaling.Point) bool { return a.Bytes == b.Bytes })
		curves[op] = c
	}
	return curves
}

// predict returns what the model says of a strategy over p ranks; ok is false where the
// part of a rank was not measured alone, or no messages were.
func (m *modelled) predict(s scaling.Strategy, p, batch int) (scaling.Prediction, bool) {
	if m.alone == nil || m.pair == nil || p < 2 || batch < 1 {
		return scaling.Prediction{}, false
	}
	in := scaling.Inputs{Shape: m.c.Shape, Value: 4, Ranks: p, Batch: batch, Messages: map[scaling.Op]scaling.Curve{}, Hidden: m.hidden}
	if m.c.DType == "bfloat16" {
		in.Value = 2
	}
	for op, c := range m.curves {
		if op != scaling.SendRecv {
			c = c.Over(p, m.flat)
		}
		in.Messages[op] = c
	}
	for i := range m.alone.Shares {
		if x := &m.alone.Shares[i]; x.Strategy == s && x.Parts == p && x.Failed == "" && len(x.Seconds) > 0 && len(x.Update) > 0 {
			a := scaling.Alone{Seconds: stats.Median(x.Seconds), Update: stats.Median(x.Update)}
			if x.Peak != nil && x.UpdatePeak != nil {
				a.Held, a.Gradients, a.Peak, a.UpdatePeak = float64(x.Held.Total()), float64(x.Held.Gradients), float64(*x.Peak), float64(*x.UpdatePeak)
			}
			if x.Kept != nil {
				a.Kept = float64(*x.Kept)
			}
			if s != scaling.PP {
				in.Alone = []scaling.Alone{a}
				break
			}
			for len(in.Alone) < x.Stage && len(in.Alone) > 0 && x.Stage < p { // equal to the one before
				in.Alone = append(in.Alone, in.Alone[len(in.Alone)-1])
			}
			in.Alone = append(in.Alone, a)
		}
	}
	if s == scaling.PP {
		if in.Microbatches = scaling.Microbatches(batch, p); in.Microbatches == 0 || len(in.Alone) != p {
			return scaling.Prediction{}, false
		}
	}
	if len(in.Alone) == 0 {
		return scaling.Prediction{}, false
	}
	x := scaling.Predict(s, in)
	if !finite(x.Seconds) || math.IsInf(x.Memory, 0) || math.IsInf(x.Sent, 0) {
		return scaling.Prediction{}, false
	}
	return x, true
}

// beyond returns what the model says of more ranks than there were, with the error that
// it had where it could be checked.
func (m *modelled) beyond(list []Scaled, one float64) []Scaled {
	if m.alone == nil || len(m.c.Worlds) == 0 {
		return nil
	}
	most := 0
	for _, w := range m.c.Worlds {
		most = max(most, w.Ranks)
	}
	worst := map[scaling.Strategy]float64{}
	checked := map[scaling.Strategy]bool{}
	for _, x := range list {
		if x.OffKnown {
			worst[x.Strategy], checked[x.Strategy] = max(worst[x.Strategy], math.Abs(x.Off)), true
		}
	}
	var parts []int
	for _, x := range m.alone.Shares {
		if x.Parts > most && x.Parts <= 1<<20 {
			parts = append(parts, x.Parts)
		}
	}
	slices.Sort(parts)
	var more []Scaled
	for _, p := range slices.Compact(parts) {
		batch := m.alone.Batch
		if m.c.Weak {
			batch *= p
		}
		for _, s := range scaling.Strategies {
			prediction, ok := m.predict(s, p, batch)
			if !ok {
				continue
			}
			x := Scaled{Strategy: s, Ranks: p, Seconds: stats.Interval{Value: prediction.Seconds}, Predicted: &prediction, Off: worst[s], OffKnown: checked[s]}
			if one > 0 {
				x.Speedup = one * float64(batch) / prediction.Seconds
				x.Efficiency = x.Speedup / float64(p)
			}
			more = append(more, x)
		}
	}
	return more
}

// ModelError returns the median and the largest error of the model over all that was
// measured, as shares, and of how many figures; of is the one with the largest.
func ModelError(list []Scaled) (median, worst float64, of *Scaled, n int) {
	var errors []float64
	for i, x := range list {
		if x.Step == nil || !x.OffKnown || x.Wrong {
			continue
		}
		e := math.Abs(x.Off)
		errors = append(errors, e)
		if of == nil || e > worst {
			worst, of = e, &list[i]
		}
	}
	return stats.Median(errors), worst, of, len(errors)
}

// scalingSentences say how much faster more ranks are, and how good the model is.
func scalingSentences(r *record.Run) []string {
	c := r.Scaling
	var out []string
	if r.Interrupted {
		out = append(out, interrupted)
	}
	if c == nil {
		return out
	}
	list := ScaledOf(c)
	plural := "GPUs"
	if c.Rehearsal {
		plural = "processes"
	}
	if best := bestScaled(list); best != nil {
		out = append(out, fmt.Sprintf("%d %s train %s times as fast as one with %s: %s of %d times.",
			best.Ranks, plural, unit.Times(best.Speedup), best.Strategy, unit.Percent(best.Efficiency), best.Ranks))
	}
	if c.Rehearsal {
		out = append(out, "This was a rehearsal on CPUs: processes share cores and memory, so that these times say nothing of GPUs. That all strategies compute the same was checked.")
	}
	for _, x := range list {
		if x.Wrong {
			out = append(out, fmt.Sprintf("%s over %d ranks is %s.", x.Strategy, x.Ranks, x.Checked))
		}
	}
	if median, worst, of, n := ModelError(list); n > 0 {
		out = append(out, fmt.Sprintf("The model, made from one rank and from messages alone, is off by %s in the median of %s and by %s at worst (%s over %d).",
			unit.Percent(median), unit.Plural(n, "figure"), unit.Percent(worst), of.Strategy, of.Ranks))
	}
	return out
}

// ScalingTitle says what was trained, on what.
func ScalingTitle(c *record.Scaling) []string {
	name := c.Model
	if name == "" {
		name = "a transformer"
	}
	s := c.Shape
	title := []string{"training " + name, fmt.Sprintf("%d layers of width %d, %s parameters", s.Layers, s.Width, unit.Count(float64(s.Params()))), c.DType}
	if len(c.Worlds) > 0 {
		w := c.Worlds[0]
		batch := fmt.Sprintf("batch of %d × %d tokens", w.Batch, s.Seq)
		if c.Weak {
			batch += " for each rank"
		}
		title = append(title, batch)
		last := c.Worlds[len(c.Worlds)-1]
		if len(last.Devices) > 0 {
			title = append(title, last.Devices[0])
		}
		title = append(title, "PyTorch "+last.Torch)
	}
	return title
}

// StepTime returns the time of a step, measured or modelled.
func StepTime(x Scaled) string {
	if x.Step == nil {
		return ""
	}
	return unit.Seconds(seconds(x.Seconds.Value))
}

// StepSpread returns the half width of the interval.
func StepSpread(x Scaled) string {
	if x.Step == nil || len(x.Step.Seconds) == 0 {
		return ""
	}
	return unit.Percent(x.Seconds.Spread())
}

// ModelledTime returns the time that the model says.
func ModelledTime(x Scaled) string {
	if x.Predicted == nil {
		return ""
	}
	return unit.Seconds(seconds(x.Predicted.Seconds))
}

// ModelledOff returns the error of the model; of what is modelled alone, the largest of
// the strategy, in either direction.
func ModelledOff(x Scaled) string {
	switch {
	case !x.OffKnown:
		return ""
	case x.Step == nil:
		return "±" + unit.Percent(x.Off)
	}
	return fmt.Sprintf("%+.1f %%", 100*x.Off)
}

// opNames are those of operations as people write them.
var opNames = map[scaling.Op]string{scaling.AllReduce: "all-reduce", scaling.AllGather: "all-gather", scaling.ReduceScatter: "reduce-scatter", scaling.SendRecv: "send and receive"}

// MessageCosts returns, for each operation of a world, its name, the time of a small
// message, the bus bandwidth at the largest size, and that size.
func MessageCosts(w *record.World) (rows [][4]string) {
	curves := Curves(w)
	for _, op := range scaling.Ops {
		c := curves[op]
		if len(c.Points) == 0 {
			continue
		}
		first, last := c.Points[0], c.Points[len(c.Points)-1]
		bandwidth := unit.Digits3(last.Bytes*op.Share(c.Ranks)/last.Seconds/1e9) + " GB/s"
		rows = append(rows, [4]string{opNames[op], unit.Seconds(seconds(first.Seconds)), bandwidth, unit.Bytes(last.Bytes)})
	}
	return rows
}

// seconds returns a time as a duration, the longest one for what is longer.
func seconds(s float64) time.Duration {
	if ns := s * 1e9; ns < math.MaxInt64 {
		return time.Duration(ns)
	}
	return math.MaxInt64
}

// bestScaled returns the fastest of what was measured on several ranks and is right; nil
// if there is none.
func bestScaled(list []Scaled) *Scaled {
	var best *Scaled
	for i, x := range list {
		if x.Step != nil && x.Ranks > 1 && finite(x.Speedup) && (best == nil || x.Speedup > best.Speedup) {
			best = &list[i]
		}
	}
	return best
}

// scalingSummary returns a run in a line.
func scalingSummary(c *record.Scaling) (task, figure string) {
	title := ScalingTitle(c)
	if best := bestScaled(ScaledOf(c)); best != nil {
		figure = fmt.Sprintf("%d ranks %s× (%s)", best.Ranks, unit.Times(best.Speedup), best.Strategy)
	}
	return title[0] + " " + c.DType, figure
}

// scalingHeadline is that of training on several ranks.
func scalingHeadline(r *record.Run) Headline {
	h := Headline{Subject: "training on several devices"}
	if r.Scaling == nil {
		return h
	}
	h.Subject = strings.Join(ScalingTitle(r.Scaling)[:3], ", ")
	h.Winner = hardware.GPU
	if r.Scaling.Rehearsal {
		h.Winner = hardware.CPU
	}
	list := ScaledOf(r.Scaling)
	h.Proof, h.Trust = "checked against one device", Proven
	for _, x := range list {
		switch {
		case x.Wrong:
			h.Proof, h.Trust = fmt.Sprintf("%s over %d ranks is wrong", x.Strategy, x.Ranks), Doubted
		case x.Checked == "not checked" && h.Trust == Proven:
			h.Proof, h.Trust = "not all of it could be checked", Unproven
		}
	}
	best := bestScaled(list)
	if best == nil {
		h.Trust = Unproven
		h.Proof = "nothing was measured on several ranks"
		return h
	}
	h.Figure, h.Claim = unit.Times(best.Speedup)+"×", fmt.Sprintf("as fast on %d ranks as on one, with %s", best.Ranks, best.Strategy)
	if r.Scaling.Rehearsal {
		h.Detail = "a rehearsal on CPUs"
	}
	name := r.Machine.CPU
	for _, w := range r.Scaling.Worlds {
		if w.Ranks == best.Ranks && len(w.Devices) > 0 && !r.Scaling.Rehearsal {
			name = w.Devices[0]
		}
	}
	for _, x := range list {
		if x.Step != nil && x.Ranks == best.Ranks && finite(x.Speedup) {
			h.Entries = append(h.Entries, Entry{Kind: h.Winner, Name: name, By: string(x.Strategy), Speed: unit.Times(x.Speedup) + "×", Value: x.Speedup, Verified: x.Checked == "right"})
		}
	}
	slices.SortStableFunc(h.Entries, func(a, b Entry) int { return cmp.Compare(b.Value, a.Value) })
	return h
}
