package vulkan

import "unsafe"

// deviceCommands are functions that the loader exports and that have to do with logical
// devices.
type deviceCommands struct {
	destroyDevice, deviceWaitIdle, getDeviceQueue, queueSubmit                                   command
	createBuffer, destroyBuffer, getBufferMemoryRequirements, bindBufferMemory                   command
	allocateMemory, freeMemory, mapMemory, flushMappedMemoryRanges, invalidateMappedMemoryRanges command
	createShaderModule, destroyShaderModule, createComputePipelines, destroyPipeline             command
	createPipelineLayout, destroyPipelineLayout, createDescriptorSetLayout                       command
	destroyDescriptorSetLayout, createDescriptorPool, destroyDescriptorPool                      command
	allocateDescriptorSets, updateDescriptorSets                                                 command
	createCommandPool, destroyCommandPool, allocateCommandBuffers                                command
	beginCommandBuffer, endCommandBuffer                                                         command
	createFence, destroyFence, resetFences, waitForFences                                        command
	createQueryPool, destroyQueryPool, getQueryPoolResults                                       command
	cmdBindPipeline, cmdBindDescriptorSets, cmdPushConstants, cmdDispatch, cmdCopyBuffer         command
	cmdFillBuffer, cmdPipelineBarrier, cmdResetQueryPool, cmdWriteTimestamp                      command
}

func (c *deviceCommands) symbols() map[string]*command {
	return map[string]*command{
		"vkDestroyDevice":                &c.destroyDevice,
		"vkDeviceWaitIdle":               &c.deviceWaitIdle,
		"vkGetDeviceQueue":               &c.getDeviceQueue,
		"vkQueueSubmit":                  &c.queueSubmit,
		"vkCreateBuffer":                 &c.createBuffer,
		"vkDestroyBuffer":                &c.destroyBuffer,
		"vkGetBufferMemoryRequirements":  &c.getBufferMemoryRequirements,
		"vkBindBufferMemory":             &c.bindBufferMemory,
		"vkAllocateMemory":               &c.allocateMemory,
		"vkFreeMemory":                   &c.freeMemory,
		"vkMapMemory":                    &c.mapMemory,
		"vkFlushMappedMemoryRanges":      &c.flushMappedMemoryRanges,
		"vkInvalidateMappedMemoryRanges": &c.invalidateMappedMemoryRanges,
		"vkCreateShaderModule":           &c.createShaderModule,
		"vkDestroyShaderModule":          &c.destroyShaderModule,
		"vkCreateComputePipelines":       &c.createComputePipelines,
		"vkDestroyPipeline":              &c.destroyPipeline,
		"vkCreatePipelineLayout":         &c.createPipelineLayout,
		"vkDestroyPipelineLayout":        &c.destroyPipelineLayout,
		"vkCreateDescriptorSetLayout":    &c.createDescriptorSetLayout,
		"vkDestroyDescriptorSetLayout":   &c.destroyDescriptorSetLayout,
		"vkCreateDescriptorPool":         &c.createDescriptorPool,
		"vkDestroyDescriptorPool":        &c.destroyDescriptorPool,
		"vkAllocateDescriptorSets":       &c.allocateDescriptorSets,
		"vkUpdateDescriptorSets":         &c.updateDescriptorSets,
		"vkCreateCommandPool":            &c.createCommandPool,
		"vkDestroyCommandPool":           &c.destroyCommandPool,
		"vkAllocateCommandBuffers":       &c.allocateCommandBuffers,
		"vkBeginCommandBuffer":           &c.beginCommandBuffer,
		"vkEndCommandBuffer":             &c.endCommandBuffer,
		"vkCreateFence":                  &c.createFence,
		"vkDestroyFence":                 &c.destroyFence,
		"vkResetFences":                  &c.resetFences,
		"vkWaitForFences":                &c.waitForFences,
		"vkCreateQueryPool":              &c.createQueryPool,
		"vkDestroyQueryPool":             &c.destroyQueryPool,
		"vkGetQueryPoolResults":          &c.getQueryPoolResults,
		"vkCmdBindPipeline":              &c.cmdBindPipeline,
		"vkCmdBindDescriptorSets":        &c.cmdBindDescriptorSets,
		"vkCmdPushConstants":             &c.cmdPushConstants,
		"vkCmdDispatch":                  &c.cmdDispatch,
		"vkCmdCopyBuffer":                &c.cmdCopyBuffer,
		"vkCmdFillBuffer":                &c.cmdFillBuffer,
		"vkCmdPipelineBarrier":           &c.cmdPipelineBarrier,
		"vkCmdResetQueryPool":            &c.cmdResetQueryPool,
		"vkCmdWriteTimestamp":            &c.cmdWriteTimestamp,
	}
}

