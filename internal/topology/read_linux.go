package topology

import (
	"os"
	"slices"

	"github.com/klauspost/cpuid/v2"
	"golang.org/x/sys/unix"
)

func read() Topology {
	usable := affinity()
	if usable == nil {
		return Topology{}
	}
	t := fromSysfs(os.DirFS("/sys/devices"), usable)
	if slices.ContainsFunc(t.Kinds, func(k Kind) bool { return len(k.Caches) > 0 }) {
		return t
	}
	// Some containers have an empty sysfs: use what the CPUs report.
	if sys, err := cpuid.ScanTopology(); err == nil && sys.NumThreads() == len(usable) {
		if scanned := fromCPUID(sys, usable); len(scanned.Kinds) > 0 && len(scanned.Kinds[0].Caches) > 0 {
			scanned.Nodes = t.Nodes
			return scanned
		}
	}
	return t
}

// affinity returns the CPUs in the affinity mask of the process.
func affinity() []int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	var cpus []int
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}
