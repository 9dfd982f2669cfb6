package bench

import (
	"context"
	"math"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/stats"
)

const (
	sampleTime   = 20 * time.Millisecond  // long enough to make a synchronisation insignificant
	leastTime    = 500 * time.Millisecond // of all samples of a lane
	precise      = 0.01                   // the half width of the interval, relative to the median, at which a lane has enough samples
	leastSamples = 6                      // that an interval of 95 % needs
	maxSamples   = 16                     // of a noisy series, if they last leastTime: more would not make it precise
)

// slow reports whether a lane's share of the time is enough for only a few
// products, so that none is spent on warming up.
func (e *entry) slow(stop Stop, share time.Duration) bool {
	return stop.Repeat == 0 && 4*e.single.Wall > share
}

// warmUp runs products until the speed has settled, and determines how many of them
// make a sample long enough.
func (r *Runner) warmUp(ctx context.Context, e *entry, stop Stop, share time.Duration, refs *references) {
	e.iters = 1
	r.phase(e, WarmingUp)
	if e.slow(stop, share) && e.single.Wall < stop.Budget { // the first product may have been slow only because of loading
		var err error
		if e.single, err = r.run(ctx, e, 1); err != nil {
			r.fail(ctx, e, WarmingUp, err)
			return
		}
	}
	if e.slow(stop, share) {
		if 2*e.single.Wall > share { // there is no time for another
			r.keep(e, e.single, stop, share)
		}
		return
	}
	warm := measure.WarmTime(e.Device.Kind)
	if stop.Cold {
		warm = 0
	}
	var spent time.Duration
	for last, runs := 0.0, 0; ; {
		s, err := r.run(ctx, e, e.iters)
		if err != nil {
			r.fail(ctx, e, WarmingUp, err)
			return
		}
		if runs == 0 { // the second product in succession, from the other operands
			if r.check(ctx, e, refs); e.result.Error != nil {
				return
			}
		}
		spent += s.Wall
		runs += s.Iters
		settled := math.Abs(s.Seconds()/last-1) < 0.05
		last = s.Seconds()
		e.iters = enoughOf(s, stop.sample())
		if runs >= 3 && spent >= warm && (settled || spent >= 3*warm) {
			break
		}
	}
	if stop.Repeat > 0 {
		e.iters = 1
	}
	r.phase(e, Sampling) // until its turn comes
}

// sample returns how long a sample lasts at least.
func (s Stop) sample() time.Duration { return max(s.Sample, sampleTime) }

// enoughOf returns how many products make a sample long enough, judging by sample
// s. A sample that is too short for the clock says little, so the number grows by
// at most a factor of 100.
func enoughOf(s Sample, least time.Duration) int {
	if s.Seconds() >= least.Seconds() {
		return 1
	}
	// A quarter more, so that a sample that happens to be fast is long enough too.
	return max(1, int(math.Ceil(min(1.25*least.Seconds()/s.Seconds(), 100*float64(s.Iters)))))
}

// take takes one sample. If the lane was delayed while warming up, its number of
// products is too small and the sample too short: then the number is corrected and
// the sample repeated.
func (r *Runner) take(ctx context.Context, e *entry, stop Stop) (s Sample, err error) {
	defer e.quota.Count(r.Throttled)()
	for range 5 {
		s, err = r.run(ctx, e, e.iters)
		if err != nil || stop.Repeat > 0 || s.Wall >= stop.sample() {
			break
		}
		e.iters = enoughOf(s, stop.sample())
	}
	return s, err
}

// sample takes the samples of the lanes in turns until each lane has enough. Time
// that some lanes leave over is divided among those that need more.
func (r *Runner) sample(ctx context.Context, entries []*entry, stop Stop, refs *references) {
	for round := 0; ; round++ {
		left := 0
		for i := range measure.Turns(len(entries), round) {
			e := entries[i]
			if e.done || ctx.Err() != nil {
				continue
			}
			if len(e.result.Samples) > 0 && r.late(e, entries, stop) {
				e.done = true
				continue
			}
			s, err := r.take(ctx, e, stop)
			if err != nil {
				e.done = true
				r.fail(ctx, e, Sampling, err)
				continue
			}
			r.keep(e, s, stop, e.share(entries, stop.Budget))
			if e.done {
				continue // its closing check comes next
			}
			if r.spotCheck(ctx, e, refs); e.result.Error != nil {
				e.done = true
				continue
			}
			left++
		}
		if left == 0 {
			return
		}
	}
}

// spotCheck checks the product that a timed sample has left behind: of the first three
// samples, and of others at random: two in five until there are as many as an interval
// needs, two in fifteen after that. No library can know which.
func (r *Runner) spotCheck(ctx context.Context, e *entry, refs *references) {
	n := len(e.result.Samples)
	if n > 3 {
		if e.due--; e.due > 0 {
			return
		}
	}
	if r.check(ctx, e, refs); n < minSamples {
		e.due = 1 + e.random.IntN(4)
	} else {
		e.due = 1 + e.random.IntN(14)
	}
}

// share returns how long the samples of e may take in total: what they took so far
// plus an equal part of the time left for the lanes that are not done. A lane whose
// single product took longer than its part counts only with that part.
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

// keep adds a sample to the result of a lane.
func (r *Runner) keep(e *entry, s Sample, stop Stop, share time.Duration) {
	e.result.Samples = append(e.result.Samples, s)
	e.spent += s.Wall
	e.done = e.enough(stop, share)
	speed := e.GEMM.FLOP() / stats.Median(e.result.Seconds()) // an interval would take too long to compute between samples
	r.sink().Emit(e.ID, s)
	r.sink().Emit(e.ID, event.Progress{Done: len(e.result.Samples), Total: e.total(stop, share), Speed: speed})
}

// enough reports whether the lane has all the samples that it needs or has time
// for.
func (e *entry) enough(stop Stop, share time.Duration) bool {
	n := len(e.result.Samples)
	if stop.Repeat > 0 {
		return n >= stop.Repeat
	}
	if e.spent+e.spent/time.Duration(n) > share && (stop.Until == 0 || n >= leastSamples) { // there is no time for another one
		return true
	}
	speed, _ := e.result.Speed()
	return n >= minSamples && e.spent >= leastTime && (n >= maxSamples || speed.Spread() <= precise)
}

// total estimates how many samples the lane will have in the end.
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
	least := 1
	if stop.Until > 0 {
		least = leastSamples
	}
	return min(want, max(least, int(share/each)))
}