// create calls one of the functions that make an object of a device.
func create[H ~uintptr](c command, d Device, info unsafe.Pointer) (H, Result) {
	h := new(H)
	r := c.call(uintptr(d), uintptr(info), 0, uintptr(unsafe.Pointer(h)))
	return *h, r
}

// DestroyDevice ends a device; it must be idle.
func (l *Library) DestroyDevice(d Device) { l.destroyDevice.call(uintptr(d), 0) }

// DeviceWaitIdle waits for all work.
func (l *Library) DeviceWaitIdle(d Device) Result { return l.deviceWaitIdle.call(uintptr(d)) }

// GetDeviceQueue returns a queue.
func (l *Library) GetDeviceQueue(d Device, family, index uint32) Queue {
	q := new(Queue)
	l.getDeviceQueue.call(uintptr(d), uintptr(family), uintptr(index), uintptr(unsafe.Pointer(q)))
	return *q
}

// QueueSubmit submits work; the fence is signalled when it is done.
func (l *Library) QueueSubmit(q Queue, info *SubmitInfo, f Fence) Result {
	return l.queueSubmit.call(uintptr(q), 1, uintptr(unsafe.Pointer(info)), uintptr(f))
}

// CreateBuffer makes a buffer without memory.
func (l *Library) CreateBuffer(d Device, info *BufferCreateInfo) (Buffer, Result) {
	return create[Buffer](l.createBuffer, d, unsafe.Pointer(info))
}

// DestroyBuffer frees a buffer.
func (l *Library) DestroyBuffer(d Device, b Buffer) { l.destroyBuffer.call(uintptr(d), uintptr(b), 0) }

// GetBufferMemoryRequirements returns what memory a buffer needs.
func (l *Library) GetBufferMemoryRequirements(d Device, b Buffer) *MemoryRequirements {
	m := new(MemoryRequirements)
	l.getBufferMemoryRequirements.call(uintptr(d), uintptr(b), uintptr(unsafe.Pointer(m)))
	return m
}

// BindBufferMemory gives a buffer its memory, from the beginning of it.
func (l *Library) BindBufferMemory(d Device, b Buffer, m DeviceMemory) Result {
	return l.bindBufferMemory.call(uintptr(d), uintptr(b), uintptr(m), 0)
}

// AllocateMemory allocates memory.
func (l *Library) AllocateMemory(d Device, info *MemoryAllocateInfo) (DeviceMemory, Result) {
	return create[DeviceMemory](l.allocateMemory, d, unsafe.Pointer(info))
}

// FreeMemory frees memory, which is unmapped by that.
func (l *Library) FreeMemory(d Device, m DeviceMemory) { l.freeMemory.call(uintptr(d), uintptr(m), 0) }

// MapMemory maps all of a memory. It is no memory of Go's and does not move.
func (l *Library) MapMemory(d Device, m DeviceMemory) (unsafe.Pointer, Result) {
	p := new(unsafe.Pointer)
	whole := WHOLE_SIZE
	r := l.mapMemory.call(uintptr(d), uintptr(m), 0, uintptr(whole), 0, uintptr(unsafe.Pointer(p)))
	return *p, r
}

// FlushMappedMemoryRanges makes what was written visible to the device.
func (l *Library) FlushMappedMemoryRanges(d Device, m *MappedMemoryRange) Result {
	return l.flushMappedMemoryRanges.call(uintptr(d), 1, uintptr(unsafe.Pointer(m)))
}

// InvalidateMappedMemoryRanges makes what the device wrote visible here.
func (l *Library) InvalidateMappedMemoryRanges(d Device, m *MappedMemoryRange) Result {
	return l.invalidateMappedMemoryRanges.call(uintptr(d), 1, uintptr(unsafe.Pointer(m)))
}

// CreateShaderModule takes SPIR-V.
func (l *Library) CreateShaderModule(d Device, info *ShaderModuleCreateInfo) (ShaderModule, Result) {
	return create[ShaderModule](l.createShaderModule, d, unsafe.Pointer(info))
}

// DestroyShaderModule frees a module, which its pipelines outlive.
func (l *Library) DestroyShaderModule(d Device, m ShaderModule) {
	l.destroyShaderModule.call(uintptr(d), uintptr(m), 0)
}

