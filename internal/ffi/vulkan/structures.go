package vulkan

import (
	"bytes"
	"unsafe"
)

// Handles.
type (
	Instance            uintptr
	PhysicalDevice      uintptr
	Device              uintptr
	Queue               uintptr
	CommandBuffer       uintptr
	CommandPool         uintptr
	Fence               uintptr
	QueryPool           uintptr
	Buffer              uintptr
	DeviceMemory        uintptr
	ShaderModule        uintptr
	PipelineCache       uintptr
	Pipeline            uintptr
	PipelineLayout      uintptr
	DescriptorSetLayout uintptr
	DescriptorPool      uintptr
	DescriptorSet       uintptr
)

// PhysicalDeviceType is VkPhysicalDeviceType.
type PhysicalDeviceType uint32

// PHYSICAL_DEVICE_TYPE_CPU is the value of VkPhysicalDeviceType for software that runs on
// the CPU; the others are GPUs of some kind.
const PHYSICAL_DEVICE_TYPE_CPU PhysicalDeviceType = 4

// Header is what most structures begin with.
type Header struct {
	SType uint32
	Next  unsafe.Pointer
}

// ApplicationInfo is VkApplicationInfo.
type ApplicationInfo struct {
	Header
	ApplicationName    unsafe.Pointer
	ApplicationVersion uint32
	EngineName         unsafe.Pointer
	EngineVersion      uint32
	ApiVersion         Version
}

// InstanceCreateInfo is VkInstanceCreateInfo.
type InstanceCreateInfo struct {
	Header
	Flags                 uint32
	ApplicationInfo       unsafe.Pointer // *ApplicationInfo
	EnabledLayerCount     uint32
	EnabledLayerNames     unsafe.Pointer
	EnabledExtensionCount uint32
	EnabledExtensionNames unsafe.Pointer
}

// ExtensionProperties is VkExtensionProperties.
type ExtensionProperties struct {
	ExtensionName [256]byte
	SpecVersion   uint32
}

// PhysicalDeviceLimits is VkPhysicalDeviceLimits, of which only some have names here.
type PhysicalDeviceLimits struct {
	_                               [28]byte
	MaxStorageBufferRange           uint32
	MaxPushConstantsSize            uint32
	MaxMemoryAllocationCount        uint32
	_                               [216 - 40]byte
	MaxComputeSharedMemorySize      uint32
	MaxComputeWorkGroupCount        [3]uint32
	MaxComputeWorkGroupInvocations  uint32
	MaxComputeWorkGroupSize         [3]uint32
	_                               [328 - 248]byte
	MinStorageBufferOffsetAlignment uint64
	_                               [420 - 336]byte
	TimestampComputeAndGraphics     uint32
	TimestampPeriod                 float32 // nanoseconds a tick
	_                               [496 - 428]byte
	NonCoherentAtomSize             uint64
}

// PhysicalDeviceProperties is VkPhysicalDeviceProperties.
type PhysicalDeviceProperties struct {
	ApiVersion        Version
	DriverVersion     uint32
	VendorID          uint32 // of the PCI bus, or a VkVendorId of what is on none
	DeviceID          uint32
	DeviceType        PhysicalDeviceType
	DeviceName        [256]byte // VK_MAX_PHYSICAL_DEVICE_NAME_SIZE
	PipelineCacheUUID [16]byte  // VK_UUID_SIZE
	Limits            PhysicalDeviceLimits
	SparseProperties  [5]uint32 // VkPhysicalDeviceSparseProperties
}

// Name returns the device's name.
func (p *PhysicalDeviceProperties) Name() string { return Text(p.DeviceName[:]) }

// Text returns the string in an array of characters.
func Text(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	return string(text)
}

// PhysicalDeviceProperties2 is VkPhysicalDeviceProperties2.
type PhysicalDeviceProperties2 struct {
	Header
	Properties PhysicalDeviceProperties
}

// PhysicalDeviceIDProperties is VkPhysicalDeviceIDProperties.
type PhysicalDeviceIDProperties struct {
	Header
	DeviceUUID      [16]byte
	DriverUUID      [16]byte
	DeviceLUID      [8]byte
	DeviceNodeMask  uint32
	DeviceLUIDValid uint32
}

