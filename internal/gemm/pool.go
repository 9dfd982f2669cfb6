package gemm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/gpuplay/gpuplay/internal/topology"
)

// ErrClosed is returned by a pool that has been closed.
var ErrClosed = errors.New("gemm: the pool is closed")

// A Pool is a set of threads that compute products together, one product at a time;
// concurrent callers wait for each other. Each thread is pinned to a CPU where the
// system allows it (Linux does), since the system might otherwise put two busy
// threads on one CPU. Between calls they sleep. The caller's own thread is not
// pinned.
type Pool struct {
	set    instructionSet
	mu     sync.Mutex // held during a product
	closed bool

	wake   []chan job
	done   sync.WaitGroup
	driver driver
}

// A job is work that all threads of a pool do together.
type job interface{ work(thread int) }

// NewPool starts threads for one of the instruction sets that ISAs lists. 0 threads
// means one on each core of the fastest kind that the process may use, or fewer if
// GOMAXPROCS, which respects a container's quota, is lower: two threads of one core
// share its multipliers, and an efficiency core would delay the others. A larger
// number uses those as well. More threads than CPUs work too, but slowly, and are
// not pinned.
func NewPool(isa ISA, threads int) (*Pool, error) {
	set, err := findSet(isa)
	if err != nil {
		return nil, err
	}
	machine := topology.Read()
	cpus := machine.CPUs()
	switch {
	case threads < 0:
		return nil, fmt.Errorf("gemm: %d threads: use 1 or more, or 0 for all cores", threads)
	case threads == 0:
		threads = runtime.GOMAXPROCS(0)
		if cores := machine.Cores(); cores > 0 {
			threads = min(threads, cores)
		}
	}
	if threads > len(cpus) {
		cpus = nil
	}
	p := &Pool{set: set.fit(machine), wake: make([]chan job, threads)}
	p.driver.own, p.driver.worth = make([]scratch, threads), worthThreads
	p.driver.team.patience = 1 << 14
	if threads > runtime.GOMAXPROCS(0) { // they can never all run at once
		p.driver.team.patience = 64
	}
	for thread := range threads {
		p.wake[thread] = make(chan job)
		go p.serve(thread, cpus)
	}
	return p, nil
}

// serve runs one thread of the pool. It returns without unlocking the thread, so
// that the runtime ends it and no other goroutine ends up pinned to a CPU. The main
// thread cannot be ended, so the pinning is undone in case this is the main thread.
func (p *Pool) serve(thread int, cpus []int) {
	runtime.LockOSThread()
	if cpus != nil {
		topology.Pin(cpus[thread])
		defer topology.Pin(cpus...)
	}
	for work := range p.wake[thread] {
		work.work(thread)
		p.done.Done()
	}
}

// run has the given number of threads do a job and returns when they have finished.
// The caller holds mu.
func (p *Pool) run(threads int, work job) {
	p.done.Add(threads)
	for _, wake := range p.wake[:threads] {
		wake <- work
	}
	p.done.Wait()
}

// multiply computes a product the given number of times. One that takes less time
// than waking a thread is computed on the caller's.
func (p *Pool) multiply(ctx context.Context, k *kernel, g product, times int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	d := &p.driver
	d.prepare(ctx, k, g, times)
	if d.threads == 1 && float64(times)*float64(g.m)*float64(g.n)*float64(g.depth) < inline {
		d.work(0)
	} else {
		p.run(d.threads, d)
	}
	d.release()
	if d.team.stop {
		return ctx.Err()
	}
	return nil
}

// inline is how many multiplications take less time than waking a thread.
const inline = 1 << 20

// ISA returns the instruction set that the pool uses.
func (p *Pool) ISA() ISA { return p.set.isa }

// Threads returns the number of threads.
func (p *Pool) Threads() int { return len(p.wake) }

// Close ends the threads after the current product. Closing twice does nothing.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	for _, wake := range p.wake {
		close(wake)
	}
	p.driver = driver{}
}

// A team coordinates the threads that share a product: two counters and a barrier
// that resets them. Each has a cache line of its own.
type team struct {
	threads int32
	// patience is how many times to spin before yielding to Go's scheduler: being
	// woken up takes longer than most waits.
	patience int
	ctx      context.Context
	stop     bool // set at a barrier once ctx has ended
	_        [64]byte
	panels   atomic.Int64
	_        [64]byte
	share    atomic.Int64
	_        [64]byte
	arrived  atomic.Int32
	_        [64]byte
	round    atomic.Uint32
}

// reset prepares the team for the given number of threads. None may be working.
func (t *team) reset(ctx context.Context, threads int) {
	t.ctx, t.stop, t.threads = ctx, false, int32(threads)
	t.panels.Store(0)
	t.share.Store(0)
}

func (t *team) nextPanels() int { return int(t.panels.Add(1)) - 1 }
func (t *team) nextShare() int  { return int(t.share.Add(1)) - 1 }

// wait returns when every thread has called it. The last thread to arrive resets
// the counters and checks whether to stop.
func (t *team) wait() {
	round := t.round.Load()
	if t.threads == 1 || t.arrived.Add(1) == t.threads {
		t.arrived.Store(0)
		t.panels.Store(0)
		t.share.Store(0)
		t.stop = t.ctx.Err() != nil
		t.round.Add(1)
		return
	}
	for spins := 1; t.round.Load() == round; spins++ {
		switch {
		case spins%t.patience == 0: // another goroutine may be waiting to be scheduled
			runtime.Gosched()
		case spins%4096 == 0: // or another thread for this CPU
			yield()
		}
		pause()
	}
}
