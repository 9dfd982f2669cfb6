package vulkan

import (
	"runtime"
	"unsafe"
)

// instanceCommands are functions that the loader exports and that have to do with
// instances and physical devices.
type instanceCommands struct {
	getInstanceProcAddr, createInstance, destroyInstance, enumeratePhysicalDevices          command
	enumerateDeviceExtensionProperties, getPhysicalDeviceProperties                         command
	getPhysicalDeviceMemoryProperties, getPhysicalDeviceQueueFamilyProperties, createDevice command
}

func (c *instanceCommands) symbols() map[string]*command {
	return map[string]*command{
		"vkGetInstanceProcAddr":                    &c.getInstanceProcAddr,
		"vkCreateInstance":                         &c.createInstance,
		"vkDestroyInstance":                        &c.destroyInstance,
		"vkEnumeratePhysicalDevices":               &c.enumeratePhysicalDevices,
		"vkEnumerateDeviceExtensionProperties":     &c.enumerateDeviceExtensionProperties,
		"vkGetPhysicalDeviceProperties":            &c.getPhysicalDeviceProperties,
		"vkGetPhysicalDeviceMemoryProperties":      &c.getPhysicalDeviceMemoryProperties,
		"vkGetPhysicalDeviceQueueFamilyProperties": &c.getPhysicalDeviceQueueFamilyProperties,
		"vkCreateDevice":                           &c.createDevice,
	}
}

// EnumerateInstanceVersion returns the newest version that the loader supports.
func (l *Library) EnumerateInstanceVersion() (Version, Result) {
	if l.enumerateInstanceVersion == 0 {
		return API_VERSION_1_0, SUCCESS
	}
	v := new(Version)
	r := l.enumerateInstanceVersion.call(uintptr(unsafe.Pointer(v)))
	return *v, r
}

// CreateInstance makes an instance for a version of Vulkan, with layers and without
// extensions. ERROR_INCOMPATIBLE_DRIVER: no driver could be loaded.
func (l *Library) CreateInstance(version Version, layers ...string) (Instance, Result) {
	application := &ApplicationInfo{Header: Header{SType: STRUCTURE_TYPE_APPLICATION_INFO}, ApiVersion: version}
	create := &InstanceCreateInfo{
		Header: Header{SType: STRUCTURE_TYPE_INSTANCE_CREATE_INFO}, ApplicationInfo: unsafe.Pointer(application),
		EnabledLayerCount: uint32(len(layers)), EnabledLayerNames: Strings(layers),
	}
	instance := new(Instance)
	r := l.createInstance.call(uintptr(unsafe.Pointer(create)), 0, uintptr(unsafe.Pointer(instance)))
	runtime.KeepAlive(create)
	return *instance, r
}

// Strings returns an array of C strings, nil for none.
func Strings(list []string) unsafe.Pointer {
	if len(list) == 0 {
		return nil
	}
	pointers := make([]*byte, len(list))
	for i, s := range list {
		pointers[i] = &append([]byte(s), 0)[0]
	}
	return unsafe.Pointer(&pointers[0])
}

// DestroyInstance ends an instance.
func (l *Library) DestroyInstance(i Instance) { l.destroyInstance.call(uintptr(i), 0) }

// GetInstanceProcAddr returns the address of a function, 0 if there is none.
func (l *Library) GetInstanceProcAddr(i Instance, name string) uintptr {
	return l.getInstanceProcAddr.pointer(uintptr(i), uintptr(unsafe.Pointer(&append([]byte(name), 0)[0])))
}

// EnumeratePhysicalDevices returns the devices of an instance.
func (l *Library) EnumeratePhysicalDevices(i Instance) ([]PhysicalDevice, Result) {
	return list[PhysicalDevice](nil, func(n *uint32, first unsafe.Pointer) Result {
		return l.enumeratePhysicalDevices.call(uintptr(i), uintptr(unsafe.Pointer(n)), uintptr(first))
	})
}

// EnumerateDeviceExtensionProperties returns the extensions of a device.
func (l *Library) EnumerateDeviceExtensionProperties(d PhysicalDevice) ([]ExtensionProperties, Result) {
	return list[ExtensionProperties](nil, func(n *uint32, first unsafe.Pointer) Result {
		return l.enumerateDeviceExtensionProperties.call(uintptr(d), 0, uintptr(unsafe.Pointer(n)), uintptr(first))
	})
}