// PhysicalDevicePCIBusInfoPropertiesEXT is VkPhysicalDevicePCIBusInfoPropertiesEXT.
type PhysicalDevicePCIBusInfoPropertiesEXT struct {
	Header
	PciDomain, PciBus, PciDevice, PciFunction uint32
}

// PhysicalDeviceDriverProperties is VkPhysicalDeviceDriverProperties.
type PhysicalDeviceDriverProperties struct {
	Header
	DriverID           uint32
	DriverName         [256]byte
	DriverInfo         [256]byte
	ConformanceVersion [4]byte
}

// PhysicalDeviceSubgroupProperties is VkPhysicalDeviceSubgroupProperties.
type PhysicalDeviceSubgroupProperties struct {
	Header
	SubgroupSize, SupportedStages, SupportedOperations, QuadOperationsInAllStages uint32
}

// PhysicalDeviceMaintenance3Properties is VkPhysicalDeviceMaintenance3Properties.
type PhysicalDeviceMaintenance3Properties struct {
	Header
	MaxPerSetDescriptors    uint32
	MaxMemoryAllocationSize uint64
}

// PhysicalDeviceCooperativeMatrix2PropertiesNV is VkPhysicalDeviceCooperativeMatrix2PropertiesNV.
type PhysicalDeviceCooperativeMatrix2PropertiesNV struct {
	Header
	CooperativeMatrixWorkgroupScopeMaxWorkgroupSize     uint32
	CooperativeMatrixFlexibleDimensionsMaxDimension     uint32
	CooperativeMatrixWorkgroupScopeReservedSharedMemory uint32
}

// PhysicalDeviceFeatures is VkPhysicalDeviceFeatures, of which only some have names here.
type PhysicalDeviceFeatures struct {
	_             [39]uint32
	ShaderFloat64 uint32
	ShaderInt64   uint32
	ShaderInt16   uint32
	_             [13]uint32
}

// PhysicalDeviceFeatures2 is VkPhysicalDeviceFeatures2.
type PhysicalDeviceFeatures2 struct {
	Header
	Features PhysicalDeviceFeatures
}

// PhysicalDevice16BitStorageFeatures is VkPhysicalDevice16BitStorageFeatures.
type PhysicalDevice16BitStorageFeatures struct {
	Header
	StorageBuffer16BitAccess, UniformAndStorageBuffer16BitAccess, StoragePushConstant16, StorageInputOutput16 uint32
}

// PhysicalDevice8BitStorageFeatures is VkPhysicalDevice8BitStorageFeatures.
type PhysicalDevice8BitStorageFeatures struct {
	Header
	StorageBuffer8BitAccess, UniformAndStorageBuffer8BitAccess, StoragePushConstant8 uint32
}

// PhysicalDeviceShaderFloat16Int8Features is VkPhysicalDeviceShaderFloat16Int8Features.
type PhysicalDeviceShaderFloat16Int8Features struct {
	Header
	ShaderFloat16, ShaderInt8 uint32
}

// PhysicalDeviceVulkanMemoryModelFeatures is VkPhysicalDeviceVulkanMemoryModelFeatures.
type PhysicalDeviceVulkanMemoryModelFeatures struct {
	Header
	VulkanMemoryModel, VulkanMemoryModelDeviceScope, VulkanMemoryModelAvailabilityVisibilityChains uint32
}

// PhysicalDeviceSubgroupSizeControlFeatures is VkPhysicalDeviceSubgroupSizeControlFeatures.
type PhysicalDeviceSubgroupSizeControlFeatures struct {
	Header
	SubgroupSizeControl, ComputeFullSubgroups uint32
}

// PhysicalDeviceMaintenance4Features is VkPhysicalDeviceMaintenance4Features.
type PhysicalDeviceMaintenance4Features struct {
	Header
	Maintenance4 uint32
}

// PhysicalDeviceCooperativeMatrixFeaturesKHR is VkPhysicalDeviceCooperativeMatrixFeaturesKHR.
type PhysicalDeviceCooperativeMatrixFeaturesKHR struct {
	Header
	CooperativeMatrix, CooperativeMatrixRobustBufferAccess uint32
}

