package blas

import (
	"maps"
	"math"
	"runtime"
	"slices"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A kind is one make of BLAS.
type kind struct {
	api     string   // the interface
	library string   // as its maker writes it
	marks   []string // a symbol that tells its libraries from those of other kinds, by its names
	bind    func(l dl.Library, threads int) (*library, error)
}

// mark returns the address of the symbol that marks l as one of kind k, or 0.
func (k *kind) mark(l dl.Library) uintptr {
	for _, name := range k.marks {
		if addr, err := l.Sym(name); err == nil {
			return addr
		}
	}
	return 0
}

// path returns the file of a library of kind k, "" where the system does not know.
func (k *kind) path(l dl.Library) string {
	for _, name := range k.marks {
		if path := l.Path(name); path != "" {
			return path
		}
	}
	return ""
}

// kinds are all makes, in the order of their devices.
var kinds = []*kind{
	{"accelerate", "Accelerate", []string{"vDSP_vadd"}, bindAccelerate},
	{"openblas", "OpenBLAS", []string{"openblas_get_config", "scipy_openblas_get_config", "scipy_openblas_get_config64_"}, bindOpenBLAS},
	{"mkl", "MKL", []string{"MKL_Get_Version"}, bindMKL},
	{"onednn", "oneDNN", []string{"dnnl_version"}, bindOneDNN},
	{"blis", "BLIS", []string{"bli_info_get_version_str"}, bindBLIS},
}

// APIs returns the names of the libraries that may be devices of the engine on this
// system.
func APIs() []string {
	var names []string
	for _, k := range kinds {
		if len(files[k.api]) > 0 {
			names = append(names, k.api)
		}
	}
	return names
}

// A library is a loaded BLAS, told how many threads to use.
type library struct {
	kind     *kind
	device   hardware.Device
	threads  int // that compute, as the library says; 0 when it does not
	notes    []string
	products map[matrix.DType]product
}

// A product prepares C = op(A)·op(B) for the elements of one type at a, b and
// c. The function that it returns computes it a number of times, without allocating
// and, where dl has a loop in assembly, with one way from Go to C for all: that
// takes 0.15 µs, as long as a product of 16×16 matrices.
type product func(g bench.GEMM, a, b, c unsafe.Pointer) func(times int) error

// types lists what the library multiplies.
func (l *library) types() string {
	var names []string
	for _, d := range slices.Sorted(maps.Keys(l.products)) {
		names = append(names, string(d))
	}
	return unit.List(names)
}

// fortranProducts finds the GEMMs of BLAS's Fortran interface under their names
// for float32 and float64.
func fortranProducts(l dl.Library, sgemm, dgemm string) (map[matrix.DType]product, error) {
	s, err := l.Sym(sgemm)
	if err != nil {
		return nil, err
	}
	d, err := l.Sym(dgemm)
	if err != nil {
		return nil, err
	}
	return map[matrix.DType]product{
		matrix.Float32: fortran(s, uint64(math.Float32bits(1))),
		matrix.Float64: fortran(d, math.Float64bits(1)),
	}, nil
}

// scalars are what a Fortran GEMM takes the addresses of. Libraries built for
// 32-bit integers read the low half of the 64-bit ones here, which on a
// little-endian CPU begins at the same address; likewise a float32's bits.
type scalars struct {
	m, n, k, lda, ldb, ldc int64
	alpha, beta            uint64
	transA, transB         byte
}

// fortran calls the sgemm or dgemm at fn; one is the number 1 in its type.
//
// It is preferred to cblas_sgemm, because a call with nothing but addresses
// can be made on every system, one with floating-point arguments only on some.
// Fortran's matrices are column-major: read that way our memory holds the
// transposes, so it computes Cᵀ = op(B)ᵀ·op(A)ᵀ.
//
// https://www.netlib.org/lapack/explore-html/dd/d09/group__gemm.html
func fortran(fn uintptr, one uint64) product {
	return func(g bench.GEMM, a, b, c unsafe.Pointer) func(times int) error {
		s := &scalars{
			m: int64(g.M), n: int64(g.N), k: int64(g.K),
			lda: int64(g.K), ldb: int64(g.N), ldc: int64(g.N),
			alpha: one, transA: 'N', transB: 'N',
		}
		if g.TransA {
			s.transA, s.lda = 'T', s.m
		}
		if g.TransB {
			s.transB, s.ldb = 'T', s.k
		}
		at := func(p unsafe.Pointer) uintptr { return uintptr(p) }
		l := &dl.Loop{Func: fn, Args: [15]uintptr{
			at(unsafe.Pointer(&s.transB)), at(unsafe.Pointer(&s.transA)),
			at(unsafe.Pointer(&s.n)), at(unsafe.Pointer(&s.m)), at(unsafe.Pointer(&s.k)),
			at(unsafe.Pointer(&s.alpha)), at(b), at(unsafe.Pointer(&s.ldb)), at(a), at(unsafe.Pointer(&s.lda)),
			at(unsafe.Pointer(&s.beta)), at(c), at(unsafe.Pointer(&s.ldc)),
			1, 1, // lengths of the two strings, which compilers of Fortran pass last
		}}
		return func(times int) error {
			l.Run(times)
			runtime.KeepAlive(s) // Go's heap does not move
			return nil
		}
	}
}

// calmOpenMP lets Intel's OpenMP threads, if l has them, sleep a millisecond
// after a parallel region. By default they spin for 200 ms, which would slow
// down whoever is measured next. Within a sample, products follow each other at
// once, so nothing changes.
//
// https://openmp.llvm.org/design/Runtimes.html, KMP_BLOCKTIME
func calmOpenMP(l dl.Library) {
	if set, err := l.Sym("kmp_set_blocktime"); err == nil {
		dl.Call(set, 1)
	}
}

// text calls a C function that takes nothing and returns a string.
func text(l dl.Library, symbol string) string {
	var f func() string
	if l.Register(&f, symbol) != nil {
		return ""
	}
	return f()
}
