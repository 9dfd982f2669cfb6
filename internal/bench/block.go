package bench

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/stats"
)

// A Block is a time in which a lane computed without turns. Sensors say nothing about
// samples of 20 ms in turns, since they average over up to a second; and only what is
// computed for long shows what a device can sustain. No figure of a lane follows from
// its block but those that are named for it.
type Block struct {
	// Pause is how long nothing was computed before it, so that the device could cool
	// down; 0: the block is for the sensors, and says nothing about what is sustained.
	Pause   time.Duration `json:"pause_ns,omitempty"`
	Samples []Sample      `json:"samples"` // one directly after the other
}

// LeastSustain is the shortest block that shows what is sustained: its second half is
// longer than a GPU takes to settle on a clock under its power limit. Heat takes longer,
// up to minutes.
const LeastSustain = 10 * time.Second

const (
	blockSample = 100 * time.Millisecond // of the samples of a block: short beside what a clock or a temperature takes to change
	pause       = 5 * time.Second        // before a block that shows what is sustained
	burstTime   = time.Second            // at the beginning of a block, in which a burst is looked for
	burstLeast  = 10                     // samples in which it is looked for
	burstOf     = 5                      // the fastest of them are the burst
)

// blocks has lanes compute without turns: each for as long as the sensors need, if there
// is time, and then the fastest of each kind for as long as was asked for. GPU lanes come
// before those on the CPU, since without a block nothing proves that they used a GPU.
func (r *Runner) blocks(ctx context.Context, entries []*entry, stop Stop) {
	long := time.Duration(0)
	if r.Sensors != nil {
		long = r.Sensors.Block()
	}
	var best, order []*entry
	for _, kind := range []hardware.Kind{hardware.GPU, hardware.CPU, hardware.SoftwareGPU} {
		if e := fastest(entries, kind); e != nil {
			best = append(best, e)
		}
	}
	order = append(order, best...)
	for _, kind := range []hardware.Kind{hardware.GPU, hardware.CPU} {
		for _, e := range entries {
			if e.Device.Kind == kind && !slices.Contains(best, e) {
				order = append(order, e)
			}
		}
	}
	for _, e := range order {
		until := stop.Until
		if e == order[0] && e.Device.Kind == hardware.GPU {
			until = stop.latest() // what a race says first is the ratio of this lane, which is to be proven
		}
		switch now := r.sink().Now(); {
		case ctx.Err() != nil:
			return
		case stop.Sustain > 0 && slices.Contains(best, e): // which is long enough
		case e.Device.Kind == hardware.SoftwareGPU: // which has no sensors
		case len(e.result.Samples) == 0 || long == 0 || e.longest() >= long: // its samples are long enough
		case until == 0 || now+long <= until:
			r.block(ctx, e, 0, long)
		}
	}
	for _, e := range best {
		if stop.Sustain > 0 && ctx.Err() == nil {
			r.block(ctx, e, pause, stop.Sustain)
		}
	}
}

// fastest returns the lane of a kind with the highest speed, nil if there is none.
func fastest(entries []*entry, kind hardware.Kind) *entry {
	var best *entry
	top := 0.0
	for _, e := range entries {
		if s, ok := e.result.Speed(); ok && e.Device.Kind == kind && s.Value > top {
			best, top = e, s.Value
		}
	}
	return best
}

// longest returns how long the longest sample took.
func (e *entry) longest() time.Duration {
	var d time.Duration
	for _, s := range e.result.Samples {
		d = max(d, s.End-s.Start)
	}
	return d
}

// block has a lane compute without turns for a time. What was computed until an
// interruption is kept.
func (r *Runner) block(ctx context.Context, e *entry, rest, long time.Duration) {
	r.phase(e, InBlock)
	b := &Block{Pause: rest, Samples: []Sample{}}
	timer := time.NewTimer(rest)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return
	}
	each := stats.Median(e.result.Seconds())
	n := max(1, int(math.Ceil(min(blockSample.Seconds()/each, math.MaxInt32))))
	begin := r.sink().Now()
	for end := begin + long; r.sink().Now() < end; {
		s, err := r.run(ctx, e, n)
		if err != nil {
			r.fail(ctx, e, InBlock, err)
			break
		}
		b.Samples = append(b.Samples, s)
		if rest > 0 {
			r.sink().Emit(e.ID, event.Progress{Done: int((s.End - begin).Seconds()), Total: int(long.Seconds()), Speed: e.GEMM.FLOP() / s.Seconds()})
		}
	}
	if len(b.Samples) > 0 {
		e.result.Block = b
	}
}

