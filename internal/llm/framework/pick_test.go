package framework

import (
	"errors"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

func TestPick(t *testing.T) {
	cpu := hardware.Device{ID: "cpu", Kind: hardware.CPU, API: "cpu"}
	gpu := hardware.Device{ID: "cuda:GPU-a", Kind: hardware.GPU, API: "cuda"}
	both := hardware.Inventory{Devices: []hardware.Device{cpu, gpu}}
	alone := hardware.Inventory{Devices: []hardware.Device{cpu}, Missing: []hardware.Missing{{API: "cuda", Kind: hardware.GPU, Reason: "a CPU-only build", Remedies: fault.Advice("another")}}}
	for _, tt := range []struct {
		found      hardware.Inventory
		want, id   string
		says, hint string
	}{
		{both, "", gpu.ID, "", ""},
		{both, "cpu", "cpu", "", ""},
		{both, "gpu", gpu.ID, "", ""},
		{both, "cuda", gpu.ID, "", ""},
		{both, "mps", "", `torch has no device "mps"`, "there are: cpu, cuda"},
		{alone, "", "cpu", "", ""},
		{alone, "gpu", "", "torch has no device gpu: a CPU-only build", "another"},
		{alone, "cuda", "", "torch has no device cuda: a CPU-only build", "another"},
	} {
		d, err := pick(tt.found, "torch", tt.want)
		var e *fault.Error
		if errors.As(err, &e) != (tt.says != "") || d.ID != tt.id || e != nil && (e.Message != tt.says || e.Remedies.String() != tt.hint) {
			t.Errorf("--device %q: %q, %v", tt.want, d.ID, err)
		}
	}
}