// list asks for the number of elements, then for the elements, which prepare initialises.
func list[T any](prepare func(*T), ask func(n *uint32, first unsafe.Pointer) Result) ([]T, Result) {
	n := new(uint32)
	if r := ask(n, nil); r < 0 || *n == 0 {
		return nil, r
	}
	all := make([]T, *n)
	for i := range all {
		if prepare != nil {
			prepare(&all[i])
		}
	}
	r := ask(n, unsafe.Pointer(&all[0]))
	return all[:min(int(*n), len(all))], r
}

// GetPhysicalDeviceProperties says what a device is.
func (l *Library) GetPhysicalDeviceProperties(d PhysicalDevice) *PhysicalDeviceProperties {
	p := new(PhysicalDeviceProperties)
	l.getPhysicalDeviceProperties.call(uintptr(d), uintptr(unsafe.Pointer(p)))
	return p
}

// GetPhysicalDeviceProperties2 fills in properties and what they lead to. It needs an
// instance of Vulkan 1.1 and a device of it.
func (l *Library) GetPhysicalDeviceProperties2(i Instance, d PhysicalDevice, p *PhysicalDeviceProperties2) {
	command(l.GetInstanceProcAddr(i, "vkGetPhysicalDeviceProperties2")).call(uintptr(d), uintptr(unsafe.Pointer(p)))
}

// GetPhysicalDeviceFeatures2 fills in features and what they lead to, like
// GetPhysicalDeviceProperties2.
func (l *Library) GetPhysicalDeviceFeatures2(i Instance, d PhysicalDevice, f *PhysicalDeviceFeatures2) {
	command(l.GetInstanceProcAddr(i, "vkGetPhysicalDeviceFeatures2")).call(uintptr(d), uintptr(unsafe.Pointer(f)))
}

// GetPhysicalDeviceMemoryProperties returns the kinds of memory of a device.
func (l *Library) GetPhysicalDeviceMemoryProperties(d PhysicalDevice) *PhysicalDeviceMemoryProperties {
	p := new(PhysicalDeviceMemoryProperties)
	l.getPhysicalDeviceMemoryProperties.call(uintptr(d), uintptr(unsafe.Pointer(p)))
	return p
}

// GetPhysicalDeviceQueueFamilyProperties returns the kinds of queues of a device.
func (l *Library) GetPhysicalDeviceQueueFamilyProperties(d PhysicalDevice) []QueueFamilyProperties {
	families, _ := list[QueueFamilyProperties](nil, func(n *uint32, first unsafe.Pointer) Result {
		l.getPhysicalDeviceQueueFamilyProperties.call(uintptr(d), uintptr(unsafe.Pointer(n)), uintptr(first))
		return SUCCESS
	})
	return families
}

// GetPhysicalDeviceCooperativeMatrixPropertiesKHR returns the shapes that a device
// multiplies, none without the extension.
func (l *Library) GetPhysicalDeviceCooperativeMatrixPropertiesKHR(i Instance, d PhysicalDevice) ([]CooperativeMatrixPropertiesKHR, Result) {
	ask := command(l.GetInstanceProcAddr(i, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"))
	if ask == 0 {
		return nil, SUCCESS
	}
	return list(func(p *CooperativeMatrixPropertiesKHR) {
		p.SType = STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR
	}, func(n *uint32, first unsafe.Pointer) Result {
		return ask.call(uintptr(d), uintptr(unsafe.Pointer(n)), uintptr(first))
	})
}

// GetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV returns of which sizes
// the shapes that a device multiplies may be multiples, none without the extension.
func (l *Library) GetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV(i Instance, d PhysicalDevice) ([]CooperativeMatrixFlexibleDimensionsPropertiesNV, Result) {
	ask := command(l.GetInstanceProcAddr(i, "vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV"))
	if ask == 0 {
		return nil, SUCCESS
	}
	return list(func(p *CooperativeMatrixFlexibleDimensionsPropertiesNV) {
		p.SType = STRUCTURE_TYPE_COOPERATIVE_MATRIX_FLEXIBLE_DIMENSIONS_PROPERTIES_NV
	}, func(n *uint32, first unsafe.Pointer) Result {
		return ask.call(uintptr(d), uintptr(unsafe.Pointer(n)), uintptr(first))
	})
}

// CreateDevice makes a logical device.
func (l *Library) CreateDevice(d PhysicalDevice, info *DeviceCreateInfo) (Device, Result) {
	device := new(Device)
	r := l.createDevice.call(uintptr(d), uintptr(unsafe.Pointer(info)), 0, uintptr(unsafe.Pointer(device)))
	return *device, r
}
