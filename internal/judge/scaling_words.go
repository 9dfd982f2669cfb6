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
	"github.com/gpuplay/gpuplay/internal/unit"
)

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
	return append(out, launchSentences(list)...)
}

// launchSentences say which steps wait for Python.
func launchSentences(list []Scaled) (out []string) {
	var several []string
	for _, x := range list {
		waits := unit.Percent(1-x.Busy) + " of the step"
		switch {
		case !x.Launches || x.Step == nil:
		case x.Ranks == 1:
			out = append(out, "One GPU alone waits for Python's launches during "+waits+": speed-ups say little about GPUs.")
		default:
			several = append(several, fmt.Sprintf("%s over %d (%s)", x.Strategy, x.Ranks, waits))
		}
	}
	if len(several) > 0 {
		out = append(out, "A GPU waits for Python's launches, which are not modelled: "+strings.Join(several, ", ")+". These are not counted in the error, and their times are not extended to more GPUs.")
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
	if x.Predicted == nil || x.Predicted.Seconds == 0 {
		return ""
	}
	return unit.Seconds(seconds(x.Predicted.Seconds))
}

// ModelledOff returns the error of the model; of what is modelled alone, the largest of
// the strategy, in either direction.
func ModelledOff(x Scaled) string {
	switch {
	case x.Launches && x.Step == nil:
		return "launches"
	case !x.OffKnown:
		return ""
	case x.Step == nil:
		return "±" + unit.Percent(x.Off)
	case x.Launches:
		return fmt.Sprintf("%+.1f %%, launches", 100*x.Off)
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
