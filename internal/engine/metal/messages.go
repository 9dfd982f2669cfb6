package metal

import (
	"runtime"
	"structs"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/ffi/objc"
)

type id = objc.ID

// Structures of Apple's headers.
type (
	// mtlSize is MTLSize.
	mtlSize struct {
		_                    structs.HostLayout
		Width, Height, Depth uint
	}
	// osVersion is NSOperatingSystemVersion.
	osVersion struct {
		_                   structs.HostLayout
		Major, Minor, Patch int
	}
)

// Constants of Apple's headers, as github.com/madsmtm/objc2-generated has them.
const (
	familyApple7         = 1007    // MTLGPUFamilyApple7: M1, the first with simdgroup matrices
	language3_1          = 0x30001 // MTLLanguageVersion3_1, from macOS 14 on
	storageShared        = 0       // MTLResourceStorageModeShared
	statusCompleted      = 4       // MTLCommandBufferStatusCompleted
	errorTimeout         = 2       // MTLCommandBufferErrorTimeout
	errorOutOfMemory     = 8       // MTLCommandBufferErrorOutOfMemory
	optimizationLevel0   = 0       // MPSGraphOptimizationLevel0: on the GPU alone, not on the Neural Engine
	dataFloat32          = 0x10000020
	dataFloat16          = 0x10000010
	dataBFloat16         = 0x90000010
	errorDomainOfCommand = "MTLCommandBufferErrorDomain"
)