// CreateComputePipelines compiles one pipeline.
func (l *Library) CreateComputePipelines(d Device, info *ComputePipelineCreateInfo) (Pipeline, Result) {
	p := new(Pipeline)
	r := l.createComputePipelines.call(uintptr(d), 0, 1, uintptr(unsafe.Pointer(info)), 0, uintptr(unsafe.Pointer(p)))
	return *p, r
}

// DestroyPipeline frees a pipeline.
func (l *Library) DestroyPipeline(d Device, p Pipeline) {
	l.destroyPipeline.call(uintptr(d), uintptr(p), 0)
}

// CreatePipelineLayout makes the layout of what shaders are passed.
func (l *Library) CreatePipelineLayout(d Device, info *PipelineLayoutCreateInfo) (PipelineLayout, Result) {
	return create[PipelineLayout](l.createPipelineLayout, d, unsafe.Pointer(info))
}

// DestroyPipelineLayout frees a layout.
func (l *Library) DestroyPipelineLayout(d Device, p PipelineLayout) {
	l.destroyPipelineLayout.call(uintptr(d), uintptr(p), 0)
}

// CreateDescriptorSetLayout makes the layout of descriptors.
func (l *Library) CreateDescriptorSetLayout(d Device, info *DescriptorSetLayoutCreateInfo) (DescriptorSetLayout, Result) {
	return create[DescriptorSetLayout](l.createDescriptorSetLayout, d, unsafe.Pointer(info))
}

// DestroyDescriptorSetLayout frees a layout.
func (l *Library) DestroyDescriptorSetLayout(d Device, s DescriptorSetLayout) {
	l.destroyDescriptorSetLayout.call(uintptr(d), uintptr(s), 0)
}

// CreateDescriptorPool makes a pool.
func (l *Library) CreateDescriptorPool(d Device, info *DescriptorPoolCreateInfo) (DescriptorPool, Result) {
	return create[DescriptorPool](l.createDescriptorPool, d, unsafe.Pointer(info))
}

// DestroyDescriptorPool frees a pool and its descriptors.
func (l *Library) DestroyDescriptorPool(d Device, p DescriptorPool) {
	l.destroyDescriptorPool.call(uintptr(d), uintptr(p), 0)
}

// AllocateDescriptorSets allocates one set.
func (l *Library) AllocateDescriptorSets(d Device, info *DescriptorSetAllocateInfo) (DescriptorSet, Result) {
	s := new(DescriptorSet)
	r := l.allocateDescriptorSets.call(uintptr(d), uintptr(unsafe.Pointer(info)), uintptr(unsafe.Pointer(s)))
	return *s, r
}

// UpdateDescriptorSets writes descriptors, at least one.
func (l *Library) UpdateDescriptorSets(d Device, writes []WriteDescriptorSet) {
	l.updateDescriptorSets.call(uintptr(d), uintptr(len(writes)), uintptr(unsafe.Pointer(&writes[0])), 0, 0)
}

// CreateCommandPool makes a pool.
func (l *Library) CreateCommandPool(d Device, info *CommandPoolCreateInfo) (CommandPool, Result) {
	return create[CommandPool](l.createCommandPool, d, unsafe.Pointer(info))
}

// DestroyCommandPool frees a pool and its command buffers.
func (l *Library) DestroyCommandPool(d Device, p CommandPool) {
	l.destroyCommandPool.call(uintptr(d), uintptr(p), 0)
}

// AllocateCommandBuffers allocates one command buffer.
func (l *Library) AllocateCommandBuffers(d Device, info *CommandBufferAllocateInfo) (CommandBuffer, Result) {
	c := new(CommandBuffer)
	r := l.allocateCommandBuffers.call(uintptr(d), uintptr(unsafe.Pointer(info)), uintptr(unsafe.Pointer(c)))
	return *c, r
}

// BeginCommandBuffer begins recording.
func (l *Library) BeginCommandBuffer(c CommandBuffer, info *CommandBufferBeginInfo) Result {
	return l.beginCommandBuffer.call(uintptr(c), uintptr(unsafe.Pointer(info)))
}

// EndCommandBuffer ends recording.
func (l *Library) EndCommandBuffer(c CommandBuffer) Result {
	return l.endCommandBuffer.call(uintptr(c))
}

// CreateFence makes a fence.
func (l *Library) CreateFence(d Device, info *FenceCreateInfo) (Fence, Result) {
	return create[Fence](l.createFence, d, unsafe.Pointer(info))
}

