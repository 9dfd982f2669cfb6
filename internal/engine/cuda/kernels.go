package cuda

import (
	"bytes"
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
	// searchFLOP is up to which size a kernel is not worth compiling to try it out: the figure of
	// a product of 2048³ is there before a second one would be compiled.
	searchFLOP = 2 * 2048 * 2048 * 2048
)

// choose compiles the kernels that are worth it, times them and takes the fastest. One that
// was the fastest before, for the same product on such a card, is taken without timing it.
func (t *task) choose(ctx context.Context, s store, p ptx.Problem, kernels []ptx.Kernel, tell func(bench.Tuning)) error {
	card := fmt.Sprintf("%s, %+v, CUDA %d", t.gpu.device.Name, t.gpu.card, t.gpu.driver)
	choice := choiceOf(card, p, kernels)
	if name := s.choice(choice); name != "" {
		for _, k := range kernels {
			if k.Name == name {
				kernels = []ptx.Kernel{k}
				break
			}
		}
	}
	variants := make([]variant, len(kernels))
	for i, k := range kernels {
		variants[i] = t.kernel(ctx, s, card, k)
	}
	// A kernel whose code is kept needs a few milliseconds, another one some tenths of a second.
	found, err := t.search(ctx, variants, tell, func(v variant, spent time.Duration) bool {
		return spent < searchTime && (s.has(v.code) || t.gemm.FLOP() > searchFLOP)
	})
	if err == nil && len(variants) > 1 && found.tried == len(variants) {
		s.keepChoice(choice, t.product.name)
	}
	return err
}

// kernel is a variant that computes with a kernel.
func (t *task) kernel(ctx context.Context, s store, card string, k ptx.Kernel) variant {
	var calls []call
	return variant{
		name:      k.Name,
		code:      codeOf(card, k.Text),
		workspace: k.Workspace,
		prepare: func(work cuda.Pointer) error {
			if calls != nil {
				return nil
			}
			module, err := t.gpu.module(s, card, k)
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

// module returns the compiled module of a kernel: one that was loaded or kept before, or
// else a new one. On the GPU's thread.
func (g *gpu) module(s store, card string, k ptx.Kernel) (cuda.Module, error) {
	key := codeOf(card, k.Text)
	if m, ok := g.modules[key]; ok {
		return m, nil
	}
	if cubin := s.code(key); cubin != nil {
		// One that is damaged, or that the driver does not take any more, is made again.
		if m, err := g.load(cubin); err == nil {
			g.modules[key] = m
			return m, nil
		}
	}
	cubin, err := g.compile(k)
	if err != nil {
		return 0, err
	}
	m, err := g.load(cubin)
	if err != nil {
		return 0, err
	}
	s.keepCode(key, cubin)
	g.modules[key] = m
	return m, nil
}

// load loads compiled code.
func (g *gpu) load(cubin []byte) (cuda.Module, error) {
	var m cuda.Module
	err := g.check("ModuleLoadDataEx", g.lib.ModuleLoadDataEx(&m, unsafe.Pointer(&cubin[0]), 0, nil, nil))
	runtime.KeepAlive(cubin)
	return m, err
}

// compile has the driver compile a module, and returns the code for the GPU.
func (g *gpu) compile(k ptx.Kernel) ([]byte, error) {
	text := append([]byte(k.Text), 0)
	log := new([8 << 10]byte)
	var pin runtime.Pinner
	pin.Pin(log)
	defer pin.Unpin()
	keys := []cuda.JITOption{cuda.JIT_ERROR_LOG_BUFFER, cuda.JIT_ERROR_LOG_BUFFER_SIZE_BYTES}
	values := []uintptr{uintptr(unsafe.Pointer(log)), uintptr(len(log))}
	failed := func(function string, r cuda.Result) error {
		err := g.check(function, r)
		if r == cuda.ERROR_UNSUPPORTED_PTX_VERSION {
			return fault.Errorf(fault.Unsupported, "the driver, of CUDA %s, does not compile PTX %d.%d: %v", cudaVersion(g.driver), k.ISA/10, k.ISA%10, err).
				With(fault.Advice("update the NVIDIA driver")...)
		}
		if said := strings.TrimSpace(cuda.Text(log[:])); said != "" {
			return fmt.Errorf("%w: %s", err, said)
		}
		return err
	}
	var state cuda.LinkState
	if r := g.lib.LinkCreate(uint32(len(keys)), &keys[0], &values[0], &state); r != cuda.SUCCESS {
		return nil, failed("LinkCreate", r)
	}
	defer g.lib.LinkDestroy(state) // frees the code
	if r := g.lib.LinkAddData(state, cuda.JIT_INPUT_PTX, unsafe.Pointer(&text[0]), uintptr(len(text)), cstring(k.Name), 0, nil, nil); r != cuda.SUCCESS {
		return nil, failed("LinkAddData", r)
	}
	var cubin unsafe.Pointer
	var size uintptr
	if r := g.lib.LinkComplete(state, &cubin, &size); r != cuda.SUCCESS {
		return nil, failed("LinkComplete", r)
	}
	return bytes.Clone(unsafe.Slice((*byte)(cubin), size)), nil
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
