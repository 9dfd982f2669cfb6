package bench

import (
	"cmp"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
)

// byWorth orders lanes for a race that may not have time for all: the fastest of each
// kind first, then the others by how near they come to that. Lanes of which nothing is
// known keep their order, the first of each kind in front.
func byWorth(entries []*entry) []*entry {
	top := map[hardware.Kind]float64{}
	for _, e := range entries {
		if e.estimate != nil {
			top[e.Device.Kind] = max(top[e.Device.Kind], e.estimate.rate)
		}
	}
	worth := map[*entry]float64{}
	first := map[hardware.Kind]bool{}
	for _, e := range entries {
		kind := e.Device.Kind
		switch {
		case e.estimate != nil:
			worth[e] = e.estimate.rate / top[kind]
		case top[kind] == 0 && !first[kind]:
			worth[e] = 1
		}
		first[kind] = true
	}
	return slices.SortedStableFunc(slices.Values(entries), func(a, b *entry) int { return cmp.Compare(worth[b], worth[a]) })
}

// need returns how long it takes to measure a lane that is prepared, of which a product
// takes each and a check takes check.
func need(kind hardware.Kind, each, check time.Duration) time.Duration {
	return beyondSamples(kind, each, check) + max(leastTime, leastSamples*max(each, sampleTime))
}

// beyondSamples is need without the samples: warming up and checking.
func beyondSamples(kind hardware.Kind, each, check time.Duration) time.Duration {
	checks := time.Duration(7) // with as few samples as an interval needs
	if each < sampleTime {
		checks = 11 // more samples, and two more at the end
	}
	return max(measure.WarmTime(kind), 3*each) + checks*check
}

// timeFor reports whether there is time to measure one more lane beside those that are
// in. Without an estimate it is taken to need what the most expensive of its kind needs.
func (r *Runner) timeFor(e *entry, in []*entry, stop Stop) bool {
	if stop.Until == 0 {
		return true
	}
	kind := e.Device.Kind
	cost, first := time.Duration(0), kind == hardware.CPU || kind == hardware.GPU
	end := r.sink().Now()
	for _, other := range in {
		end += other.need()
		if other.Device.Kind == kind {
			first = false
			cost = max(cost, other.before+other.need())
		}
	}
	if e.estimate != nil {
		cost = e.estimate.cost(kind, e.GEMM)
	}
	return first || end+cost <= stop.Until
}

// each returns how long a product takes, as far as is known.
func (e *entry) each() time.Duration {
	if e.estimate != nil { // the first product may have been slow only because of loading
		return min(e.single.Wall, e.estimate.each(e.GEMM))
	}
	return e.single.Wall
}

// need returns how long it still takes to measure a lane whose first product was checked.
func (e *entry) need() time.Duration { return need(e.Device.Kind, e.each(), e.check) }

// hurried reports whether there is not enough time to measure the lanes as they should be.
func (r *Runner) hurried(entries []*entry, stop Stop) bool {
	if stop.Until == 0 {
		return true // then each has its share of the budget, and no more
	}
	end := r.sink().Now()
	for _, e := range entries {
		end += e.need()
	}
	return end > stop.Until
}

// budget returns how much time there is for samples.
func (r *Runner) budget(entries []*entry, stop Stop) time.Duration {
	if stop.Until == 0 {
		return stop.Budget
	}
	end := r.sink().Now()
	for _, e := range entries {
		end += beyondSamples(e.Device.Kind, e.each(), e.check)
	}
	return min(stop.Budget, max(stop.Until-end, time.Millisecond))
}

// latest returns stop.Latest, or stop.Until where there is none.
func (s Stop) latest() time.Duration { return max(s.Until, s.Latest) }

// late reports whether another sample of e would leave too little time for the checks
// with which the lanes end.
func (r *Runner) late(e *entry, entries []*entry, stop Stop) bool {
	if stop.Until == 0 || stop.Repeat > 0 {
		return false
	}
	end := r.sink().Now() + e.spent/time.Duration(len(e.result.Samples)) + e.check
	for _, other := range entries {
		end += other.check
		if other.iters > 1 {
			end += matrix.Sets * (other.check + other.each())
		}
	}
	if len(e.result.Samples) < leastSamples {
		return end > stop.latest()
	}
	return end > stop.Until
}
