package cuda

import (
	"context"
	"errors"
	"time"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/cuda"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A task is a GEMM on a GPU with its operands.
type task struct {
	gpu     *gpu
	library string // that computes
	gemm    bench.GEMM
	seed    uint64
	out     layout

	memory []cuda.Pointer // all that is to be freed
	a      cuda.Pointer   // of the set that is computed from
	spare  cuda.Pointer   // A of the other set, which changes places with it
	swap   cuda.Pointer   // a part of A, while they do
	set    int            // whose A is at a
	b, c   cuda.Pointer
	work   cuda.Pointer
	host   hostMatrices

	product  variant
	seconds  float64 // of a product, as measured while preparing
	graph    graph
	begin    cuda.Event
	end      cuda.Event
	fences   [2]cuda.Event
	notes    []string
	closers  []func() error // free what the library keeps for the product; on the GPU's thread
	computed bool
	closed   bool
}

// copyBytes is how much is copied between main memory and the GPU at once, and how much of A
// is out of place while two sets change places.
const copyBytes = 32 << 20

// newTask allocates the matrices of a product and fills the operands.
func newTask(ctx context.Context, gpu *gpu, g bench.GEMM, seed uint64, library string) (*task, error) {
	t := &task{gpu: gpu, library: library, gemm: g, seed: seed, out: layouts[g.Out]}
	if err := gpu.do(ctx, func() error { return t.allocate() }); err != nil {
		return nil, closing(t, err)
	}
	in := layouts[g.In]
	for _, operand := range []struct {
		of     matrix.Operand
		at     cuda.Pointer
		length int
	}{{matrix.OfA(0), t.a, g.M * g.K}, {matrix.OfA(1), t.spare, g.M * g.K}, {matrix.B, t.b, g.K * g.N}} {
		if err := t.upload(ctx, in, g.Data.Stream(seed, operand.of, in.stream), operand.at, operand.length); err != nil {
			return nil, closing(t, err)
		}
	}
	return t, nil
}

// allocate takes the memory of the matrices, if there is enough.
func (t *task) allocate() error {
	g, lib := t.gemm, t.gpu.lib
	var free, total uintptr
	if err := t.gpu.check("MemGetInfo", lib.MemGetInfo(&free, &total)); err != nil {
		return err
	}
	if need := g.Footprint() + 2*matrix.GuardBytes + copyBytes; need > float64(free) {
		return fault.Errorf(fault.OutOfMemory, "%s in %s takes %s: %s of the %s of %s are free", unit.Cube(g.M, g.N, g.K), g.In, unit.Bytes(need), unit.Bytes(float64(free)), unit.Bytes(float64(total)), t.gpu.device.Name).
			With(fault.Change("size", "a smaller {}"))
	}
	a, b, c := g.M*g.K*g.In.Size(), g.K*g.N*g.In.Size(), g.M*g.N*g.Out.Size()
	for _, m := range []struct {
		at    *cuda.Pointer
		bytes int
	}{{&t.a, a}, {&t.spare, a}, {&t.swap, min(a, copyBytes)}, {&t.b, b}, {&t.c, matrix.GuardBytes + c + matrix.GuardBytes}} {
		if err := t.take(m.at, m.bytes); err != nil {
			return err
		}
	}
	t.c += matrix.GuardBytes
	if err := t.guard(func(at cuda.Pointer, zone []byte) error {
		copy(zone, guard)
		return t.gpu.check("MemcpyHtoD", lib.MemcpyHtoD(at, unsafe.Pointer(&zone[0]), uintptr(len(zone))))
	}); err != nil {
		return err
	}
	for _, e := range []*cuda.Event{&t.begin, &t.end, &t.fences[0], &t.fences[1]} {
		if err := t.gpu.check("EventCreate", lib.EventCreate(e, cuda.EVENT_DEFAULT)); err != nil {
			return err
		}
	}
	return nil
}

// take allocates memory of the task.
func (t *task) take(at *cuda.Pointer, bytes int) error {
	if err := t.gpu.check("MemAlloc", t.gpu.lib.MemAlloc(at, uintptr(bytes))); err != nil {
		return err
	}
	t.memory = append(t.memory, *at)
	return nil
}

// guard is what the zones before and after C hold, see matrix.Guarded.
var guard = func() []byte {
	zone := make([]byte, matrix.GuardBytes)
	for i := range zone {
		zone[i] = matrix.GuardByte(i)
	}
	return zone
}()

// guard calls f for the zone before C and the one after it.
func (t *task) guard(f func(at cuda.Pointer, zone []byte) error) error {
	zone := make([]byte, matrix.GuardBytes)
	if err := f(t.c-matrix.GuardBytes, zone); err != nil {
		return err
	}
	return f(t.c+cuda.Pointer(t.gemm.M*t.gemm.N*t.gemm.Out.Size()), zone)
}

// upload fills an operand in main memory, part by part, and copies it to the GPU.
func (t *task) upload(ctx context.Context, l layout, s matrix.Stream, to cuda.Pointer, length int) error {
	size := t.gemm.In.Size()
	part := aligned(min(length*size, copyBytes))
	for from := 0; from < length; {
		some := part[:min(len(part), (length-from)*size)]
		if err := l.fill(ctx, some, s, from); err != nil {
			return err
		}
		if err := t.gpu.do(ctx, func() error {
			return t.gpu.check("MemcpyHtoD", t.gpu.lib.MemcpyHtoD(to+cuda.Pointer(from*size), unsafe.Pointer(&some[0]), uintptr(len(some))))
		}); err != nil {
			return err
		}
		from += len(some) / size
	}
	return nil
}

// Facts tells what was noted while preparing.
func (t *task) Facts() bench.Facts { return bench.Facts{Notes: t.notes} }

// Run computes C n times and times all of it, by the clock of this process and, with events
// around the products, by the GPU's. Where other tasks of the GPU run at once, the time
// includes waiting for them.
func (t *task) Run(ctx context.Context, n, set int) (bench.Sample, error) {
	if n < 1 {
		return bench.Sample{}, fault.Errorf(fault.Invalid, "%d runs: must be 1 or more", n)
	}
	if set < 0 || set >= matrix.Sets {
		return bench.Sample{}, fault.Errorf(fault.Invalid, "no operands %d: there are %d sets", set, matrix.Sets)
	}
	var s bench.Sample
	err := t.do(ctx, func() error {
		if err := t.ready(set); err != nil {
			return err
		}
		var err error
		s, err = t.time(ctx, n)
		t.computed = err == nil
		return err
	})
	if err != nil {
		return bench.Sample{}, err
	}
	return s, nil
}

// ready puts A of a set in its place and a value that no product has into C. Both sets are
// read from the same address: a result that a library remembers by address belongs to the
// other set.
func (t *task) ready(set int) error {
	lib, g := t.gpu.lib, t.gemm
	t.computed, t.host.last = false, false
	if set != t.set {
		bytes := g.M * g.K * g.In.Size()
		for from := 0; from < bytes; from += copyBytes {
			some := uintptr(min(copyBytes, bytes-from))
			a, spare := t.a+cuda.Pointer(from), t.spare+cuda.Pointer(from)
			for _, move := range [][2]cuda.Pointer{{t.swap, a}, {a, spare}, {spare, t.swap}} {
				if err := t.gpu.check("MemcpyDtoD", lib.MemcpyDtoD(move[0], move[1], some)); err != nil {
					return err
				}
			}
		}
		t.set = set
	}
	if err := t.gpu.check("MemsetD8", lib.MemsetD8(t.c, t.out.poison, uintptr(g.M*g.N*g.Out.Size()))); err != nil {
		return err
	}
	return t.gpu.check("CtxSynchronize", lib.CtxSynchronize())
}

// time computes C n times from what is in place.
func (t *task) time(ctx context.Context, n int) (bench.Sample, error) {
	lib, stream := t.gpu.lib, t.gpu.stream
	start := time.Now()
	if err := t.gpu.check("EventRecord", lib.EventRecord(t.begin, stream)); err != nil {
		return bench.Sample{}, err
	}
	err := t.products(ctx, n)
	if err == nil {
		err = t.gpu.check("EventRecord", lib.EventRecord(t.end, stream))
	}
	// Also after an error: nothing may be left in the stream.
	err = errors.Join(err, t.gpu.check("StreamSynchronize", lib.StreamSynchronize(stream)))
	wall := time.Since(start)
	if err != nil {
		return bench.Sample{}, err
	}
	s := bench.Sample{Iters: n, Wall: wall}
	var ms float32
	if err := t.gpu.check("EventElapsedTime", lib.EventElapsedTime(&ms, t.begin, t.end)); err != nil {
		return bench.Sample{}, err
	}
	if device := time.Duration(float64(ms) * float64(time.Millisecond)); device > 0 {
		s.Device = &device
	}
	return s, nil
}

// together is how long the GPU may be busy with what is in the stream, so that Ctrl-C is
// heeded in time.
const together = 10 * time.Millisecond

// products puts n products into the stream, and waits so that never much more than two
// lots of some are in it: one that runs, and one that is ready.
func (t *task) products(ctx context.Context, n int) error {
	lib, stream := t.gpu.lib, t.gpu.stream
	some := max(1, int(min(together.Seconds()/t.seconds, 512)))
	if t.graph.length > 0 {
		some = (some + t.graph.length - 1) / t.graph.length * t.graph.length
	}
	for lot, left := 0, n; left > 0; lot++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		fence := t.fences[lot%2]
		if lot >= 2 {
			if err := t.gpu.check("EventSynchronize", lib.EventSynchronize(fence)); err != nil {
				return err
			}
		}
		now := min(some, left)
		if err := t.enqueue(now); err != nil {
			return err
		}
		if left -= now; left > 0 {
			if err := t.gpu.check("EventRecord", lib.EventRecord(fence, stream)); err != nil {
				return err
			}
		}
	}
	return nil
}

