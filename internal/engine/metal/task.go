package metal

import (
	"context"
	"math"
	"time"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/ffi/objc"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// A task is a product with its matrices in memory that the CPU and the GPU share. What
// touches Metal runs on the engine's thread.
type task struct {
	thread dl.Thread
	gpu    *gpu
	lane   lane
	gemm   bench.GEMM
	a      [matrix.Sets]buffer
	b      buffer
	c      buffer // zone, C, zone: nothing may write to the zones
	front  int    // bytes of the first zone

	// encode adds a product to a command buffer.
	encode   func(commands id, set int)
	owned    []id // of the lane, besides the matrices
	together int  // products in a command buffer

	computed, closed bool
}

// A buffer is memory that the CPU and the GPU share.
type buffer struct {
	object id
	bytes  []byte
}

func (u *gpu) newBuffer(size int) (buffer, error) {
	b := newBuffer(u.device, uint(size), storageShared)
	if b == 0 {
		return buffer{}, fault.Errorf(fault.OutOfMemory, "Metal has no buffer of %d bytes on %s", size, u.name).With(fault.Change("size", "a smaller {}"))
	}
	return buffer{b, unsafe.Slice((*byte)(contents(b)), size)}, nil
}

// view returns bytes as elements. Buffers and zones are aligned to pages.
func view[T any](b []byte) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(*new(T))))
}

// dataTypes are those of MPSDataType.
var dataTypes = map[matrix.DType]uint32{matrix.Float32: dataFloat32, matrix.Float16: dataFloat16, matrix.BFloat16: dataBFloat16}

// prepare allocates and fills the matrices, prepares the lane and measures its pace.
func (t *task) prepare(ctx context.Context, seed uint64) error {
	g := t.gemm
	if t.lane.front {
		t.front = matrix.GuardBytes
	}
	for _, m := range []struct {
		at    *buffer
		bytes int
	}{
		{&t.a[0], g.M * g.K * g.In.Size()}, {&t.a[1], g.M * g.K * g.In.Size()}, {&t.b, g.K * g.N * g.In.Size()}, {&t.c, t.front + t.sizeC() + matrix.GuardBytes},
	} {
		var err error
		if *m.at, err = t.gpu.newBuffer(m.bytes); err != nil {
			return err
		}
	}
	for _, m := range []struct {
		of matrix.Operand
		to buffer
	}{{matrix.OfA(0), t.a[0]}, {matrix.OfA(1), t.a[1]}, {matrix.B, t.b}} {
		if err := fill(ctx, m.to.bytes, g.Data.Stream(seed, m.of, g.In), g.In); err != nil {
			return err
		}
	}
	for _, zone := range t.zones() {
		for i := range zone {
			zone[i] = matrix.GuardByte(i)
		}
	}
	if err := t.lane.prepare(t); err != nil {
		return err
	}
	return t.pace(ctx)
}

func fill(ctx context.Context, to []byte, s matrix.Stream, d matrix.DType) error {
	if d == matrix.Float32 {
		return matrix.Fill(ctx, view[float32](to), s.Fill32)
	}
	return matrix.Fill(ctx, view[uint16](to), s.Fill16)
}

func (t *task) sizeC() int { return t.gemm.M * t.gemm.N * t.gemm.Out.Size() }

// elements are the bytes of C, zones those around it.
func (t *task) elements() []byte { return t.c.bytes[t.front:][:t.sizeC()] }

func (t *task) zones() [2][]byte {
	return [2][]byte{t.c.bytes[:t.front], t.c.bytes[t.front+t.sizeC():]}
}

// The limits of a command buffer.
const (
	pieceLimit   = 100 * time.Millisecond // of its products: macOS ends one that takes seconds, and the screen waits meanwhile
	mostTogether = 64                     // products: one that is committed early lets the GPU begin while the next is encoded
)

// pace computes two products, the first of which may compile something.
func (t *task) pace(ctx context.Context) error {
	var took time.Duration
	for range 2 {
		start := time.Now()
		if _, err := t.products(ctx, 1, 0); err != nil {
			return err
		}
		took = time.Since(start)
	}
	t.together = min(mostTogether, max(1, int(pieceLimit/max(1, took))))
	return nil
}

// A piece is a number of products that the GPU was given together, in one command buffer
// or, where MPSGraph divides them, in several. Both are retained.
type piece struct{ first, last id }

// submit gives the GPU some products.
func (t *task) submit(n, set int) (piece, error) {
	var p piece
	err := objc.WithPool(func() error {
		var commands id
		if t.lane.graph {
			commands = graphCommands(objc.Class("MPSCommandBuffer"), t.gpu.queue)
		} else {
			commands = commandBuffer(t.gpu.queue)
		}
		if commands == 0 {
			return fault.Errorf(fault.Internal, "Metal has no command buffer for %s", t.gpu.name)
		}
		current := func() id {
			if t.lane.graph {
				return currentBuffer(commands)
			}
			return commands
		}
		p.first = retain(current())
		for range n {
			t.encode(commands, set)
		}
		p.last = retain(current())
		commit(commands)
		return nil
	})
	return p, err
}

