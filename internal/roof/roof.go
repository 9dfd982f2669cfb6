// Package roof measures what bounds every program on this CPU beside its
// arithmetic: the bandwidth of each cache and of memory, and the clock.
//
// Bandwidth is that of two loops over float64 arrays: STREAM's triad
// (https://www.cs.virginia.edu/stream/ref.html), a[i] = b[i] + s·c[i], and a plain
// sum of x[i], which only reads, as a language model reads its weights. Bytes are
// counted as STREAM does: what the loop names, 24 and 8 bytes an element. A store
// that first fetches its line moves a third more than that in the triad.
//
// The peak of multiply-adds is gemm's.
package roof

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/topology"
)

// A Place is where the arrays of a measurement are.
type Place struct {
	Name  string `json:"name"`  // L1, L2, L3 or memory
	Bytes int    `json:"bytes"` // that the arrays of one thread take together
}

// A Bandwidth is what some threads reached together in one place.
type Bandwidth struct {
	Place
	Threads int       `json:"threads"`
	Read    []float64 `json:"read"`  // bytes a second, a value a sample
	Triad   []float64 `json:"triad"` // the same
}

const (
	samples = 7         // of each loop
	block   = 64        // elements: the kernels' step
	call    = 1 << 20   // bytes after which a kernel returns: the collector cannot interrupt one
	traffic = 1 << 26   // bytes that a thread moves in a sample, at least
	most    = 4 << 30   // bytes that all arrays may take
	least   = 192 << 20 // the same, where no cache is known or they are small
)

// Places returns where so many threads, which are on the CPUs that CPUs lists
// first, can have their arrays: half of each cache that is theirs, as far as
// it is clearly larger than the one before, and memory. Limit is what all arrays
// may take in bytes, 0 for 4 GB. The arrays in memory are each four times as large
// as the last cache, as STREAM demands, within the limit; memory is left out where
// they could not be larger than twice the cache together.
func Places(t topology.Topology, threads, limit int) []Place {
	var places []Place
	if limit == 0 || limit > most {
		limit = most
	}
	last := 0 // all caches of the level that is farthest, that these threads can fill
	each := 0 // a thread's share of the level before
	for level := 1; ; level++ {
		c, ok := t.Cache(level)
		if !ok {
			break
		}
		count, share := 1, c.Size
		if len(c.Domains) > 0 {
			count = touched(c.Domains, t.CPUs(), threads)
			share = c.Size * count / threads
		} else if c.Shared != nil { // fill one before the next
			count = (threads + *c.Shared - 1) / *c.Shared
			share = c.Size / min(threads, *c.Shared)
		}
		share = min(share, c.Size)
		last = max(last, c.Size*count)
		if share/2 >= 2*each {
			places = append(places, Place{fmt.Sprintf("L%d", level), share / 2})
		}
		each = share
	}
	total := min(max(3*4*last, least), limit)
	if total > 2*last {
		places = append(places, Place{"memory", total / threads})
	}
	return places
}

// touched counts the caches that the first so many of the CPUs have.
func touched(domains [][]int, cpus []int, threads int) int {
	n := 0
	for _, d := range domains {
		for _, cpu := range cpus[:min(threads, len(cpus))] {
			if slices.Contains(d, cpu) {
				n++
				break
			}
		}
	}
	return max(1, n)
}

// ErrNoRoom is returned by Memory when the arrays would fit into the caches.
var ErrNoRoom = errors.New("roof: the memory that may be used is too small to measure it")

// Memory measures the memory's bandwidth with so many threads, 0 for one
// on each performance core. It may allocate limit bytes, 0 for 4 GB. Its errors are
// ErrNoRoom and the context's, beside which the samples until then are returned.
func Memory(ctx context.Context, threads, limit int) (Bandwidth, error) {
	if threads == 0 {
		threads = Threads()
	}
	for _, p := range Places(topology.Read(), threads, limit) {
		if p.Name == "memory" {
			return Measure(ctx, p, threads)
		}
	}
	return Bandwidth{}, ErrNoRoom
}

// Threads returns how many cores of the fastest kind there are, at least 1.
func Threads() int {
	return max(1, topology.Read().Cores())
}

