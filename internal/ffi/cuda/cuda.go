// Package cuda calls NVIDIA's CUDA driver, which belongs to the graphics driver and needs no
// toolkit. It has the few functions that this program needs, under their C names without
// the prefix cu; cuda.h of CUDA 13 documents them. A test compares names, arguments and
// structures with that file.
//
// The context of a device is current on one thread of the operating system, so most
// functions have to be called on a thread that is locked.
package cuda

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/ffi/dl"
)

// Result is CUresult. It is an error unless it is SUCCESS.
type Result int32

// The values of CUresult that callers tell apart.
const (
	SUCCESS                           Result = 0
	ERROR_OUT_OF_MEMORY               Result = 2
	ERROR_NO_DEVICE                   Result = 100
	ERROR_INVALID_PTX                 Result = 218
	ERROR_UNSUPPORTED_PTX_VERSION     Result = 222
	ERROR_NOT_FOUND                   Result = 500
	ERROR_PEER_ACCESS_ALREADY_ENABLED Result = 704
)

// Handles and enumerations of cuda.h.
type (
	Device    int32   // CUdevice
	Context   uintptr // CUcontext
	Module    uintptr // CUmodule
	Function  uintptr // CUfunction
	Stream    uintptr // CUstream; 0 is the default stream
	Event     uintptr // CUevent
	Graph     uintptr // CUgraph
	GraphExec uintptr // CUgraphExec
	Pointer   uint64  // CUdeviceptr, an address on a device

	DeviceAttribute   int32 // CUdevice_attribute
	FunctionAttribute int32 // CUfunction_attribute
	JITOption         int32 // CUjit_option
	StreamCaptureMode int32 // CUstreamCaptureMode

	TensorMapDataType    int32 // CUtensorMapDataType
	TensorMapInterleave  int32 // CUtensorMapInterleave
	TensorMapSwizzle     int32 // CUtensorMapSwizzle
	TensorMapL2Promotion int32 // CUtensorMapL2promotion
	TensorMapOOBFill     int32 // CUtensorMapFloatOOBfill
)

// Constants of cuda.h.
const (
	DEVICE_ATTRIBUTE_CLOCK_RATE                        DeviceAttribute = 13 // kilohertz
	DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT              DeviceAttribute = 16
	DEVICE_ATTRIBUTE_ECC_ENABLED                       DeviceAttribute = 32
	DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE                 DeviceAttribute = 36 // kilohertz
	DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH           DeviceAttribute = 37 // bits
	DEVICE_ATTRIBUTE_L2_CACHE_SIZE                     DeviceAttribute = 38 // bytes
	DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR          DeviceAttribute = 75
	DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR          DeviceAttribute = 76
	DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN DeviceAttribute = 97

	FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES FunctionAttribute = 8

	JIT_ERROR_LOG_BUFFER            JITOption = 5
	JIT_ERROR_LOG_BUFFER_SIZE_BYTES JITOption = 6

	STREAM_CAPTURE_MODE_THREAD_LOCAL StreamCaptureMode = 1

	STREAM_NON_BLOCKING uint32 = 1
	EVENT_DEFAULT       uint32 = 0

	TENSOR_MAP_DATA_TYPE_UINT8    TensorMapDataType = 0
	TENSOR_MAP_DATA_TYPE_INT32    TensorMapDataType = 3
	TENSOR_MAP_DATA_TYPE_FLOAT16  TensorMapDataType = 6
	TENSOR_MAP_DATA_TYPE_FLOAT32  TensorMapDataType = 7
	TENSOR_MAP_DATA_TYPE_FLOAT64  TensorMapDataType = 8
	TENSOR_MAP_DATA_TYPE_BFLOAT16 TensorMapDataType = 9

	TENSOR_MAP_INTERLEAVE_NONE      TensorMapInterleave  = 0
	TENSOR_MAP_SWIZZLE_NONE         TensorMapSwizzle     = 0
	TENSOR_MAP_SWIZZLE_32B          TensorMapSwizzle     = 1
	TENSOR_MAP_SWIZZLE_64B          TensorMapSwizzle     = 2
	TENSOR_MAP_SWIZZLE_128B         TensorMapSwizzle     = 3
	TENSOR_MAP_L2_PROMOTION_L2_256B TensorMapL2Promotion = 3
	TENSOR_MAP_FLOAT_OOB_FILL_NONE  TensorMapOOBFill     = 0
	tensorMapSize                                        = 128
	tensorMapAlign                                       = 128 // of the type in cuda.h 13; the driver asks for 64
)

// UUID is CUuuid.
type UUID [16]byte

// TensorMap is CUtensorMap, which has to lie at such an address: see NewTensorMap.
type TensorMap [tensorMapSize / 8]uint64

