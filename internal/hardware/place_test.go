package hardware

import "testing"

func TestPlace(t *testing.T) {
	zero, three := 0, 3
	for _, tt := range []struct {
		what              string
		device            Device
		cards             int
		place, renumbered string
	}{
		{"a CPU", Device{Name: "CPU", Kind: CPU}, 8, "CPU", ""},
		{"a software GPU", Device{Name: "llvmpipe", Kind: SoftwareGPU}, 8, "llvmpipe", ""},
		{"the only GPU", Device{Name: "H200", Kind: GPU, API: "cuda", Card: &zero, Index: &zero}, 1, "H200", ""},
		{"the only GPU, not told", Device{Name: "H200", Kind: GPU, API: "cuda"}, 1, "H200", ""},
		{"one of several", Device{Name: "H200", Kind: GPU, API: "cuda", Card: &three, Index: &three}, 8, "H200, GPU 3", ""},
		{"through an interface without numbers", Device{Name: "H200", Kind: GPU, API: "vulkan", Card: &three}, 8, "H200, GPU 3", ""},
		{"renumbered", Device{Name: "H200", Kind: GPU, API: "cuda", Card: &three, Index: &zero}, 8, "H200, GPU 3", "cuda:0 is GPU 3"},
		{"renumbered, the others not listed", Device{Name: "H200", Kind: GPU, API: "cuda", Card: &three, Index: &zero}, 1, "H200, GPU 3", "cuda:0 is GPU 3"},
		{"not known", Device{Name: "H200", Kind: GPU, API: "cuda", Index: &zero}, 8, "H200, GPU not known", ""},
	} {
		if got := tt.device.Place(tt.cards); got != tt.place {
			t.Errorf("%s: %q, want %q", tt.what, got, tt.place)
		}
		if got := tt.device.Renumbered(); got != tt.renumbered {
			t.Errorf("%s: renumbered %q, want %q", tt.what, got, tt.renumbered)
		}
	}
}
