// Package vulkan calls Vulkan's loader, which leads to the drivers of the GPUs. It has
// the functions that find devices and compute on them, under their C names without the
// prefix vk; vulkan_core.h of the Vulkan headers documents them and their structures.
//
// The structures have C's layout on 64-bit systems. A structure that leads to another
// holds an unsafe.Pointer to it, by which Go keeps it in memory; Go's heap does not move.
// Handles are uintptr: on 64-bit systems dispatchable ones, which are pointers, and
// others, which are 64-bit numbers, have the same size.
//
// The loader loads every driver that is installed into the process, and each of them can
// hang or end it: call it in a process of its own.
package vulkan

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/gpuplay/gpuplay/internal/ffi/dl"
)

// Result is VkResult: negative values are errors.
type Result int32

// Values of VkResult.
const (
	SUCCESS                     Result = 0
	TIMEOUT                     Result = 2
	INCOMPLETE                  Result = 5
	ERROR_OUT_OF_HOST_MEMORY    Result = -1
	ERROR_OUT_OF_DEVICE_MEMORY  Result = -2
	ERROR_INITIALIZATION_FAILED Result = -3
	ERROR_DEVICE_LOST           Result = -4
	ERROR_LAYER_NOT_PRESENT     Result = -6
	ERROR_EXTENSION_NOT_PRESENT Result = -7
	ERROR_INCOMPATIBLE_DRIVER   Result = -9
)

var names = map[Result]string{
	SUCCESS:                     "VK_SUCCESS",
	TIMEOUT:                     "VK_TIMEOUT",
	INCOMPLETE:                  "VK_INCOMPLETE",
	ERROR_OUT_OF_HOST_MEMORY:    "VK_ERROR_OUT_OF_HOST_MEMORY",
	ERROR_OUT_OF_DEVICE_MEMORY:  "VK_ERROR_OUT_OF_DEVICE_MEMORY",
	ERROR_INITIALIZATION_FAILED: "VK_ERROR_INITIALIZATION_FAILED",
	ERROR_DEVICE_LOST:           "VK_ERROR_DEVICE_LOST",
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

// Version is a version as VK_MAKE_API_VERSION packs it.
type Version uint32

// Versions of Vulkan.
const (
	API_VERSION_1_0 Version = 1 << 22
	API_VERSION_1_1 Version = 1<<22 | 1<<12
	API_VERSION_1_2 Version = 1<<22 | 2<<12
	API_VERSION_1_3 Version = 1<<22 | 3<<12
)

// String returns "1.3".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v>>22&0x7f, v>>12&0x3ff) }

// Library is the loader.
type Library struct {
	instanceCommands
	deviceCommands
	enumerateInstanceVersion command // 0 in Vulkan 1.0
}

// A command is the address of a function of Vulkan.
type command uintptr

// call calls a function that returns VkResult, or nothing. Pointers must be converted to
// uintptr in the call itself: dl.Call says why.
//
//go:uintptrescapes
func (c command) call(args ...uintptr) Result { return Result(dl.Call(uintptr(c), args...)) }

// pointer calls a function that returns a pointer.
//
//go:uintptrescapes
func (c command) pointer(args ...uintptr) uintptr { return dl.Call(uintptr(c), args...) }

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
	for _, commands := range []map[string]*command{l.instanceCommands.symbols(), l.deviceCommands.symbols()} {
		for symbol, c := range commands {
			at, err := lib.Sym(symbol)
			if err != nil {
				return nil, err
			}
			*c = command(at)
		}
	}
	if at, err := lib.Sym("vkEnumerateInstanceVersion"); err == nil {
		l.enumerateInstanceVersion = command(at)
	}
	return &l, nil
}
