package gocpu

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

var nan = math.NaN()

// A storage says how elements of A and B lie in memory as S, and those of C as R.
type storage[S, R any] struct {
	stream matrix.DType // of the streams that fill reads
	fill   func(s matrix.Stream, dst []S, from int)
	from   func(R) float64
	none   R // a value that no product has
}

// bits16 is the storage of a 16-bit type. Its streams are float32 numbers, which
// narrow rounds: Fill16's numbers, many times faster.
func bits16(d matrix.DType, narrow func([]uint16, []float32)) storage[uint16, uint16] {
	return storage[uint16, uint16]{from: d.From16, none: d.Bits16(nan), stream: matrix.Float32, fill: func(s matrix.Stream, dst []uint16, from int) {
		var wide [512]float32
		for len(dst) > 0 {
			some := min(len(wide), len(dst))
			s.Fill32(wide[:some], from)
			narrow(dst[:some], wide[:some])
			dst, from = dst[some:], from+some
		}
	}}
}

// A task is a product with its matrices in memory.
type task[S, R any] struct {
	facts   func() bench.Facts
	shape   gemm.Problem
	sum     bool
	from    func(R) float64
	product func(ctx context.Context, times int, g gemm.Problem, a, b []S, c []R) error

	mu   sync.Mutex // held while the matrices are in use
	a, b []S        // nil after Close
	c    []R
}

func prepare[S, R any](ctx context.Context, g bench.GEMM, seed uint64, facts func() bench.Facts,
	product func(context.Context, int, gemm.Problem, []S, []S, []R) error, s storage[S, R]) (bench.Task, error) {
	t := &task[S, R]{
		facts: facts, product: product, from: s.from, sum: g.Sum,
		shape: gemm.Problem{M: g.M, N: g.N, K: g.K, TransA: g.TransA, TransB: g.TransB},
		a:     make([]S, g.M*g.K), b: make([]S, g.K*g.N), c: make([]R, g.M*g.N),
	}
	streamA, streamB := matrix.NewStream(seed, matrix.A, s.stream), matrix.NewStream(seed, matrix.B, s.stream)
	err := errors.Join(
		matrix.Fill(ctx, t.a, func(dst []S, from int) { s.fill(streamA, dst, from) }),
		matrix.Fill(ctx, t.b, func(dst []S, from int) { s.fill(streamB, dst, from) }),
		matrix.Fill(ctx, t.c, func(dst []R, _ int) {
			for i := range dst {
				dst[i] = s.none
			}
		}))
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Facts measures the peak anew at each call.
func (t *task[S, R]) Facts() bench.Facts { return t.facts() }

// Run computes C n times and times all of it by the monotonic clock. Where other
// tasks of the engine run at once, the time includes waiting for them.
func (t *task[S, R]) Run(ctx context.Context, n int) (bench.Sample, error) {
	if n < 1 {
		return bench.Sample{}, invalid("gocpu: %d runs: it must be at least 1", n)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.c == nil {
		return bench.Sample{}, errClosed
	}
	start := time.Now()
	err := t.products(ctx, n)
	wall := time.Since(start)
	switch {
	case errors.Is(err, gemm.ErrClosed):
		return bench.Sample{}, invalid("gocpu: the engine is closed")
	case err != nil:
		return bench.Sample{}, err
	}
	return bench.Sample{Iters: n, Wall: wall}, nil
}

// products computes C n times, each time with the sum of its elements if asked.
func (t *task[S, R]) products(ctx context.Context, n int) error {
	if !t.sum {
		return t.product(ctx, n, t.shape, t.a, t.b, t.c)
	}
	for range n {
		if err := t.product(ctx, 1, t.shape, t.a, t.b, t.c); err != nil {
			return err
		}
		if _, err := matrix.Sum(ctx, t.c, t.from); err != nil {
			return err
		}
	}
	return nil
}

var errClosed = invalid("gocpu: the task is closed")

// MulVec returns C·x.
func (t *task[S, R]) MulVec(ctx context.Context, x []float64) ([]float64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.c == nil {
		return nil, errClosed
	}
	if len(x) != t.shape.N {
		return nil, invalid("gocpu: the vector has %d elements: C has %d columns", len(x), t.shape.N)
	}
	return matrix.MulVec(ctx, t.c, x, t.from)
}

// Close frees the matrices. Closing twice does nothing.
func (t *task[S, R]) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.a, t.b, t.c = nil, nil, nil
	return nil
}
