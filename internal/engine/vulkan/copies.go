package vulkan

import (
	"bytes"
	"context"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	vk "github.com/gpuplay/gpuplay/internal/ffi/vulkan"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

var _ bench.Describer = (*Engine)(nil)

// copied is how many bytes a copy has, unless the device is software: several times what
// caches hold. An H200, which has 63 MB of L2 cache, reads 16 MB of the host's memory again
// and again at 366 GB/s, seven times what its bus carries.
const copied = 256 << 20

// Describe returns what the driver says, and times copies: on the device, and between it and
// staging memory, which both sides see, in both directions.
func (e *Engine) Describe(ctx context.Context, d hardware.Device) (hardware.Description, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := e.find(); err != nil {
		return hardware.Description{}, err
	}
	dev, err := e.device(d.ID)
	if err != nil {
		return hardware.Description{}, err
	}
	if err := dev.open(); err != nil {
		return hardware.Description{}, err
	}
	f := &dev.features
	out := hardware.Description{Features: []hardware.Feature{
		{Name: "float64", Found: f.core.Features.ShaderFloat64 != 0}, {Name: "float16", Found: f.small.ShaderFloat16 != 0}, {Name: "int8", Found: f.small.ShaderInt8 != 0},
		{Name: "cooperative matrices (KHR)", Found: len(dev.shapes) > 0}, {Name: "cooperative matrices 2 (NV)", Found: len(dev.flexible) > 0},
		{Name: "device timestamps", Found: dev.timestampBits > 0},
	}}
	out.Copies, err = dev.copies(ctx)
	return out, err
}

// copies times every copy; with an error, it returns those that were timed before.
func (d *device) copies(ctx context.Context) ([]hardware.Copy, error) {
	size := float64(copied)
	if d.about.Kind == hardware.SoftwareGPU {
		size = 2 * stagingBytes
	}
	size = min(size, d.largestMatrix())
	if d.about.Memory != nil {
		size = min(size, float64(*d.about.Memory)/8)
	}
	n := int(size) / stagingBytes * stagingBytes
	if n == 0 {
		return nil, fault.Errorf(fault.Unsupported, "%s has too little memory to time copies", d.about.Name)
	}
	a, err := d.newBuffer(uint64(n), false)
	if err != nil {
		return nil, err
	}
	defer a.free()
	b, err := d.newBuffer(uint64(n), false)
	if err != nil {
		return nil, err
	}
	defer b.free()
	staged, err := d.newBuffer(uint64(n), true)
	if err != nil {
		return nil, err
	}
	defer staged.free()
	pattern, part := make([]byte, stagingBytes), make([]byte, stagingBytes)
	for i := range pattern {
		pattern[i] = byte(i ^ i>>7 ^ i>>13)
	}
	if err := upload(ctx, a, n, func(_ context.Context, part []byte, _ int) error { copy(part, pattern); return nil }); err != nil {
		return nil, err
	}
	host := unsafe.Slice((*byte)(staged.host), n)
	stage := func(content []byte) error {
		for from := 0; from < n; from += stagingBytes {
			copy(host[from:], content)
		}
		return staged.flush()
	}
	wipe := func() error {
		return d.once(func(c vk.CommandBuffer) {
			d.lib.CmdFillBuffer(c, b.handle, 0, vk.WHOLE_SIZE, 0)
			d.barrier(c, vk.PIPELINE_STAGE_TRANSFER_BIT, vk.ACCESS_TRANSFER_WRITE_BIT, vk.PIPELINE_STAGE_TRANSFER_BIT, vk.ACCESS_TRANSFER_READ_BIT|vk.ACCESS_TRANSFER_WRITE_BIT)
		})
	}
	same := func() (bool, error) {
		for from := 0; from < n; from += stagingBytes {
			if err := b.download(ctx, part, uint64(from)); err != nil {
				return false, err
			}
			if !bytes.Equal(part, pattern) {
				return false, nil
			}
		}
		return true, nil
	}
	var out []hardware.Copy
	for _, x := range []struct {
		hardware.Copy
		how bench.Copying
	}{
		{hardware.Copy{Route: hardware.OnDevice}, bench.Copying{Clear: wipe, Copy: d.copying(a, b, n), Same: same}},
		{hardware.Copy{Route: hardware.HostToDevice, Memory: "staging"}, bench.Copying{
			Clear: func() error {
				if err := wipe(); err != nil {
					return err
				}
				return stage(pattern)
			},
			Copy: d.copying(staged, b, n), Same: same,
		}},
		{hardware.Copy{Route: hardware.DeviceToHost, Memory: "staging"}, bench.Copying{
			Clear: func() error { clear(part); return stage(part) },
			Copy:  d.copying(a, staged, n),
			Same: func() (bool, error) {
				if err := staged.invalidate(); err != nil {
					return false, err
				}
				for from := 0; from < n; from += stagingBytes {
					if !bytes.Equal(host[from:from+stagingBytes], pattern) {
						return false, nil
					}
				}
				return true, nil
			},
		}},
	} {
		x.Bytes, x.how.Route = int64(n), x.Route
		if x.Seconds, err = x.how.Seconds(ctx); err != nil {
			return out, err
		}
		out = append(out, x.Copy)
	}
	return out, nil
}

// copying returns what copies bytes n times, one after another, in one submission.
func (d *device) copying(from, to *buffer, size int) func(n int) error {
	region := &vk.BufferCopy{Size: uint64(size)}
	return func(n int) error {
		return d.once(func(c vk.CommandBuffer) {
			for range n {
				d.lib.CmdCopyBuffer(c, from.handle, to.handle, region)
				d.barrier(c, vk.PIPELINE_STAGE_TRANSFER_BIT, vk.ACCESS_TRANSFER_WRITE_BIT,
					vk.PIPELINE_STAGE_TRANSFER_BIT|vk.PIPELINE_STAGE_HOST_BIT, vk.ACCESS_TRANSFER_READ_BIT|vk.ACCESS_TRANSFER_WRITE_BIT|vk.ACCESS_HOST_READ_BIT)
			}
		})
	}
}
