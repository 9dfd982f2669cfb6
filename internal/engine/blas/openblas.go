package blas

import (
	"slices"
	"strings"

	"github.com/klauspost/cpuid/v2"

	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/hardware"
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
	core := text(l, a.symbol("openblas_get_corename"))
	lib := &library{
		device:   hardware.Device{Version: version, Detail: core + " kernels"},
		threads:  int(int32(dl.Call(get))),
		products: products,
	}
	if cpuid.CPU.Supports(cpuid.AVX512F) && slices.Contains(narrow, core) {
		lib.notes = append(lib.notes, core+" kernels, for narrower vectors than this CPU has: OpenBLAS does not know it, or OPENBLAS_CORETYPE says so")
	}
	return lib, nil
}

// narrow are the kernels of x86 cores without AVX-512, by openblas_get_corename.
//
// https://github.com/OpenMathLib/OpenBLAS/blob/develop/driver/others/dynamic.c
var narrow = []string{"Prescott", "Core2", "Penryn", "Dunnington", "Nehalem", "Sandybridge", "Haswell", "Barcelona", "Bulldozer", "Piledriver", "Steamroller", "Excavator", "Zen"}
