package setup

import "github.com/gpuplay/gpuplay/internal/fault"

// CuBLAS names NVIDIA's cuBLAS, with cuBLASLt, among what can be set up.
const CuBLAS = "cublas"

// NewCuBLAS plans an environment with the wheel of NVIDIA's cuBLAS that the driver can run: that
// of CUDA 13 for drivers of CUDA 13 or newer, that of CUDA 12 for those of CUDA 12. Sizes are
// those of November 2026 for x86-64, with what the wheels need.
func NewCuBLAS(m Machine, o Options) (*Plan, error) {
	if o.CPU {
		return nil, fail(fault.Remedies{fault.Change("cpu", "leave {} out")}, "cuBLAS computes on NVIDIA's GPUs only")
	}
	p := &Plan{Framework: CuBLAS, Packages: []string{"nvidia-cublas"}, Publisher: publishers[CuBLAS], Oldest: oldestPython, Newest: 14}
	download, disk := 502, 750
	const oldest, newer = 12, 13
	switch cuda := major(m.NVIDIA.CUDA); {
	case m.OS != "linux" && (m.OS != "windows" || m.Arch != "amd64"):
		return nil, fail(nil, "cuBLAS has no build for %s/%s", m.OS, m.Arch)
	case cuda == 0:
		p.note("no NVIDIA driver was found: this build of cuBLAS needs one of CUDA %d or newer", newer)
	case cuda < oldest:
		return nil, fail(fault.Advice("install a newer driver: https://www.nvidia.com/drivers"), "the driver, of CUDA %s, is too old for cuBLAS: CUDA %d is needed", m.NVIDIA.CUDA, oldest)
	case cuda == oldest && m.OS == "windows":
		return nil, fail(fault.Advice("install a newer driver: https://www.nvidia.com/drivers"), "on Windows, cuBLAS needs a driver of CUDA %d: this one is of CUDA %s", newer, m.NVIDIA.CUDA)
	case cuda == oldest:
		p.Packages, download, disk = []string{"nvidia-cublas-cu12"}, 670, 1100
	}
	p.Sources = []Source{{Name: "PyPI", Download: megabytes(download), Disk: megabytes(disk)}}
	return p, nil
}
