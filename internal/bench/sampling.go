package bench

import (
	"context"
	"math"
	"time"

	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/stats"
)

const (
	sampleTime = 20 * time.Millisecond  // long enough to bury a synchronisation
	leastTime  = 500 * time.Millisecond // of all samples of a lane
	precise    = 0.01                   // the interval's half width at which a lane has enough
	maxSamples = 16                     // of a noisy series, if they last leastTime: more would not make it precise
)

// warmTime is how long a device takes to reach the clock that it can hold. A
// GPU ramps up in steps (llama.cpp#21282 shows big swings without
// a warm-up); a CPU is there within some tens of milliseconds.
func warmTime(k hardware.Kind) time.Duration {
	if k == hardware.CPU {
		return 200 * time.Millisecond
	}
	return 500 * time.Millisecond
}

// slow reports whether a lane's share of the time holds no more than a few
// products: then nothing is spent on warming it up.
func (e *entry) slow(stop Stop, share time.Duration) bool {
	return stop.Repeat == 0 && 4*e.single.Wall > share
}

// warmUp runs until the speed has settled and finds how many products make a
// sample long enough.
func (r *Runner) warmUp(ctx context.Context, e *entry, stop Stop, share time.Duration) {
	e.iters = 1
	r.emit(Event{Lane: e.index, Phase: WarmingUp})
	if e.slow(stop, share) && e.single.Wall < stop.Budget { // unless its first product was slow to load only
		var err error
		if e.single, err = r.run(ctx, e, 1); err != nil {
			r.fail(ctx, e, WarmingUp, err)
			return
		}
	}
	if e.slow(stop, share) {
		if 2*e.single.Wall > share { // it is all there is time for
			r.keep(e, e.single, stop, share)
		}
		return
	}
	warm := warmTime(e.Device.Kind)
	var spent time.Duration
	for last, runs := 0.0, 0; ; {
		s, err := r.run(ctx, e, e.iters)
		if err != nil {
			r.fail(ctx, e, WarmingUp, err)
			return
		}
		spent += s.Wall
		runs += s.Iters
		settled := math.Abs(s.Seconds()/last-1) < 0.05
		last = s.Seconds()
		e.iters = enoughOf(s)
		if runs >= 3 && spent >= warm && (settled || spent >= 3*warm) {
			break
		}
	}
	if stop.Repeat > 0 {
		e.iters = 1
	}
	r.emit(Event{Lane: e.index, Phase: Sampling}) // it waits for its turn
}

// enoughOf returns how many products make a sample long enough, by one of them. A
// run too short for the clock says little: it grows in steps.
func enoughOf(s Sample) int {
	return max(1, int(math.Ceil(min(sampleTime.Seconds()/s.Seconds(), 100*float64(s.Iters)))))
}

// take takes one sample. A lane that was held up while it warmed up has its number
// of products too small: then the sample is one of its warm-up.
func (r *Runner) take(ctx context.Context, e *entry, stop Stop) (s Sample, err error) {
	for range 5 {
		s, err = r.run(ctx, e, e.iters)
		if err != nil || stop.Repeat > 0 || s.Wall >= sampleTime/2 {
			break
		}
		e.iters = enoughOf(s)
	}
	return s, err
}

// sample takes the lanes' samples in turns until each has enough. What lanes
// leave of the time is shared by those that need more.
func (r *Runner) sample(ctx context.Context, entries []*entry, stop Stop) {
	for forwards := true; ; forwards = !forwards {
		left := 0
		for i, e := range entries {
			if !forwards {
				e = entries[len(entries)-1-i]
			}
			if e.done || ctx.Err() != nil {
				continue
			}
			s, err := r.take(ctx, e, stop)
			if err != nil {
				e.done = true
				r.fail(ctx, e, Sampling, err)
				continue
			}
			r.keep(e, s, stop, e.share(entries, stop.Budget))
			if !e.done {
				left++
			}
		}
		if left == 0 {
			return
		}
	}
}

// share returns the time that e's samples may take, those that it has included:
// an equal part of what is left for the lanes that are not done. A lane whose one
// product took longer than its part has not taken that from the others.
func (e *entry) share(entries []*entry, budget time.Duration) time.Duration {
	left, active := budget, time.Duration(0)
	for _, other := range entries {
		spent := other.spent
		if len(other.result.Samples) == 1 {
			spent = min(spent, budget/time.Duration(len(entries)))
		}
		left -= spent
		if !other.done {
			active++
		}
	}
	return e.spent + left/active
}

// keep adds a sample to a lane's result.
func (r *Runner) keep(e *entry, s Sample, stop Stop, share time.Duration) {
	e.result.Samples = append(e.result.Samples, s)
	e.spent += s.Wall
	e.done = e.enough(stop, share)
	speed := e.GEMM.FLOP() / stats.Median(e.result.Seconds()) // an interval would take long between samples
	r.emit(Event{Lane: e.index, Phase: Sampling, Done: len(e.result.Samples), Total: e.total(stop, share), Speed: speed})
}

// enough reports whether the lane has all the samples it needs or may have.
func (e *entry) enough(stop Stop, share time.Duration) bool {
	n := len(e.result.Samples)
	if stop.Repeat > 0 {
		return n >= stop.Repeat
	}
	if e.spent+e.spent/time.Duration(n) > share { // another one would not fit
		return true
	}
	speed, _ := e.result.Speed()
	return n >= minSamples && e.spent >= leastTime && (n >= maxSamples || speed.Spread() <= precise)
}

// total estimates how many samples the lane will have.
func (e *entry) total(stop Stop, share time.Duration) int {
	n := len(e.result.Samples)
	if stop.Repeat > 0 {
		return stop.Repeat
	}
	if e.done {
		return n
	}
	each := max(1, e.spent/time.Duration(n))
	want := max(minSamples, int(leastTime/each)+1, n+1)
	return min(want, max(1, int(share/each)))
}
