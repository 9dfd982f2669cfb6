// Package roof measures what limits every program on this CPU besides its
// arithmetic: the bandwidth of each cache and of memory, and the clock frequency.
//
// Bandwidth is that of two loops over float64 arrays: STREAM's triad
// (https://www.cs.virginia.edu/stream/ref.html), a[i] = b[i] + s·c[i], and a plain
// sum of x[i], which only reads, as a language model reads its weights. Bytes are
// counted as in STREAM: those of the elements that the loop names, 24 and 8 per
// iteration. Where a store first has to fetch its cache line, the triad moves a
// third more than that.
//
// The peak rate of multiply-adds is measured by package gemm.
package roof

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/topology"
)

// A Place is the level of the memory hierarchy that holds the arrays of a
// measurement.
type Place struct {
	Name  string `json:"name"`  // L1, L2, L3 or memory
	Bytes int    `json:"bytes"` // size of all arrays of one thread together
}

// A Bandwidth is what a number of threads reached together in one place.
type Bandwidth struct {
	Place
	Threads int       `json:"threads"`
	Read    []float64 `json:"read"`  // bytes per second, one value per sample
	Triad   []float64 `json:"triad"` // likewise
}

const (
	samples = 7         // of each loop
	block   = 64        // elements; array sizes are multiples of it
	call    = 1 << 20   // bytes per call of a kernel: the garbage collector cannot interrupt one
	traffic = 1 << 26   // bytes that a thread moves in a sample, at least
	most    = 4 << 30   // bytes that all arrays together may take
	least   = 192 << 20 // minimum for the arrays in memory, where caches are small or not known
)

// Places returns the places that the given number of threads can measure, when they
// run on the first CPUs that CPUs lists: their share of each cache, if it is
// clearly larger than that of the level before, and memory. Arrays take half of
// that share. limit is the number of bytes that all arrays may take, 0 for 4 GB. As
// STREAM requires, each of the arrays in memory is four times as large as the
// last-level cache, within the limit; memory is left out if all arrays together
// could not be larger than twice that cache.
func Places(t topology.Topology, threads, limit int) []Place {
	var places []Place
	if limit == 0 || limit > most {
		limit = most
	}
	last := 0 // total size of the last-level caches that these threads can fill
	each := 0 // share of one thread in the previous level
	for level := 1; ; level++ {
		c, ok := t.Cache(level)
		if !ok {
			break
		}
		count, share := 1, c.Size
		if len(c.Domains) > 0 {
			count = touched(c.Domains, t.CPUs(), threads)
			share = c.Size * count / threads
		} else if c.Shared != nil { // threads fill one cache before they use the next
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

// touched counts the caches of the first threads CPUs.
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
var ErrNoRoom = errors.New("roof: too little memory is available to measure its bandwidth")

// Memory measures the bandwidth of memory with the given number of threads, 0 for
// one on each performance core. It may allocate limit bytes, 0 for 4 GB. Its error
// is ErrNoRoom or the context's; with the latter, it also returns the samples taken
// so far.
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

// Threads returns the number of cores of the fastest kind, at least 1.
func Threads() int {
	return max(1, topology.Read().Cores())
}

// Measure measures one place with the given number of threads, each pinned to its
// own CPU where the system allows it. The error is the context's; the samples taken
// so far are returned with it.
func Measure(ctx context.Context, p Place, threads int) (Bandwidth, error) {
	b := Bandwidth{Place: p, Threads: threads}
	elems := max(p.Bytes/(3*8)/block, 1) * block // per array; there are three
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
		a.allocate(elems) // by the thread that uses it, so that it lies in the memory of its NUMA node
		for i := -1; i < samples; i++ {
			triadRate, ok := timeOf(thread, 24*elems, func(passes int) { a.triad(elems, passes) })
			if !ok {
				return
			}
			readRate, ok := timeOf(thread, 24*elems, func(passes int) { a.read(3*elems, passes) })
			if !ok {
				return
			}
			if thread == 0 && i >= 0 { // the first round is the warm-up
				b.Triad, b.Read = append(b.Triad, triadRate), append(b.Read, readRate)
			}
		}
	})
	return b, ctx.Err()
}

// arrays holds the arrays of one thread.
type arrays struct {
	all     []float64 // a, b and c in sequence
	a, b, c []float64
	sum     float64
}

// apart keeps the address of a store from looking like that of a following load:
// the CPU compares only their last 12 bits.
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

// some is how many elements of each array a kernel processes per call.
const some = call / 24 / block * block

func (a *arrays) triad(elems, passes int) {
	if elems <= some { // in a cache: let the kernel repeat the passes
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
	chainAdds   = 64 // per round
)

// Clock measures the clock frequency of the given number of CPUs, all working at
// the same time, in cycles per second. It times a chain of integer additions, each
// of which depends on the one before and takes one cycle on every CPU known to
// gpuplay. It returns samples of 1 ms, each the mean of all threads, after a
// warm-up of 20 ms; it returns none in portable Go, which has no such chain.
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
