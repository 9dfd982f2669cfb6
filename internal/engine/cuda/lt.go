package cuda

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/cublaslt"
	"github.com/gpuplay/gpuplay/internal/ffi/cuda"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// An Lt is a bench.Engine with NVIDIA's cuBLASLt. Of the algorithms that the library
// proposes, it computes with the fastest, and notes how much longer the first one takes, which
// others use. It sums no elements of C.
type Lt struct {
	options Options
	machine machine

	// Known once Devices has returned without an error.
	lib     *cublaslt.Library
	missing error
	handles map[*gpu]cublaslt.Handle // each known to the thread of its GPU only
}

var _ bench.Engine = (*Lt)(nil)

// NewLt returns an engine that has not looked for the library yet.
func NewLt(o Options) *Lt {
	return &Lt{options: o, machine: machine{open: cuda.Open}, handles: map[*gpu]cublaslt.Handle{}}
}

// Name is "cublaslt".
func (e *Lt) Name() string { return "cublaslt" }

// Devices returns the GPUs that the driver lets this process use. A machine without a driver,
// a GPU or the library is fault.Unavailable.
func (e *Lt) Devices(ctx context.Context) (hardware.Inventory, error) {
	gpus, err := e.machine.find(ctx)
	if err != nil {
		return hardware.Inventory{}, err
	}
	if e.lib == nil && e.missing == nil {
		e.lib, e.missing = findLt(e.options.Dirs)
	}
	if e.missing != nil {
		return hardware.Inventory{}, e.missing
	}
	var inv hardware.Inventory
	for _, g := range gpus {
		d := g.device
		d.Library, d.Version, d.File = "cuBLASLt", e.lib.Version(), e.lib.File()
		inv.Devices = append(inv.Devices, d)
	}
	return inv, nil
}

// ltTypes are the types of a product in the library.
type ltTypes struct {
	in, out, scale cublaslt.DataType
	compute        cublaslt.ComputeType
	one            uint64 // the bits of the number 1 in the type of scale
}

const (
	oneFloat64 = 0x3ff0_0000_0000_0000
	oneFloat32 = 0x3f80_0000
)

var ltProducts = map[matrix.DType]ltTypes{ // by the type of sums, and by that of operands where it is float32
	matrix.Float64:  {cublaslt.R_64F, cublaslt.R_64F, cublaslt.R_64F, cublaslt.COMPUTE_64F, oneFloat64},
	matrix.Float32:  {cublaslt.R_32F, cublaslt.R_32F, cublaslt.R_32F, cublaslt.COMPUTE_32F, oneFloat32},
	matrix.TF32:     {cublaslt.R_32F, cublaslt.R_32F, cublaslt.R_32F, cublaslt.COMPUTE_32F_FAST_TF32, oneFloat32},
	matrix.Float16:  {cublaslt.R_16F, cublaslt.R_16F, cublaslt.R_32F, cublaslt.COMPUTE_32F, oneFloat32},
	matrix.BFloat16: {cublaslt.R_16BF, cublaslt.R_16BF, cublaslt.R_32F, cublaslt.COMPUTE_32F, oneFloat32},
	matrix.Int8:     {cublaslt.R_8I, cublaslt.R_32I, cublaslt.R_32I, cublaslt.COMPUTE_32I, 1},
}

func ltOf(g bench.GEMM) ltTypes {
	if g.Acc == matrix.TF32 {
		return ltProducts[matrix.TF32]
	}
	return ltProducts[g.In]
}

// Prepare fills the operands and times the algorithms that the library proposes.
func (e *Lt) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	if _, err := e.Devices(ctx); err != nil {
		return nil, err
	}
	gpu, err := e.machine.gpu(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	if err := check(g); err != nil {
		return nil, err
	}
	t, err := newTask(ctx, gpu, g, seed, "cuBLASLt")
	if err != nil {
		return nil, err
	}
	if err := e.choose(ctx, t, tell); err != nil {
		return nil, closing(t, err)
	}
	if err := t.capture(ctx); err != nil {
		return nil, closing(t, err)
	}
	return t, nil
}

const (
	// ltWorkspace is how much scratch memory an algorithm may use.
	ltWorkspace = 256 << 20
	// ltAlgorithms is how many algorithms the library is asked for.
	ltAlgorithms = 16
	// ltSearchTime is how long trying them out may take.
	ltSearchTime = time.Second
)

// choose asks the library for algorithms and takes the fastest.
func (e *Lt) choose(ctx context.Context, t *task, tell func(bench.Tuning)) error {
	var list []variant
	if err := t.do(ctx, func() (err error) {
		list, err = e.algorithms(t)
		return err
	}); err != nil {
		return err
	}
	f, err := t.search(ctx, list, tell, func(spent time.Duration) bool { return spent < ltSearchTime })
	if err != nil {
		return err
	}
	if f.tried > 1 {
		t.notes = append(t.notes, ltNote(t.product.name, f, t.seconds))
	}
	return nil
}

// ltNote says which algorithm computes, and how much longer the first one takes, unless that
// is less than half a percent, or the first one did not work.
func ltNote(name string, f found, fastest float64) string {
	note := fmt.Sprintf("%s, the fastest of %d that cuBLASLt proposes", name, f.tried)
	if ratio := f.first / fastest; ratio >= 1.005 {
		note += fmt.Sprintf(": the first of them takes %.2f times as long", ratio)
	}
	return note
}

