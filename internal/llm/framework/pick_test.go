package framework

import (
	"errors"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
)

func TestPick(t *testing.T) {
	cpu := bench.Device{ID: "cpu", Kind: bench.CPU, API: "cpu"}
	gpu := bench.Device{ID: "cuda:GPU-a", Kind: bench.GPU, API: "cuda"}
	both := bench.Inventory{Devices: []bench.Device{cpu, gpu}}
	alone := bench.Inventory{Devices: []bench.Device{cpu}, Missing: []bench.Missing{{API: "cuda", Kind: bench.GPU, Reason: "a CPU-only build", Fix: "another"}}}
	for _, tt := range []struct {
		found      bench.Inventory
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
		var e *bench.Error
		if errors.As(err, &e) != (tt.says != "") || d.ID != tt.id || e != nil && (e.Message != tt.says || e.Hint != tt.hint) {
			t.Errorf("--device %q: %q, %v", tt.want, d.ID, err)
		}
	}
}
