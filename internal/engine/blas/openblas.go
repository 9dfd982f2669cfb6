package blas

import (
	"slices"
	"strings"

	"gpuplay/internal/bench"
	"gpuplay/internal/ffi/dl"
)

// An affix is what a build of OpenBLAS adds to its symbols. The PyPI wheels
// scipy-openblas32 and scipy-openblas64, which NumPy and SciPy carry in theirs
// too, do so to stay apart from other copies; "64" marks 64-bit integers.
//
// https://github.com/MacPython/openblas-libs
type affix struct{ before, after string }

var affixes = []affix{{"", ""}, {"scipy_", ""}, {"scipy_", "64_"}}

func (a affix) symbol(name string) string { return a.before + name + a.after }

// bindOpenBLAS uses the functions of openblas_config.h and cblas.h:
// https://github.com/OpenMathLib/OpenBLAS/blob/develop/cblas.h
func bindOpenBLAS(l dl.Library, threads int) (*library, error) {
	a := affixes[max(0, slices.IndexFunc(affixes, func(a affix) bool { return l.Has(a.symbol("openblas_get_config")) }))]
	products, err := fortranProducts(l, a.symbol("sgemm_"), a.symbol("dgemm_"))
	if err != nil {
		return nil, err
	}
	get, err := l.Sym(a.symbol("openblas_get_num_threads"))
	if err != nil {
		return nil, err
	}
	set, err := l.Sym(a.symbol("openblas_set_num_threads"))
	if err != nil {
		return nil, err
	}
	if threads > 0 {
		dl.Call(set, uintptr(threads))
	}
	// The configuration reads "OpenBLAS 0.3.34 DYNAMIC_ARCH NO_AFFINITY Zen MAX_THREADS=64".
	version := strings.Fields(text(l, a.symbol("openblas_get_config")) + " ? ?")[1]
	return &library{
		device: bench.Device{
			Version: version,
			Detail:  text(l, a.symbol("openblas_get_corename")) + " kernels",
		},
		threads:  int(int32(dl.Call(get))),
		products: products,
	}, nil
}