// NewTensorMap returns an empty tensor map where a function of the driver can fill it.
func NewTensorMap() *TensorMap {
	memory := make([]byte, tensorMapSize+tensorMapAlign)
	skip := -uintptr(unsafe.Pointer(&memory[0])) % tensorMapAlign
	return (*TensorMap)(unsafe.Pointer(&memory[skip]))
}

// Library is a loaded driver. A field is nil where the driver is too old for the
// function; those without a version in their tag are in every driver since CUDA 11.0.
type Library struct {
	Init               func(flags uint32) Result                              `cu:"cuInit"`
	DriverGetVersion   func(version *int32) Result                            `cu:"cuDriverGetVersion"`
	GetErrorName       func(r Result, name **byte) Result                     `cu:"cuGetErrorName"`
	GetErrorString     func(r Result, text **byte) Result                     `cu:"cuGetErrorString"`
	DeviceGetCount     func(count *int32) Result                              `cu:"cuDeviceGetCount"`
	DeviceGet          func(d *Device, ordinal int32) Result                  `cu:"cuDeviceGet"`
	DeviceGetName      func(name *byte, length int32, d Device) Result        `cu:"cuDeviceGetName"`
	DeviceGetUuid      func(uuid *UUID, d Device) Result                      `cu:"cuDeviceGetUuid_v2" since:"11.4"`
	DeviceGetPCIBusId  func(id *byte, length int32, d Device) Result          `cu:"cuDeviceGetPCIBusId"`
	DeviceTotalMem     func(bytes *uintptr, d Device) Result                  `cu:"cuDeviceTotalMem_v2"`
	DeviceGetAttribute func(value *int32, a DeviceAttribute, d Device) Result `cu:"cuDeviceGetAttribute"`

	DevicePrimaryCtxRetain func(c *Context, d Device) Result       `cu:"cuDevicePrimaryCtxRetain"`
	CtxSetCurrent          func(c Context) Result                  `cu:"cuCtxSetCurrent"`
	CtxSynchronize         func() Result                           `cu:"cuCtxSynchronize"`
	CtxEnablePeerAccess    func(peer Context, flags uint32) Result `cu:"cuCtxEnablePeerAccess"`
	CtxDisablePeerAccess   func(peer Context) Result               `cu:"cuCtxDisablePeerAccess"`
	DeviceCanAccessPeer    func(can *int32, d, peer Device) Result `cu:"cuDeviceCanAccessPeer"`

	ModuleLoadDataEx  func(m *Module, image unsafe.Pointer, options uint32, keys *JITOption, values *uintptr) Result `cu:"cuModuleLoadDataEx"`
	ModuleGetFunction func(f *Function, m Module, name *byte) Result                                                 `cu:"cuModuleGetFunction"`
	FuncSetAttribute  func(f Function, a FunctionAttribute, value int32) Result                                      `cu:"cuFuncSetAttribute"`

	MemAlloc     func(p *Pointer, size uintptr) Result                                                       `cu:"cuMemAlloc_v2"`
	MemFree      func(p Pointer) Result                                                                      `cu:"cuMemFree_v2"`
	MemGetInfo   func(free, total *uintptr) Result                                                           `cu:"cuMemGetInfo_v2"`
	MemcpyHtoD   func(to Pointer, from unsafe.Pointer, size uintptr) Result                                  `cu:"cuMemcpyHtoD_v2"`
	MemcpyDtoH   func(to unsafe.Pointer, from Pointer, size uintptr) Result                                  `cu:"cuMemcpyDtoH_v2"`
	MemcpyDtoD   func(to, from Pointer, size uintptr) Result                                                 `cu:"cuMemcpyDtoD_v2"`
	MemAllocHost func(p *unsafe.Pointer, size uintptr) Result                                                `cu:"cuMemAllocHost_v2"`
	MemFreeHost  func(p unsafe.Pointer) Result                                                               `cu:"cuMemFreeHost"`
	MemcpyPeer   func(to Pointer, toContext Context, from Pointer, fromContext Context, size uintptr) Result `cu:"cuMemcpyPeer"`
	MemsetD8     func(to Pointer, value byte, size uintptr) Result                                           `cu:"cuMemsetD8_v2"`

	StreamCreate       func(s *Stream, flags uint32) Result                 `cu:"cuStreamCreate"`
	StreamSynchronize  func(s Stream) Result                                `cu:"cuStreamSynchronize"`
	StreamBeginCapture func(s Stream, mode StreamCaptureMode) Result        `cu:"cuStreamBeginCapture_v2"`
	StreamEndCapture   func(s Stream, g *Graph) Result                      `cu:"cuStreamEndCapture"`
	GraphInstantiate   func(e *GraphExec, g Graph, flags uint64) Result     `cu:"cuGraphInstantiateWithFlags" since:"11.4"`
	GraphExecDestroy   func(e GraphExec) Result                             `cu:"cuGraphExecDestroy"`
	GraphDestroy       func(g Graph) Result                                 `cu:"cuGraphDestroy"`
	EventCreate        func(e *Event, flags uint32) Result                  `cu:"cuEventCreate"`
	EventRecord        func(e Event, s Stream) Result                       `cu:"cuEventRecord"`
	EventSynchronize   func(e Event) Result                                 `cu:"cuEventSynchronize"`
	EventElapsedTime   func(milliseconds *float32, start, end Event) Result `cu:"cuEventElapsedTime"` // the header's name, _v2, came with 12.8
	EventDestroy       func(e Event) Result                                 `cu:"cuEventDestroy_v2"`

	TensorMapEncodeTiled func(m *TensorMap, t TensorMapDataType, rank uint32, address Pointer, dims, strides *uint64, box, elementStrides *uint32,
		interleave TensorMapInterleave, swizzle TensorMapSwizzle, l2 TensorMapL2Promotion, fill TensorMapOOBFill) Result `cu:"cuTensorMapEncodeTiled" since:"12.0"`

	launchKernel, graphLaunch uintptr
}

