package vulkan

import (
	"bytes"
	"context"
	"encoding/binary"
	"sync"
	"time"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	vk "github.com/gpuplay/gpuplay/internal/ffi/vulkan"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// A task is a product with its matrices in the device's memory.
type task struct {
	mu       *sync.Mutex // the engine's
	device   *device
	gemm     bench.GEMM
	seed     uint64
	a        [matrix.Sets]*buffer
	b        *buffer
	c        *buffer // with a zone on each side that nothing may write to
	pool     vk.DescriptorPool
	sets     [matrix.Sets]vk.DescriptorSet
	kernel   kernel
	pipeline vk.Pipeline
	plan     plan
	host     hostMatrices
	computed bool
	freed    bool // the device no longer has the matrices
	closed   bool
}

// Words that fill C before it is computed, which no product has: NaN in every type of
// floating-point numbers, and an int32 that takes more than 100,000 products of two int8.
const (
	noFloat = 0xffffffff
	noInt   = 0x80808080
)

func (t *task) poison() uint32 {
	if t.gemm.Out == matrix.Int32 {
		return noInt
	}
	return noFloat
}

// newTask returns a task of a device that is open.
func newTask(mu *sync.Mutex, d *device, g bench.GEMM, seed uint64) *task {
	t := &task{mu: mu, device: d, gemm: g, seed: seed}
	d.tasks[t] = true
	return t
}

// prepare makes a task with the fastest kernel of a list. The engine's lock is held.
func prepare(ctx context.Context, mu *sync.Mutex, d *device, g bench.GEMM, seed uint64, list []kernel, tell func(bench.Tuning)) (*task, error) {
	t := newTask(mu, d, g, seed)
	err := t.fill(ctx)
	if err == nil {
		err = t.tune(ctx, list, tell)
	}
	if err != nil {
		t.release()
		return nil, err
	}
	return t, nil
}

// fill allocates the matrices and fills the operands.
func (t *task) fill(ctx context.Context) error {
	d, g := t.device, t.gemm
	for _, m := range []struct {
		at    **buffer
		bytes int
	}{
		{&t.a[0], g.M * g.K * g.In.Size()}, {&t.a[1], g.M * g.K * g.In.Size()}, {&t.b, g.K * g.N * g.In.Size()}, {&t.c, t.sizeC() + 2*matrix.GuardBytes},
	} {
		var err error
		if *m.at, err = d.newBuffer(uint64(m.bytes), false); err != nil {
			return err
		}
	}
	for _, operand := range []struct {
		of matrix.Operand
		to *buffer
		n  int
	}{{matrix.OfA(0), t.a[0], g.M * g.K}, {matrix.OfA(1), t.a[1], g.M * g.K}, {matrix.B, t.b, g.K * g.N}} {
		if err := fillBuffer(ctx, operand.to, operand.n, g.Data.Stream(t.seed, operand.of, g.In), g.In); err != nil {
			return err
		}
	}
	return t.bind()
}

func (t *task) sizeC() int { return t.gemm.M * t.gemm.N * t.gemm.Out.Size() }

// fillBuffer writes the elements of a stream.
func fillBuffer(ctx context.Context, to *buffer, n int, s matrix.Stream, d matrix.DType) error {
	switch d {
	case matrix.Float64:
		return upload(ctx, to, n, parallel(s.Fill64))
	case matrix.Float32:
		return upload(ctx, to, n, parallel(s.Fill32))
	case matrix.Int8:
		return upload(ctx, to, n, parallel(s.Fill8))
	}
	return upload(ctx, to, n, parallel(s.Fill16))
}

// parallel fills elements on all CPUs.
func parallel[T any](fill func(part []T, from int)) func(context.Context, []T, int) error {
	return func(ctx context.Context, part []T, from int) error {
		return matrix.Fill(ctx, part, func(some []T, at int) { fill(some, from+at) })
	}
}

// bind makes a set of descriptors for each set of operands.
func (t *task) bind() error {
	d := t.device
	var r vk.Result
	if t.pool, r = d.lib.CreateDescriptorPool(d.handle, &vk.DescriptorPoolCreateInfo{
		Header:  vk.Header{SType: vk.STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO},
		MaxSets: matrix.Sets, PoolSizeCount: 1, PoolSizes: unsafe.Pointer(&vk.DescriptorPoolSize{Type: vk.DESCRIPTOR_TYPE_STORAGE_BUFFER, DescriptorCount: 3 * matrix.Sets}),
	}); r != vk.SUCCESS {
		return d.failed("vkCreateDescriptorPool", r)
	}
	layout := &d.setLayout
	for i := range t.sets {
		if t.sets[i], r = d.lib.AllocateDescriptorSets(d.handle, &vk.DescriptorSetAllocateInfo{
			Header:         vk.Header{SType: vk.STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO},
			DescriptorPool: t.pool, DescriptorSetCount: 1, SetLayouts: unsafe.Pointer(layout),
		}); r != vk.SUCCESS {
			return d.failed("vkAllocateDescriptorSets", r)
		}
		buffers := []vk.DescriptorBufferInfo{
			{Buffer: t.a[i].handle, Range: vk.WHOLE_SIZE}, {Buffer: t.b.handle, Range: vk.WHOLE_SIZE},
			{Buffer: t.c.handle, Offset: matrix.GuardBytes, Range: uint64(t.sizeC()+3) &^ 3},
		}
		writes := make([]vk.WriteDescriptorSet, len(buffers))
		for j := range writes {
			writes[j] = vk.WriteDescriptorSet{
				Header: vk.Header{SType: vk.STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET},
				DstSet: t.sets[i], DstBinding: uint32(j), DescriptorCount: 1, DescriptorType: vk.DESCRIPTOR_TYPE_STORAGE_BUFFER, BufferInfo: unsafe.Pointer(&buffers[j]),
			}
		}
		d.lib.UpdateDescriptorSets(d.handle, writes)
	}
	return nil
}

// Facts says which kernel computes.
func (t *task) Facts() bench.Facts {
	return bench.Facts{Notes: []string{"kernel: " + t.kernel.name}}
}

// Run computes C n times. The wall time is from the first submission until the device has
// finished, the device's time between two of its timestamps around the same work.
func (t *task) Run(ctx context.Context, n, set int) (bench.Sample, error) {
	if n < 1 {
		return bench.Sample{}, invalid("%d runs: it must be at least 1", n)
	}
	if set < 0 || set >= matrix.Sets {
		return bench.Sample{}, invalid("no operands %d: there are %d sets", set, matrix.Sets)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(); err != nil {
		return bench.Sample{}, err
	}
	if err := ctx.Err(); err != nil {
		return bench.Sample{}, err
	}
	t.computed, t.host.last = false, false
	if err := t.overwrite(); err != nil {
		return bench.Sample{}, err
	}
	start := time.Now()
	took, err := t.products(ctx, t.pipeline, set, n, t.plan)
	wall := time.Since(start)
	if err != nil {
		return bench.Sample{}, err
	}
	t.computed = true
	return bench.Sample{Iters: n, Wall: wall, Device: took}, nil
}

// usable returns an error for a task that can compute no more.
func (t *task) usable() error {
	switch {
	case t.closed:
		return invalid("the task is closed")
	case t.freed || t.device.lost:
		return fault.Errorf(fault.Internal, "the driver gave up on %s", t.device.about.Name)
	case t.host.half:
		return fault.Errorf(fault.Internal, "the operands were lost when a copy of them ended early")
	}
	return nil
}

// chunkBytes is how much of C is brought to the host at a time, at least a row.
const chunkBytes = 64 << 20

// MulVec returns C·x, unless something was written beside C.
func (t *task) MulVec(ctx context.Context, x []float64) ([]float64, error) {
	if len(x) != t.gemm.N {
		return nil, invalid("the vector has %d elements: C has %d columns", len(x), t.gemm.N)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(); err != nil {
		return nil, err
	}
	if !t.computed {
		return nil, invalid("C has not been computed yet")
	}
	if err := t.guarded(ctx); err != nil {
		return nil, err
	}
	row := t.gemm.N * t.gemm.Out.Size()
	rows := min(t.gemm.M, max(1, chunkBytes/row))
	chunk := make([]byte, rows*row)
	var y []float64
	for m := 0; m < t.gemm.M; m += rows {
		part := chunk[:min(rows, t.gemm.M-m)*row]
		if t.host.last {
			part = t.host.c[m*row:][:len(part)]
		} else if err := t.c.download(ctx, part, uint64(matrix.GuardBytes+m*row)); err != nil {
			return nil, err
		}
		some, err := mulVec(ctx, part, t.gemm.Out, x)
		if err != nil {
			return nil, err
		}
		y = append(y, some...)
	}
	return y, nil
}

// mulVec multiplies rows of C, as they lie in memory.
func mulVec(ctx context.Context, rows []byte, d matrix.DType, x []float64) ([]float64, error) {
	switch d {
	case matrix.Float64:
		return matrix.MulVec(ctx, view[float64](rows), x, func(v float64) float64 { return v })
	case matrix.Float32:
		return matrix.MulVec(ctx, view[float32](rows), x, func(v float32) float64 { return float64(v) })
	case matrix.Int32:
		return matrix.MulVec(ctx, view[int32](rows), x, func(v int32) float64 { return float64(v) })
	}
	return matrix.MulVec(ctx, view[uint16](rows), x, d.From16)
}

// view returns bytes as elements. Memory that Go allocates for that many is aligned.
func view[T any](b []byte) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/int(unsafe.Sizeof(*new(T))))
}

// guarded returns an error if something was written beside C.
func (t *task) guarded(ctx context.Context) error {
	want := bytes.Repeat(binary.LittleEndian.AppendUint32(nil, t.poison()), matrix.GuardBytes/4)
	got := make([]byte, matrix.GuardBytes)
	for side, offset := range map[string]int{"before the start": 0, "past the end": matrix.GuardBytes + (t.sizeC()+3)&^3} {
		if err := t.c.download(ctx, got, uint64(offset)); err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return fault.Errorf(fault.Wrong, "the kernel %s wrote %s of C", t.kernel.name, side)
		}
	}
	return nil
}

// Close frees the matrices. Closing twice does nothing.
func (t *task) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.release()
	return nil
}

func (t *task) release() {
	t.closed, t.host = true, hostMatrices{}
	t.free()
}

// free frees what the task has on its device, which may have been lost.
func (t *task) free() {
	if t.freed {
		return
	}
	t.freed = true
	d := t.device
	delete(d.tasks, t)
	_ = d.drain(nil)
	d.lib.DestroyDescriptorPool(d.handle, t.pool)
	for _, b := range []*buffer{t.a[0], t.a[1], t.b, t.c} {
		if b != nil {
			b.free()
		}
	}
}
