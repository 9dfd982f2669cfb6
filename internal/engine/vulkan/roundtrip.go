package vulkan

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	vk "github.com/gpuplay/gpuplay/internal/ffi/vulkan"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// hostMatrices are the matrices of a product in ordinary main memory, from the first round
// trip on.
type hostMatrices struct {
	a    [matrix.Sets][]byte
	b, c []byte
	last bool // C here is what was computed last
	// half is true from when operands on the device are overwritten until they are there
	// again: after an error in between, nothing can be computed from them.
	half bool
}

// RoundTrip computes a product whose matrices are in ordinary main memory. They pass through
// the staging memory, part by part, so that In and Out include what the CPU copies.
func (t *task) RoundTrip(ctx context.Context, set int) (bench.RoundTrip, error) {
	if set < 0 || set >= matrix.Sets {
		return bench.RoundTrip{}, invalid("no operands %d: there are %d sets", set, matrix.Sets)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(); err != nil {
		return bench.RoundTrip{}, err
	}
	if err := ctx.Err(); err != nil {
		return bench.RoundTrip{}, err
	}
	if err := t.fillHost(ctx, set); err != nil {
		return bench.RoundTrip{}, err
	}
	h := &t.host
	t.computed, h.last, h.half = false, false, true
	for i := 0; i+4 <= len(h.c); i += 4 {
		binary.LittleEndian.PutUint32(h.c[i:], t.poison())
	}
	if err := t.overwrite(t.a[set], t.b); err != nil {
		return bench.RoundTrip{}, err
	}
	var trip bench.RoundTrip
	start := time.Now()
	for _, o := range []struct {
		to   *buffer
		from []byte
	}{{t.a[set], h.a[set]}, {t.b, h.b}} {
		if err := upload(ctx, o.to, len(o.from), func(_ context.Context, part []byte, from int) error { copy(part, o.from[from:]); return nil }); err != nil {
			return bench.RoundTrip{}, err
		}
	}
	trip.In, h.half = time.Since(start), false
	start = time.Now()
	took, err := t.products(ctx, t.pipeline, set, 1, t.plan)
	trip.Product, trip.Device = time.Since(start), took
	if err != nil {
		return bench.RoundTrip{}, err
	}
	start = time.Now()
	if err := t.c.download(ctx, h.c, matrix.GuardBytes); err != nil {
		return bench.RoundTrip{}, err
	}
	trip.Out = time.Since(start)
	t.computed, h.last = true, true
	return trip, nil
}

// overwrite fills C with what no product has, and operands with what makes a product wrong.
func (t *task) overwrite(operands ...*buffer) error {
	d := t.device
	return d.once(func(c vk.CommandBuffer) {
		d.lib.CmdFillBuffer(c, t.c.handle, 0, vk.WHOLE_SIZE, t.poison())
		for _, b := range operands {
			d.lib.CmdFillBuffer(c, b.handle, 0, vk.WHOLE_SIZE, noFloat)
		}
		d.barrier(c, vk.PIPELINE_STAGE_TRANSFER_BIT, vk.ACCESS_TRANSFER_WRITE_BIT,
			vk.PIPELINE_STAGE_TRANSFER_BIT|vk.PIPELINE_STAGE_COMPUTE_SHADER_BIT, vk.ACCESS_TRANSFER_WRITE_BIT|vk.ACCESS_SHADER_READ_BIT|vk.ACCESS_SHADER_WRITE_BIT)
	})
}

// fillHost allocates the matrices in main memory and fills the operands of a set, once.
func (t *task) fillHost(ctx context.Context, set int) error {
	g := t.gemm
	for _, o := range []struct {
		of matrix.Operand
		at *[]byte
		n  int
	}{{matrix.OfA(set), &t.host.a[set], g.M * g.K}, {matrix.B, &t.host.b, g.K * g.N}} {
		if *o.at != nil {
			continue
		}
		filled := make([]byte, o.n*g.In.Size())
		s := g.Data.Stream(t.seed, o.of, g.In)
		var err error
		switch g.In {
		case matrix.Float64:
			err = parallel(s.Fill64)(ctx, view[float64](filled), 0)
		case matrix.Float32:
			err = parallel(s.Fill32)(ctx, view[float32](filled), 0)
		case matrix.Int8:
			err = parallel(s.Fill8)(ctx, view[int8](filled), 0)
		default:
			err = parallel(s.Fill16)(ctx, view[uint16](filled), 0)
		}
		if err != nil {
			return err
		}
		*o.at = filled
	}
	if t.host.c == nil {
		t.host.c = make([]byte, t.sizeC())
	}
	return nil
}
