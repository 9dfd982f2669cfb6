package blas

import (
	"fmt"
	"path/filepath"
	"strings"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// A threadingLayer is the part of MKL that spreads work over threads, by its
// number in mkl_service.h.
type threadingLayer int32

const (
	intelThreads threadingLayer = 0 // MKL_THREADING_INTEL
	sequential   threadingLayer = 1 // MKL_THREADING_SEQUENTIAL
	gnuThreads   threadingLayer = 3 // MKL_THREADING_GNU
)

func (t threadingLayer) String() string {
	return map[threadingLayer]string{intelThreads: "Intel OpenMP", sequential: "sequential", gnuThreads: "GNU OpenMP"}[t]
}

// bindMKL uses the functions of mkl_service.h, described under "Support
// Functions" in the Developer Reference for Intel oneAPI MKL. MKL_Get_Version
// comes after the layer is chosen, because it loads the rest of MKL.
func bindMKL(l dl.Library, threads int) (*library, error) {
	products, err := fortranProducts(l, "sgemm_", "dgemm_")
	if err != nil {
		return nil, err
	}
	fn := map[string]uintptr{}
	for _, name := range []string{"MKL_Set_Threading_Layer", "MKL_Set_Num_Threads", "MKL_Set_Dynamic",
		"MKL_Get_Max_Threads", "MKL_Get_Version_String"} {
		if fn[name], err = l.Sym(name); err != nil {
			return nil, err
		}
	}
	layer := mklThreading(l, threads)
	if got := threadingLayer(dl.Call(fn["MKL_Set_Threading_Layer"], uintptr(layer))); got != layer {
		return nil, fmt.Errorf("MKL's threading layer is %d, not the %s that was asked for", got, layer)
	}
	if threads > 0 {
		dl.Call(fn["MKL_Set_Dynamic"], 0) // or it would use fewer where it thinks better
		dl.Call(fn["MKL_Set_Num_Threads"], uintptr(threads))
	}
	var buf [256]byte
	dl.Call(fn["MKL_Get_Version_String"], uintptr(unsafe.Pointer(&buf)), uintptr(len(buf)))
	lib := &library{
		device:   hardware.Device{Version: mklVersion(string(buf[:])), Detail: layer.String()},
		threads:  int(int32(dl.Call(fn["MKL_Get_Max_Threads"]))),
		products: products,
	}
	if layer == sequential && threads != 1 {
		lib.notes = append(lib.notes, "MKL found neither Intel's nor GNU's OpenMP and runs on one thread: pip install intel-openmp")
	}
	return lib, nil
}

// mklThreading picks a layer whose OpenMP can be loaded: MKL ends the process
// when it is told to use one that is not there.
func mklThreading(l dl.Library, threads int) threadingLayer {
	if threads == 1 {
		return sequential
	}
	folder := filepath.Dir(l.Path("MKL_Get_Version"))
	for _, name := range []string{filepath.Join(folder, intelOpenMP), intelOpenMP} {
		if omp, err := dl.Open(name); err == nil {
			calmOpenMP(omp)
			return intelThreads
		}
	}
	if _, err := dl.Open(gnuOpenMP); err == nil {
		return gnuThreads
	}
	return sequential
}

// mklVersion cuts the version out of "Intel(R) oneAPI Math Kernel Library
// Version 2026.2-Product Build 20260915 for Intel(R) 64 architecture applications".
func mklVersion(s string) string {
	_, s, _ = strings.Cut(s, "Version ")
	if i := strings.IndexAny(s, "- \x00"); i >= 0 {
		s = s[:i]
	}
	return s
}