// names are where the driver is: on the system's search path, and in folders of drivers
// that are not on it (Windows' subsystem for Linux, NixOS).
var names = map[string][]string{
	"linux":   {"libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "/run/opengl-driver/lib/libcuda.so.1"},
	"windows": {"nvcuda.dll"},
}

// ErrMissing is the error of a machine without NVIDIA's driver.
var ErrMissing = errors.New("NVIDIA's driver is not installed")

// Open loads the driver of this machine. One that is there and cannot be loaded is another
// error than ErrMissing.
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

// OpenFile loads the driver in a file.
func OpenFile(path string) (*Library, error) {
	lib, err := dl.Open(path)
	if err != nil {
		return nil, err
	}
	return bind(lib)
}

// bind finds the functions.
func bind(lib dl.Library) (*Library, error) {
	l := new(Library)
	err := lib.RegisterFields(l, "cu")
	if err != nil {
		return nil, fmt.Errorf("%w: the driver is older than CUDA 11.0", err)
	}
	if l.launchKernel, err = lib.Sym("cuLaunchKernel"); err != nil {
		return nil, err
	}
	l.graphLaunch, err = lib.Sym("cuGraphLaunch")
	return l, err
}

// LaunchKernel is cuLaunchKernel with one block of parameters: params points to as many
// addresses of values as the kernel has parameters. It costs little more than the call in C,
// since it is called in timed loops.
func (l *Library) LaunchKernel(f Function, gridX, gridY, gridZ, blockX, blockY, blockZ, shared uint32, s Stream, params *unsafe.Pointer) Result {
	return Result(dl.Call(l.launchKernel, uintptr(f), uintptr(gridX), uintptr(gridY), uintptr(gridZ),
		uintptr(blockX), uintptr(blockY), uintptr(blockZ), uintptr(shared), uintptr(s), uintptr(unsafe.Pointer(params)), 0))
}

// GraphLaunch is cuGraphLaunch.
func (l *Library) GraphLaunch(e GraphExec, s Stream) Result {
	return Result(dl.Call(l.graphLaunch, uintptr(e), uintptr(s)))
}

// An Error is what a function of the driver returned.
type Error struct {
	Result   Result
	Function string // without the prefix cu
	Name     string // "CUDA_ERROR_OUT_OF_MEMORY"
	Text     string // the driver's words
}

func (e *Error) Error() string {
	return fmt.Sprintf("cu%s: %s (%s, %d)", e.Function, e.Text, e.Name, e.Result)
}

// Check returns nil for SUCCESS, and otherwise an *Error of the function.
func (l *Library) Check(function string, r Result) error {
	if r == SUCCESS {
		return nil
	}
	e := &Error{Result: r, Function: function, Name: "CUresult", Text: "an error that the driver does not name"}
	var s *byte
	if l.GetErrorName(r, &s) == SUCCESS && s != nil {
		e.Name = text(s)
	}
	if l.GetErrorString(r, &s) == SUCCESS && s != nil {
		e.Text = text(s)
	}
	return e
}

// Is reports whether err is a result of the driver.
func (r Result) Is(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Result == r
}

// text copies a string of C.
func text(s *byte) string {
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(s), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(s, n))
}

// Text returns what a function wrote into a buffer, up to the zero.
func Text(buffer []byte) string {
	before, _, _ := bytes.Cut(buffer, []byte{0})
	return string(before)
}
