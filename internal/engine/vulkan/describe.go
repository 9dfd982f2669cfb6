package vulkan

import (
	"cmp"
	"fmt"
	"slices"
	"unsafe"

	vk "github.com/gpuplay/gpuplay/internal/ffi/vulkan"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// driverNVIDIA is VK_DRIVER_ID_NVIDIA_PROPRIETARY.
const driverNVIDIA = 4

// features are those that are asked for, and enabled where they are there. Each structure
// leads to the next.
type features struct {
	core    vk.PhysicalDeviceFeatures2
	bits16  vk.PhysicalDevice16BitStorageFeatures
	bits8   vk.PhysicalDevice8BitStorageFeatures
	small   vk.PhysicalDeviceShaderFloat16Int8Features
	memory  vk.PhysicalDeviceVulkanMemoryModelFeatures
	size    vk.PhysicalDeviceSubgroupSizeControlFeatures
	localID vk.PhysicalDeviceMaintenance4Features
	coop    vk.PhysicalDeviceCooperativeMatrixFeaturesKHR
	coop2   vk.PhysicalDeviceCooperativeMatrix2FeaturesNV
}

// chain links the structures that a device knows.
func (f *features) chain(version vk.Version, extensions map[string]bool) {
	f.core.SType = vk.STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2
	last := &f.core.Header
	add := func(known bool, h *vk.Header, sType uint32) {
		h.SType, h.Next = sType, nil
		if known {
			last.Next = unsafe.Pointer(h)
			last = h
		}
	}
	at12, at13 := version >= vk.API_VERSION_1_2, version >= vk.API_VERSION_1_3
	add(true, &f.bits16.Header, vk.STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES)
	add(at12 || extensions[extension8Bit], &f.bits8.Header, vk.STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES)
	add(at12 || extensions[extensionSmall], &f.small.Header, vk.STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES)
	add(at12, &f.memory.Header, vk.STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES)
	add(at13, &f.size.Header, vk.STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES)
	add(at13, &f.localID.Header, vk.STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_FEATURES)
	add(extensions[extensionCoop], &f.coop.Header, vk.STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR)
	add(extensions[extensionCoop2], &f.coop2.Header, vk.STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV)
}

// Extensions that are used where they are there.
const (
	extension8Bit  = "VK_KHR_8bit_storage"        // a part of 1.2
	extensionSmall = "VK_KHR_shader_float16_int8" // a part of 1.2
	extensionPCI   = "VK_EXT_pci_bus_info"
	extensionCoop  = "VK_KHR_cooperative_matrix"
	extensionCoop2 = "VK_NV_cooperative_matrix2"
)

// describe asks a physical device what it is and can do; nil if it cannot compute here.
func describe(lib *vk.Library, instance vk.Instance, p vk.PhysicalDevice) *device {
	d := &device{lib: lib, physical: p, extensions: map[string]bool{}, pipelines: map[key]vk.Pipeline{}, tasks: map[*task]bool{}}
	d.version = lib.GetPhysicalDeviceProperties(p).ApiVersion
	if d.version < vk.API_VERSION_1_1 {
		return nil
	}
	found := false
	for i, q := range lib.GetPhysicalDeviceQueueFamilyProperties(p) {
		// The first that computes is the one of graphics, where there is one; it runs at
		// full clocks everywhere.
		if q.QueueFlags&vk.QUEUE_COMPUTE_BIT != 0 && q.QueueCount > 0 {
			d.family, d.timestampBits, found = uint32(i), q.TimestampValidBits, true
			break
		}
	}
	if !found {
		return nil
	}
	list, _ := lib.EnumerateDeviceExtensionProperties(p)
	for _, e := range list {
		d.extensions[vk.Text(e.ExtensionName[:])] = true
	}

	q := &struct {
		properties vk.PhysicalDeviceProperties2
		id         vk.PhysicalDeviceIDProperties
		subgroup   vk.PhysicalDeviceSubgroupProperties
		most       vk.PhysicalDeviceMaintenance3Properties
		driver     vk.PhysicalDeviceDriverProperties
		pci        vk.PhysicalDevicePCIBusInfoPropertiesEXT
		coop2      vk.PhysicalDeviceCooperativeMatrix2PropertiesNV
	}{}
	q.properties.SType = vk.STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2
	last := &q.properties.Header
	add := func(known bool, h *vk.Header, sType uint32) {
		if h.SType = sType; known {
			last.Next = unsafe.Pointer(h)
			last = h
		}
	}
	add(true, &q.id.Header, vk.STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES)
	add(true, &q.subgroup.Header, vk.STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES)
	add(true, &q.most.Header, vk.STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES)
	add(d.version >= vk.API_VERSION_1_2, &q.driver.Header, vk.STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES)
	add(d.extensions[extensionPCI], &q.pci.Header, vk.STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT)
	add(d.extensions[extensionCoop2], &q.coop2.Header, vk.STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_PROPERTIES_NV)
	lib.GetPhysicalDeviceProperties2(instance, p, &q.properties)
	d.limits, d.subgroup, d.largest = q.properties.Properties.Limits, q.subgroup.SubgroupSize, q.most.MaxMemoryAllocationSize
	d.most = q.coop2

	f := &d.features
	f.chain(d.version, d.extensions)
	lib.GetPhysicalDeviceFeatures2(instance, p, &f.core)
	f.coop.CooperativeMatrixRobustBufferAccess = 0
	f.core.Features = vk.PhysicalDeviceFeatures{ShaderFloat64: f.core.Features.ShaderFloat64, ShaderInt16: f.core.Features.ShaderInt16}
	storage16 := f.bits16.StorageBuffer16BitAccess != 0
	d.types = map[matrix.DType]bool{
		matrix.Float32:  true,
		matrix.Float64:  f.core.Features.ShaderFloat64 != 0,
		matrix.Float16:  storage16 && f.small.ShaderFloat16 != 0,
		matrix.BFloat16: storage16 && f.core.Features.ShaderInt16 != 0,
		matrix.Int8:     f.bits8.StorageBuffer8BitAccess != 0 && f.small.ShaderInt8 != 0,
	}
	if f.coop.CooperativeMatrix != 0 && f.memory.VulkanMemoryModel != 0 && f.size.SubgroupSizeControl != 0 {
		d.shapes, _ = lib.GetPhysicalDeviceCooperativeMatrixPropertiesKHR(instance, p)
		if f.coop2.CooperativeMatrixWorkgroupScope != 0 && f.coop2.CooperativeMatrixFlexibleDimensions != 0 &&
			f.coop2.CooperativeMatrixTensorAddressing != 0 && f.localID.Maintenance4 != 0 {
			d.flexible, _ = lib.GetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV(instance, p)
		}
	}
	d.memory = lib.GetPhysicalDeviceMemoryProperties(p)
	d.about = about(&q.properties.Properties, &q.id, &q.driver, &q.pci)
	for _, h := range d.memory.MemoryHeaps[:d.memory.MemoryHeapCount] {
		size := int64(min(h.Size, 1<<62))
		if h.Flags&vk.MEMORY_HEAP_DEVICE_LOCAL_BIT != 0 && size > 0 && (d.about.Memory == nil || size > *d.about.Memory) {
			d.about.Memory = &size
		}
	}
	return d
}

// about is what a reader is told of a device.
func about(p *vk.PhysicalDeviceProperties, id *vk.PhysicalDeviceIDProperties, driver *vk.PhysicalDeviceDriverProperties, pci *vk.PhysicalDevicePCIBusInfoPropertiesEXT) hardware.Device {
	uuid := id.DeviceUUID
	text := fmt.Sprintf("%x-%x-%x-%x-%x", uuid[:4], uuid[4:6], uuid[6:8], uuid[8:10], uuid[10:])
	d := hardware.Device{
		ID: "vulkan:" + text, Name: p.Name(), Kind: hardware.GPU, API: "vulkan",
		Library: "gpuplay", Detail: "Vulkan " + p.ApiVersion.String(),
		Versions: map[string]string{"vulkan": p.ApiVersion.String()},
	}
	if name := vk.Text(driver.DriverName[:]); name != "" {
		d.Versions["driver"] = name + " " + vk.Text(driver.DriverInfo[:])
	}
	if p.DeviceType == vk.PHYSICAL_DEVICE_TYPE_CPU {
		d.Kind = hardware.SoftwareGPU
		return d
	}
	if pci.PciDomain|pci.PciBus|pci.PciDevice|pci.PciFunction != 0 {
		d.PCI = fmt.Sprintf("%04x:%02x:%02x.%x", pci.PciDomain, pci.PciBus, pci.PciDevice, pci.PciFunction)
	}
	if driver.DriverID == driverNVIDIA { // the UUID of CUDA and NVML; other drivers make one of their own
		d.UUID = "GPU-" + text
	}
	return d
}

// arrange puts devices in the order of their PCI addresses, software last, and tells two
// drivers of one card apart.
func arrange(list []*device) []*device {
	slices.SortStableFunc(list, func(a, b *device) int {
		return cmp.Or(cmp.Compare(a.about.Kind, b.about.Kind), cmp.Compare(a.about.PCI, b.about.PCI))
	})
	seen := map[string]int{}
	number := 0
	for _, d := range list {
		id := d.about.ID
		if seen[id]++; seen[id] > 1 {
			d.about.ID = fmt.Sprintf("%s-%d", id, seen[id])
		}
		if d.about.Kind == hardware.GPU {
			index := number
			d.about.Index = &index
			number++
		}
	}
	return list
}
