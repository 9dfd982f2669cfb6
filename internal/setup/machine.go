package setup

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/host"

	"github.com/gpuplay/gpuplay/internal/disk"
)

// Detect describes this machine. What does not answer within seconds is taken as
// not there.
func Detect(ctx context.Context, run Exec, env []string) Machine {
	m := Machine{OS: runtime.GOOS, Arch: runtime.GOARCH}
	ask := func(program string, args ...string) (path, answer string, ok bool) {
		path, err := exec.LookPath(program)
		if err != nil {
			return "", "", false
		}
		answer, err = output(ctx, run, env, 10*time.Second, append([]string{path}, args...)...)
		return path, answer, err == nil
	}
	if path, _, ok := ask("uv", "--version"); ok {
		m.UV = path
	}
	switch m.OS {
	case "darwin":
		_, _, m.MacOS, _ = host.PlatformInformationWithContext(ctx)
		if _, translated, ok := ask("sysctl", "-n", "sysctl.proc_translated"); ok && strings.TrimSpace(translated) == "1" {
			m.Arch = "arm64" // this program is translated, the frameworks need not be
		}
		if m.Arch == "arm64" {
			m.GPU = Metal
		}
	case "linux", "windows":
		_, smi, ok := ask("nvidia-smi", "--query-gpu=driver_version,compute_cap", "--format=csv,noheader")
		module, err := os.ReadFile("/proc/driver/nvidia/version")
		switch {
		case ok:
			m.GPU = nvidia(smi)
		case err == nil:
			m.GPU = nvidia(string(module))
		case disk.Exists("/dev/kfd"):
			m.GPU = ROCm
		}
	}
	return m
}

var (
	driverVersion = regexp.MustCompile(`\b(\d{3})\.\d+`)
	capability    = regexp.MustCompile(`, (\d+)\.(\d+)`)
)

// nvidia says which CUDA the GPUs can use, from nvidia-smi's line for each or from
// the driver's own file: CUDA 13 needs driver 580 and, of every GPU, compute
// capability 7.5.
func nvidia(text string) GPU {
	if v := driverVersion.FindStringSubmatch(text); v != nil && v[1] < "580" {
		return CUDA12
	}
	for _, c := range capability.FindAllStringSubmatch(text, -1) {
		if n, _ := strconv.Atoi(c[1] + c[2]); n < 75 {
			return CUDA12
		}
	}
	return CUDA13
}