// enqueue puts n products into the stream, as graphs where there are any.
func (t *task) enqueue(n int) error {
	if length := t.graph.length; length > 0 {
		for ; n >= length; n -= length {
			if err := t.gpu.check("GraphLaunch", t.gpu.lib.GraphLaunch(t.graph.exec, t.gpu.stream)); err != nil {
				return err
			}
		}
	}
	for range n {
		if err := t.product.enqueue(t.gpu.stream); err != nil {
			return err
		}
	}
	return nil
}

// MulVec returns C·x, unless something was written beside C. C is read part by part.
func (t *task) MulVec(ctx context.Context, x []float64) ([]float64, error) {
	if len(x) != t.gemm.N {
		return nil, fault.Errorf(fault.Invalid, "C·x: x has %d elements, C %d columns", len(x), t.gemm.N)
	}
	row := t.gemm.N * t.gemm.Out.Size()
	part := aligned(min(t.gemm.M, max(1, copyBytes/row)) * row)
	y := make([]float64, 0, t.gemm.M)
	for len(y) < t.gemm.M {
		some := part[:min(len(part), (t.gemm.M-len(y))*row)]
		if err := t.do(ctx, func() error {
			if !t.computed {
				return fault.Errorf(fault.Invalid, "C·x: C has not been computed yet")
			}
			if len(y) == 0 {
				if err := t.guarded(); err != nil {
					return err
				}
			}
			if t.host.last {
				copy(some, t.host.c[len(y)*row:])
				return nil
			}
			return t.gpu.check("MemcpyDtoH", t.gpu.lib.MemcpyDtoH(unsafe.Pointer(&some[0]), t.c+cuda.Pointer(len(y)*row), uintptr(len(some))))
		}); err != nil {
			return nil, err
		}
		rows, err := t.out.mulVec(ctx, some, x)
		if err != nil {
			return nil, err
		}
		y = append(y, rows...)
	}
	return y, nil
}

