// Package nvml calls NVIDIA's management library, which belongs to the driver. It has
// the few functions that this program needs, under their C names without the prefix
// nvml; nvml.h of the CUDA toolkit, version 13, documents them.
//
// The library can hang, also in the kernel where no signal reaches it. What can wait for
// an answer is asked in a process of its own: see package probe. Sensors are read in this
// process, on a thread of its own: see package telemetry. If the library crashes there, it
// ends this process.
package nvml

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"runtime"

	"github.com/gpuplay/gpuplay/internal/ffi/dl"
)

// Return is nvmlReturn_t. It is an error unless it is SUCCESS.
type Return int32

// The values of nvmlReturn_t that callers tell apart.
const (
	SUCCESS                  Return = 0
	ERROR_FUNCTION_NOT_FOUND Return = 13
)

// Buffers of these sizes are large enough: NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE,
// NVML_DEVICE_NAME_V2_BUFFER_SIZE and NVML_DEVICE_UUID_V2_BUFFER_SIZE are 80, 96 and 96.
const bufferSize = 96

// Device is nvmlDevice_t.
type Device uintptr

// PciInfo is nvmlPciInfo_t as nvmlDeviceGetPciInfo_v3 fills it.
type PciInfo struct {
	BusIdLegacy                                      [16]byte
	Domain, Bus, Device, PciDeviceId, PciSubSystemId uint32
	BusId                                            [32]byte // "00000000:19:00.0"
}

// Memory is nvmlMemory_t, in bytes.
type Memory struct{ Total, Free, Used uint64 }

// Utilization is nvmlUtilization_t: the percentage of the last second or less in which
// a kernel ran, and in which memory was read or written.
type Utilization struct{ Gpu, Memory uint32 }

// Library is a loaded NVML. Older libraries lack some functions: their methods return
// ERROR_FUNCTION_NOT_FOUND.
type Library struct {
	init                  func() Return
	errorString           func(Return) string
	driverVersion         func(version *byte, length uint32) Return
	cudaDriverVersion     func(version *int32) Return
	count                 func(*uint32) Return
	handleByIndex         func(index uint32, device *Device) Return
	name                  func(d Device, name *byte, length uint32) Return
	uuid                  func(d Device, uuid *byte, length uint32) Return
	pciInfo               func(Device, *PciInfo) Return
	memoryInfo            func(Device, *Memory) Return
	cudaComputeCapability func(d Device, major, minor *int32) Return
	utilizationRates      func(Device, *Utilization) Return
	sensors
}

// names are where the library is: on the system's search path, and in folders of
// drivers that are not on it (Windows' subsystem for Linux, NixOS, and drivers for
// Windows before 2018).
var names = map[string][]string{
	"linux":   {"libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1", "/run/opengl-driver/lib/libnvidia-ml.so.1"},
	"windows": {"nvml.dll", `C:\Program Files\NVIDIA Corporation\NVSMI\nvml.dll`},
}

// ErrMissing is the error of a machine without the library.
var ErrMissing = errors.New("the library is not installed")

// Open loads the library. One that is there and cannot be loaded is another error than
// ErrMissing.
func Open() (*Library, error) {
	lib, found, err := dl.OpenFirst(names[runtime.GOOS])
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, ErrMissing
	}
	return bind(lib)
}

// bind finds the functions. Without nvmlInit_v2 the library is of no use.
func bind(lib dl.Library) (*Library, error) {
	var l Library
	if err := lib.Register(&l.init, "nvmlInit_v2"); err != nil {
		return nil, err
	}
	symbols := map[string]any{
		"nvmlErrorString":                    &l.errorString,
		"nvmlSystemGetDriverVersion":         &l.driverVersion,
		"nvmlSystemGetCudaDriverVersion_v2":  &l.cudaDriverVersion,
		"nvmlDeviceGetCount_v2":              &l.count,
		"nvmlDeviceGetHandleByIndex_v2":      &l.handleByIndex,
		"nvmlDeviceGetName":                  &l.name,
		"nvmlDeviceGetUUID":                  &l.uuid,
		"nvmlDeviceGetPciInfo_v3":            &l.pciInfo,
		"nvmlDeviceGetMemoryInfo":            &l.memoryInfo,
		"nvmlDeviceGetCudaComputeCapability": &l.cudaComputeCapability,
		"nvmlDeviceGetUtilizationRates":      &l.utilizationRates,
	}
	maps.Copy(symbols, l.sensors.symbols())
	for symbol, fptr := range symbols {
		if lib.Has(symbol) {
			if err := lib.Register(fptr, symbol); err != nil {
				return nil, err
			}
		}
	}
	return &l, nil
}

