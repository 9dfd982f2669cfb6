//go:build !darwin

package doctor

import (
	"context"
	"os"
)

// gatherNVIDIA asks nvidia-smi, and the kernel where that has no answer.
func gatherNVIDIA(ctx context.Context, f *Facts) {
	var n NVIDIA
	if out, err := output(ctx, "nvidia-smi", "--query-gpu=name,driver_version,compute_cap,memory.total,utilization.gpu", "--format=csv,noheader,nounits"); err != nil {
		n.Error = err.Error()
	} else {
		n.Driver, n.GPUs = parseSMI(out)
	}
	if n.Driver == "" {
		text, _ := os.ReadFile("/proc/driver/nvidia/version")
		n.Driver = parseModule(string(text))
	}
	_, err := os.Stat("/dev/nvidiactl")
	n.Nodes = err == nil
	f.NVIDIA = &n
}
