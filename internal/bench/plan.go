package bench

import (
	"context"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/hardware"
)

// sizes are what a race chooses from.
var sizes = []int{256, 512, 1024, 2048, 4096, 8192, 16384}

// tooSlow is how many times as slow as the fastest of its kind a lane must be to
// be measured on a product of its own size instead of holding up all.
const tooSlow = 20

// Plan gives every lane its product: of(n) with the largest n in common at which
// the whole race takes about stop.Budget and its matrices fit into memory, found
// by trying each lane on a small one; for a lane far slower than the fastest of
// its kind a smaller n of its own. Lanes that fail are left for Race to report.
func (r *Runner) Plan(ctx context.Context, lanes []Lane, of func(n int) GEMM, seed uint64, budget time.Duration) {
	rates := make([]float64, len(lanes)) // FLOP/s
	fastest := map[hardware.Kind]float64{}
	for i, l := range lanes {
		r.emit(Event{Lane: i, Phase: Preparing})
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
			// One product to load it, one to warm it up, one to measure.
			if n <= common && 3*of(n).FLOP()/rates[i] <= max(share, 1) {
				lanes[i].GEMM = of(n)
				break
			}
			lanes[i].GEMM = of(sizes[0])
		}
	}
}

// probeTime is about what is spent on a product to find its speed.
const probeTime = 30 * time.Millisecond

// left reports whether a lane is too slow to race beside the fastest of its kind.
func left(rate, fastest float64) bool { return rate > 0 && rate*tooSlow < fastest }

// cost estimates the seconds that a race of g takes.
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

// roomFor reports whether all lanes' matrices fit side by side.
func (r *Runner) roomFor(lanes []Lane, g GEMM) bool {
	inMemory := 0
	for _, l := range lanes {
		if l.Device.Kind == hardware.GPU {
			if r.fits(l.Device, g) != nil {
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
	return free == 0 || g.Bytes()*float64(inMemory) <= 0.7*free
}

// probe returns a lane's rough speed in FLOP/s, 0 if it fails.
func (r *Runner) probe(ctx context.Context, l Lane, of func(n int) GEMM, seed uint64) float64 {
	quiet := Runner{Free: r.Free, StepLimit: r.StepLimit, Now: r.Now}
	rate := 0.0
	for _, n := range []int{256, 1024} {
		l.GEMM = of(n)
		e := &entry{Lane: l, result: &Result{}}
		quiet.prepare(ctx, e, seed)
		if e.task == nil {
			return rate
		}
		// The first product may have been slow to load, so another one or more count.
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
		if of(1024).FLOP()/rate > 1 { // slow enough to know
			break
		}
	}
	return rate
}
