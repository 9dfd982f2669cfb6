package vulkan

import (
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/fault"
	vk "github.com/gpuplay/gpuplay/internal/ffi/vulkan"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// A device is a physical device, and from the first product on a logical one.
type device struct {
	lib        *vk.Library
	physical   vk.PhysicalDevice
	about      hardware.Device
	version    vk.Version
	extensions map[string]bool
	features   features
	types      map[matrix.DType]bool
	limits     vk.PhysicalDeviceLimits
	memory     *vk.PhysicalDeviceMemoryProperties
	largest    uint64 // bytes of an allocation
	subgroup   uint32 // invocations in a subgroup
	shapes     []vk.CooperativeMatrixPropertiesKHR
	flexible   []vk.CooperativeMatrixFlexibleDimensionsPropertiesNV
	most       vk.PhysicalDeviceCooperativeMatrix2PropertiesNV // of matrices that belong to workgroups
	family     uint32
	// timestampBits is how many bits of a timestamp count; 0: the queue has none.
	timestampBits uint32
	choices       *choices

	// The logical device.
	handle    vk.Device
	queue     vk.Queue
	pool      vk.CommandPool
	slots     [2]slot
	queries   vk.QueryPool
	staging   *buffer
	setLayout vk.DescriptorSetLayout
	layout    vk.PipelineLayout
	pipelines map[key]vk.Pipeline
	tasks     map[*task]bool
	lost      bool // the logical device does no more work
}

// A slot is a command buffer and the fence that says that it is done.
type slot struct {
	commands vk.CommandBuffer
	fence    vk.Fence
	busy     bool
}

// stagingBytes is the size of the memory through which matrices reach the device.
const stagingBytes = 16 << 20

// pushWords is how much shaders are passed: three sizes, and the first block.
const pushWords = 4

// open makes the logical device, unless there is one that works.
func (d *device) open() error {
	if d.handle != 0 && !d.lost {
		return nil
	}
	d.close()
	if err := d.create(); err != nil {
		d.close()
		return err
	}
	return nil
}

func (d *device) create() error {
	priority := new(float32)
	*priority = 1
	queue := &vk.DeviceQueueCreateInfo{
		Header:           vk.Header{SType: vk.STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO},
		QueueFamilyIndex: d.family, QueueCount: 1, QueuePriorities: unsafe.Pointer(priority),
	}
	var names []string
	use := []string{extensionCoop, extensionCoop2}
	if d.version < vk.API_VERSION_1_2 {
		use = append(use, extension8Bit, extensionSmall)
	}
	for _, name := range use {
		if d.extensions[name] {
			names = append(names, name)
		}
	}
	d.features.chain(d.version, d.extensions)
	var r vk.Result
	d.handle, r = d.lib.CreateDevice(d.physical, &vk.DeviceCreateInfo{
		Header:               vk.Header{SType: vk.STRUCTURE_TYPE_DEVICE_CREATE_INFO, Next: unsafe.Pointer(&d.features.core)},
		QueueCreateInfoCount: 1, QueueCreateInfos: unsafe.Pointer(queue),
		EnabledExtensionCount: uint32(len(names)), EnabledExtensionNames: vk.Strings(names),
	})
	if r != vk.SUCCESS {
		d.handle = 0
		return d.failed("vkCreateDevice", r)
	}
	d.queue = d.lib.GetDeviceQueue(d.handle, d.family, 0)
	if d.pool, r = d.lib.CreateCommandPool(d.handle, &vk.CommandPoolCreateInfo{
		Header: vk.Header{SType: vk.STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO},
		Flags:  vk.COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT, QueueFamilyIndex: d.family,
	}); r != vk.SUCCESS {
		return d.failed("vkCreateCommandPool", r)
	}
	for i := range d.slots {
		s := &d.slots[i]
		if s.commands, r = d.lib.AllocateCommandBuffers(d.handle, &vk.CommandBufferAllocateInfo{
			Header:      vk.Header{SType: vk.STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO},
			CommandPool: d.pool, CommandBufferCount: 1,
		}); r != vk.SUCCESS {
			return d.failed("vkAllocateCommandBuffers", r)
		}
		if s.fence, r = d.lib.CreateFence(d.handle, &vk.FenceCreateInfo{Header: vk.Header{SType: vk.STRUCTURE_TYPE_FENCE_CREATE_INFO}}); r != vk.SUCCESS {
			return d.failed("vkCreateFence", r)
		}
	}
	if d.timestampBits > 0 {
		if d.queries, r = d.lib.CreateQueryPool(d.handle, &vk.QueryPoolCreateInfo{
			Header:    vk.Header{SType: vk.STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO},
			QueryType: vk.QUERY_TYPE_TIMESTAMP, QueryCount: 2,
		}); r != vk.SUCCESS {
			return d.failed("vkCreateQueryPool", r)
		}
	}
	if err := d.createLayouts(); err != nil {
		return err
	}
	var err error
	d.staging, err = d.newBuffer(stagingBytes, true)
	return err
}

// createLayouts makes the layouts that all pipelines have: three buffers and a few words.
func (d *device) createLayouts() error {
	bindings := make([]vk.DescriptorSetLayoutBinding, 3)
	for i := range bindings {
		bindings[i] = vk.DescriptorSetLayoutBinding{Binding: uint32(i), DescriptorType: vk.DESCRIPTOR_TYPE_STORAGE_BUFFER, DescriptorCount: 1, StageFlags: vk.SHADER_STAGE_COMPUTE_BIT}
	}
	var r vk.Result
	if d.setLayout, r = d.lib.CreateDescriptorSetLayout(d.handle, &vk.DescriptorSetLayoutCreateInfo{
		Header:       vk.Header{SType: vk.STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO},
		BindingCount: uint32(len(bindings)), Bindings: unsafe.Pointer(&bindings[0]),
	}); r != vk.SUCCESS {
		return d.failed("vkCreateDescriptorSetLayout", r)
	}
	sets := &d.setLayout
	if d.layout, r = d.lib.CreatePipelineLayout(d.handle, &vk.PipelineLayoutCreateInfo{
		Header:         vk.Header{SType: vk.STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO},
		SetLayoutCount: 1, SetLayouts: unsafe.Pointer(sets),
		PushConstantRangeCount: 1, PushConstantRanges: unsafe.Pointer(&vk.PushConstantRange{StageFlags: vk.SHADER_STAGE_COMPUTE_BIT, Size: 4 * pushWords}),
	}); r != vk.SUCCESS {
		return d.failed("vkCreatePipelineLayout", r)
	}
	return nil
}

// close ends the logical device. Destroying a handle that is 0 does nothing.
func (d *device) close() {
	if d.handle == 0 {
		return
	}
	d.lib.DeviceWaitIdle(d.handle)
	for t := range d.tasks {
		t.free()
	}
	for _, p := range d.pipelines {
		d.lib.DestroyPipeline(d.handle, p)
	}
	clear(d.pipelines)
	if d.staging != nil {
		d.staging.free()
	}
	d.lib.DestroyPipelineLayout(d.handle, d.layout)
	d.lib.DestroyDescriptorSetLayout(d.handle, d.setLayout)
	d.lib.DestroyQueryPool(d.handle, d.queries)
	for _, s := range d.slots {
		d.lib.DestroyFence(d.handle, s.fence)
	}
	d.lib.DestroyCommandPool(d.handle, d.pool)
	d.lib.DestroyDevice(d.handle)
	d.handle, d.lost, d.staging, d.layout, d.setLayout, d.queries, d.pool, d.slots = 0, false, nil, 0, 0, 0, 0, [2]slot{}
}

// failed is the error of a function of Vulkan.
func (d *device) failed(function string, r vk.Result) error {
	switch r {
	case vk.ERROR_OUT_OF_DEVICE_MEMORY, vk.ERROR_OUT_OF_HOST_MEMORY:
		return fault.Errorf(fault.OutOfMemory, "%s: %s on %s", function, r, d.about.Name).With(fault.Change("size", "a smaller {}"))
	case vk.ERROR_DEVICE_LOST:
		d.lost = true
		return fault.Errorf(fault.Internal, "%s: %s: the driver gave up on %s, as it does after an error of the GPU or a time limit of the system", function, r, d.about.Name).
			With(fault.Change("size", "a smaller {} takes less time"))
	}
	return fault.Errorf(fault.Internal, "%s: %s on %s", function, r, d.about.Name)
}

// largestMatrix returns the bytes that a matrix may take.
func (d *device) largestMatrix() float64 {
	limit := float64(d.limits.MaxStorageBufferRange)
	if d.largest > 0 {
		limit = min(limit, float64(d.largest))
	}
	return limit
}
