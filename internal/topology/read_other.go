//go:build !linux && !darwin

package topology

import (
	"runtime"

	"github.com/klauspost/cpuid/v2"
)

// read queries the CPUs themselves, which on Windows also reports which of them are
// performance cores. This has not been run on Windows.
func read() Topology {
	sys, err := cpuid.ScanTopology()
	t := fromCPUID(sys, nil)             // its CPU numbers would be indices into the process's affinity mask
	if err != nil && len(t.Kinds) == 1 { // extrapolated from one CPU
		t.Kinds[0].CPUs, t.Kinds[0].Count = runtime.NumCPU(), 0
	}
	return t
}
