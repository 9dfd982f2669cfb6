package vulkan

import (
	"context"
	"fmt"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/fault"
	vk "github.com/gpuplay/gpuplay/internal/ffi/vulkan"
)

// A buffer is memory of a device.
type buffer struct {
	device   *device
	handle   vk.Buffer
	memory   vk.DeviceMemory
	size     uint64
	host     unsafe.Pointer // where the CPU sees it; nil in the device's own memory
	coherent bool
}

// newBuffer allocates a number of bytes, for the CPU to see or in the device's own memory.
func (d *device) newBuffer(size uint64, visible bool) (*buffer, error) {
	b := &buffer{device: d, size: (size + 15) &^ 15} // whole vectors are read
	var r vk.Result
	if b.handle, r = d.lib.CreateBuffer(d.handle, &vk.BufferCreateInfo{
		Header: vk.Header{SType: vk.STRUCTURE_TYPE_BUFFER_CREATE_INFO}, Size: b.size,
		Usage: vk.BUFFER_USAGE_STORAGE_BUFFER_BIT | vk.BUFFER_USAGE_TRANSFER_SRC_BIT | vk.BUFFER_USAGE_TRANSFER_DST_BIT,
	}); r != vk.SUCCESS {
		return nil, d.failed("vkCreateBuffer", r)
	}
	needs := d.lib.GetBufferMemoryRequirements(d.handle, b.handle)
	wishes := []uint32{vk.MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0}
	if visible {
		const see, coherent, cached = vk.MEMORY_PROPERTY_HOST_VISIBLE_BIT, vk.MEMORY_PROPERTY_HOST_COHERENT_BIT, vk.MEMORY_PROPERTY_HOST_CACHED_BIT
		wishes = []uint32{see | coherent | cached, see | cached, see | coherent, see}
	}
	kind, ok := d.memoryType(needs.MemoryTypeBits, wishes)
	if !ok {
		b.free()
		return nil, fault.Errorf(fault.Internal, "%s has no memory for a buffer", d.about.Name)
	}
	b.coherent = d.memory.MemoryTypes[kind].PropertyFlags&vk.MEMORY_PROPERTY_HOST_COHERENT_BIT != 0
	if b.memory, r = d.lib.AllocateMemory(d.handle, &vk.MemoryAllocateInfo{
		Header:         vk.Header{SType: vk.STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO},
		AllocationSize: needs.Size, MemoryTypeIndex: kind,
	}); r != vk.SUCCESS {
		b.free()
		return nil, d.failed(fmt.Sprintf("vkAllocateMemory of %d bytes", needs.Size), r)
	}
	if r = d.lib.BindBufferMemory(d.handle, b.handle, b.memory); r != vk.SUCCESS {
		b.free()
		return nil, d.failed("vkBindBufferMemory", r)
	}
	if visible {
		if b.host, r = d.lib.MapMemory(d.handle, b.memory); r != vk.SUCCESS {
			b.free()
			return nil, d.failed("vkMapMemory", r)
		}
	}
	return b, nil
}

// memoryType returns the first kind of memory that fulfils the first wish that any fulfils.
func (d *device) memoryType(allowed uint32, wishes []uint32) (uint32, bool) {
	for _, wish := range wishes {
		for i := range d.memory.MemoryTypeCount {
			if allowed&(1<<i) != 0 && d.memory.MemoryTypes[i].PropertyFlags&wish == wish {
				return i, true
			}
		}
	}
	return 0, false
}

// free gives the memory back. The device must have finished with it.
func (b *buffer) free() {
	b.device.lib.DestroyBuffer(b.device.handle, b.handle)
	b.device.lib.FreeMemory(b.device.handle, b.memory)
}

// upload writes n elements of a type to a buffer. fill makes some of them, from an index on.
func upload[T any](ctx context.Context, to *buffer, n int, fill func(ctx context.Context, part []T, from int) error) error {
	d := to.device
	size := int(unsafe.Sizeof(*new(T)))
	some := stagingBytes / size
	for from := 0; from < n; from += some {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := unsafe.Slice((*T)(d.staging.host), min(some, n-from))
		if err := fill(ctx, part, from); err != nil {
			return err
		}
		if err := d.staging.flush(); err != nil {
			return err
		}
		region := &vk.BufferCopy{DstOffset: uint64(from * size), Size: uint64(len(part) * size)}
		if err := d.once(func(c vk.CommandBuffer) {
			d.lib.CmdCopyBuffer(c, d.staging.handle, to.handle, region)
			d.barrier(c, vk.PIPELINE_STAGE_TRANSFER_BIT, vk.ACCESS_TRANSFER_WRITE_BIT, vk.PIPELINE_STAGE_COMPUTE_SHADER_BIT, vk.ACCESS_SHADER_READ_BIT)
		}); err != nil {
			return err
		}
	}
	return nil
}

// download reads bytes of a buffer from an offset on.
func (b *buffer) download(ctx context.Context, to []byte, offset uint64) error {
	d := b.device
	for len(to) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		some := min(len(to), stagingBytes)
		region := &vk.BufferCopy{SrcOffset: offset, Size: uint64(some)}
		if err := d.once(func(c vk.CommandBuffer) {
			d.barrier(c, vk.PIPELINE_STAGE_COMPUTE_SHADER_BIT|vk.PIPELINE_STAGE_TRANSFER_BIT, vk.ACCESS_SHADER_WRITE_BIT|vk.ACCESS_TRANSFER_WRITE_BIT, vk.PIPELINE_STAGE_TRANSFER_BIT, vk.ACCESS_TRANSFER_READ_BIT)
			d.lib.CmdCopyBuffer(c, b.handle, d.staging.handle, region)
			d.barrier(c, vk.PIPELINE_STAGE_TRANSFER_BIT, vk.ACCESS_TRANSFER_WRITE_BIT, vk.PIPELINE_STAGE_HOST_BIT, vk.ACCESS_HOST_READ_BIT)
		}); err != nil {
			return err
		}
		if err := d.staging.invalidate(); err != nil {
			return err
		}
		copy(to[:some], unsafe.Slice((*byte)(d.staging.host), some))
		to, offset = to[some:], offset+uint64(some)
	}
	return nil
}

// flush makes what the CPU wrote to a mapped buffer visible to the device.
func (b *buffer) flush() error {
	if b.coherent {
		return nil
	}
	if r := b.device.lib.FlushMappedMemoryRanges(b.device.handle, b.mapped()); r != vk.SUCCESS {
		return b.device.failed("vkFlushMappedMemoryRanges", r)
	}
	return nil
}

// invalidate makes what the device wrote to a mapped buffer visible to the CPU.
func (b *buffer) invalidate() error {
	if b.coherent {
		return nil
	}
	if r := b.device.lib.InvalidateMappedMemoryRanges(b.device.handle, b.mapped()); r != vk.SUCCESS {
		return b.device.failed("vkInvalidateMappedMemoryRanges", r)
	}
	return nil
}

// mapped is all of a buffer's memory that is mapped.
func (b *buffer) mapped() *vk.MappedMemoryRange {
	return &vk.MappedMemoryRange{Header: vk.Header{SType: vk.STRUCTURE_TYPE_MAPPED_MEMORY_RANGE}, Memory: b.memory, Size: vk.WHOLE_SIZE}
}
