// Package vulkan calls Vulkan's loader, which leads to the drivers of the GPUs. It has
// the functions that find devices, under their C names without the prefix vk;
// vulkan_core.h of the Vulkan headers documents them and their structures.
//
// The loader loads every driver that is installed into the process, and each of them can
// hang or end it: call it in a process of its own.
package vulkan

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/ffi/dl"
)

// Result is VkResult: negative values are errors.
type Result int32

// Values of VkResult.
const (
	SUCCESS                     Result = 0
	INCOMPLETE                  Result = 5
	ERROR_OUT_OF_HOST_MEMORY    Result = -1
	ERROR_OUT_OF_DEVICE_MEMORY  Result = -2
	ERROR_INITIALIZATION_FAILED Result = -3
	ERROR_LAYER_NOT_PRESENT     Result = -6
	ERROR_EXTENSION_NOT_PRESENT Result = -7
	ERROR_INCOMPATIBLE_DRIVER   Result = -9
)

var names = map[Result]string{
	SUCCESS:                     "VK_SUCCESS",
	INCOMPLETE:                  "VK_INCOMPLETE",
	ERROR_OUT_OF_HOST_MEMORY:    "VK_ERROR_OUT_OF_HOST_MEMORY",
	ERROR_OUT_OF_DEVICE_MEMORY:  "VK_ERROR_OUT_OF_DEVICE_MEMORY",
	ERROR_INITIALIZATION_FAILED: "VK_ERROR_INITIALIZATION_FAILED",
	ERROR_LAYER_NOT_PRESENT:     "VK_ERROR_LAYER_NOT_PRESENT",
	ERROR_EXTENSION_NOT_PRESENT: "VK_ERROR_EXTENSION_NOT_PRESENT",
	ERROR_INCOMPATIBLE_DRIVER:   "VK_ERROR_INCOMPATIBLE_DRIVER",
}

// String returns the C name, or the number of a value that has none here.
func (r Result) String() string {
	if name := names[r]; name != "" {
		return name
	}
	return fmt.Sprintf("VkResult %d", int32(r))
}

// Values of VkStructureType.
const (
	STRUCTURE_TYPE_APPLICATION_INFO     = 0
	STRUCTURE_TYPE_INSTANCE_CREATE_INFO = 1
)

// PhysicalDeviceType is VkPhysicalDeviceType.
type PhysicalDeviceType uint32

// PHYSICAL_DEVICE_TYPE_CPU is the value of VkPhysicalDeviceType for software that runs on
// the CPU; the others are GPUs of some kind.
const PHYSICAL_DEVICE_TYPE_CPU PhysicalDeviceType = 4

// Version is a version as VK_MAKE_API_VERSION packs it.
type Version uint32

// API_VERSION_1_0 is Vulkan 1.0.
const API_VERSION_1_0 Version = 1 << 22

// String returns "1.3".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v>>22&0x7f, v>>12&0x3ff) }

// ApplicationInfo is VkApplicationInfo.
type ApplicationInfo struct {
	SType              uint32
	Next               unsafe.Pointer
	ApplicationName    unsafe.Pointer
	ApplicationVersion uint32
	EngineName         unsafe.Pointer
	EngineVersion      uint32
	ApiVersion         Version
}

// InstanceCreateInfo is VkInstanceCreateInfo.
type InstanceCreateInfo struct {
	SType                 uint32
	Next                  unsafe.Pointer
	Flags                 uint32
	ApplicationInfo       *ApplicationInfo
	EnabledLayerCount     uint32
	EnabledLayerNames     unsafe.Pointer
	EnabledExtensionCount uint32
	EnabledExtensionNames unsafe.Pointer
}

// PhysicalDeviceProperties is VkPhysicalDeviceProperties.
type PhysicalDeviceProperties struct {
	ApiVersion        Version
	DriverVersion     uint32
	VendorID          uint32 // of the PCI bus, or a VkVendorId of what is on none
	DeviceID          uint32
	DeviceType        PhysicalDeviceType
	DeviceName        [256]byte  // VK_MAX_PHYSICAL_DEVICE_NAME_SIZE
	PipelineCacheUUID [16]byte   // VK_UUID_SIZE
	Limits            [63]uint64 // VkPhysicalDeviceLimits, 504 bytes
	SparseProperties  [5]uint32  // VkPhysicalDeviceSparseProperties
}

