package roof

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gpuplay/gpuplay/internal/topology"
)

// A team is a number of threads that measure together.
type team struct {
	ctx     context.Context
	cpus    []int // one CPU per thread; empty: not pinned
	threads int
	stop    bool // set at a barrier once ctx has ended
	begun   []time.Time
	ended   []time.Time
	_       [64]byte
	arrived atomic.Int32
	_       [64]byte
	round   atomic.Uint32
}

func newTeam(ctx context.Context, threads int) *team {
	t := &team{ctx: ctx, threads: threads, begun: make([]time.Time, threads), ended: make([]time.Time, threads)}
	if cpus := topology.Read().CPUs(); threads <= len(cpus) {
		t.cpus = cpus[:threads]
	}
	return t
}

// run has every thread do work and returns when all have finished.
func (t *team) run(work func(thread int)) {
	var done sync.WaitGroup
	for thread := range t.threads {
		done.Go(func() {
			// The thread is not unlocked, so that the runtime ends it instead of
			// reusing one that is pinned to a CPU.
			runtime.LockOSThread()
			if t.cpus != nil {
				topology.Pin(t.cpus[thread])
				defer topology.Pin(topology.Read().CPUs()...) // the main thread cannot be ended
			}
			work(thread)
		})
	}
	done.Wait()
}

// wait returns when every thread has called it; it returns false when they are to
// stop.
func (t *team) wait() bool {
	round := t.round.Load()
	if int(t.arrived.Add(1)) == t.threads {
		t.arrived.Store(0)
		t.stop = t.ctx.Err() != nil
		t.round.Add(1)
		return !t.stop
	}
	for spins := 1; t.round.Load() == round; spins++ {
		if spins%1000 == 0 { // the others may be waiting for this CPU
			runtime.Gosched()
		}
	}
	return !t.stop
}

// time has all threads call f at the same time. It returns, to all of them, the
// seconds from the first start to the last end.
func (t *team) time(thread int, f func()) (seconds float64, ok bool) {
	if !t.wait() {
		return 0, false
	}
	t.begun[thread] = time.Now()
	f()
	t.ended[thread] = time.Now()
	if !t.wait() {
		return 0, false
	}
	first, last := t.begun[0], t.ended[0]
	for i := range t.threads {
		if t.begun[i].Before(first) {
			first = t.begun[i]
		}
		if t.ended[i].After(last) {
			last = t.ended[i]
		}
	}
	ok = t.wait() // before any thread writes the next times
	return last.Sub(first).Seconds(), ok
}
