package blas

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/unit"
)

// ThreadVariables are the variables of the environment from which the libraries of each
// kind take their number of threads, the one that counts most first: chapters "Runtime
// variables" of OpenBLAS's documentation, "Intel oneMKL Environment Variables for
// OpenMP Threading Control", "Multithreading" of BLIS, "CPU threading runtimes" of
// oneDNN, and veclib_types.h of Accelerate.
var ThreadVariables = map[string][]string{
	"openblas":   {"OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"},
	"mkl":        {"MKL_DOMAIN_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"},
	"onednn":     {"OMP_NUM_THREADS"},
	"blis":       {"BLIS_NUM_THREADS", "OMP_NUM_THREADS"},
	"accelerate": {"VECLIB_MAXIMUM_THREADS"},
}

// fewer returns the note of a library that computes with fewer threads than there are
// cores because a setting of the environment, one of NAME=value, says so; empty for any
// other.
func fewer(api string, threads, cores int, settings []string) string {
	if threads == 0 || threads >= cores {
		return ""
	}
	var why []string
	for _, name := range ThreadVariables[api] {
		if i := slices.IndexFunc(settings, func(s string) bool { return strings.HasPrefix(s, name+"=") && s != name+"=" }); i >= 0 {
			why = append(why, settings[i])
		}
	}
	if why == nil {
		return ""
	}
	return fmt.Sprintf("computes with %s of %d cores: %s", unit.Plural(threads, "thread"), cores, strings.Join(why, ", "))
}