// algorithms returns those that the library proposes for a task. Read as the columns that the
// library expects, our rows hold the transposes: it computes Cᵀ = op(B)ᵀ·op(A)ᵀ.
func (e *Lt) algorithms(t *task) ([]variant, error) {
	lib, g, types := e.lib, t.gemm, ltOf(t.gemm)
	h := e.handles[t.gpu]
	if h == 0 {
		if err := ltCheck(lib, "Create", lib.Create(&h)); err != nil {
			return nil, err
		}
		e.handles[t.gpu] = h
	}
	p := &ltProduct{lib: lib, handle: h, task: t, one: types.one}
	t.closers = append(t.closers, p.close)
	if err := ltCheck(lib, "MatmulDescCreate", lib.DescCreate(&p.desc, types.compute, types.scale)); err != nil {
		return nil, err
	}
	for _, o := range []struct {
		layout        *cublaslt.MatrixLayout
		attribute     cublaslt.DescAttribute
		transposed    bool
		dtype         cublaslt.DataType
		rows, columns int // of ours, as a matrix of rows
	}{
		{&p.first, cublaslt.MATMUL_DESC_TRANSA, g.TransB, types.in, g.K, g.N},
		{&p.second, cublaslt.MATMUL_DESC_TRANSB, g.TransA, types.in, g.M, g.K},
		{&p.out, 0, false, types.out, g.M, g.N},
	} {
		rows, columns := o.rows, o.columns
		if o.transposed {
			rows, columns = columns, rows
			op := cublaslt.OP_T
			if err := ltCheck(lib, "MatmulDescSetAttribute", lib.DescSet(p.desc, o.attribute, unsafe.Pointer(&op), unsafe.Sizeof(op))); err != nil {
				return nil, err
			}
		}
		if err := ltCheck(lib, "MatrixLayoutCreate", lib.LayoutCreate(o.layout, o.dtype, uint64(columns), uint64(rows), int64(columns))); err != nil {
			return nil, err
		}
	}
	var preference cublaslt.Preference
	if err := ltCheck(lib, "MatmulPreferenceCreate", lib.PrefCreate(&preference)); err != nil {
		return nil, err
	}
	defer lib.PrefDestroy(preference)
	most := uint64(ltWorkspace)
	if err := ltCheck(lib, "MatmulPreferenceSetAttribute", lib.PrefSet(preference, cublaslt.MATMUL_PREF_MAX_WORKSPACE_BYTES, unsafe.Pointer(&most), unsafe.Sizeof(most))); err != nil {
		return nil, err
	}
	results := make([]cublaslt.HeuristicResult, ltAlgorithms)
	var count int32
	status := lib.GetHeuristic(h, p.desc, p.first, p.second, p.out, p.out, preference, ltAlgorithms, &results[0], &count)
	if status == cublaslt.NOT_SUPPORTED || status == cublaslt.INVALID_VALUE || status == cublaslt.SUCCESS && count == 0 {
		return nil, fault.Errorf(fault.Unsupported, "cuBLASLt has no code for %s of %s%s", unit.Cube(g.M, g.N, g.K), g.In, ltLimits(g))
	}
	if err := ltCheck(lib, "MatmulAlgoGetHeuristic", status); err != nil {
		return nil, err
	}
	var list []variant
	for i := range results[:count] {
		r := &results[i]
		if r.State == cublaslt.SUCCESS {
			list = append(list, p.variant(fmt.Sprintf("algorithm %d", i+1), r))
		}
	}
	return list, nil
}

// ltLimits says what the library may lack.
func ltLimits(g bench.GEMM) string {
	if g.In == matrix.Int8 && (!g.TransB || g.TransA || g.K%4 != 0 || g.N%4 != 0) {
		return " in this layout: int8 needs a transposed B, and lengths that are multiples of 4"
	}
	return ""
}

// ltCheck returns the error of a function of the library, with its code.
func ltCheck(lib *cublaslt.Library, function string, s cublaslt.Status) error {
	err := lib.Check(function, s)
	if s == cublaslt.ALLOC_FAILED {
		return fault.Errorf(fault.OutOfMemory, "%v", err).With(fault.Change("size", "a smaller {}"))
	}
	return err
}

// An ltProduct is a product as the library describes it.
type ltProduct struct {
	lib                *cublaslt.Library
	handle             cublaslt.Handle
	task               *task
	desc               cublaslt.MatmulDesc
	first, second, out cublaslt.MatrixLayout // of the matrices that the library calls A, B and C
	one, zero          uint64                // bits of the numbers by which products are multiplied, and C before
}

func (p *ltProduct) variant(name string, r *cublaslt.HeuristicResult) variant {
	t := p.task
	return variant{
		name:      name,
		workspace: int(r.WorkspaceSize),
		prepare:   func(cuda.Pointer) error { return nil },
		enqueue: func(s cuda.Stream) error {
			status := p.lib.Matmul(p.handle, p.desc, unsafe.Pointer(&p.one), t.b, p.first, t.a, p.second, unsafe.Pointer(&p.zero), t.c, p.out, &r.Algo, t.work, r.WorkspaceSize, s)
			runtime.KeepAlive(p)
			if status != cublaslt.SUCCESS {
				return ltCheck(p.lib, "Matmul", status)
			}
			return nil
		},
	}
}

func (p *ltProduct) close() error {
	var err error
	for _, l := range []cublaslt.MatrixLayout{p.first, p.second, p.out} {
		if l != 0 {
			err = errors.Join(err, ltCheck(p.lib, "MatrixLayoutDestroy", p.lib.LayoutDestroy(l)))
		}
	}
	if p.desc != 0 {
		err = errors.Join(err, ltCheck(p.lib, "MatmulDescDestroy", p.lib.DescDestroy(p.desc)))
	}
	return err
}
