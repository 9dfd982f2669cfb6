package blas

import (
	"fmt"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// bindAccelerate uses the BLAS of macOS 13.3 and later, which Apple exports
// under "$NEWLAPACK" names without Fortran's underscore, and before that the
// old one. BLASSetThreading (thread_api.h in vecLib, macOS 15) knows only one
// thread (1) or as many as Accelerate likes (0), for the thread that calls it.
//
// This has not been run on a Mac; the names are those NumPy links to:
// https://github.com/numpy/numpy/blob/main/numpy/_core/src/common/npy_cblas.h
func bindAccelerate(l dl.Library, threads int) (*library, error) {
	products, err := fortranProducts(l, "sgemm$NEWLAPACK", "dgemm$NEWLAPACK")
	if err != nil {
		if products, err = fortranProducts(l, "sgemm_", "dgemm_"); err != nil {
			return nil, err
		}
	}
	lib := &library{device: hardware.Device{Version: "macOS " + systemVersion()}, products: products, threads: threads}
	switch threads {
	case 0:
		lib.notes = []string{"Accelerate decides how many threads compute, and does not tell"}
	case 1:
		set, err := l.Sym("BLASSetThreading")
		if err != nil {
			return nil, fault.Errorf(fault.Unsupported, "one thread needs macOS 15").
				With(fault.Change("threads", "set VECLIB_MAXIMUM_THREADS=1 and leave {} out"))
		}
		if status := int32(dl.Call(set, 1)); status != 0 {
			return nil, fmt.Errorf("BLASSetThreading(1): status %d", status)
		}
	default:
		return nil, fault.Errorf(fault.Unsupported, "cannot be told to use %d threads, only one or as many as it likes", threads).
			With(fault.Change("threads", "leave {} out"))
	}
	return lib, nil
}