// PhysicalDeviceCooperativeMatrix2FeaturesNV is VkPhysicalDeviceCooperativeMatrix2FeaturesNV.
type PhysicalDeviceCooperativeMatrix2FeaturesNV struct {
	Header
	CooperativeMatrixWorkgroupScope       uint32
	CooperativeMatrixFlexibleDimensions   uint32
	CooperativeMatrixReductions           uint32
	CooperativeMatrixConversions          uint32
	CooperativeMatrixPerElementOperations uint32
	CooperativeMatrixTensorAddressing     uint32
	CooperativeMatrixBlockLoads           uint32
}

// CooperativeMatrixPropertiesKHR is VkCooperativeMatrixPropertiesKHR: a shape that the
// device multiplies.
type CooperativeMatrixPropertiesKHR struct {
	Header
	MSize, NSize, KSize             uint32
	AType, BType, CType, ResultType uint32 // COMPONENT_TYPE_…
	SaturatingAccumulation          uint32
	Scope                           uint32 // SCOPE_…
}

// CooperativeMatrixFlexibleDimensionsPropertiesNV is VkCooperativeMatrixFlexibleDimensionsPropertiesNV.
type CooperativeMatrixFlexibleDimensionsPropertiesNV struct {
	Header
	MGranularity, NGranularity, KGranularity uint32
	AType, BType, CType, ResultType          uint32 // COMPONENT_TYPE_…
	SaturatingAccumulation                   uint32
	Scope                                    uint32 // SCOPE_…
	WorkgroupInvocations                     uint32
}

// QueueFamilyProperties is VkQueueFamilyProperties.
type QueueFamilyProperties struct {
	QueueFlags, QueueCount, TimestampValidBits uint32
	MinImageTransferGranularity                [3]uint32
}

// MemoryType is VkMemoryType, MemoryHeap VkMemoryHeap.
type (
	MemoryType struct{ PropertyFlags, HeapIndex uint32 }
	MemoryHeap struct {
		Size  uint64
		Flags uint32
		_     uint32
	}
)

// PhysicalDeviceMemoryProperties is VkPhysicalDeviceMemoryProperties.
type PhysicalDeviceMemoryProperties struct {
	MemoryTypeCount uint32
	MemoryTypes     [32]MemoryType
	MemoryHeapCount uint32
	MemoryHeaps     [16]MemoryHeap
}

// DeviceQueueCreateInfo is VkDeviceQueueCreateInfo.
type DeviceQueueCreateInfo struct {
	Header
	Flags, QueueFamilyIndex, QueueCount uint32
	QueuePriorities                     unsafe.Pointer
}

// DeviceCreateInfo is VkDeviceCreateInfo.
type DeviceCreateInfo struct {
	Header
	Flags, QueueCreateInfoCount uint32
	QueueCreateInfos            unsafe.Pointer
	EnabledLayerCount           uint32
	EnabledLayerNames           unsafe.Pointer
	EnabledExtensionCount       uint32
	EnabledExtensionNames       unsafe.Pointer
	EnabledFeatures             unsafe.Pointer
}

// BufferCreateInfo is VkBufferCreateInfo.
type BufferCreateInfo struct {
	Header
	Flags                                     uint32
	Size                                      uint64
	Usage, SharingMode, QueueFamilyIndexCount uint32
	QueueFamilyIndices                        unsafe.Pointer
}

// MemoryRequirements is VkMemoryRequirements.
type MemoryRequirements struct {
	Size, Alignment uint64
	MemoryTypeBits  uint32
	_               uint32
}

// MemoryAllocateInfo is VkMemoryAllocateInfo.
type MemoryAllocateInfo struct {
	Header
	AllocationSize  uint64
	MemoryTypeIndex uint32
}

// MappedMemoryRange is VkMappedMemoryRange.
type MappedMemoryRange struct {
	Header
	Memory       DeviceMemory
	Offset, Size uint64
}

// ShaderModuleCreateInfo is VkShaderModuleCreateInfo.
type ShaderModuleCreateInfo struct {
	Header
	Flags    uint32
	CodeSize uintptr
	Code     unsafe.Pointer
}

// SpecializationMapEntry is VkSpecializationMapEntry.
type SpecializationMapEntry struct {
	ConstantID, Offset uint32
	Size               uintptr
}

// SpecializationInfo is VkSpecializationInfo.
type SpecializationInfo struct {
	MapEntryCount uint32
	MapEntries    unsafe.Pointer
	DataSize      uintptr
	Data          unsafe.Pointer
}

