package hardware

import (
	"errors"
	"slices"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
)

func index(i int) *int { return &i }

func TestPick(t *testing.T) {
	cpu := Device{ID: "cpu", Kind: CPU, API: "cpu"}
	gpu := func(i int, uuid string) Device {
		return Device{ID: "cuda:" + uuid, Kind: GPU, API: "cuda", Index: index(i), UUID: uuid}
	}
	const first, second = "GPU-5d4bf5a4-79ba-2b8f-d7c9-4e6e3a7bd8a5", "GPU-aaaaaaaa-79ba-2b8f-d7c9-4e6e3a7bd8a5"
	missing := []Missing{
		{API: "mps", Kind: GPU, Reason: "not a Mac", Remedies: fault.Advice("buy one")},
		{API: "cuda", Kind: GPU, Reason: "a CPU-only build", Remedies: fault.Advice("another")},
	}
	torch := Inventory{Devices: []Device{cpu, gpu(0, first), gpu(1, second)}, Missing: missing[:1]}
	alone := Inventory{Devices: []Device{cpu}, Missing: missing[1:]}
	plain := Inventory{Devices: []Device{cpu}}
	// Frameworks that know no UUID, in an order that is not that of their numbers.
	bareIDs := Inventory{Devices: []Device{cpu, {ID: "cuda:1", Kind: GPU, API: "cuda", Index: index(1)}, {ID: "cuda:0", Kind: GPU, API: "cuda", Index: index(0)}}}
	unnumbered := Inventory{Devices: []Device{{ID: "vulkan:a", Kind: GPU, API: "vulkan"}, {ID: "vulkan:b", Kind: GPU, API: "vulkan"}, {ID: "vulkan:c", Kind: SoftwareGPU, API: "vulkan"}}}
	blas := Inventory{Devices: []Device{{ID: "openblas", Kind: CPU, API: "openblas"}, {ID: "openblas-2", Kind: CPU, API: "openblas"}, {ID: "mkl", Kind: CPU, API: "mkl"}}}

	for _, tt := range []struct {
		found      Inventory
		want, id   string
		says, hint string
	}{
		{torch, "", "cuda:" + first, "", ""},
		{torch, "cpu", "cpu", "", ""},
		{torch, "gpu", "cuda:" + first, "", ""},
		{torch, "cuda", "cuda:" + first, "", ""},
		{torch, "cuda:0", "cuda:" + first, "", ""},
		{torch, "cuda:1", "cuda:" + second, "", ""},
		{torch, "cuda:" + second, "cuda:" + second, "", ""},
		{torch, second, "cuda:" + second, "", ""},
		{torch, "aaaaaaaa-79ba-2b8f-d7c9-4e6e3a7bd8a5", "cuda:" + second, "", ""},
		{torch, "cuda:AAAAAAAA-79BA-2B8F-D7C9-4E6E3A7BD8A5", "cuda:" + second, "", ""},
		{torch, "cuda:2", "", `torch has no device "cuda:2"`, "did you mean cuda:0? there are: cpu, cuda:0, cuda:1"},
		{torch, "cua:1", "", `torch has no device "cua:1"`, "did you mean cuda:1? there are: cpu, cuda:0, cuda:1"},
		{torch, "aaaaaaaa", "", `torch has no device "aaaaaaaa"`, "there are: cpu, cuda:0, cuda:1"},
		{torch, "mps", "", "torch has no device mps: not a Mac", "buy one"},
		{torch, "mps:0", "", "torch has no device mps:0: not a Mac", "buy one"},
		{alone, "", "cpu", "", ""},
		// A GPU that is missing is never replaced by the CPU.
		{alone, "gpu", "", "torch has no device gpu: a CPU-only build", "another"},
		{alone, "cuda", "", "torch has no device cuda: a CPU-only build", "another"},
		{alone, "cuda:1", "", "torch has no device cuda:1: a CPU-only build", "another"},
		{plain, "gpu", "", `torch has no device "gpu"`, "there are: cpu"},
		{Inventory{Missing: missing}, "", "", "torch has no device: not a Mac", "buy one"},
		{Inventory{}, "", "", "torch has no devices", ""},
		{bareIDs, "cuda:0", "cuda:0", "", ""},
		{bareIDs, "cuda:1", "cuda:1", "", ""},
		{unnumbered, "vulkan:1", "vulkan:b", "", ""},
		{unnumbered, "gpu", "vulkan:a", "", ""},
		{unnumbered, "software-gpu", "vulkan:c", "", ""},
		{blas, "", "openblas", "", ""},
		{blas, "openblas", "openblas", "", ""},
		{blas, "openblas-2", "openblas-2", "", ""},
		{blas, "openblas-3", "", `torch has no device "openblas-3"`, "did you mean openblas-2? there are: openblas, openblas-2, mkl"},
	} {
		d, err := Pick(tt.found, "torch", tt.want)
		if tt.says == "" {
			if err != nil || d.ID != tt.id {
				t.Errorf("%q picks %q, %v, want %s", tt.want, d.ID, err, tt.id)
			}
			continue
		}
		var e *fault.Error
		if !errors.As(err, &e) || e.Code != fault.Unavailable || e.Message != tt.says || e.Remedies.String() != tt.hint || d.ID != "" {
			t.Errorf("%q: %q, %#v, want %s (%s)", tt.want, d.ID, err, tt.says, tt.hint)
		}
	}
	// Every name leads to its device, and to no other.
	for _, found := range []Inventory{torch, plain, bareIDs, unnumbered, blas} {
		names := Names(found.Devices)
		for i, name := range names {
			if d, err := Pick(found, "torch", name); err != nil || d.ID != found.Devices[i].ID {
				t.Errorf("%s of %q picks %q, %v", name, names, d.ID, err)
			}
		}
	}
	if got := Names(torch.Devices); !slices.Equal(got, []string{"cpu", "cuda:0", "cuda:1"}) {
		t.Errorf("names %q", got)
	}
}
