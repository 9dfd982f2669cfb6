package hardware

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{
		"":                 "",
		"0000:3b:00.0":     "0000:3b:00.0",
		"0000:3B:00.0":     "0000:3b:00.0",
		"00000000:3B:00.0": "0000:3b:00.0", // nvidia-smi
		"3b:00.0":          "0000:3b:00.0", // lspci
		"0000:3b:00":       "0000:3b:00.0",
		"0:3b:0":           "0000:3b:00.0",
		"0:b:0.1":          "0000:0b:00.1",
		"10000:e1:00.0":    "10000:e1:00.0", // behind an Intel VMD
		"00010000:E1:00.0": "10000:e1:00.0",
		"0000:cd:00.5":     "0000:cd:00.5", // a virtual function
		"PCI-7":            "PCI-7",
		"a:b:c:d":          "a:b:c:d",
		"xx:00.0":          "xx:00.0",
	} {
		if got := address(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

// Each engine knows its own part of a card, and writes it in its own way.
func TestCards(t *testing.T) {
	const a, b = "GPU-aaaaaaaa-1111-2222-3333-444444444444", "GPU-bbbbbbbb-1111-2222-3333-444444444444"
	gpu := func(name, uuid, pci string) Device {
		return Device{Name: name, Kind: GPU, API: "cuda", UUID: uuid, PCI: pci}
	}
	for _, tt := range []struct {
		name   string
		listed []Card
		found  []Device
		want   []Card
	}{
		{"nothing", nil, []Device{{Name: "a CPU", Kind: CPU}}, nil},
		{"by number of their addresses", nil, []Device{gpu("H200", b, "0000:c1:00.0"), gpu("H200", a, "0000:3b:00.0")},
			[]Card{{0, "H200", a, "0000:3b:00.0", ""}, {1, "H200", b, "0000:c1:00.0", ""}}},
		{"listed and found", []Card{{Name: "NVIDIA H200", UUID: a, PCI: "00000000:3B:00.0", Vendor: "NVIDIA"}}, []Device{gpu("H200", a, ""), gpu("H200", "", "3b:00.0"), gpu("H200", a, "0000:3B:00.0")},
			[]Card{{0, "NVIDIA H200", a, "0000:3b:00.0", "NVIDIA"}}},
		{"in another case", nil, []Device{gpu("H200", a, ""), gpu("H200", "gpu-AAAAAAAA-1111-2222-3333-444444444444", "3b:00.0")},
			[]Card{{0, "H200", a, "0000:3b:00.0", ""}}},
		{"joined by a third", nil, []Device{gpu("H200", a, ""), gpu("H200", "", "3b:00.0"), gpu("H200", b, "c1:00.0"), gpu("H200", a, "3b:00.0")},
			[]Card{{0, "H200", a, "0000:3b:00.0", ""}, {1, "H200", b, "0000:c1:00.0", ""}}},
		{"without an address behind those with one", nil, []Device{gpu("X", a, ""), gpu("Y", b, "c1:00.0")},
			[]Card{{0, "Y", b, "0000:c1:00.0", ""}, {1, "X", a, "", ""}}},
		{"listed, and reached by nobody", []Card{{Name: "Arc", PCI: "0000:03:00.0", Vendor: "Intel"}}, nil, []Card{{0, "Arc", "", "0000:03:00.0", "Intel"}}},
		{"found without an address beside one that is known", []Card{{Name: "Arc", PCI: "0000:03:00.0"}}, []Device{gpu("H200", "", "")}, []Card{{0, "Arc", "", "0000:03:00.0", ""}}},
		{"software is no card", nil, []Device{{Name: "llvmpipe", Kind: SoftwareGPU, UUID: a}}, nil},
		{"Apple's only GPU", nil, []Device{{Name: "M2 GPU", Kind: GPU, API: "mps", Index: index(0)}, {Name: "M2 GPU", Kind: GPU, API: "metal"}}, []Card{{0, "M2 GPU", "", "", ""}}},
		{"two that nobody can tell apart", nil, []Device{gpu("H200", "", ""), gpu("A100", "", "")}, nil},
	} {
		if d := cmp.Diff(tt.want, Cards(tt.listed, tt.found...)); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
}

func TestCardOf(t *testing.T) {
	const a, b = "GPU-aaaaaaaa-1111-2222-3333-444444444444", "GPU-bbbbbbbb-1111-2222-3333-444444444444"
	cards := []Card{{0, "H200", a, "0000:3b:00.0", ""}, {1, "H200", b, "0000:c1:00.0", ""}, {2, "Arc", "", "0000:e1:00.0", ""}}
	apple := []Card{{Name: "M2 GPU"}}
	none := -1
	for _, tt := range []struct {
		name   string
		device Device
		cards  []Card
		want   int
	}{
		{"by UUID", Device{Kind: GPU, UUID: b}, cards, 1},
		{"by UUID, whatever the address", Device{Kind: GPU, UUID: b, PCI: "3b:00.0"}, cards, 1},
		{"by address", Device{Kind: GPU, PCI: "00000000:C1:00.0"}, cards, 1},
		{"by address where the card's UUID is not known", Device{Kind: GPU, UUID: "86800be2", PCI: "0000:e1:00.0"}, cards, 2},
		{"another", Device{Kind: GPU, UUID: "GPU-c"}, cards, none},
		{"not known", Device{Kind: GPU, Index: index(0)}, cards, none},
		{"not known, with one card", Device{Kind: GPU, Index: index(0)}, cards[:1], none},
		{"a CPU", Device{Kind: CPU, UUID: a}, cards, none},
		{"software", Device{Kind: SoftwareGPU}, apple, none},
		{"Apple's only GPU", Device{Kind: GPU, Index: index(0)}, apple, 0},
		{"Apple's only GPU, not numbered", Device{Kind: GPU}, apple, 0},
		{"a second one", Device{Kind: GPU, Index: index(1)}, apple, none},
		{"no cards", Device{Kind: GPU}, nil, none},
	} {
		got := none
		if n := CardOf(tt.device, tt.cards); n != nil {
			got = *n
		}
		if got != tt.want {
			t.Errorf("%s: card %d, want %d", tt.name, got, tt.want)
		}
	}
}

// Cards of one model are equal, unless they are known to have other memory.
func TestEqual(t *testing.T) {
	memory := func(n int64) *int64 { return &n }
	card := Device{Kind: GPU, API: "cuda", Name: "NVIDIA H200", Memory: memory(150e9)}
	for name, tt := range map[string]struct {
		change func(*Device)
		want   bool
	}{
		"itself":            {func(*Device) {}, true},
		"another card":      {func(d *Device) { d.UUID, d.PCI = "GPU-1", "0000:01:00.0" }, true},
		"a little reserved": {func(d *Device) { d.Memory = memory(149e9) }, true},
		"memory not known":  {func(d *Device) { d.Memory = nil }, true},
		"half the memory":   {func(d *Device) { d.Memory = memory(75e9) }, false},
		"another model":     {func(d *Device) { d.Name = "NVIDIA H100" }, false},
		"another interface": {func(d *Device) { d.API = "vulkan" }, false},
		"a CPU":             {func(d *Device) { d.Kind = CPU }, false},
	} {
		other := card
		tt.change(&other)
		if Equal(card, other) != tt.want || Equal(other, card) != tt.want {
			t.Errorf("%s: want %t", name, tt.want)
		}
	}
}
