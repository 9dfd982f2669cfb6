package blas

import (
	"fmt"
	"math"
	"runtime"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// dnnlVersion is dnnl_version_t of dnnl_types.h.
type dnnlVersion struct {
	major, minor, patch int32
	_                   *byte  // hash of the sources
	cpuRuntime          uint32 // the threads it was built for, one of dnnl_config.h's DNNL_RUNTIME
	_                   uint32 // the same for the GPU
}

const (
	runtimeSeq  = 1
	runtimeOMP  = 2
	runtimeTBB  = 4
	runtimeSYCL = 512 // which runs on TBB
)

// bindOneDNN uses dnnl_sgemm, the only product that needs none of oneDNN's
// engines, which the SYCL build on PyPI cannot create without a driver of its
// own. https://uxlfoundation.github.io/oneDNN/group_dnnl_api_blas.html
func bindOneDNN(l dl.Library, threads int) (*library, error) {
	sgemm, err := bindSgemm(l)
	if err != nil {
		return nil, err
	}
	var version func() *dnnlVersion
	if err := l.Register(&version, "dnnl_version"); err != nil {
		return nil, err
	}
	v := version()
	lib := &library{
		device:   hardware.Device{Version: fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch)},
		products: map[matrix.DType]product{matrix.Float32: sgemm.product},
	}
	switch v.cpuRuntime {
	case runtimeSeq:
		lib.device.Detail, lib.threads = "sequential", 1
	case runtimeOMP: // found among the libraries that oneDNN depends on
		lib.device.Detail = "OpenMP"
		lib.threads, err = ompThreads(l, threads)
	case runtimeTBB, runtimeSYCL:
		lib.device.Detail = "TBB"
		lib.threads, err = tbbThreads(sgemm, threads)
	default:
		err = fmt.Errorf("oneDNN was built for threads that it gets from its caller (runtime %d)", v.cpuRuntime)
	}
	if err != nil {
		return nil, err
	}
	return lib, nil
}

func ompThreads(l dl.Library, threads int) (int, error) {
	calmOpenMP(l)
	set, err := l.Sym("omp_set_num_threads")
	if err != nil {
		return 0, err
	}
	get, err := l.Sym("omp_get_max_threads")
	if err != nil {
		return 0, err
	}
	if threads > 0 {
		dl.Call(set, uintptr(threads))
	}
	return int(int32(dl.Call(get))), nil
}

// tbbThreads sets the number of TBB's threads. It has no C function for that,
// but makes as many as there are CPUs that the process may use at its first
// work, so that is done while the process is confined to fewer.
func tbbThreads(sgemm dnnlSgemm, threads int) (int, error) {
	if threads == 0 {
		return runtime.NumCPU(), nil
	}
	n := 0
	err := confined(threads, func(cpus int) {
		n = cpus
		const size = 64 // large enough to be spread over threads
		a := make([]float32, size*size)
		c := make([]float32, size*size)
		g := bench.Square(size, matrix.Float32)
		_ = sgemm.product(g, unsafe.Pointer(&a[0]), unsafe.Pointer(&a[0]), unsafe.Pointer(&c[0]))(1)
		runtime.KeepAlive(a)
		runtime.KeepAlive(c)
	})
	return n, err
}

// dnnlSgemm is dnnl_sgemm of dnnl.h: row-major, its sizes 64-bit.
type dnnlSgemm struct {
	fn uintptr
	// call is used where dl's loop cannot pass floating-point numbers: it takes 2 µs
	// more.
	call func(transA, transB byte, m, n, k int64, alpha float32, a unsafe.Pointer, lda int64,
		b unsafe.Pointer, ldb int64, beta float32, c unsafe.Pointer, ldc int64) int32
}

func bindSgemm(l dl.Library) (s dnnlSgemm, err error) {
	if s.fn, err = l.Sym("dnnl_sgemm"); err != nil {
		return s, err
	}
	return s, l.Register(&s.call, "dnnl_sgemm")
}

func (s dnnlSgemm) product(g bench.GEMM, a, b, c unsafe.Pointer) func(times int) error {
	m, n, k := int64(g.M), int64(g.N), int64(g.K)
	transA, lda, transB, ldb := byte('N'), k, byte('N'), n
	if g.TransA {
		transA, lda = 'T', m
	}
	if g.TransB {
		transB, ldb = 'T', k
	}
	failed := func(status uint32) error {
		if status != 0 {
			return fmt.Errorf("dnnl_sgemm: status %d (dnnl_status_t)", status)
		}
		return nil
	}
	if !dl.HasFloats {
		return func(times int) error {
			for range times {
				if err := failed(uint32(s.call(transA, transB, m, n, k, 1, a, lda, b, ldb, 0, c, n))); err != nil {
					return err
				}
			}
			return nil
		}
	}
	loop := &dl.Loop{Func: s.fn, Floats: [2]uint64{uint64(math.Float32bits(1))}, Args: [15]uintptr{
		uintptr(transA), uintptr(transB), uintptr(m), uintptr(n), uintptr(k),
		uintptr(a), uintptr(lda), uintptr(b), uintptr(ldb), uintptr(c), uintptr(n)}}
	return func(times int) error { return failed(loop.Run(times)) }
}
