package gemm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// ErrClosed is returned by a pool that has been closed.
var ErrClosed = errors.New("gemm: the pool is closed")

// A Pool is a number of threads that compute products together, one product at
// a time; more callers wait for each other. Each thread is tied to a CPU where
// the system allows it (Linux does), since otherwise two busy threads may be put
// on one. Between calls they sleep. The caller's own thread does not compute and
// is not tied to anything.
type Pool struct {
	set    *instructionSet
	mu     sync.Mutex // held during a product
	closed bool

	wake []chan job
	done sync.WaitGroup
	team team

	float64s driver[float64]
	float32s driver[float32]
}

// A job is what all threads of a pool do together.
type job interface{ work(thread int) }

// NewPool starts threads for an instruction set that ISAs lists. 0 threads stand
// for as many as CPUs that the process may use: those of its affinity mask, or
// fewer where GOMAXPROCS, which heeds a container's quota, is lower. More
// threads than that work, slowly, and are not tied to CPUs.
func NewPool(isa ISA, threads int) (*Pool, error) {
	set, err := findSet(isa)
	if err != nil {
		return nil, err
	}
	cpus := usableCPUs()
	count := runtime.NumCPU()
	if len(cpus) > 0 {
		count = len(cpus)
	}
	switch {
	case threads < 0:
		return nil, fmt.Errorf("gemm: %d threads: use 1 or more, or 0 for all CPUs", threads)
	case threads == 0:
		threads = min(count, runtime.GOMAXPROCS(0))
	}
	if threads > len(cpus) {
		cpus = nil
	}
	p := &Pool{set: set, wake: make([]chan job, threads)}
	p.team.threads = int32(threads)
	p.float64s = driver[float64]{kernel: set.float64s, team: &p.team, own: make([]scratch[float64], threads)}
	p.float32s = driver[float32]{kernel: set.float32s, team: &p.team, own: make([]scratch[float32], threads)}
	for thread := range threads {
		p.wake[thread] = make(chan job)
		go p.serve(thread, cpus)
	}
	return p, nil
}

// serve is a thread of the pool. It ends without unlocking, so that the runtime
// ends the thread and no other goroutine finds itself tied to a CPU. The main
// thread, which may be the one, cannot be ended: it is untied.
func (p *Pool) serve(thread int, cpus []int) {
	runtime.LockOSThread()
	if cpus != nil {
		pinThread(cpus[thread])
		defer pinThread(cpus...)
	}
	for work := range p.wake[thread] {
		work.work(thread)
		p.done.Done()
	}
}

// run has all threads do a job and returns when they have. The caller holds mu.
func (p *Pool) run(work job) {
	p.done.Add(len(p.wake))
	for _, wake := range p.wake {
		wake <- work
	}
	p.done.Wait()
}

// ISA returns the instruction set that the pool computes with.
func (p *Pool) ISA() ISA { return p.set.isa }

// Threads returns how many threads compute.
func (p *Pool) Threads() int { return len(p.wake) }

// Close ends the threads, after the product in hand. Closing twice does nothing.
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
	p.float64s, p.float32s = driver[float64]{}, driver[float32]{}
}

// A team is how the threads share out one product: two counters and a barrier,
// which resets them. Each has a cache line of its own.
type team struct {
	threads int32
	ctx     context.Context
	stop    bool // set at a barrier once ctx has ended
	_       [64]byte
	panels  atomic.Int64
	_       [64]byte
	share   atomic.Int64
	_       [64]byte
	arrived atomic.Int32
	_       [64]byte
	round   atomic.Uint32
}

// reset prepares for a product. No thread may be at work.
func (t *team) reset(ctx context.Context) {
	t.ctx, t.stop = ctx, false
	t.panels.Store(0)
	t.share.Store(0)
}

func (t *team) nextPanels() int { return int(t.panels.Add(1)) - 1 }
func (t *team) nextShare() int  { return int(t.share.Add(1)) - 1 }

// wait returns when every thread has called it. The last one to come starts the
// counters anew and looks whether to go on.
func (t *team) wait() {
	round := t.round.Load()
	if t.arrived.Add(1) == t.threads {
		t.arrived.Store(0)
		t.reset(t.ctx)
		t.stop = t.ctx.Err() != nil
		t.round.Add(1)
		return
	}
	for spins := 1; t.round.Load() == round; spins++ {
		if spins%1000 == 0 { // the others may be waiting for this CPU
			runtime.Gosched()
		}
		pause()
	}
}
