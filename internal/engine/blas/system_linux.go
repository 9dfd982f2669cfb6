package blas

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gpuplay/gpuplay/internal/fault"
)

var files = map[string][]string{
	"openblas": {
		"libopenblas.so.0", "libopenblas.so",
		"scipy_openblas32/lib/libscipy_openblas.so", "libscipy_openblas.so",
		"scipy_openblas64/lib/libscipy_openblas64_.so", "libscipy_openblas64_.so",
		"numpy.libs/libscipy_openblas*.so", "scipy.libs/libscipy_openblas*.so",
	},
	"mkl":    {"libmkl_rt.so.3", "libmkl_rt.so.2", "libmkl_rt.so"},
	"onednn": {"libdnnl.so.3", "libdnnl.so.2"},
	"blis":   {"libblis.so.5", "libblis.so.4", "libblis-mt.so.5", "libblis-mt.so.4"}, // -mt is AMD's AOCL
}

var folders []string

var fixes = map[string]fault.Remedies{
	"openblas": append(apt("libopenblas0"), wheel("scipy-openblas32")...),
	"mkl":      wheel("mkl"),
	"onednn":   wheel("onednn"),
	"blis":     apt("libblis4"),
}

// apt is how to install a library from the packages of Debian.
func apt(name string) fault.Remedies {
	return fault.Remedies{fault.Run("on Debian and Ubuntu", "sudo", "apt", "install", name)}
}

// wheel is how to install a library from PyPI, into an environment in which libraries are
// looked for.
func wheel(name string) fault.Remedies {
	return fault.Remedies{fault.Run("first", "python3", "-m", "venv", ".venv-blas"), fault.Run("then", ".venv-blas/bin/python", "-m", "pip", "install", name)}
}

const (
	intelOpenMP = "libiomp5.so"
	gnuOpenMP   = "libgomp.so.1"
)

func systemVersion() string { return "" }

// confined runs f while this thread and the process's first one, which TBB may
// ask instead, are confined to at most n of their CPUs, and tells it how many.
func confined(n int, f func(cpus int)) error {
	threads := []int{0, os.Getpid()}
	all := make([]unix.CPUSetDynamic, len(threads))
	for i, t := range threads {
		all[i] = unix.NewCPUSet(1 << 16) // above what the kernel can have
		if err := unix.SchedGetaffinityDynamic(t, all[i]); err != nil {
			return fmt.Errorf("sched_getaffinity: %w", err)
		}
	}
	few, cpus := unix.NewCPUSet(1<<16), 0
	for cpu := 0; cpu < 1<<16 && cpus < n; cpu++ {
		if all[0].IsSet(cpu) {
			few.Set(cpu)
			cpus++
		}
	}
	for i, t := range threads {
		if err := unix.SchedSetaffinityDynamic(t, few); err != nil {
			return fmt.Errorf("sched_setaffinity: %w", err)
		}
		defer unix.SchedSetaffinityDynamic(t, all[i])
	}
	f(cpus)
	return nil
}
