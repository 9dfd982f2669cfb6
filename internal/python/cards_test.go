package python

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The cards behind CUDA's devices, by a driver's made-up list.
func TestDriverCards(t *testing.T) {
	const name = "NVIDIA H100 80GB HBM3"
	folder := t.TempDir()
	gpu := func(pci, name, uuid string) {
		dir := filepath.Join(folder, "gpus", pci)
		text := fmt.Sprintf("Model: \t\t %s\nIRQ:   \t\t 16\nGPU UUID: \t %s\nVideo BIOS: \t 96.00.74.00.01\nBus Type: \t PCIe\nBus Location: \t %s\nDevice Minor: \t 0\n", name, uuid, pci)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "information"), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	// The driver's numbers do not follow the addresses; CUDA's do, as it is told to.
	gpu("0000:c1:00.0", name, "GPU-cccccccc-1111-2222-3333-444444444444")
	gpu("0000:3b:00.0", name, "GPU-aaaaaaaa-1111-2222-3333-444444444444")
	gpu("0000:86:00.0", name, "GPU-aaaabbbb-1111-2222-3333-444444444444")
	alone, mixed, asleep, cut := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	three := folder
	folder = alone
	gpu("0000:01:00.0", name, "GPU-eeeeeeee-1111-2222-3333-444444444444")
	folder = mixed
	gpu("0000:01:00.0", "NVIDIA GeForce GT 1030", "GPU-11111111-1111-2222-3333-444444444444")
	gpu("0000:02:00.0", name, "GPU-22222222-1111-2222-3333-444444444444")
	folder = asleep
	gpu("0000:00:05.0", name, "GPU-eeeeeeee-1111-2222-3333-444444444444\nGPU Excluded: \t Yes")
	gpu("0000:01:00.0", name, "GPU-????????-????-????-????-????????????")
	folder = cut
	gpu("0000:01:00.0", name, "GPU-eeeeeeee-1111-2222-3333-444444444444")
	if err := os.MkdirAll(filepath.Join(cut, "capabilities", "gpu0", "mig", "gi1"), 0o755); err != nil {
		t.Fatal(err)
	}
	const a, b, c = "a", "b", "c"
	known := map[string]map[string]any{
		a:   {"uuid": "GPU-aaaaaaaa-1111-2222-3333-444444444444", "pci": "0000:3b:00.0"},
		b:   {"uuid": "GPU-aaaabbbb-1111-2222-3333-444444444444", "pci": "0000:86:00.0"},
		c:   {"uuid": "GPU-cccccccc-1111-2222-3333-444444444444", "pci": "0000:c1:00.0"},
		"e": {"uuid": "GPU-eeeeeeee-1111-2222-3333-444444444444", "pci": "0000:01:00.0"},
		"1": {"uuid": "GPU-11111111-1111-2222-3333-444444444444", "pci": "0000:01:00.0"},
		"2": {"uuid": "GPU-22222222-1111-2222-3333-444444444444", "pci": "0000:02:00.0"},
		"?": {"pci": "0000:01:00.0"},
		"":  {},
	}
	names := func(n int) []string { return slices.Repeat([]string{name}, n) }
	const unset = "unset"
	tests := []struct {
		folder  string
		names   []string
		visible string // CUDA_VISIBLE_DEVICES
		order   string // CUDA_DEVICE_ORDER
		want    []string
	}{
		{three, names(3), unset, "PCI_BUS_ID", []string{a, b, c}},
		{three, names(3), unset, unset, []string{"", "", ""}}, // the fastest first, which is not known
		{three, names(3), unset, "FASTEST_FIRST", []string{"", "", ""}},
		{three, names(2), "2,0", "PCI_BUS_ID", []string{c, a}},
		{three, names(2), "0, 2,-1,1", "PCI_BUS_ID", []string{a, c}},
		{three, names(1), "1,3,0", "PCI_BUS_ID", []string{b}},
		{three, names(1), "1,NoDevFiles", "PCI_BUS_ID", []string{b}},
		{three, nil, "", "PCI_BUS_ID", nil},
		{three, nil, "-1", "PCI_BUS_ID", nil},
		{three, names(1), "GPU-cccccccc-1111-2222-3333-444444444444", "PCI_BUS_ID", []string{c}},
		{three, names(2), "GPU-c,GPU-aaaab", "PCI_BUS_ID", []string{c, b}},
		{three, names(1), "GPU-c,GPU-ffff,GPU-aaaab", "PCI_BUS_ID", []string{c}},
		{three, names(1), "GPU-aaaa", "PCI_BUS_ID", []string{""}},     // which of two?
		{three, names(2), "0,0", "PCI_BUS_ID", []string{"", ""}},      // not written anywhere
		{three, names(2), "0,GPU-c", "PCI_BUS_ID", []string{"", ""}},  // likewise
		{three, names(1), "MIG-cccccccc", "PCI_BUS_ID", []string{""}}, // a part of a GPU
		{three, names(2), unset, "PCI_BUS_ID", []string{"", ""}},      // the framework leaves one out: which?
		{three, names(4), unset, "PCI_BUS_ID", []string{"", "", "", ""}},
		{alone, names(1), unset, unset, []string{"e"}},
		{alone, names(1), "0", "FASTEST_FIRST", []string{"e"}},
		{alone, []string{"GPU 0"}, unset, unset, []string{""}}, // another name
		{mixed, []string{"NVIDIA GeForce GT 1030", name}, unset, "PCI_BUS_ID", []string{"1", "2"}},
		{mixed, []string{name, "NVIDIA GeForce GT 1030"}, unset, "PCI_BUS_ID", []string{"", ""}},
		{mixed, []string{name}, "1", "PCI_BUS_ID", []string{"2"}},
		{asleep, names(1), unset, unset, []string{"?"}}, // its UUID is known once it was used
		{cut, names(1), unset, unset, []string{""}},
		{t.TempDir(), names(1), unset, unset, []string{""}}, // no driver that lists them
	}
	var expressions []string
	for _, tt := range tests {
		environment := map[string]string{}
		if tt.visible != unset {
			environment["CUDA_VISIBLE_DEVICES"] = tt.visible
		}
		if tt.order != unset {
			environment["CUDA_DEVICE_ORDER"] = tt.order
		}
		if tt.names == nil {
			tt.names = []string{}
		}
		args, err := json.Marshal([]any{tt.names, environment, tt.folder})
		if err != nil {
			t.Fatal(err)
		}
		expressions = append(expressions, "nvidia_cards(*"+string(args)+")")
	}
	for i, got := range evaluate(t, "jax", expressions) {
		want := []any{}
		for _, w := range tests[i].want {
			want = append(want, known[w])
		}
		if d := cmp.Diff(toJSON(t, want), toJSON(t, got)); d != "" {
			t.Errorf("%s: %s", expressions[i], d)
		}
	}
	got := evaluate(t, "jax", []string{`cuda_fields(1, {"uuid": "GPU-c", "pci": "0000:c1:00.0"})`, `cuda_fields(1, {})`})
	if d := cmp.Diff([]string{`{"id":"cuda:GPU-c","index":1,"pci":"0000:c1:00.0","uuid":"GPU-c"}`, `{"id":"cuda:1","index":1}`}, []string{toJSON(t, got[0]), toJSON(t, got[1])}); d != "" {
		t.Error(d)
	}
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(text))
}
