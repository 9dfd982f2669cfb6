package cuda

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/cuda"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/ptx"
)

const (
	// searchTime is how long trying out kernels may take, with compiling them.
	searchTime = 500 * time.Millisecond
	// searchFLOP is the size up to which the first kernel is taken as it is: the figure of a
	// product of 2048³ is there before a second kernel would be compiled.
	searchFLOP = 2 * 2048 * 2048 * 2048
)

// choose compiles the kernels that are worth it, times them and takes the fastest. One that
// was the fastest before, for the same product on such a card, is taken without timing it.
func (t *task) choose(ctx context.Context, e *Engine, p ptx.Problem, kernels []ptx.Kernel, tell func(bench.Tuning)) error {
	card := fmt.Sprintf("%s, %+v, CUDA %d", t.gpu.device.Name, t.gpu.card, t.gpu.driver)
	choice := choiceOf(card, p, kernels)
	s := store{e.options.Cache}
	if name := s.get(choice); name != "" {
		for _, k := range kernels {
			if k.Name == name {
				kernels = []ptx.Kernel{k}
				break
			}
		}
	}
	variants := make([]variant, len(kernels))
	for i, k := range kernels {
		variants[i] = t.kernel(k)
	}
	found, err := t.search(ctx, variants, tell, func(spent time.Duration) bool {
		return spent < e.searchTime && t.gemm.FLOP() > e.searchFLOP
	})
	if err == nil && len(variants) > 1 && found.tried == len(variants) {
		s.keep(choice, t.product.name)
	}
	return err
}

// kernel is a variant that computes with a kernel.
func (t *task) kernel(k ptx.Kernel) variant {
	var calls []call
	return variant{
		name:      k.Name,
		workspace: k.Workspace,
		prepare: func(work cuda.Pointer) error {
			if calls != nil {
				return nil
			}
			module, err := t.gpu.module(k)
			if err != nil {
				return err
			}
			calls, err = t.calls(module, k, work)
			return err
		},
		enqueue: func(stream cuda.Stream) error {
			for i := range calls {
				if r := calls[i].launch(t.gpu.lib, stream); r != cuda.SUCCESS {
					return t.gpu.check("LaunchKernel", r)
				}
			}
			return nil
		},
	}
}

// module returns the module of a kernel, compiled by the driver, which keeps what it made in
// the folder that CUDA_CACHE_PATH names. (Linking with cuLinkAddData would give the code to keep,
// but other code: a kernel with many registers had less than half its speed.) On the GPU's thread.
func (g *gpu) module(k ptx.Kernel) (cuda.Module, error) {
	if m, ok := g.modules[k.Text]; ok {
		return m, nil
	}
	text := append([]byte(k.Text), 0)
	log := new([8 << 10]byte)
	var pin runtime.Pinner
	pin.Pin(log)
	defer pin.Unpin()
	keys := []cuda.JITOption{cuda.JIT_ERROR_LOG_BUFFER, cuda.JIT_ERROR_LOG_BUFFER_SIZE_BYTES}
	values := []uintptr{uintptr(unsafe.Pointer(log)), uintptr(len(log))}
	var m cuda.Module
	r := g.lib.ModuleLoadDataEx(&m, unsafe.Pointer(&text[0]), uint32(len(keys)), &keys[0], &values[0])
	err := g.check("ModuleLoadDataEx", r)
	switch said := strings.TrimSpace(cuda.Text(log[:])); {
	case r == cuda.ERROR_UNSUPPORTED_PTX_VERSION:
		return 0, fault.Errorf(fault.Unsupported, "the driver, of CUDA %s, does not compile PTX %d.%d: %v", cudaVersion(g.driver), k.ISA/10, k.ISA%10, err).
			With(fault.Advice("update the NVIDIA driver")...)
	case err != nil && said != "":
		return 0, fmt.Errorf("%w: %s", err, said)
	case err != nil:
		return 0, err
	}
	g.modules[k.Text] = m
	return m, nil
}

// cstring returns the address of a text that ends with a zero.
func cstring(s string) *byte { return &append([]byte(s), 0)[0] }

// A call is a launch with its arguments in memory, as cuLaunchKernel takes them.
type call struct {
	function    cuda.Function
	grid, block [3]uint32
	shared      uint32
	values      []unsafe.Pointer // the addresses of the arguments, which they keep alive
}

// manyShared is above how many bytes of dynamic shared memory a function has to be allowed to
// use them.
const manyShared = 48 << 10