// PipelineShaderStageCreateInfo is VkPipelineShaderStageCreateInfo.
type PipelineShaderStageCreateInfo struct {
	Header
	Flags, Stage       uint32
	Module             ShaderModule
	Name               unsafe.Pointer
	SpecializationInfo unsafe.Pointer
}

// ComputePipelineCreateInfo is VkComputePipelineCreateInfo.
type ComputePipelineCreateInfo struct {
	Header
	Flags              uint32
	Stage              PipelineShaderStageCreateInfo
	Layout             PipelineLayout
	BasePipelineHandle Pipeline
	BasePipelineIndex  int32
}

// DescriptorSetLayoutBinding is VkDescriptorSetLayoutBinding.
type DescriptorSetLayoutBinding struct {
	Binding, DescriptorType, DescriptorCount, StageFlags uint32
	ImmutableSamplers                                    unsafe.Pointer
}

// DescriptorSetLayoutCreateInfo is VkDescriptorSetLayoutCreateInfo.
type DescriptorSetLayoutCreateInfo struct {
	Header
	Flags, BindingCount uint32
	Bindings            unsafe.Pointer
}

// PushConstantRange is VkPushConstantRange.
type PushConstantRange struct{ StageFlags, Offset, Size uint32 }

// PipelineLayoutCreateInfo is VkPipelineLayoutCreateInfo.
type PipelineLayoutCreateInfo struct {
	Header
	Flags, SetLayoutCount  uint32
	SetLayouts             unsafe.Pointer
	PushConstantRangeCount uint32
	PushConstantRanges     unsafe.Pointer
}

// DescriptorPoolSize is VkDescriptorPoolSize.
type DescriptorPoolSize struct{ Type, DescriptorCount uint32 }

// DescriptorPoolCreateInfo is VkDescriptorPoolCreateInfo.
type DescriptorPoolCreateInfo struct {
	Header
	Flags, MaxSets, PoolSizeCount uint32
	PoolSizes                     unsafe.Pointer
}

// DescriptorSetAllocateInfo is VkDescriptorSetAllocateInfo.
type DescriptorSetAllocateInfo struct {
	Header
	DescriptorPool     DescriptorPool
	DescriptorSetCount uint32
	SetLayouts         unsafe.Pointer
}

// DescriptorBufferInfo is VkDescriptorBufferInfo.
type DescriptorBufferInfo struct {
	Buffer        Buffer
	Offset, Range uint64
}

// WriteDescriptorSet is VkWriteDescriptorSet.
type WriteDescriptorSet struct {
	Header
	DstSet                                                       DescriptorSet
	DstBinding, DstArrayElement, DescriptorCount, DescriptorType uint32
	ImageInfo, BufferInfo, TexelBufferView                       unsafe.Pointer
}

// CommandPoolCreateInfo is VkCommandPoolCreateInfo.
type CommandPoolCreateInfo struct {
	Header
	Flags, QueueFamilyIndex uint32
}

// CommandBufferAllocateInfo is VkCommandBufferAllocateInfo.
type CommandBufferAllocateInfo struct {
	Header
	CommandPool               CommandPool
	Level, CommandBufferCount uint32
}

// CommandBufferBeginInfo is VkCommandBufferBeginInfo.
type CommandBufferBeginInfo struct {
	Header
	Flags           uint32
	InheritanceInfo unsafe.Pointer
}

// SubmitInfo is VkSubmitInfo.
type SubmitInfo struct {
	Header
	WaitSemaphoreCount               uint32
	WaitSemaphores, WaitDstStageMask unsafe.Pointer
	CommandBufferCount               uint32
	CommandBuffers                   unsafe.Pointer
	SignalSemaphoreCount             uint32
	SignalSemaphores                 unsafe.Pointer
}

// FenceCreateInfo is VkFenceCreateInfo.
type FenceCreateInfo struct {
	Header
	Flags uint32
}

// QueryPoolCreateInfo is VkQueryPoolCreateInfo.
type QueryPoolCreateInfo struct {
	Header
	Flags, QueryType, QueryCount, PipelineStatistics uint32
}

// MemoryBarrier is VkMemoryBarrier.
type MemoryBarrier struct {
	Header
	SrcAccessMask, DstAccessMask uint32
}

// BufferCopy is VkBufferCopy.
type BufferCopy struct{ SrcOffset, DstOffset, Size uint64 }