// Measure measures one place with so many threads, each on a CPU of its own where
// the system allows it. The error is the context's, and then the samples until
// then are returned.
func Measure(ctx context.Context, p Place, threads int) (Bandwidth, error) {
	b := Bandwidth{Place: p, Threads: threads}
	elems := max(p.Bytes/(3*8)/block, 1) * block // of one of three arrays
	passes := max(1, traffic/(3*8*elems))
	arrays := make([]arrays, threads)
	t := newTeam(ctx, threads)
	timeOf := func(thread, bytes int, loop func(passes int)) (rate float64, ok bool) {
		seconds, ok := t.time(thread, func() {
			each := max(1, call/bytes)
			for done := 0; done < passes; done += each {
				loop(min(each, passes-done))
			}
		})
		return float64(threads*passes*bytes) / seconds, ok
	}
	t.run(func(thread int) {
		a := &arrays[thread]
		a.allocate(elems) // by the thread that uses it, so that it lies in its node's memory
		for i := -1; i < samples; i++ {
			triadRate, ok := timeOf(thread, 24*elems, func(passes int) { a.triad(elems, passes) })
			if !ok {
				return
			}
			readRate, ok := timeOf(thread, 24*elems, func(passes int) { a.read(3*elems, passes) })
			if !ok {
				return
			}
			if thread == 0 && i >= 0 { // the first round warms up
				b.Triad, b.Read = append(b.Triad, triadRate), append(b.Read, readRate)
			}
		}
	})
	return b, ctx.Err()
}

// arrays are one thread's.
type arrays struct {
	all     []float64 // a, b and c, one after the other
	a, b, c []float64
	sum     float64
}

// apart keeps a store's address from looking like that of a load that follows it:
// they are compared by their last 12 bits.
const apart = 1536 / 8

func (a *arrays) allocate(elems int) {
	a.all = make([]float64, 3*elems+2*apart)
	for i := range a.all {
		a.all[i] = 1
	}
	a.a = a.all[:elems]
	a.b = a.all[elems+apart:][:elems]
	a.c = a.all[2*(elems+apart):][:elems]
}

// some is how many elements of each array a kernel takes at once.
const some = call / 24 / block * block

func (a *arrays) triad(elems, passes int) {
	if elems <= some { // in a cache: the kernel goes around itself
		kernels.triad(&a.a[0], &a.b[0], &a.c[0], elems, 0.5, passes)
		return
	}
	for range passes {
		for at := 0; at < elems; at += some {
			kernels.triad(&a.a[at], &a.b[at], &a.c[at], min(some, elems-at), 0.5, 1)
		}
	}
}

func (a *arrays) read(elems, passes int) {
	if elems <= 3*some {
		a.sum += kernels.sum(&a.all[0], elems, passes)
		return
	}
	for range passes {
		for at := 0; at < elems; at += 3 * some {
			a.sum += kernels.sum(&a.all[at], min(3*some, elems-at), 1)
		}
	}
}

// A kernelSet is the loops for one instruction set. n is a multiple of block.
type kernelSet struct {
	name string
	// triad:
	//
	//	for range passes {
	//		for i := range n {
	//			a[i] = b[i] + s*c[i]
	//		}
	//	}
	triad func(a, b, c *float64, n int, s float64, passes int)
	// sum:
	//
	//	for range passes {
	//		for i := range n {
	//			sum += x[i]
	//		}
	//	}
	sum func(x *float64, n, passes int) float64
}

const (
	chainRounds = 10_000
	chainAdds   = 64 // of a round
)

// Clock measures the clock of so many CPUs at work together, in cycles a second of
// each: with a chain of integer additions, each of which needs the one before and
// takes one cycle on every CPU that gpuplay knows. It returns the samples, each
// the mean of all threads, of 1 ms after a warm-up of 20 ms; nothing where there
// is no such chain, in portable Go.
func Clock(ctx context.Context, threads int) ([]float64, error) {
	if chain == nil {
		return nil, nil
	}
	const warm, whole = 20 * time.Millisecond, 11
	rates := make([][]float64, threads)
	t := newTeam(ctx, threads)
	t.run(func(thread int) {
		for start := time.Now(); time.Since(start) < warm; {
			chain(chainRounds)
		}
		for range whole {
			if !t.wait() {
				return
			}
			start, rounds := time.Now(), 0
			for time.Since(start) < time.Millisecond {
				chain(chainRounds)
				rounds += chainRounds
			}
			rates[thread] = append(rates[thread], float64(rounds*chainAdds)/time.Since(start).Seconds())
		}
	})
	var out []float64
	for i := range rates[0] {
		sum := 0.0
		for _, r := range rates {
			sum += r[i]
		}
		out = append(out, sum/float64(threads))
	}
	return out, ctx.Err()
}
