package gemm

import (
	"context"
	"sync/atomic"
)

// Work is what a team's threads do together: phases, one after the other, each of
// shares that are independent of each other.
type work interface {
	// phases returns how many there are, at least one.
	phases() int
	// shares returns how many shares a phase has, at least one.
	shares(phase int) int
	// do has a thread do one share. Any thread of the pool may be called, and each
	// for any number of shares.
	do(thread, phase, share int)
}

// A team divides work among threads. Each thread takes its own shares first, the same
// ones in every phase, so that what it wrote stays in its caches. One that has none left
// helps the others. A phase has ended when its shares are done, not when every thread
// has said so: a thread to which the system gives no CPU delays nobody, unless it is in
// the middle of a share.
type team struct {
	work  work
	ctx   context.Context
	phase int
	ended chan struct{} // receives once per work
	_     [64]byte
	// state is a phase in one word, so that a thread learns all of it at one moment: its
	// round, which counts phases, how many threads have shares of their own, and how
	// many shares there are, which are 0 between works. The fields above are written
	// before a phase is opened, and read only by threads that have a share of it.
	state atomic.Uint64
	_     [64]byte
	left  atomic.Int64 // shares of the phase that are not done
	_     [64]byte
	own   []queue
}

const (
	shareBits  = 24
	threadBits = 12
	roundBits  = 64 - shareBits - threadBits

	maxShares  = 1<<shareBits - 1
	maxThreads = 1<<threadBits - 1
)

// A queue is the shares of one thread: of t threads, the third has shares 2, t+2, 2t+2, …
type queue struct {
	// state has the last round from which a share was taken, and how many were.
	state atomic.Uint64
	_     [64]byte
}

// take returns the number of the next share in the queue, which has some in a round; ok
// is false where none is left.
func (q *queue) take(round uint64, some int) (next int, ok bool) {
	for {
		state := q.state.Load()
		next = int(state & maxShares)
		switch later := int64((state>>shareBits - round) << (64 - roundBits)); {
		case later > 0: // this thread slept until its round was over
			return 0, false
		case later < 0:
			next = 0
		}
		if next >= some {
			return 0, false
		}
		if q.state.CompareAndSwap(state, round<<shareBits|uint64(next+1)) {
			return next, true
		}
	}
}

// begin opens the first phase of some work for a number of threads. The previous work
// has ended.
func (t *team) begin(ctx context.Context, threads int, w work) {
	t.work, t.ctx, t.phase = w, ctx, 0
	round := t.state.Load() >> (shareBits + threadBits)
	for i := range t.own { // even a queue that has long been out of use is in the previous round
		t.own[i].state.Store(round<<shareBits | maxShares)
	}
	t.open(threads, w.shares(0))
}

// open starts a round: of a new phase, or without shares at the end.
func (t *team) open(threads, shares int) {
	round := t.state.Load()>>(shareBits+threadBits) + 1
	t.left.Store(int64(shares))
	t.state.Store(round<<(shareBits+threadBits) | uint64(threads)<<shareBits | uint64(shares))
}

// join does shares until the work has ended.
func (t *team) join(thread int) {
	for {
		state := t.state.Load()
		round, threads, shares := state>>(shareBits+threadBits), int(state>>shareBits&maxThreads), int(state&maxShares)
		if shares == 0 {
			return
		}
		t.doAll(thread, thread, round, threads, shares)
		// Whoever is only a little late should find its own shares.
		for spins := 1; spins < 16 && t.state.Load() == state; spins++ {
			pause()
		}
		for i := 0; i < threads && t.state.Load() == state; i++ {
			t.doAll(thread, (thread+i)%threads, round, threads, shares)
		}
		for spins := 1; t.state.Load() == state; spins++ {
			relax(spins)
		}
	}
}

// doAll has a thread do what is left of the shares of one thread.
func (t *team) doAll(thread, of int, round uint64, threads, shares int) {
	if of >= threads {
		return
	}
	some := (shares - of + threads - 1) / threads
	for {
		next, ok := t.own[of].take(round, some)
		if !ok {
			return
		}
		t.work.do(thread, t.phase, of+next*threads)
		if t.left.Add(-1) == 0 {
			t.advance(threads)
		}
	}
}

// advance opens the next phase, or ends the work. The caller did the last share.
func (t *team) advance(threads int) {
	if t.phase++; t.phase < t.work.phases() && t.ctx.Err() == nil {
		t.open(threads, t.work.shares(t.phase))
		return
	}
	t.open(threads, 0)
	t.ended <- struct{}{}
}

// relax is called with 1, 2, 3, … while a thread waits for others. It keeps its CPU
// for some microseconds, which most waits do not outlast, and then offers it to any
// other thread that needs it, perhaps the one that is waited for.
func relax(spins int) {
	if spins%64 == 0 {
		yield()
		return
	}
	pause()
}

// alone does some work on one thread. It returns early if ctx ends.
func alone(ctx context.Context, w work, thread int) {
	for phase := range w.phases() {
		if phase > 0 && ctx.Err() != nil {
			return
		}
		for share := range w.shares(phase) {
			w.do(thread, phase, share)
		}
	}
}

// Whole is work of a single share, which is all of some other work. Taking the shares
// of that from a counter would cost as much as the smallest products.
type whole struct {
	work
	ctx context.Context
}

func (w *whole) phases() int         { return 1 }
func (w *whole) shares(int) int      { return 1 }
func (w *whole) do(thread, _, _ int) { alone(w.ctx, w.work, thread) }
