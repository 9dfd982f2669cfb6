package gemm

import (
	"context"
	"sync/atomic"
	"time"
)

// An Arithmetic is a type of operands together with the type in which their
// products are summed.
type Arithmetic string

// The arithmetics. Pool has a method for each.
const (
	Float64  Arithmetic = "float64"
	Float32  Arithmetic = "float32"
	Float16  Arithmetic = "float16"  // sums in float32
	BFloat16 Arithmetic = "bfloat16" // sums in float32
	Int8     Arithmetic = "int8"     // sums in int32
)

// kernel returns the kernel for an arithmetic, or nil if it is not known.
func (s *instructionSet) kernel(a Arithmetic) *kernel {
	switch a {
	case Float64:
		return &s.float64s
	case Float32:
		return &s.float32s
	case Float16:
		return &s.float16s
	case BFloat16:
		return &s.bfloat16s
	case Int8:
		return &s.int8s
	}
	return nil
}

// Note returns a caveat about how the pool computes products of an arithmetic, such
// as a conversion of operands; empty for none.
func (p *Pool) Note(a Arithmetic) string {
	if k := p.set.kernel(a); k != nil {
		return k.note
	}
	return ""
}

// Peak measures how many operations per second all threads of the pool reach
// together when they execute nothing but independent multiply-adds, of the kind
// that products of this arithmetic use: the best of three runs of 10 ms. Where the
// instruction set has no multiply-adds for a 16-bit type, it is the peak of
// float32. ok is false where the peak is not known: in portable Go, and for a
// pool that is closed or has no threads of its own.
func (p *Pool) Peak(a Arithmetic) (ops float64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	job := peakWork{rates: make([]float64, len(p.wake))}
	if k := p.set.kernel(a); k != nil {
		job.rounds, job.ops = k.peak, k.peakOps
	}
	if job.rounds == nil || p.closed || len(p.wake) == 0 {
		return 0, false
	}
	for range 3 {
		job.ready.Store(0)
		p.run(context.Background(), len(p.wake), &job)
		sum := 0.0
		for _, rate := range job.rates {
			sum += rate
		}
		ops = max(ops, sum)
	}
	return ops, true
}

// PeakWork is a share for each thread, which none of them begins before each has one.
type peakWork struct {
	rounds func(int)
	ops    int // operations per round
	rates  []float64
	ready  atomic.Int64
}

func (w *peakWork) phases() int    { return 1 }
func (w *peakWork) shares(int) int { return len(w.rates) }

func (w *peakWork) do(_, _, share int) {
	const some = 5000 // rounds per call: few, because the garbage collector cannot interrupt a call
	w.rounds(some)
	w.ready.Add(1)
	for spins := 1; w.ready.Load() < int64(len(w.rates)); spins++ {
		relax(spins)
	}
	start, done := time.Now(), 0
	elapsed := time.Duration(0)
	for elapsed < 10*time.Millisecond {
		w.rounds(some)
		done += some
		elapsed = time.Since(start)
	}
	w.rates[share] = float64(done) * float64(w.ops) / elapsed.Seconds()
}
