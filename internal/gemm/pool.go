package gemm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/gpuplay/gpuplay/internal/topology"
)

// ErrClosed is returned by a pool that has been closed.
var ErrClosed = errors.New("gemm: the pool is closed")

// A Pool is a set of threads that compute products together, one product at a time;
// concurrent callers wait for each other. Each thread is pinned to a CPU where the
// system allows it (Linux does), since the system might otherwise put two busy
// threads on one CPU. Between calls they sleep. The caller's own thread is not
// pinned. A small product wakes only as many threads as make it faster.
type Pool struct {
	set    instructionSet
	mu     sync.Mutex // held during a product
	closed bool

	wake   []chan struct{} // one for each thread
	team   team
	driver driver
	whole  whole
}

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
	if threads, err = Threads(threads); err != nil {
		return nil, err
	}
	machine := topology.Read()
	cpus := machine.CPUs()
	if threads > len(cpus) {
		cpus = nil
	}
	leaveRoom(threads)
	p := makePool(set.fit(machine), threads)
	for thread := range threads {
		go p.serve(thread, cpus)
	}
	return p, nil
}

// NewInline returns a pool without threads of its own: products are computed on the thread of
// the caller. It is for programs that divide their work among threads themselves, each of which
// then has a pool of its own.
func NewInline(isa ISA) (*Pool, error) {
	set, err := findSet(isa)
	if err != nil {
		return nil, err
	}
	p := makePool(set.fit(topology.Read()), 1)
	p.wake = nil
	return p, nil
}

func makePool(set instructionSet, threads int) *Pool {
	p := &Pool{set: set, wake: make([]chan struct{}, threads)}
	p.team.ended, p.team.own = make(chan struct{}, 1), make([]queue, threads)
	p.driver.own, p.driver.worth = make([]scratch, threads), worthThreads
	for thread := range threads {
		p.wake[thread] = make(chan struct{}, 1)
	}
	return p
}

// Threads returns how many threads NewPool starts for a number of threads: that number, or
// those that it chooses for 0.
func Threads(threads int) (int, error) {
	switch {
	case threads < 0:
		return 0, fmt.Errorf("gemm: %d threads: use 1 or more, or 0 for all cores", threads)
	case threads > maxThreads:
		return 0, fmt.Errorf("gemm: %d threads: use %d at most", threads, maxThreads)
	}
	usable := processors() // before leaveRoom changes what it reads
	if threads > 0 {
		return threads, nil
	}
	if cores := topology.Read().Cores(); cores > 0 {
		usable = min(usable, cores)
	}
	return usable, nil
}

// processors returns how many CPUs Go used before leaveRoom asked for more: GOMAXPROCS,
// which respects a container's quota. It is read by the first pool, since main lowers it
// for quotas of less than two CPUs.
var processors = sync.OnceValue(func() int { return runtime.GOMAXPROCS(0) })

// leaveRoom has Go run as many threads at once as a pool may keep busy, and two more:
// otherwise whoever waits for a product, the collector, and whatever else the program
// does would have to wait until a thread of the pool is interrupted, which takes 10 ms.
func leaveRoom(threads int) {
	if runtime.GOMAXPROCS(0) < threads+2 {
		runtime.GOMAXPROCS(threads + 2)
	}
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
	for range p.wake[thread] {
		p.team.join(thread)
	}
}

// run wakes the given number of threads to do some work, and returns when it is done
// or ctx has ended. Threads that are still awake may help as well. The caller holds mu.
func (p *Pool) run(ctx context.Context, threads int, w work) {
	p.team.begin(ctx, threads, w)
	for _, wake := range p.wake[:threads] {
		select {
		case wake <- struct{}{}:
		default: // it has not yet noticed the previous call
		}
	}
	<-p.team.ended
	p.team.work, p.team.ctx = nil, nil
}

// multiply computes a product the given number of times. One that takes less time
// than waking a thread is computed on the caller's.
func (p *Pool) multiply(ctx context.Context, k *kernel, g product, times int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	d := &p.driver
	d.prepare(k, g, times)
	defer d.release()
	switch {
	case d.threads > 1:
		p.run(ctx, d.threads, d)
	case len(p.wake) == 0 || float64(times)*float64(g.m)*float64(g.n)*float64(g.depth) < inline:
		alone(ctx, d, 0)
	default:
		p.whole = whole{d, ctx}
		p.run(ctx, 1, &p.whole)
	}
	return ctx.Err()
}

// inline is how many multiplications take less time than waking a thread.
const inline = 1 << 20

// ISA returns the instruction set that the pool uses.
func (p *Pool) ISA() ISA { return p.set.isa }

// Threads returns the number of threads; 0 for a pool that computes on the caller's.
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
	p.driver, p.whole = driver{}, whole{}
}
