package bench

import (
	"context"
	"math"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// sizes are the sizes that a race chooses from. From one to the next, a product has 2.4
// or 3.4 times as many operations.
var sizes = []int{256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384}

// The longest that one product of a race may take in its fastest CPU lane. Beside a GPU
// it is about as long as people wait without impatience, since small products leave most
// of a GPU idle. Where there is no GPU, a shorter one tells as much, and leaves time for
// more lanes.
const (
	longestBesideGPU = time.Second
	longestAlone     = 300 * time.Millisecond
	longestOnGPU     = 100 * time.Millisecond // in the fastest lane, if there are GPUs alone
)

// tooSlow is how many times slower than the fastest lane of its kind a lane must be
// to get a smaller product of its own.
const tooSlow = 20

// Plan sets the product of every lane. It runs small products on each lane to learn its
// speed, and then takes of(n) with the largest n at which a product takes up to a second
// in the fastest CPU lane (0.3 s without a GPU), the fastest CPU and the fastest GPU lane
// can be measured until stop.Until, and all matrices fit into memory. The number of other
// lanes does not matter: Race leaves out those that there is no time for. A lane that is
// far slower than the fastest of its kind gets a smaller n of its own. Lanes that fail
// are left for Race to report.
func (r *Runner) Plan(ctx context.Context, lanes []Lane, of func(n int) GEMM, seed uint64, stop Stop) {
	fastest := r.probeAll(ctx, lanes, of, seed, stop)
	common := of(sizes[0])
	for _, n := range sizes[1:] {
		if fastest[hardware.GPU] == nil && n&(n-1) != 0 {
			continue // reference cards, which it is shown beside, were measured at powers of two
		}
		if g := of(n); len(fastest) > 0 && r.suits(lanes, fastest, g, stop) {
			common = g
			continue
		}
		break
	}
	share := max(stop.Budget/time.Duration(max(1, len(lanes))), time.Second)
	for i := range lanes {
		l := &lanes[i]
		l.GEMM = common
		if e := l.estimate; e == nil || !left(e, fastest[l.Device.Kind]) {
			continue
		}
		l.GEMM = of(sizes[0])
		for _, n := range sizes {
			// Two products to load the code and to warm up, and as many as an interval needs.
			if g := of(n); g.FLOP() <= common.FLOP() && (leastSamples+2)*l.estimate.each(g) <= share {
				l.GEMM = g
			}
		}
	}
}

// probeAll sets the estimates of all lanes, and returns the fastest lane of each kind. The
// first lane of each kind comes first: on a machine with four GPUs and 64 cores, probing
// six lanes took 12 s, most of it for what frameworks do when they compute first. When a
// quarter of the time is spent, it goes on only with kinds that have none yet; and no step
// of the other lanes may last until half of it is spent, since JAX was seen to compile for
// 10 s.
func (r *Runner) probeAll(ctx context.Context, lanes []Lane, of func(n int) GEMM, seed uint64, stop Stop) map[hardware.Kind]*Lane {
	fastest := map[hardware.Kind]*Lane{}
	begin := r.sink().Now()
	var order, others []*Lane
	seen := map[hardware.Kind]bool{}
	for i := range lanes {
		if l := &lanes[i]; seen[l.Device.Kind] {
			others = append(others, l)
		} else {
			order, seen[l.Device.Kind] = append(order, l), true
		}
	}
	for _, l := range append(order, others...) {
		kind, limit := l.Device.Kind, r.StepLimit
		if stop.Until > 0 && fastest[kind] != nil {
			all, spent := stop.Until-begin, r.sink().Now()-begin
			if spent > all/4 {
				continue
			}
			if left := all/2 - spent; limit == 0 || left < limit {
				limit = left
			}
		}
		r.sink().Emit(l.ID, event.Phase{Phase: string(Preparing)})
		l.estimate = r.probe(ctx, *l, of, seed, limit)
		if l.estimate != nil && (fastest[kind] == nil || l.estimate.rate > fastest[kind].estimate.rate) {
			fastest[kind] = l
		}
	}
	return fastest
}

// left reports whether a lane is too slow to run the common product.
func left(e *estimate, fastest *Lane) bool { return e.rate*tooSlow < fastest.estimate.rate }

// suits reports whether a race may have a product of that size.
func (r *Runner) suits(lanes []Lane, fastest map[hardware.Kind]*Lane, g GEMM, stop Stop) bool {
	cpu, gpu := fastest[hardware.CPU], fastest[hardware.GPU]
	base, longest := cpu, longestAlone
	switch {
	case cpu == nil && gpu != nil:
		base, longest = gpu, longestOnGPU
	case cpu == nil:
		base = fastest[hardware.SoftwareGPU]
	case gpu != nil:
		longest = longestBesideGPU
	}
	if base.estimate.each(g) > longest || !r.roomFor(lanes, g) {
		return false
	}
	cost := time.Duration(0)
	for _, l := range []*Lane{cpu, gpu} {
		if l != nil {
			cost += l.estimate.cost(l.Device.Kind, g)
		}
	}
	until := stop.Until
	if gpu != nil && g.FLOP() <= busy {
		until = max(until, stop.Latest) // a busy GPU is worth some of the time that is reserved for the checks at the end
	}
	return stop.Until == 0 || r.sink().Now()+cost <= until
}

// busy is a product that keeps a GPU busy, 4096³, in operations.
const busy = 2 << 36

// An estimate is what is known of a lane from small products.
type estimate struct {
	rate    float64 // FLOP/s of the largest
	prepare [2]step // of the smallest product and the largest
	check   [2]step
}

// A step is what something took with a product of that size.
type step struct {
	bytes float64 // of its matrices
	took  time.Duration
}

// each returns how long a product takes.
func (e *estimate) each(g GEMM) time.Duration { return seconds(g.FLOP() / e.rate) }

// cost returns how long it takes to measure a lane: to prepare it, to warm it up, to
// take as many samples as an interval needs, and to check its products.
func (e *estimate) cost(kind hardware.Kind, g GEMM) time.Duration {
	each := e.each(g)
	check := larger(e.check, g.Bytes())
	return larger(e.prepare, g.Bytes()) + each + check + need(kind, each, check)
}

// larger returns how long a step takes with matrices of that many bytes, by what it took
// with two smaller ones: a fixed time, and one that grows with the bytes.
func larger(known [2]step, bytes float64) time.Duration {
	small, large := known[0], known[1]
	if large.bytes <= small.bytes || large.took <= small.took {
		return max(small.took, large.took)
	}
	slope := float64(large.took-small.took) / (large.bytes - small.bytes)
	return large.took + time.Duration(slope*(bytes-large.bytes))
}

// seconds returns a duration, the longest that there is for what is longer.
func seconds(s float64) time.Duration {
	if s *= float64(time.Second); s < math.MaxInt64/64 { // some are multiplied
		return time.Duration(s)
	}
	return math.MaxInt64 / 64
}

// probeTime is roughly how long a product is run to find its speed.
const probeTime = 30 * time.Millisecond

// probes are the sizes of small products that tell a lane's speed. Each is tried if it
// takes no longer than its limit at the speed of the one before, which with many threads
// is far below the speed that larger products reach.
var probes = []struct {
	n     int
	limit time.Duration
}{{256, math.MaxInt64}, {1024, time.Second}, {2048, 150 * time.Millisecond}}

// probe returns what small products tell of a lane; nil if it fails. limit is for one step.
func (r *Runner) probe(ctx context.Context, l Lane, of func(n int) GEMM, seed uint64, limit time.Duration) *estimate {
	quiet := Runner{Sink: event.Discard(r.sink().Now), Free: r.Free, StepLimit: limit}
	var found *estimate
	for i, p := range probes {
		l.GEMM = of(p.n)
		if found != nil && found.each(l.GEMM) > p.limit || i == 2 && l.Device.Kind == hardware.GPU { // whose time is known well enough
			break
		}
		rate, prepared, checked, ok := quiet.try(ctx, l, seed)
		if !ok {
			break
		}
		if l.GEMM.Data.Patterned() { // it is also prepared with random inputs: see usePattern
			prepared = 2*prepared + 2*checked
		}
		prepare, check := step{l.GEMM.Bytes(), prepared}, step{l.GEMM.Bytes(), checked}
		if found == nil {
			found = &estimate{prepare: [2]step{prepare, prepare}, check: [2]step{check, check}}
		}
		found.rate, found.prepare[1], found.check[1] = rate, prepare, check
	}
	return found
}

// try runs a lane's product for a moment: its FLOP/s, and how long it took to prepare and
// to check it, which is to multiply C by two vectors.
func (r *Runner) try(ctx context.Context, l Lane, seed uint64) (rate float64, prepared, checked time.Duration, ok bool) {
	e := &entry{Lane: l, data: l.GEMM.Data, result: &Result{}}
	if r.prepare(ctx, e, seed, 0); e.task == nil {
		return 0, 0, 0, false
	}
	defer e.task.Close()
	if e.result.Error != nil {
		return 0, 0, 0, false
	}
	// The first product may include loading, so more of them are timed.
	s, err := r.run(ctx, e, max(1, int(probeTime/max(1, e.single.Wall))))
	if err != nil {
		return 0, 0, 0, false
	}
	limited, cancel := r.step(ctx)
	defer cancel()
	begin := r.sink().Now()
	if _, err := e.task.MulVec(limited, make([]float64, l.GEMM.N)); err != nil {
		return 0, 0, 0, false
	}
	return l.GEMM.FLOP() / min(e.single.Seconds(), s.Seconds()), e.result.Prepare, 2 * (r.sink().Now() - begin), true
}
