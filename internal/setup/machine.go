package setup

import (
	"context"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/host"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/nvidia"
	"github.com/gpuplay/gpuplay/internal/probe"
)

// Detect describes this machine. Other programs that do not answer within seconds are
// taken as not there, but a driver is not: see Machine.NVIDIA. probes is probe.Ask.
func Detect(ctx context.Context, run Exec, env []string, probes probe.Asker) Machine {
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
		limited, cancel := context.WithTimeout(ctx, 20*time.Second) // to wake GPUs one after the other
		defer cancel()
		m.NVIDIA = nvidia.Ask(limited, probes)
		switch d := m.NVIDIA; {
		case len(d.GPUs) > 0, !d.Asked && d.Version != "":
			m.GPU = CUDA
		case disk.Exists("/dev/kfd"):
			m.GPU = ROCm
		}
	}
	return m
}
