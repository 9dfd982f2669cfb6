package metal

import (
	_ "embed"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/objc"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// kernelSource is compiled by Metal for the type T that precedes it.
//
//go:embed gemm.metal
var kernelSource string

// The kernel's tile of C, in rows and columns, and its threads: gemm.metal has the same
// numbers.
const (
	kernelTile    = 32
	kernelThreads = 128
)

// kernelTypes are the names of the element types in Metal's language.
var kernelTypes = map[matrix.DType]string{matrix.Float32: "float", matrix.Float16: "half", matrix.BFloat16: "bfloat"}

// pipeline compiles the kernel, once for each type.
func (u *gpu) pipeline(d matrix.DType) (id, error) {
	if p := u.pipelines[d]; p != 0 {
		return p, nil
	}
	var options id
	if d == matrix.BFloat16 { // whose type, and matrices of it, are in the language from 3.1 on
		options = create(objc.Class("MTLCompileOptions"))
		defer objc.Release(options)
		setLanguage(options, language3_1)
	}
	var e id // may also hold warnings, where there is a result
	library := newLibrary(u.device, nsString("typedef "+kernelTypes[d]+" T;\n"+kernelSource), options, &e)
	if library == 0 {
		return 0, failure("compiling gpuplay's kernel", e)
	}
	defer objc.Release(library)
	function := newFunction(library, nsString("gemm"))
	if function == 0 {
		return 0, fault.Errorf(fault.Internal, "gpuplay's kernel has no function gemm")
	}
	defer objc.Release(function)
	e = 0
	p := newPipeline(u.device, function, &e)
	if p == 0 {
		return 0, failure("compiling gpuplay's kernel for "+u.name, e)
	}
	if most := maxThreads(p); most < kernelThreads {
		objc.Release(p)
		return 0, fault.Errorf(fault.Unsupported, "gpuplay's kernel needs %d threads in a group: %s has %d for it", kernelThreads, u.name, most)
	}
	u.pipelines[d] = p
	return p, nil
}

// product is struct Product of gemm.metal.
func product(m, n, k int, transA, transB bool) *[5]uint32 {
	flag := func(b bool) uint32 {
		if b {
			return 1
		}
		return 0
	}
	return &[5]uint32{uint32(m), uint32(n), uint32(k), flag(transA), flag(transB)}
}

// groups returns how many threadgroups compute C.
func groups(m, n int) mtlSize {
	return mtlSize{Width: uint((n + kernelTile - 1) / kernelTile), Height: uint((m + kernelTile - 1) / kernelTile), Depth: 1}
}

// prepareKernel compiles gpuplay's kernel.
func (t *task) prepareKernel() error {
	g := t.gemm
	p, err := t.gpu.pipeline(g.In)
	if err != nil {
		return err
	}
	numbers, grid := product(g.M, g.N, g.K, g.TransA, g.TransB), groups(g.M, g.N)
	t.encode = func(commands id, set int) {
		e := computeEncoder(commands)
		setPipeline(e, p)
		setBuffer(e, t.a[set].object, 0, 0)
		setBuffer(e, t.b.object, 0, 1)
		setBuffer(e, t.c.object, uint(t.front), 2)
		setBytes(e, unsafe.Pointer(numbers), uint(unsafe.Sizeof(*numbers)), 3)
		dispatch(e, grid, mtlSize{Width: kernelThreads, Height: 1, Depth: 1})
		endEncoding(e)
	}
	return nil
}