// calls prepares the launches of a kernel.
func (t *task) calls(m cuda.Module, k ptx.Kernel, work cuda.Pointer) ([]call, error) {
	lib := t.gpu.lib
	at := map[ptx.ParamKind]cuda.Pointer{ptx.A: t.a, ptx.B: t.b, ptx.C: t.c, ptx.Work: work}
	var list []call
	for _, l := range k.Launches {
		c := call{shared: uint32(l.Shared)}
		for i := range 3 {
			c.grid[i], c.block[i] = uint32(l.Grid[i]), uint32(l.Block[i])
		}
		if err := t.gpu.check("ModuleGetFunction", lib.ModuleGetFunction(&c.function, m, cstring(l.Entry))); err != nil {
			return nil, err
		}
		if l.Shared > manyShared {
			if err := t.gpu.check("FuncSetAttribute", lib.FuncSetAttribute(c.function, cuda.FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, int32(l.Shared))); err != nil {
				return nil, err
			}
		}
		for _, p := range l.Params {
			switch p.Kind {
			case ptx.Word:
				word := p.Word
				c.values = append(c.values, unsafe.Pointer(&word))
			case ptx.Map:
				m, err := t.tensorMap(*p.Map, at[p.Map.Of])
				if err != nil {
					return nil, err
				}
				c.values = append(c.values, unsafe.Pointer(m))
			default:
				address := at[p.Kind] + cuda.Pointer(p.Offset)
				c.values = append(c.values, unsafe.Pointer(&address))
			}
		}
		list = append(list, c)
	}
	return list, nil
}

func (c *call) launch(lib *cuda.Library, s cuda.Stream) cuda.Result {
	r := lib.LaunchKernel(c.function, c.grid[0], c.grid[1], c.grid[2], c.block[0], c.block[1], c.block[2], c.shared, s, &c.values[0])
	runtime.KeepAlive(c.values)
	return r
}

// tensorTypes are the types of tensor maps. Bits are copied as they are, so that int8 may be
// called unsigned, the only one there is of that size.
var tensorTypes = map[matrix.DType]cuda.TensorMapDataType{
	matrix.Float64: cuda.TENSOR_MAP_DATA_TYPE_FLOAT64, matrix.Float32: cuda.TENSOR_MAP_DATA_TYPE_FLOAT32, matrix.TF32: cuda.TENSOR_MAP_DATA_TYPE_FLOAT32,
	matrix.Float16: cuda.TENSOR_MAP_DATA_TYPE_FLOAT16, matrix.BFloat16: cuda.TENSOR_MAP_DATA_TYPE_BFLOAT16,
	matrix.Int8: cuda.TENSOR_MAP_DATA_TYPE_UINT8, matrix.Int32: cuda.TENSOR_MAP_DATA_TYPE_INT32,
}

var swizzles = map[int]cuda.TensorMapSwizzle{
	0: cuda.TENSOR_MAP_SWIZZLE_NONE, 32: cuda.TENSOR_MAP_SWIZZLE_32B, 64: cuda.TENSOR_MAP_SWIZZLE_64B, 128: cuda.TENSOR_MAP_SWIZZLE_128B,
}

// tensorMap has the driver encode a tensor map of a matrix at an address.
func (t *task) tensorMap(m ptx.TensorMap, at cuda.Pointer) (*cuda.TensorMap, error) {
	lib := t.gpu.lib
	if lib.TensorMapEncodeTiled == nil {
		return nil, fault.Errorf(fault.Unsupported, "the driver, of CUDA %s, has no tensor maps: CUDA 12.0 is needed", cudaVersion(t.gpu.driver)).
			With(fault.Advice("update the NVIDIA driver")...)
	}
	stride := m.Stride
	if stride == 0 {
		stride = m.Cols * m.DType.Size()
	}
	out := cuda.NewTensorMap()
	dims, strides := []uint64{uint64(m.Cols), uint64(m.Rows)}, []uint64{uint64(stride)}
	box, one := []uint32{uint32(m.BoxCols), uint32(m.BoxRows)}, []uint32{1, 1}
	err := t.gpu.check("TensorMapEncodeTiled", lib.TensorMapEncodeTiled(out, tensorTypes[m.DType], 2, at+cuda.Pointer(m.Offset), &dims[0], &strides[0], &box[0], &one[0],
		cuda.TENSOR_MAP_INTERLEAVE_NONE, swizzles[m.Swizzle], cuda.TENSOR_MAP_L2_PROMOTION_L2_256B, cuda.TENSOR_MAP_FLOAT_OOB_FILL_NONE))
	return out, err
}
