package bench

import (
	"context"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// sizes are the sizes that a race chooses from.
var sizes = []int{256, 512, 1024, 2048, 4096, 8192, 16384}

// tooSlow is how many times slower than the fastest lane of its kind a lane must be
// to get a smaller product of its own, instead of making all lanes take a small
// one.
const tooSlow = 20

// Plan sets the product of every lane. It runs a small product on each lane to
// learn its speed, and then takes of(n) with the largest n at which the whole race
// takes about budget and its matrices fit into memory. A lane that is far slower
// than the fastest of its kind gets a smaller n of its own. Lanes that fail are
// left for Race to report.
func (r *Runner) Plan(ctx context.Context, lanes []Lane, of func(n int) GEMM, seed uint64, budget time.Duration) {
	rates := make([]float64, len(lanes)) // FLOP/s
	fastest := map[hardware.Kind]float64{}
	for i, l := range lanes {
		r.sink().Emit(l.ID, event.Phase{Phase: string(Preparing)})
		rates[i] = r.probe(ctx, l, of, seed)
		if rates[i] > 0 {
			fastest[l.Device.Kind] = max(fastest[l.Device.Kind], rates[i])
		}
	}
	common := sizes[0]
	for _, n := range sizes[1:] {
		if len(fastest) == 0 || r.cost(lanes, rates, fastest, of(n)) > budget.Seconds() || !r.roomFor(lanes, of(n)) {
			break
		}
		common = n
	}
	share := budget.Seconds() / float64(max(1, len(lanes)))
	for i := range lanes {
		lanes[i].GEMM = of(common)
		if !left(rates[i], fastest[lanes[i].Device.Kind]) {
			continue
		}
		for _, n := range slices.Backward(sizes) {
			// One product to load the code, one to warm up, one to measure.
			if n <= common && 3*of(n).FLOP()/rates[i] <= max(share, 1) {
				lanes[i].GEMM = of(n)
				break
			}
			lanes[i].GEMM = of(sizes[0])
		}
	}
}

// probeTime is roughly how long a product is run to find its speed.
const probeTime = 30 * time.Millisecond

// left reports whether a lane is too slow to run the common product.
func left(rate, fastest float64) bool { return rate > 0 && rate*tooSlow < fastest }

// cost estimates how many seconds a race with product g takes.
func (r *Runner) cost(lanes []Lane, rates []float64, fastest map[hardware.Kind]float64, g GEMM) float64 {
	total := 0.0
	for i, l := range lanes {
		if rates[i] == 0 || left(rates[i], fastest[l.Device.Kind]) {
			continue
		}
		each := g.FLOP() / rates[i]
		total += max(warmTime(l.Device.Kind).Seconds(), 3*each) + max(leastTime.Seconds(), minSamples*each)
	}
	return total
}

// roomFor reports whether the matrices of all lanes fit into memory together.
func (r *Runner) roomFor(lanes []Lane, g GEMM) bool {
	inMemory := 0
	for _, l := range lanes {
		if l.Device.Kind == hardware.GPU {
			if r.fits(l.Device, g, 0) != nil {
				return false
			}
			continue
		}
		inMemory++
	}
	if r.Free == nil {
		return true
	}
	free := float64(r.Free())
	return free == 0 || g.Footprint()*float64(inMemory) <= 0.7*free
}

// probe returns the approximate speed of a lane in FLOP/s, 0 if it fails.
func (r *Runner) probe(ctx context.Context, l Lane, of func(n int) GEMM, seed uint64) float64 {
	quiet := Runner{Sink: event.Discard(r.sink().Now), Free: r.Free, StepLimit: r.StepLimit}
	rate := 0.0
	for _, n := range []int{256, 1024} {
		l.GEMM = of(n)
		e := &entry{Lane: l, result: &Result{}}
		quiet.prepare(ctx, e, seed, 0)
		if e.task == nil {
			return rate
		}
		// The first product may include loading, so more of them are timed.
		again := max(1, int(probeTime/max(1, e.single.Wall)))
		var s Sample
		var err error
		if e.result.Error == nil {
			s, err = quiet.run(ctx, e, again)
		}
		e.task.Close()
		if e.result.Error != nil || err != nil {
			return rate
		}
		rate = l.GEMM.FLOP() / min(e.single.Seconds(), s.Seconds())
		if of(1024).FLOP()/rate > 1 { // slow enough that a larger product is not needed
			break
		}
	}
	return rate
}
