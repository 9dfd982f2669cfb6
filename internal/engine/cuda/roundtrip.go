package cuda

import (
	"context"
	"time"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/cuda"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// hostMatrices are the matrices of a product in ordinary main memory, from the first round
// trip on.
type hostMatrices struct {
	a    [matrix.Sets][]byte
	b, c []byte
	last bool // C here is what was computed last
	// half is true from when operands on the GPU are overwritten until they are there again:
	// after an error in between, nothing can be computed from them.
	half bool
}

// RoundTrip computes a product whose matrices are in pageable main memory, as in a program
// that does nothing special. In and Out are by the clock of this process, around the
// driver's copies and a wait.
func (t *task) RoundTrip(ctx context.Context, set int) (bench.RoundTrip, error) {
	if set < 0 || set >= matrix.Sets {
		return bench.RoundTrip{}, fault.Errorf(fault.Invalid, "no operands %d: there are %d sets", set, matrix.Sets)
	}
	h := &t.host
	if err := t.fillHost(ctx, set); err != nil {
		return bench.RoundTrip{}, err
	}
	var trip bench.RoundTrip
	err := t.do(ctx, func() error {
		if err := t.ready(set); err != nil {
			return err
		}
		lib := t.gpu.lib
		for i := range h.c {
			h.c[i] = t.out.poison
		}
		h.half = true
		for _, o := range []struct {
			at    cuda.Pointer
			bytes int
		}{{t.a, len(h.a[set])}, {t.b, len(h.b)}} {
			if err := t.gpu.check("MemsetD8", lib.MemsetD8(o.at, notNumber, uintptr(o.bytes))); err != nil {
				return err
			}
		}
		if err := t.gpu.check("CtxSynchronize", lib.CtxSynchronize()); err != nil {
			return err
		}
		start := time.Now()
		for _, o := range []struct {
			to   cuda.Pointer
			from []byte
		}{{t.a, h.a[set]}, {t.b, h.b}} {
			if err := t.gpu.check("MemcpyHtoD", lib.MemcpyHtoD(o.to, unsafe.Pointer(&o.from[0]), uintptr(len(o.from)))); err != nil {
				return err
			}
		}
		// The driver may return from a copy of pageable memory before it has arrived.
		if err := t.gpu.check("CtxSynchronize", lib.CtxSynchronize()); err != nil {
			return err
		}
		trip.In, h.half = time.Since(start), false
		s, err := t.time(ctx, 1)
		if err != nil {
			return err
		}
		trip.Product, trip.Device = s.Wall, s.Device
		start = time.Now()
		if err := t.gpu.check("MemcpyDtoH", lib.MemcpyDtoH(unsafe.Pointer(&h.c[0]), t.c, uintptr(len(h.c)))); err != nil {
			return err
		}
		trip.Out = time.Since(start)
		t.computed, h.last = true, true
		return nil
	})
	if err != nil {
		return bench.RoundTrip{}, err
	}
	return trip, nil
}

// fillHost allocates the matrices in main memory and fills the operands of a set, once.
func (t *task) fillHost(ctx context.Context, set int) error {
	g, in := t.gemm, layouts[t.gemm.In]
	for _, o := range []struct {
		of     matrix.Operand
		at     *[]byte
		length int
	}{{matrix.OfA(set), &t.host.a[set], g.M * g.K}, {matrix.B, &t.host.b, g.K * g.N}} {
		if *o.at != nil {
			continue
		}
		filled := aligned(o.length * g.In.Size())
		if err := in.fill(ctx, filled, g.Data.Stream(t.seed, o.of, in.stream), 0); err != nil {
			return err
		}
		*o.at = filled
	}
	if t.host.c == nil {
		t.host.c = aligned(g.M * g.N * g.Out.Size())
	}
	return nil
}
