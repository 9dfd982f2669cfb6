package fake

import (
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// A Timing is what one product takes in the run of that number, from 1 on, of a
// task. The methods build one from another.
type Timing func(g bench.GEMM, run int) time.Duration

// Speed is a timing by the work alone, in FLOP/s.
func Speed(flops float64) Timing {
	return func(g bench.GEMM, _ int) time.Duration {
		return time.Duration(g.FLOP() / flops * float64(time.Second))
	}
}

// Fixed is the same time for every product.
func Fixed(d time.Duration) Timing {
	return func(bench.GEMM, int) time.Duration { return d }
}

// At takes by times as long in one run.
func (t Timing) At(run int, by float64) Timing {
	return func(g bench.GEMM, k int) time.Duration {
		d := t(g, k)
		if k == run {
			d = time.Duration(float64(d) * by)
		}
		return d
	}
}

// First adds what the first run has left to load.
func (t Timing) First(load time.Duration) Timing {
	return func(g bench.GEMM, run int) time.Duration {
		d := t(g, run)
		if run == 1 {
			d += load
		}
		return d
	}
}

// Jitter varies each run by up to ± share, by a sequence of its seed.
func (t Timing) Jitter(share float64, seed uint64) Timing {
	random := matrix.NewStream(seed, matrix.A, matrix.Float64)
	return func(g bench.GEMM, run int) time.Duration {
		return time.Duration(float64(t(g, run)) * (1 + share*random.At(run)))
	}
}

// Drift makes each run slower than the one before by a share of the first, or
// faster if share is negative.
func (t Timing) Drift(share float64) Timing {
	return func(g bench.GEMM, run int) time.Duration {
		return time.Duration(float64(t(g, run)) * (1 + share*float64(run-1)))
	}
}
