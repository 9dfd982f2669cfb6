package blas

import (
	"runtime"

	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// bindBLIS uses the functions described in
// https://github.com/flame/blis/blob/master/docs/BLISTypedAPI.md and
// https://github.com/flame/blis/blob/master/docs/Multithreading.md.
func bindBLIS(l dl.Library, threads int) (*library, error) {
	products, err := fortranProducts(l, "sgemm_", "dgemm_")
	if err != nil {
		return nil, err
	}
	set, err := l.Sym("bli_thread_set_num_threads")
	if err != nil {
		return nil, err
	}
	get, err := l.Sym("bli_thread_get_num_threads")
	if err != nil {
		return nil, err
	}
	parallel, err := l.Sym("bli_info_get_enable_threading")
	if err != nil {
		return nil, err
	}
	lib := &library{
		device:   hardware.Device{Version: text(l, "bli_info_get_version_str")},
		products: products,
	}
	if query, err := l.Sym("bli_arch_query_id"); err == nil {
		var name func(id int32) string
		if l.Register(&name, "bli_arch_string") == nil {
			kernels := name(int32(dl.Call(query)))
			lib.device.Detail = kernels + " kernels"
			if kernels == "generic" {
				lib.notes = append(lib.notes, "generic kernels, in C for any CPU: this BLIS does not know this one")
			}
		}
	}
	if dl.Call(parallel) == 0 {
		lib.threads = 1
		return lib, nil
	}
	// Unless its environment variables say so, BLIS computes with one thread, or
	// reports -1: unlike the others, it has to be told of the machine's CPUs.
	if now := int(dl.Call(get)); threads == 0 && now <= 1 {
		threads = runtime.NumCPU()
	}
	if threads > 0 {
		dl.Call(set, uintptr(threads))
	}
	lib.threads = int(dl.Call(get))
	return lib, nil
}