// DestroyFence frees a fence.
func (l *Library) DestroyFence(d Device, f Fence) { l.destroyFence.call(uintptr(d), uintptr(f), 0) }

// ResetFences makes one fence unsignalled.
func (l *Library) ResetFences(d Device, f Fence) Result {
	return l.resetFences.call(uintptr(d), 1, uintptr(unsafe.Pointer(&f)))
}

// WaitForFences waits for one fence. The time limit is in nanoseconds.
func (l *Library) WaitForFences(d Device, f Fence, limit uint64) Result {
	return l.waitForFences.call(uintptr(d), 1, uintptr(unsafe.Pointer(&f)), 1, uintptr(limit))
}

// CreateQueryPool makes a pool.
func (l *Library) CreateQueryPool(d Device, info *QueryPoolCreateInfo) (QueryPool, Result) {
	return create[QueryPool](l.createQueryPool, d, unsafe.Pointer(info))
}

// DestroyQueryPool frees a pool.
func (l *Library) DestroyQueryPool(d Device, p QueryPool) {
	l.destroyQueryPool.call(uintptr(d), uintptr(p), 0)
}

// GetQueryPoolResults waits for 64-bit results, the first ones of a pool.
func (l *Library) GetQueryPoolResults(d Device, p QueryPool, into []uint64) Result {
	return l.getQueryPoolResults.call(uintptr(d), uintptr(p), 0, uintptr(len(into)), uintptr(8*len(into)),
		uintptr(unsafe.Pointer(&into[0])), 8, QUERY_RESULT_64_BIT|QUERY_RESULT_WAIT_BIT)
}

// CmdBindPipeline records which compute pipeline computes.
func (l *Library) CmdBindPipeline(c CommandBuffer, p Pipeline) {
	l.cmdBindPipeline.call(uintptr(c), PIPELINE_BIND_POINT_COMPUTE, uintptr(p))
}

// CmdBindDescriptorSets records what the compute pipeline finds in set 0.
func (l *Library) CmdBindDescriptorSets(c CommandBuffer, layout PipelineLayout, s DescriptorSet) {
	l.cmdBindDescriptorSets.call(uintptr(c), PIPELINE_BIND_POINT_COMPUTE, uintptr(layout), 0, 1, uintptr(unsafe.Pointer(&s)), 0, 0)
}

// CmdPushConstants records constants of the compute pipeline.
func (l *Library) CmdPushConstants(c CommandBuffer, layout PipelineLayout, values []uint32) {
	l.cmdPushConstants.call(uintptr(c), uintptr(layout), SHADER_STAGE_COMPUTE_BIT, 0, uintptr(4*len(values)), uintptr(unsafe.Pointer(&values[0])))
}

// CmdDispatch records computing with a number of workgroups.
func (l *Library) CmdDispatch(c CommandBuffer, x, y, z uint32) {
	l.cmdDispatch.call(uintptr(c), uintptr(x), uintptr(y), uintptr(z))
}

// CmdCopyBuffer records copying one region.
func (l *Library) CmdCopyBuffer(c CommandBuffer, from, to Buffer, region *BufferCopy) {
	l.cmdCopyBuffer.call(uintptr(c), uintptr(from), uintptr(to), 1, uintptr(unsafe.Pointer(region)))
}

// CmdFillBuffer records filling a buffer with a word.
func (l *Library) CmdFillBuffer(c CommandBuffer, b Buffer, offset, size uint64, word uint32) {
	l.cmdFillBuffer.call(uintptr(c), uintptr(b), uintptr(offset), uintptr(size), uintptr(word))
}

// CmdPipelineBarrier records a barrier for memory.
func (l *Library) CmdPipelineBarrier(c CommandBuffer, from, to uint32, b *MemoryBarrier) {
	l.cmdPipelineBarrier.call(uintptr(c), uintptr(from), uintptr(to), 0, 1, uintptr(unsafe.Pointer(b)), 0, 0, 0, 0)
}

// CmdResetQueryPool records a reset of the first queries.
func (l *Library) CmdResetQueryPool(c CommandBuffer, p QueryPool, n uint32) {
	l.cmdResetQueryPool.call(uintptr(c), uintptr(p), 0, uintptr(n))
}

// CmdWriteTimestamp records writing the time at which all commands before have reached
// a stage.
func (l *Library) CmdWriteTimestamp(c CommandBuffer, stage uint32, p QueryPool, query uint32) {
	l.cmdWriteTimestamp.call(uintptr(c), uintptr(stage), uintptr(p), uintptr(query))
}
