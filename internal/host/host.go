// Package host says what machine this is: what every result carries along, which GPUs
// its drivers list, and how much memory a measurement may take.
package host

import (
	"context"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/cpuid/v2"
	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/host"

	"github.com/gpuplay/gpuplay/internal/topology"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Machine is what a result was measured on. What could not be found out is
// empty or absent.
type Machine struct {
	// ID is the same for all runs on this machine, survives a reboot and reveals
	// nothing: 16 hexadecimal digits that the system's own id was hashed to.
	ID       string   `json:"id,omitempty"`
	OS       string   `json:"os"`                   // linux, darwin, windows
	Arch     string   `json:"arch"`                 // amd64, arm64
	System   string   `json:"system,omitempty"`     // "debian 12.5", "darwin 15.1"
	Kernel   string   `json:"kernel,omitempty"`     //
	CPU      string   `json:"cpu"`                  // as its maker writes it
	Cores    int      `json:"cores"`                // physical cores that this process may use; 0 where it is not known which CPUs share a core
	Fast     int      `json:"fast_cores,omitempty"` // those of the fastest kind, where there are several kinds
	CPUs     int      `json:"cpus,omitempty"`       // logical CPUs that this process may use
	Features []string `json:"features,omitempty"`   // the CPU's instruction sets that matter for matrix products
	Quota    *float64 `json:"cpu_quota,omitempty"`  // CPUs that a container may use on average, where that is fewer than there are
	Memory   *uint64  `json:"memory,omitempty"`     // bytes that this process may use: the machine's, or a container's limit
	Virtual  string   `json:"virtual,omitempty"`    // "kvm", "docker": another system below shares the machine
}

// features are the instruction sets worth recording.
var features = []cpuid.FeatureID{
	cpuid.AVX, cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BF16, cpuid.AVX512FP16, cpuid.AVX512VNNI,
	cpuid.AVXVNNI, cpuid.AMXBF16, cpuid.AMXINT8, cpuid.ASIMD, cpuid.ASIMDHP, cpuid.ASIMDDP, cpuid.SVE,
}

// Describe asks the system; it takes some milliseconds.
func Describe(ctx context.Context) Machine {
	m := Machine{ID: hashed(systemID(ctx)), OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: CPU()}
	m.Cores, m.Fast, m.CPUs = Cores()
	for _, f := range features {
		if cpuid.CPU.Supports(f) {
			m.Features = append(m.Features, strings.ToLower(f.String()))
		}
	}
	slices.Sort(m.Features)
	if info, err := host.InfoWithContext(ctx); err == nil {
		m.System = strings.TrimSpace(info.Platform + " " + info.PlatformVersion)
		m.Kernel = info.KernelVersion
		if info.VirtualizationRole == "guest" {
			m.Virtual = info.VirtualizationSystem
		}
	}
	if total := uint64(Total()); total > 0 {
		m.Memory = &total
	}
	if quota := ReadLimits().CPUs; quota > 0 && quota < float64(runtime.NumCPU()) {
		m.Quota = &quota
	}
	return m
}

// Cores counts what this process may compute on: physical cores, those of the fastest
// kind where there are several kinds, and logical CPUs. The first two are 0 where the
// system does not say which CPUs share a core.
func Cores() (cores, fast, cpus int) { return count(topology.Read(), runtime.GOMAXPROCS(0)) }

// count is Cores on a machine of that topology. usable CPUs may be fewer than it has: a
// container's quota, which GOMAXPROCS heeds, can be less than one CPU for each core.
func count(t topology.Topology, usable int) (cores, fast, cpus int) {
	all, fastest := t.Physical()
	if cores = min(all, usable); fastest < all {
		fast = min(fastest, usable)
	}
	return cores, fast, usable
}

// Processors says how many cores a machine has for people: "8 cores, 16 threads", or
// "16 CPUs" where it is not known which of them share a core; empty where neither is
// known.
func (m Machine) Processors() string {
	quota := ""
	if m.Quota != nil {
		quota = ", quota of " + strconv.FormatFloat(*m.Quota, 'g', 3, 64) + " CPUs"
	}
	switch {
	case m.Cores > 0 && m.CPUs > m.Cores:
		return unit.Plural(m.Cores, "core") + ", " + unit.Plural(m.CPUs, "thread") + quota
	case m.Cores > 0:
		return unit.Plural(m.Cores, "core") + quota
	case m.CPUs > 0:
		return unit.Plural(m.CPUs, "CPU") + quota
	}
	return ""
}

// CPU returns the CPU's name as its maker writes it.
func CPU() string {
	if name := strings.TrimSpace(cpuid.CPU.BrandName); name != "" {
		return name
	}
	if info, err := cpu.Info(); err == nil && len(info) > 0 && info[0].ModelName != "" {
		return strings.TrimSpace(info[0].ModelName)
	}
	return runtime.GOARCH + " CPU"
}

// Free returns the bytes of memory available without swapping, within the limit of
// a container; 0 when the system does not say.
func Free() int64 {
	_, free := memory()
	return int64(free)
}

// Total returns the bytes of memory that this process may use: the machine's, or a
// container's limit; 0 when the system does not say.
func Total() int64 {
	total, _ := memory()
	return int64(total)
}