// guarded returns an error if something was written beside C.
func (t *task) guarded() error {
	side := "before the start"
	return t.guard(func(at cuda.Pointer, zone []byte) error {
		if err := t.gpu.check("MemcpyDtoH", t.gpu.lib.MemcpyDtoH(unsafe.Pointer(&zone[0]), at, uintptr(len(zone)))); err != nil {
			return err
		}
		if string(zone) != string(guard) {
			return fault.Errorf(fault.Wrong, "%s wrote %s of C", t.library, side)
		}
		side = "past the end"
		return nil
	})
}

// do runs f on the GPU's thread, unless the task is closed.
func (t *task) do(ctx context.Context, f func() error) error {
	return t.gpu.do(ctx, func() error {
		if t.closed {
			return fault.Errorf(fault.Invalid, "the task is closed")
		}
		if t.host.half {
			return fault.Errorf(fault.Internal, "the operands were lost when a copy of them failed")
		}
		return f()
	})
}

// Close frees the memory. Closing again does nothing.
func (t *task) Close() error {
	return t.gpu.do(context.Background(), func() error {
		if t.closed {
			return nil
		}
		t.closed = true
		lib := t.gpu.lib
		err := t.graph.destroy(t.gpu)
		for _, f := range t.closers {
			err = errors.Join(err, f())
		}
		for _, e := range []cuda.Event{t.begin, t.end, t.fences[0], t.fences[1]} {
			if e != 0 {
				err = errors.Join(err, t.gpu.check("EventDestroy", lib.EventDestroy(e)))
			}
		}
		for _, p := range t.memory {
			err = errors.Join(err, t.gpu.check("MemFree", lib.MemFree(p)))
		}
		t.memory, t.host = nil, hostMatrices{}
		return err
	})
}
