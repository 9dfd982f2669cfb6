package blas

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

type element interface{ float32 | float64 }

// A task is a GEMM of one library with its operands.
type task[T element] struct {
	thread   thread
	lib      *library
	gemm     bench.GEMM
	a, b, c  []T
	pin      runtime.Pinner        // of the operands, whose addresses multiply holds
	multiply func(times int) error // nil when closed
	computed bool
}

func prepare[T element](ctx context.Context, th thread, lib *library, g bench.GEMM, seed uint64) (*task[T], error) {
	t := &task[T]{
		thread: th, lib: lib, gemm: g,
		a: aligned[T](g.M * g.K), b: aligned[T](g.K * g.N), c: aligned[T](g.M * g.N),
	}
	if err := fill(ctx, t.a, matrix.NewStream(seed, matrix.A, g.In)); err != nil {
		return nil, err
	}
	if err := fill(ctx, t.b, matrix.NewStream(seed, matrix.B, g.In)); err != nil {
		return nil, err
	}
	t.pin.Pin(&t.a[0])
	t.pin.Pin(&t.b[0])
	t.pin.Pin(&t.c[0])
	t.multiply = lib.products[g.In](g, unsafe.Pointer(&t.a[0]), unsafe.Pointer(&t.b[0]), unsafe.Pointer(&t.c[0]))
	return t, nil
}

// aligned returns n zeros that begin at a cache line, as the widest vectors
// like it.
func aligned[T element](n int) []T {
	const line = 64
	size := int(unsafe.Sizeof(T(0)))
	s := make([]T, n+line/size)
	skip := (line - int(uintptr(unsafe.Pointer(&s[0]))%line)) % line / size
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
func (t *task[T]) Run(ctx context.Context, n int) (bench.Sample, error) {
	if n < 1 {
		return bench.Sample{}, &fault.Error{Code: fault.Invalid, Message: fmt.Sprintf("%d runs: must be 1 or more", n)}
	}
	var wall time.Duration
	err := t.do(ctx, func() error {
		start := time.Now()
		for left, some := n, t.together(); left > 0; left -= some {
			some = min(some, left)
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := t.multiply(some); err != nil {
				return err
			}
			if !t.gemm.Sum {
				continue
			}
			if _, err := matrix.Sum(ctx, t.c, wide); err != nil {
				return err
			}
		}
		wall = time.Since(start)
		t.computed = true
		return nil
	})
	if err != nil {
		return bench.Sample{}, err
	}
	return bench.Sample{Iters: n, Wall: wall}, nil
}

// together returns how many products one call of C computes: some hundredths of a
// second's work, so that Ctrl-C is heeded in time.
func (t *task[T]) together() int {
	if t.gemm.Sum {
		return 1
	}
	return max(1, int(1e9/t.gemm.FLOP()))
}

// MulVec returns C·x.
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
		y, err = matrix.MulVec(ctx, t.c, x, wide)
		return err
	})
	return y, err
}

func wide[T element](x T) float64 { return float64(x) }

// do runs f on the engine's thread, unless the task is closed.
func (t *task[T]) do(ctx context.Context, f func() error) error {
	return t.thread.do(ctx, func() error {
		if t.multiply == nil {
			return &fault.Error{Code: fault.Invalid, Message: "the task is closed"}
		}
		return f()
	})
}

// Close frees the operands. Closing again does nothing.
func (t *task[T]) Close() error {
	return t.thread.do(context.Background(), func() error {
		if t.multiply == nil {
			return nil
		}
		t.pin.Unpin()
		t.a, t.b, t.c, t.multiply = nil, nil, nil, nil
		debug.FreeOSMemory() // so that the next task finds it free
		return nil
	})
}