// sense adds what the sensors read during a lane to its result, and what follows from it.
func (r *Runner) sense(e *entry, entries []*entry) {
	if r.Sensors == nil {
		return
	}
	u := measure.Use{Start: e.begin, End: e.begin, Alone: true, Large: e.GEMM.Bytes() >= 64<<20}
	for i := range e.result.Samples {
		u.Windows = append(u.Windows, window(e.result.Samples[i:i+1]))
	}
	if b := e.result.Block; b != nil {
		u.Windows = append(u.Windows, window(b.Samples))
	}
	if n := len(u.Windows); n > 0 {
		u.End = u.Windows[n-1].End
	}
	for _, o := range entries {
		same := o.Device.Card == nil || e.Device.Card == nil || *o.Device.Card == *e.Device.Card
		if o != e && o.Device.Kind == hardware.GPU && same && !o.out {
			u.Alone = false
		}
	}
	e.result.Sensors = r.Sensors.Sense(e.Device, u)
	e.result.Sensors.Warn(e.Device.Kind, &e.result.Warnings)
}

// window returns the time of samples that were taken one directly after the other.
func window(list []Sample) measure.Window {
	w := measure.Window{Start: list[0].Start, End: list[len(list)-1].End}
	for _, s := range list {
		w.Work += float64(s.Iters)
	}
	return w
}

// A Sustained says what a lane computes at first and in the long run.
type Sustained struct {
	Burst  float64        // FLOP/s: the median of the fastest five samples of the first second after a pause
	First  stats.Interval // FLOP/s: the median of the first second
	Steady stats.Interval // FLOP/s: the median of the second half of the block
	From   time.Duration  // the second half, on the runner's clock
	To     time.Duration
	// Fall is the share by which the fastest five of the last samples are slower than the
	// burst. As many samples are looked at in both cases: the fastest of many are faster
	// than the fastest of few, also where nothing has changed.
	Fall float64
}

// Throttled reports whether the speed has fallen by more than a figure may drift, and by
// more than noise explains: the intervals of the two medians do not meet.
func (s Sustained) Throttled() bool { return s.Fall > measure.Drifting && s.First.Low > s.Steady.High }

// Sustained returns what a block after a pause shows; ok is false where there is none,
// or where it is too short for two figures.
func (r *Result) Sustained() (s Sustained, ok bool) {
	if r.Block == nil || r.Block.Pause == 0 || r.Error != nil {
		return s, false
	}
	list := r.Block.Samples
	k := 0 // samples in which a burst is looked for
	for k < len(list) && (k < burstLeast || list[k].End-list[0].Start <= burstTime) {
		k++
	}
	if len(list) < 2*max(k, burstLeast) {
		return s, false
	}
	rates := make([]float64, len(list))
	for i, x := range list {
		rates[i] = r.GEMM.FLOP() / x.Seconds()
	}
	s.To = list[len(list)-1].End
	middle := list[0].Start + (s.To-list[0].Start)/2
	half := slices.IndexFunc(list, func(x Sample) bool { return x.End > middle })
	s.From, s.Steady = list[half].Start, stats.MedianInterval(rates[half:])
	s.Burst, s.First = burst(rates[:k]), stats.MedianInterval(rates[:k])
	s.Fall = 1 - burst(rates[len(rates)-k:])/s.Burst
	return s, true
}

// burst returns the median of the fastest five.
func burst(rates []float64) float64 {
	sorted := slices.Sorted(slices.Values(rates))
	return stats.Median(sorted[max(0, len(sorted)-burstOf):])
}
