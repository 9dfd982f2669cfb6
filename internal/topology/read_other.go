//go:build !linux && !darwin

package topology

import (
	"runtime"

	"github.com/klauspost/cpuid/v2"
)

// read asks the CPUs themselves, which on Windows also says which of them are
// performance cores. This has not been run there.
func read() Topology {
	sys, err := cpuid.ScanTopology()
	t := fromCPUID(sys, nil)             // whose numbers are places in the process's mask
	if err != nil && len(t.Kinds) == 1 { // extrapolated from one CPU
		t.Kinds[0].CPUs = runtime.NumCPU()
	}
	return t
}