// Name returns the device's name.
func (p *PhysicalDeviceProperties) Name() string {
	name, _, _ := bytes.Cut(p.DeviceName[:], []byte{0})
	return string(name)
}

// Instance is VkInstance, PhysicalDevice VkPhysicalDevice.
type (
	Instance       uintptr
	PhysicalDevice uintptr
)

// Library is the loader.
type Library struct {
	createInstance, destroyInstance, enumeratePhysicalDevices, getPhysicalDeviceProperties uintptr
	enumerateInstanceVersion                                                               uintptr // 0 in Vulkan 1.0
}

// loaders are the loader's file names.
var loaders = map[string]string{"linux": "libvulkan.so.1", "windows": "vulkan-1.dll"}

// Open loads the loader. The error is the system's: there is none, or what it needs is
// missing.
func Open() (*Library, error) {
	name := loaders[runtime.GOOS]
	if name == "" {
		return nil, errors.New("there is no Vulkan loader for " + runtime.GOOS)
	}
	lib, err := dl.Open(name)
	if err != nil {
		return nil, err
	}
	var l Library
	for symbol, fn := range map[string]*uintptr{
		"vkCreateInstance":              &l.createInstance,
		"vkDestroyInstance":             &l.destroyInstance,
		"vkEnumeratePhysicalDevices":    &l.enumeratePhysicalDevices,
		"vkGetPhysicalDeviceProperties": &l.getPhysicalDeviceProperties,
	} {
		if *fn, err = lib.Sym(symbol); err != nil {
			return nil, err
		}
	}
	if lib.Has("vkEnumerateInstanceVersion") {
		l.enumerateInstanceVersion, err = lib.Sym("vkEnumerateInstanceVersion")
	}
	return &l, err
}

// EnumerateInstanceVersion returns the newest version that the loader supports.
func (l *Library) EnumerateInstanceVersion() (Version, Result) {
	if l.enumerateInstanceVersion == 0 {
		return API_VERSION_1_0, SUCCESS
	}
	v := new(Version)
	r := Result(dl.Call(l.enumerateInstanceVersion, uintptr(unsafe.Pointer(v))))
	return *v, r
}

// CreateInstance makes an instance for a version of Vulkan, without layers and
// extensions. ERROR_INCOMPATIBLE_DRIVER: no driver could be loaded.
func (l *Library) CreateInstance(version Version) (Instance, Result) {
	application := &ApplicationInfo{SType: STRUCTURE_TYPE_APPLICATION_INFO, ApiVersion: version}
	create := &InstanceCreateInfo{SType: STRUCTURE_TYPE_INSTANCE_CREATE_INFO, ApplicationInfo: application}
	instance := new(Instance)
	r := Result(dl.Call(l.createInstance, uintptr(unsafe.Pointer(create)), 0, uintptr(unsafe.Pointer(instance))))
	runtime.KeepAlive(application)
	return *instance, r
}

// DestroyInstance ends an instance.
func (l *Library) DestroyInstance(i Instance) { dl.Call(l.destroyInstance, uintptr(i), 0) }

// EnumeratePhysicalDevices returns the devices of an instance.
func (l *Library) EnumeratePhysicalDevices(i Instance) ([]PhysicalDevice, Result) {
	n := new(uint32)
	if r := Result(dl.Call(l.enumeratePhysicalDevices, uintptr(i), uintptr(unsafe.Pointer(n)), 0)); r < 0 || *n == 0 {
		return nil, r
	}
	list := make([]PhysicalDevice, *n)
	r := Result(dl.Call(l.enumeratePhysicalDevices, uintptr(i), uintptr(unsafe.Pointer(n)), uintptr(unsafe.Pointer(&list[0]))))
	return list[:min(int(*n), len(list))], r
}

// GetPhysicalDeviceProperties says what a device is.
func (l *Library) GetPhysicalDeviceProperties(d PhysicalDevice) *PhysicalDeviceProperties {
	p := new(PhysicalDeviceProperties)
	dl.Call(l.getPhysicalDeviceProperties, uintptr(d), uintptr(unsafe.Pointer(p)))
	return p
}