// The messages, each declared once. Tests compare them with Apple's headers, and Verify
// with the frameworks of the Mac that it runs on.
var (
	alloc  = objc.Declare[func(id) id]("+[NSObject alloc]")
	create = objc.Declare[func(id) id]("+[NSObject new]")
	retain = objc.Declare[func(id) id]("-[NSObject retain]")

	stringFrom     = objc.Declare[func(class id, text string) id]("+[NSString stringWithUTF8String:]")
	stringText     = objc.Declare[func(id) string]("-[NSString UTF8String]")
	numberFrom     = objc.Declare[func(class id, n uint) id]("+[NSNumber numberWithUnsignedInteger:]")
	arrayFrom      = objc.Declare[func(class id, objects unsafe.Pointer, n uint) id]("+[NSArray arrayWithObjects:count:]")
	arrayCount     = objc.Declare[func(id) uint]("-[NSArray count]")
	arrayAt        = objc.Declare[func(_ id, i uint) id]("-[NSArray objectAtIndex:]")
	dictionaryFrom = objc.Declare[func(class id, objects, keys unsafe.Pointer, n uint) id]("+[NSDictionary dictionaryWithObjects:forKeys:count:]")
	errorDomain    = objc.Declare[func(id) id]("-[NSError domain]")
	errorCode      = objc.Declare[func(id) int]("-[NSError code]")
	errorText      = objc.Declare[func(id) id]("-[NSError localizedDescription]")
	processInfo    = objc.Declare[func(class id) id]("+[NSProcessInfo processInfo]")
	systemVersion  = objc.Declare[func(id) osVersion]("-[NSProcessInfo operatingSystemVersion]")

	deviceName     = objc.Declare[func(id) id]("-[MTLDevice name]")
	supportsFamily = objc.Declare[func(_ id, family int) bool]("-[MTLDevice supportsFamily:]")
	maxBuffer      = objc.Declare[func(id) uint]("-[MTLDevice maxBufferLength]")
	workingSet     = objc.Declare[func(id) uint64]("-[MTLDevice recommendedMaxWorkingSetSize]")
	newQueue       = objc.Declare[func(id) id]("-[MTLDevice newCommandQueue]")
	newBuffer      = objc.Declare[func(_ id, length, options uint) id]("-[MTLDevice newBufferWithLength:options:]")
	newLibrary     = objc.Declare[func(_, source, options id, err *id) id]("-[MTLDevice newLibraryWithSource:options:error:]")
	setLanguage    = objc.Declare[func(_ id, version uint)]("-[MTLCompileOptions setLanguageVersion:]")
	newPipeline    = objc.Declare[func(_, function id, err *id) id]("-[MTLDevice newComputePipelineStateWithFunction:error:]")
	newFunction    = objc.Declare[func(_, name id) id]("-[MTLLibrary newFunctionWithName:]")
	maxThreads     = objc.Declare[func(id) uint]("-[MTLComputePipelineState maxTotalThreadsPerThreadgroup]")
	contents       = objc.Declare[func(id) unsafe.Pointer]("-[MTLBuffer contents]")

	commandBuffer  = objc.Declare[func(queue id) id]("-[MTLCommandQueue commandBuffer]")
	commit         = objc.Declare[func(id)]("-[MTLCommandBuffer commit]")
	wait           = objc.Declare[func(id)]("-[MTLCommandBuffer waitUntilCompleted]")
	status         = objc.Declare[func(id) uint]("-[MTLCommandBuffer status]")
	commandError   = objc.Declare[func(id) id]("-[MTLCommandBuffer error]")
	gpuStart       = objc.Declare[func(id) float64]("-[MTLCommandBuffer GPUStartTime]")
	gpuEnd         = objc.Declare[func(id) float64]("-[MTLCommandBuffer GPUEndTime]")
	computeEncoder = objc.Declare[func(id) id]("-[MTLCommandBuffer computeCommandEncoder]")
	endEncoding    = objc.Declare[func(id)]("-[MTLCommandEncoder endEncoding]")
	setPipeline    = objc.Declare[func(_, pipeline id)]("-[MTLComputeCommandEncoder setComputePipelineState:]")
	setBuffer      = objc.Declare[func(_, buffer id, offset, index uint)]("-[MTLComputeCommandEncoder setBuffer:offset:atIndex:]")
	setBytes       = objc.Declare[func(_ id, bytes unsafe.Pointer, length, index uint)]("-[MTLComputeCommandEncoder setBytes:length:atIndex:]")
	dispatch       = objc.Declare[func(_ id, groups, threads mtlSize)]("-[MTLComputeCommandEncoder dispatchThreadgroups:threadsPerThreadgroup:]")

	matrixDescriptor = objc.Declare[func(class id, rows, columns, rowBytes uint, dataType uint32) id]("+[MPSMatrixDescriptor matrixDescriptorWithRows:columns:rowBytes:dataType:]")
	initMatrix       = objc.Declare[func(_, buffer id, offset uint, descriptor id) id]("-[MPSMatrix initWithBuffer:offset:descriptor:]")
	initProduct      = objc.Declare[func(_, device id, left, right bool, rows, columns, interior uint, alpha, beta float64) id]("-[MPSMatrixMultiplication initWithDevice:transposeLeft:transposeRight:resultRows:resultColumns:interiorColumns:alpha:beta:]")
	encodeProduct    = objc.Declare[func(_, commands, left, right, result id)]("-[MPSMatrixMultiplication encodeToCommandBuffer:leftMatrix:rightMatrix:resultMatrix:]")

	graphCommands  = objc.Declare[func(class, queue id) id]("+[MPSCommandBuffer commandBufferFromCommandQueue:]")
	currentBuffer  = objc.Declare[func(id) id]("-[MPSCommandBuffer commandBuffer]")
	placeholder    = objc.Declare[func(_, shape id, dataType uint32, name id) id]("-[MPSGraph placeholderWithShape:dataType:name:]")
	transpose      = objc.Declare[func(_, tensor id, dimension, with uint, name id) id]("-[MPSGraph transposeTensor:dimension:withDimension:name:]")
	multiply       = objc.Declare[func(_, left, right, name id) id]("-[MPSGraph matrixMultiplicationWithPrimaryTensor:secondaryTensor:name:]")
	encodeGraph    = objc.Declare[func(_, commands, feeds, operations, results, descriptor id)]("-[MPSGraph encodeToCommandBuffer:feeds:targetOperations:resultsDictionary:executionDescriptor:]")
	initTensorData = objc.Declare[func(_, buffer, shape id, dataType uint32) id]("-[MPSGraphTensorData initWithMTLBuffer:shape:dataType:]")
	setLevel       = objc.Declare[func(_ id, level uint)]("-[MPSGraphCompilationDescriptor setOptimizationLevel:]")
	setCompilation = objc.Declare[func(_, descriptor id)]("-[MPSGraphExecutionDescriptor setCompilationDescriptor:]")
)

// text copies an NSString, which may be nil.
func text(s id) string {
	if s == 0 {
		return ""
	}
	return stringText(s)
}

// nsString, nsArray, shape and dictionary make objects that belong to the pool.
func nsString(s string) id { return stringFrom(objc.Class("NSString"), s) }

func nsArray(objects ...id) id {
	a := arrayFrom(objc.Class("NSArray"), unsafe.Pointer(unsafe.SliceData(objects)), uint(len(objects)))
	runtime.KeepAlive(objects)
	return a
}

func shape(rows, columns int) id {
	number := objc.Class("NSNumber")
	return nsArray(numberFrom(number, uint(rows)), numberFrom(number, uint(columns)))
}

func dictionary(keys, objects []id) id {
	d := dictionaryFrom(objc.Class("NSDictionary"), unsafe.Pointer(unsafe.SliceData(objects)), unsafe.Pointer(unsafe.SliceData(keys)), uint(len(keys)))
	runtime.KeepAlive(keys)
	runtime.KeepAlive(objects)
	return d
}