// Init_v2 prepares the library. GPUs that do not answer are no error here.
func (l *Library) Init_v2() Return { return l.init() }

// ErrorString describes an error in words.
func (l *Library) ErrorString(r Return) string {
	switch {
	case r == ERROR_FUNCTION_NOT_FOUND:
		return "Function Not Found"
	case l.errorString == nil:
		return fmt.Sprintf("NVML error %d", r)
	}
	return l.errorString(r)
}

// SystemGetDriverVersion returns the driver's version: "580.95.05".
func (l *Library) SystemGetDriverVersion() (string, Return) {
	return text(l.driverVersion != nil, func(b *byte, n uint32) Return { return l.driverVersion(b, n) })
}

// SystemGetCudaDriverVersion_v2 returns the newest CUDA that the driver supports, as
// 1000·major + 10·minor.
func (l *Library) SystemGetCudaDriverVersion_v2() (int32, Return) {
	if l.cudaDriverVersion == nil {
		return 0, ERROR_FUNCTION_NOT_FOUND
	}
	var v int32
	r := l.cudaDriverVersion(&v)
	return v, r
}

// DeviceGetCount_v2 returns how many GPUs there are, those that do not answer included.
func (l *Library) DeviceGetCount_v2() (uint32, Return) {
	if l.count == nil {
		return 0, ERROR_FUNCTION_NOT_FOUND
	}
	var n uint32
	r := l.count(&n)
	return n, r
}

// DeviceGetHandleByIndex_v2 returns a GPU by its index, which follows the PCI addresses.
func (l *Library) DeviceGetHandleByIndex_v2(index uint32) (Device, Return) {
	if l.handleByIndex == nil {
		return 0, ERROR_FUNCTION_NOT_FOUND
	}
	var d Device
	r := l.handleByIndex(index, &d)
	return d, r
}

// DeviceGetName returns a GPU's product name.
func (l *Library) DeviceGetName(d Device) (string, Return) {
	return text(l.name != nil, func(b *byte, n uint32) Return { return l.name(d, b, n) })
}

// DeviceGetUUID returns a GPU's UUID: "GPU-5d4bf5a4-…".
func (l *Library) DeviceGetUUID(d Device) (string, Return) {
	return text(l.uuid != nil, func(b *byte, n uint32) Return { return l.uuid(d, b, n) })
}

// DeviceGetPciInfo_v3 returns where a GPU is on the PCI bus.
func (l *Library) DeviceGetPciInfo_v3(d Device) (PciInfo, Return) {
	return value(l.pciInfo, d)
}

// DeviceGetMemoryInfo returns a GPU's own memory. A GPU that shares the CPU's has none
// to report: ERROR_NOT_SUPPORTED.
func (l *Library) DeviceGetMemoryInfo(d Device) (Memory, Return) {
	return value(l.memoryInfo, d)
}

// DeviceGetCudaComputeCapability returns a GPU's compute capability: 9 and 0 of 9.0.
func (l *Library) DeviceGetCudaComputeCapability(d Device) (major, minor int32, r Return) {
	if l.cudaComputeCapability == nil {
		return 0, 0, ERROR_FUNCTION_NOT_FOUND
	}
	r = l.cudaComputeCapability(d, &major, &minor)
	return major, minor, r
}

// DeviceGetUtilizationRates returns how busy a GPU is.
func (l *Library) DeviceGetUtilizationRates(d Device) (Utilization, Return) {
	return value(l.utilizationRates, d)
}

// value calls a function that fills a structure.
func value[T any](f func(Device, *T) Return, d Device) (T, Return) {
	var v T
	if f == nil {
		return v, ERROR_FUNCTION_NOT_FOUND
	}
	r := f(d, &v)
	return v, r
}

// valueOf is value for a function that has several values, one of which is asked for.
func valueOf[K, T any](f func(Device, K, *T) Return, d Device, kind K) (T, Return) {
	var v T
	if f == nil {
		return v, ERROR_FUNCTION_NOT_FOUND
	}
	r := f(d, kind, &v)
	return v, r
}

// text calls a function, if it is there, that fills a buffer with a C string.
func text(there bool, f func(*byte, uint32) Return) (string, Return) {
	if !there {
		return "", ERROR_FUNCTION_NOT_FOUND
	}
	var b [bufferSize]byte
	r := f(&b[0], bufferSize)
	s, _, _ := bytes.Cut(b[:], []byte{0})
	return string(s), r
}
