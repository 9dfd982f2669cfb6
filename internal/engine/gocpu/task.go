package gocpu

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// Values that no product has: NaN, and an int32 that takes more than 100,000 products of
// two int8, all of one sign and near the largest.
var nan = math.NaN()

const none32 int32 = -0x7f7f7f80 // 0x80808080

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
	bench.InMainMemory

	facts   func() bench.Facts
	shape   gemm.Problem
	from    func(R) float64
	none    R
	product func(ctx context.Context, times int, g gemm.Problem, a, b []S, c []R) error
	sum     func(ctx context.Context, c []R) error // of the elements, after each product; nil if not asked

	mu       sync.Mutex // held while the matrices are in use
	a        []S        // of the set that is computed from
	spare    []S        // A of the other set, which changes places with it
	set      int        // whose A is in a
	b        []S
	c        *matrix.Guarded[R] // nil after Close
	computed bool
}

func prepare[S, R any](ctx context.Context, g bench.GEMM, seed uint64, facts func() bench.Facts,
	product func(context.Context, int, gemm.Problem, []S, []S, []R) error, s storage[S, R]) (bench.Task, error) {
	t := &task[S, R]{
		facts: facts, product: product, from: s.from, none: s.none,
		shape: gemm.Problem{M: g.M, N: g.N, K: g.K, TransA: g.TransA, TransB: g.TransB},
		a:     make([]S, g.M*g.K), spare: make([]S, g.M*g.K), b: make([]S, g.K*g.N), c: matrix.NewGuarded[R](g.M * g.N),
	}
	if g.Sum {
		t.sum = func(ctx context.Context, c []R) error {
			_, err := matrix.Sum(ctx, c, s.from)
			return err
		}
	}
	for _, operand := range []struct {
		of       matrix.Operand
		elements []S
	}{{matrix.OfA(0), t.a}, {matrix.OfA(1), t.spare}, {matrix.B, t.b}} {
		stream := g.Data.Stream(seed, operand.of, s.stream)
		if err := matrix.Fill(ctx, operand.elements, func(dst []S, from int) { s.fill(stream, dst, from) }); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Facts measures the peak anew at each call.
func (t *task[S, R]) Facts() bench.Facts { return t.facts() }

// Run computes C n times and times all of it by the monotonic clock. Where other
// tasks of the engine run at once, the time includes waiting for them.
func (t *task[S, R]) Run(ctx context.Context, n, set int) (bench.Sample, error) {
	if n < 1 {
		return bench.Sample{}, invalid("gocpu: %d runs: it must be at least 1", n)
	}
	if set < 0 || set >= matrix.Sets {
		return bench.Sample{}, invalid("gocpu: no operands %d: there are %d sets", set, matrix.Sets)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.c == nil {
		return bench.Sample{}, errClosed
	}
	if err := t.ready(ctx, set); err != nil {
		return bench.Sample{}, err
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
	t.computed = true
	return bench.Sample{Iters: n, Wall: wall}, nil
}

// ready puts A of a set in its place and a value that no product has into C, so that a C
// that was not computed cannot pass for one that was. Both sets are read from the same
// address: a result that is remembered by address belongs to the other set.
func (t *task[S, R]) ready(ctx context.Context, set int) error {
	if set != t.set {
		matrix.Swap(t.a, t.spare)
		t.set = set
	}
	t.computed = false
	return matrix.Poison(ctx, t.c.Elements, t.none)
}

// products computes C n times, each time with the sum of its elements if asked.
func (t *task[S, R]) products(ctx context.Context, n int) error {
	if t.sum == nil {
		return t.product(ctx, n, t.shape, t.a, t.b, t.c.Elements)
	}
	for range n {
		if err := t.product(ctx, 1, t.shape, t.a, t.b, t.c.Elements); err != nil {
			return err
		}
		if err := t.sum(ctx, t.c.Elements); err != nil {
			return err
		}
	}
	return nil
}

var errClosed = invalid("gocpu: the task is closed")

// MulVec returns C·x, unless something was written beside C.
func (t *task[S, R]) MulVec(ctx context.Context, x []float64) ([]float64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.c == nil {
		return nil, errClosed
	}
	if len(x) != t.shape.N {
		return nil, invalid("gocpu: the vector has %d elements: C has %d columns", len(x), t.shape.N)
	}
	if !t.computed {
		return nil, invalid("gocpu: C has not been computed yet")
	}
	if side := t.c.Overwritten(); side != "" {
		return nil, fault.Errorf(fault.Wrong, "gocpu wrote %s of C", side)
	}
	return matrix.MulVec(ctx, t.c.Elements, x, t.from)
}

// Close frees the matrices. Closing twice does nothing.
func (t *task[S, R]) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.a, t.spare, t.b, t.c = nil, nil, nil, nil
	return nil
}