// finish waits for a piece and returns when the GPU began and ended it, in seconds on the
// GPU's clock.
func (t *task) finish(p piece) (start, end float64, err error) {
	err = objc.WithPool(func() error {
		defer objc.Release(p.first, p.last)
		wait(p.last)
		for _, c := range []id{p.first, p.last} {
			if status(c) != statusCompleted {
				return failure(t.lane.library+" on "+t.gpu.name, commandError(c))
			}
		}
		start, end = gpuStart(p.first), gpuEnd(p.last)
		return nil
	})
	return start, end, err
}

// products computes n products, two pieces at a time, so that the GPU has one while the
// next is encoded. It returns the time from the beginning of the first to the end of the
// last by the GPU's clock; nil if that makes no sense.
func (t *task) products(ctx context.Context, n, set int) (*time.Duration, error) {
	var waiting []piece
	begin, last := math.Inf(1), math.Inf(-1)
	next := func() error {
		p := waiting[0]
		waiting = waiting[1:]
		start, end, err := t.finish(p)
		begin, last = min(begin, start), max(last, end)
		return err
	}
	var failed error
	for done := 0; done < n && failed == nil; {
		if failed = ctx.Err(); failed != nil {
			break
		}
		some := min(n-done, t.together)
		p, err := t.submit(some, set)
		if failed = err; err != nil {
			break
		}
		waiting = append(waiting, p)
		done += some
		if len(waiting) == 2 {
			failed = next()
		}
	}
	for len(waiting) > 0 {
		if err := next(); failed == nil {
			failed = err
		}
	}
	if failed != nil {
		return nil, failed
	}
	took := time.Duration((last - begin) * 1e9)
	if took <= 0 {
		return nil, nil
	}
	return &took, nil
}

// Facts are empty: Metal does not tell which kernels it chooses.
func (t *task) Facts() bench.Facts { return bench.Facts{} }

// Run computes C n times. The wall time is from when the first command buffer is made until
// the last has completed.
func (t *task) Run(ctx context.Context, n, set int) (bench.Sample, error) {
	if n < 1 {
		return bench.Sample{}, fault.Errorf(fault.Invalid, "%d runs: it must be at least 1", n)
	}
	if set < 0 || set >= matrix.Sets {
		return bench.Sample{}, fault.Errorf(fault.Invalid, "no operands %d: there are %d sets", set, matrix.Sets)
	}
	var s bench.Sample
	err := t.thread.Do(ctx, func() error {
		if t.closed {
			return fault.Errorf(fault.Invalid, "the task is closed")
		}
		t.computed = false
		// All bits set are NaN in every type.
		if err := matrix.Poison(ctx, t.elements(), 0xff); err != nil {
			return err
		}
		start := time.Now()
		took, err := t.products(ctx, n, set)
		s = bench.Sample{Iters: n, Wall: time.Since(start), Device: took}
		t.computed = err == nil
		return err
	})
	if err != nil {
		return bench.Sample{}, err
	}
	return s, nil
}

// RoundTrip is not supported: the matrices are in memory that the CPU and the GPU share.
func (*task) RoundTrip(context.Context, int) (bench.RoundTrip, error) {
	return bench.RoundTrip{}, fault.Errorf(fault.Unsupported, "copies are not timed: the GPU shares the memory of the CPU")
}

// MulVec returns C·x, unless something was written beside C.
func (t *task) MulVec(ctx context.Context, x []float64) ([]float64, error) {
	if len(x) != t.gemm.N {
		return nil, fault.Errorf(fault.Invalid, "the vector has %d elements: C has %d columns", len(x), t.gemm.N)
	}
	var y []float64
	err := t.thread.Do(ctx, func() (err error) {
		switch {
		case t.closed:
			return fault.Errorf(fault.Invalid, "the task is closed")
		case !t.computed:
			return fault.Errorf(fault.Invalid, "C has not been computed yet")
		}
		if err := t.guarded(); err != nil {
			return err
		}
		if t.gemm.Out == matrix.Float32 {
			y, err = matrix.MulVec(ctx, view[float32](t.elements()), x, func(v float32) float64 { return float64(v) })
		} else {
			y, err = matrix.MulVec(ctx, view[uint16](t.elements()), x, t.gemm.Out.From16)
		}
		return err
	})
	return y, err
}

// guarded returns an error if something was written beside C.
func (t *task) guarded() error {
	for side, zone := range t.zones() {
		for i, b := range zone {
			if b != matrix.GuardByte(i) {
				return fault.Errorf(fault.Wrong, "%s wrote %s of C", t.lane.library, [2]string{"before the beginning", "behind the end"}[side])
			}
		}
	}
	return nil
}

// Close frees the matrices. Closing twice does nothing.
func (t *task) Close() error {
	return t.thread.Do(context.Background(), func() error {
		return objc.WithPool(func() error {
			t.release()
			return nil
		})
	})
}

// release gives everything up once, in a pool. Nothing is being computed.
func (t *task) release() {
	if t.closed {
		return
	}
	t.closed = true
	objc.Release(t.owned...)
	objc.Release(t.a[0].object, t.a[1].object, t.b.object, t.c.object)
}
