package cuda

import (
	"bytes"
	"context"
	"errors"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/cuda"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

var _ bench.Describer = (*Engine)(nil)

const (
	deviceCopy = 256 << 20 // bytes of a copy on the device: several times what caches hold
	hostCopy   = 64 << 20  // bytes of a copy to or from the host
)

// Describe asks the driver and times copies: on the device, between it and pinned and pageable
// memory of the host, in both directions, and to every other GPU.
func (e *Engine) Describe(ctx context.Context, d hardware.Device) (hardware.Description, error) {
	g, err := e.machine.gpu(ctx, d.ID)
	if err != nil {
		return hardware.Description{}, err
	}
	out := hardware.Description{Processors: g.card.SMs}
	err = g.do(ctx, func() error {
		attribute := func(a cuda.DeviceAttribute) float64 { // 0: the driver does not say
			var value int32
			if g.lib.DeviceGetAttribute(&value, a, g.handle) != cuda.SUCCESS {
				return 0
			}
			return float64(max(0, value))
		}
		out.Clock = 1e3 * attribute(cuda.DEVICE_ATTRIBUTE_CLOCK_RATE)
		out.MemoryClock = 1e3 * attribute(cuda.DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE)
		out.MemoryBus = int(attribute(cuda.DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH))
		out.Cache = int64(attribute(cuda.DEVICE_ATTRIBUTE_L2_CACHE_SIZE))
		// https://docs.nvidia.com/cuda/parallel-thread-execution, "Target ISA Notes" of
		// mma, cp.async.bulk.tensor and wgmma.
		cc := g.card.CC
		out.Features = []hardware.Feature{
			{Name: "mma of float16", Found: cc >= 70}, {Name: "mma of bfloat16 and TF32", Found: cc >= 80}, {Name: "mma of FP8", Found: cc >= 89},
			{Name: "wgmma", Found: cc == 90}, {Name: "TMA", Found: cc >= 90}, {Name: "ECC memory", Found: attribute(cuda.DEVICE_ATTRIBUTE_ECC_ENABLED) > 0},
		}
		c := &copier{gpu: g}
		err := c.allocate()
		if err == nil {
			out.Copies, err = c.measure(ctx)
		}
		return errors.Join(err, c.free())
	})
	if err != nil {
		return out, err
	}
	peers, err := e.peers(ctx, g)
	out.Copies = append(out.Copies, peers...)
	return out, err
}

// A copier has memory on both sides. Everything happens on the GPU's thread.
type copier struct {
	gpu      *gpu
	a, b     cuda.Pointer // on the device
	size     int          // bytes of each
	pattern  []byte       // what a holds, again and again
	pinned   unsafe.Pointer
	pageable []byte
}

func (c *copier) allocate() error {
	g := c.gpu
	var free, total uintptr
	if err := g.check("MemGetInfo", g.lib.MemGetInfo(&free, &total)); err != nil {
		return err
	}
	host := min(hostCopy, int(free/16)&^4095)
	c.size = min(deviceCopy, 4*host)
	if host == 0 {
		return fault.Errorf(fault.OutOfMemory, "%s: %d bytes of memory are free, too few to time copies", g.device.Name, free)
	}
	c.pattern, c.pageable = make([]byte, host), make([]byte, host)
	for i := range c.pattern {
		c.pattern[i] = byte(i ^ i>>7 ^ i>>13)
	}
	for _, p := range []*cuda.Pointer{&c.a, &c.b} {
		if err := g.check("MemAlloc", g.lib.MemAlloc(p, uintptr(c.size))); err != nil {
			return err
		}
	}
	if err := g.check("MemAllocHost", g.lib.MemAllocHost(&c.pinned, uintptr(host))); err != nil {
		return err
	}
	for from := 0; from < c.size; from += host {
		if err := g.check("MemcpyHtoD", g.lib.MemcpyHtoD(c.a+cuda.Pointer(from), unsafe.Pointer(&c.pattern[0]), uintptr(host))); err != nil {
			return err
		}
	}
	return nil
}

func (c *copier) free() error {
	var err error
	for _, p := range []cuda.Pointer{c.a, c.b} {
		if p != 0 {
			err = errors.Join(err, c.gpu.check("MemFree", c.gpu.lib.MemFree(p)))
		}
	}
	if c.pinned != nil {
		err = errors.Join(err, c.gpu.check("MemFreeHost", c.gpu.lib.MemFreeHost(c.pinned)))
	}
	return err
}

// measure times every copy; with an error, it returns those that were timed before.
func (c *copier) measure(ctx context.Context) ([]hardware.Copy, error) {
	g, host := c.gpu, len(c.pattern)
	pinned := unsafe.Slice((*byte)(c.pinned), host)
	var copies []hardware.Copy
	for _, x := range []struct {
		hardware.Copy
		how bench.Copying
	}{
		{hardware.Copy{Route: hardware.OnDevice, Bytes: int64(c.size)}, bench.Copying{
			Clear: c.clear,
			Copy:  c.copy(func() cuda.Result { return g.lib.MemcpyDtoD(c.b, c.a, uintptr(c.size)) }),
			Same:  func() (bool, error) { return c.same(c.size) },
		}},
		{hardware.Copy{Route: hardware.HostToDevice, Memory: "pinned", Bytes: int64(host)}, c.up(pinned)},
		{hardware.Copy{Route: hardware.DeviceToHost, Memory: "pinned", Bytes: int64(host)}, c.down(pinned)},
		{hardware.Copy{Route: hardware.HostToDevice, Memory: "pageable", Bytes: int64(host)}, c.up(c.pageable)},
		{hardware.Copy{Route: hardware.DeviceToHost, Memory: "pageable", Bytes: int64(host)}, c.down(c.pageable)},
	} {
		var err error
		x.how.Route = x.Route
		if x.Seconds, err = x.how.Seconds(ctx); err != nil {
			return copies, err
		}
		copies = append(copies, x.Copy)
	}
	return copies, nil
}

// up copies from memory of the host to b, down from a to memory of the host.
func (c *copier) up(from []byte) bench.Copying {
	return bench.Copying{
		Clear: func() error { copy(from, c.pattern); return c.clear() },
		Copy: c.copy(func() cuda.Result {
			return c.gpu.lib.MemcpyHtoD(c.b, unsafe.Pointer(&from[0]), uintptr(len(from)))
		}),
		Same: func() (bool, error) { return c.same(len(from)) },
	}
}

func (c *copier) down(to []byte) bench.Copying {
	return bench.Copying{
		Clear: func() error { clear(to); return nil },
		Copy:  c.copy(func() cuda.Result { return c.gpu.lib.MemcpyDtoH(unsafe.Pointer(&to[0]), c.a, uintptr(len(to))) }),
		Same:  func() (bool, error) { return bytes.Equal(to, c.pattern), nil },
	}
}

// copy returns what copies n times and waits: the driver returns from a copy on the device,
// and from one of pageable memory, before it is done.
func (c *copier) copy(once func() cuda.Result) func(n int) error {
	return func(n int) error {
		for range n {
			if r := once(); r != cuda.SUCCESS {
				return c.gpu.check("Memcpy", r)
			}
		}
		return c.gpu.check("CtxSynchronize", c.gpu.lib.CtxSynchronize())
	}
}

// clear fills b with zeros.
func (c *copier) clear() error {
	if err := c.gpu.check("MemsetD8", c.gpu.lib.MemsetD8(c.b, 0, uintptr(c.size))); err != nil {
		return err
	}
	return c.gpu.check("CtxSynchronize", c.gpu.lib.CtxSynchronize())
}

// same reports whether the first bytes of b are the pattern, again and again.
func (c *copier) same(size int) (bool, error) {
	part := make([]byte, len(c.pattern))
	for from := 0; from < size; from += len(part) {
		if err := c.gpu.check("MemcpyDtoH", c.gpu.lib.MemcpyDtoH(unsafe.Pointer(&part[0]), c.b+cuda.Pointer(from), uintptr(len(part)))); err != nil {
			return false, err
		}
		if !bytes.Equal(part, c.pattern) {
			return false, nil
		}
	}
	return true, nil
}
