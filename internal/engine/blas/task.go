package blas

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"time"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

type element interface{ float32 | float64 }

// A task is a GEMM of one library with its operands.
type task[T element] struct {
	bench.InMainMemory

	thread   dl.Thread
	lib      *library
	gemm     bench.GEMM
	a        []T // of the set that is computed from
	spare    []T // A of the other set, which changes places with it
	set      int // whose A is in a
	b        []T
	c        *matrix.Guarded[T]
	pin      runtime.Pinner                         // of the operands, whose addresses multiply holds
	multiply func(times int) error                  // nil when closed
	sum      func(ctx context.Context, c []T) error // of the elements, after each product; nil if not asked
	computed bool
}

func prepare[T element](ctx context.Context, th dl.Thread, lib *library, g bench.GEMM, seed uint64) (*task[T], error) {
	t := &task[T]{
		thread: th, lib: lib, gemm: g,
		a: aligned[T](g.M * g.K), spare: aligned[T](g.M * g.K), b: aligned[T](g.K * g.N), c: matrix.NewGuarded[T](g.M * g.N),
	}
	if g.Sum {
		t.sum = func(ctx context.Context, c []T) error {
			_, err := matrix.Sum(ctx, c, wide)
			return err
		}
	}
	for _, operand := range []struct {
		of       matrix.Operand
		elements []T
	}{{matrix.OfA(0), t.a}, {matrix.OfA(1), t.spare}, {matrix.B, t.b}} {
		if err := fill(ctx, operand.elements, g.Data.Stream(seed, operand.of, g.In)); err != nil {
			return nil, err
		}
	}
	a, b, c := &t.a[0], &t.b[0], &t.c.Elements[0]
	t.pin.Pin(a)
	t.pin.Pin(b)
	t.pin.Pin(c)
	t.multiply = lib.products[g.In](g, unsafe.Pointer(a), unsafe.Pointer(b), unsafe.Pointer(c))
	return t, nil
}

// lineBytes is a cache line.
const lineBytes = 64

// aligned returns n zeros that begin at a cache line, as the widest vectors
// like it.
func aligned[T element](n int) []T {
	size := int(unsafe.Sizeof(T(0)))
	s := make([]T, n+lineBytes/size)
	skip := (lineBytes - int(uintptr(unsafe.Pointer(&s[0]))%lineBytes)) % lineBytes / size
	return s[skip:][:n:n]
}

// fill writes the elements of a stream.
func fill[T element](ctx context.Context, dst []T, s matrix.Stream) error {
	return matrix.Fill(ctx, dst, func(part []T, from int) {
		switch part := any(part).(type) {
		case []float32:
			s.Fill32(part, from)
		case []float64:
			s.Fill64(part, from)
		}
	})
}

// Facts tells the library's threads.
func (t *task[T]) Facts() bench.Facts {
	return bench.Facts{Threads: t.lib.threads, Notes: t.lib.notes}
}

// Run computes C n times, in few calls of C. One that has begun cannot be
// cancelled.
func (t *task[T]) Run(ctx context.Context, n, set int) (bench.Sample, error) {
	if n < 1 {
		return bench.Sample{}, fault.Errorf(fault.Invalid, "%d runs: must be 1 or more", n)
	}
	if set < 0 || set >= matrix.Sets {
		return bench.Sample{}, fault.Errorf(fault.Invalid, "no operands %d: there are %d sets", set, matrix.Sets)
	}
	var wall time.Duration
	err := t.do(ctx, func() error {
		if err := t.ready(ctx, set); err != nil {
			return err
		}
		start := time.Now()
		err := t.products(ctx, n)
		wall = time.Since(start)
		t.computed = err == nil
		return err
	})
	if err != nil {
		return bench.Sample{}, err
	}
	return bench.Sample{Iters: n, Wall: wall}, nil
}

// ready puts A of a set in its place and NaN into C, which a library must not let shine
// through, nor leave there. Both sets are read from the same address: a result that a
// library remembers by address belongs to the other set.
func (t *task[T]) ready(ctx context.Context, set int) error {
	if set != t.set {
		matrix.Swap(t.a, t.spare)
		t.set = set
	}
	t.computed = false
	return matrix.Poison(ctx, t.c.Elements, T(math.NaN()))
}

// products computes C n times, each time with the sum of its elements if asked.
func (t *task[T]) products(ctx context.Context, n int) error {
	for left, some := n, t.together(); left > 0; left -= some {
		some = min(some, left)
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.multiply(some); err != nil {
			return err
		}
		if t.sum == nil {
			continue
		}
		if err := t.sum(ctx, t.c.Elements); err != nil {
			return err
		}
	}
	return nil
}

// together returns how many products one call of C computes: some hundredths of a
// second's work, so that Ctrl-C is heeded in time.
func (t *task[T]) together() int {
	if t.sum != nil {
		return 1
	}
	return max(1, int(1e9/t.gemm.FLOP()))
}

// MulVec returns C·x, unless something was written beside C.
func (t *task[T]) MulVec(ctx context.Context, x []float64) ([]float64, error) {
	if len(x) != t.gemm.N {
		return nil, &fault.Error{Code: fault.Invalid,
			Message: fmt.Sprintf("C·x: x has %d elements, C %d columns", len(x), t.gemm.N)}
	}
	var y []float64
	err := t.do(ctx, func() (err error) {
		if !t.computed {
			return &fault.Error{Code: fault.Invalid, Message: "C·x: C has not been computed yet"}
		}
		if side := t.c.Overwritten(); side != "" {
			return fault.Errorf(fault.Wrong, "%s wrote %s of C", t.lib.kind.library, side)
		}
		y, err = matrix.MulVec(ctx, t.c.Elements, x, wide)
		return err
	})
	return y, err
}

func wide[T element](x T) float64 { return float64(x) }

// do runs f on the engine's thread, unless the task is closed.
func (t *task[T]) do(ctx context.Context, f func() error) error {
	return t.thread.Do(ctx, func() error {
		if t.multiply == nil {
			return &fault.Error{Code: fault.Invalid, Message: "the task is closed"}
		}
		return f()
	})
}

// Close frees the operands. Closing again does nothing.
func (t *task[T]) Close() error {
	return t.thread.Do(context.Background(), func() error {
		if t.multiply == nil {
			return nil
		}
		t.pin.Unpin()
		t.a, t.spare, t.b, t.c, t.multiply = nil, nil, nil, nil, nil
		debug.FreeOSMemory() // so that the next task finds it free
		return nil
	})
}
