package judge

import (
	"fmt"
	"math"

	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/scaling"
	"github.com/gpuplay/gpuplay/internal/stats"
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
	// Busy is the share of a step in which the GPU that did least did something; 0: not known.
	Busy float64
	// Launches: Busy is so little that Python, which launches what GPUs do, takes longer than
	// the GPUs. The model knows nothing of that.
	Launches bool
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
			x.Launches = w.Backend == "nccl" && waitsForLaunches(x.Busy)
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

// leastBusy is the share of a step in which a GPU does something at least where Python's
// launches do not hold it up. In the runs of docs/scaling it is either 0.92 or more, or 0.70
// or less.
const leastBusy = 0.9

// waitsForLaunches reports whether a device that is busy for a share of the time waits for
// Python; busy is 0 where it is not known.
func waitsForLaunches(busy float64) bool { return busy > 0 && busy < leastBusy }

// timeline works out where the time of a step goes.
func (x *Scaled) timeline(t *record.Trained) {
	n := 0.0
	for _, l := range t.Timeline {
		// The profiler makes launches slower, not what was launched: the time of a step is that
		// without it.
		if b := (l.Compute.Seconds + l.Communicate.Seconds - l.Hidden) / x.Seconds.Value; b > 0 && finite(b) && (x.Busy == 0 || b < x.Busy) {
			x.Busy = min(1, b)
		}
		end, exposed := l.End(), max(0, l.Communicate.Seconds-l.Hidden)
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
