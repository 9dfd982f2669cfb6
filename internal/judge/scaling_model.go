package judge

import (
	"cmp"
	"math"
	"slices"

	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/scaling"
	"github.com/gpuplay/gpuplay/internal/stats"
)

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
		slices.SortStableFunc(c.Points, func(a, b scaling.Point) int { return cmp.Compare(a.Bytes, b.Bytes) })
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
	in := scaling.Inputs{Shape: m.c.Shape, Value: 4, Ranks: p, Batch: batch, Messages: map[scaling.Op]scaling.Curve{}, Workspace: workspace(m.alone.Shares), Hidden: m.hidden}
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

// workspace returns the bytes that a rank has allocated beside weights, gradients, moments
// and what the update needs, which is as much as the weights: the least of all shares,
// since others may also have held tensors that Python had not yet collected.
func workspace(shares []record.Share) float64 {
	least := math.Inf(1)
	for _, x := range shares {
		if x.UpdatePeak != nil {
			least = min(least, float64(*x.UpdatePeak-x.Held.Total()-x.Held.Weights))
		}
	}
	if math.IsInf(least, 0) {
		return 0
	}
	return max(0, least)
}

// launches reports whether the part of a rank of p, alone, waits for Python's launches.
func (m *modelled) launches(s scaling.Strategy, p int) bool {
	for i := range m.alone.Shares {
		x := &m.alone.Shares[i]
		if x.Strategy == s && x.Parts == p && len(x.Seconds) > 0 && m.alone.Backend == "nccl" && waitsForLaunches(x.Busy/stats.Median(x.Seconds)) {
			return true
		}
	}
	return false
}

// beyond returns what the model says of more ranks than there were, with the error that
// it had where it could be checked. Of a strategy that waits for Python's launches it
// returns the memory alone.
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
	launches := map[scaling.Strategy]bool{} // over the most ranks: over more, there is less for each GPU to do
	for _, x := range list {
		launches[x.Strategy] = x.Launches
		if x.OffKnown && !x.Launches {
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
			if launches[s] || m.launches(s, p) {
				if prediction.Memory > 0 {
					more = append(more, Scaled{Strategy: s, Ranks: p, Predicted: &scaling.Prediction{Sent: prediction.Sent, Memory: prediction.Memory}, Launches: true})
				}
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
// measured and does not wait for Python's launches, as shares, and of how many figures; of
// is the one with the largest.
func ModelError(list []Scaled) (median, worst float64, of *Scaled, n int) {
	var errors []float64
	for i, x := range list {
		if x.Step == nil || !x.OffKnown || x.Wrong || x.Launches {
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
