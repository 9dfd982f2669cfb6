package setup

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/python"
)

// What language models need comes after torch, from PyPI, and into an environment
// that is complete; when it cannot be had there, torch stays.
func TestModels(t *testing.T) {
	d, b := newDesk(t)
	folder := filepath.Join(t.TempDir(), "torch")
	makeIt := func(o Options) ([]string, error) {
		d.ran = nil
		p, err := New("torch", b.Machine, o)
		if err != nil {
			t.Fatal(err)
		}
		j, err := b.Prepare(t.Context(), p, folder, "", false)
		if err != nil {
			t.Fatal(err)
		}
		return b.Make(t.Context(), j)
	}
	install := "uv pip install --python " + python.In(folder) + " transformers peft"
	if _, err := makeIt(Options{}); err != nil || slices.Contains(d.ran, install) {
		t.Errorf("without models: error %v, ran %q", err, d.ran)
	}
	d.fails = map[string]string{install: "error: no way to PyPI"}
	if _, err := makeIt(Options{Models: true}); err == nil || !strings.Contains(err.Error(), "no way to PyPI") || !disk.Exists(python.In(folder)) && !disk.Exists(filepath.Join(folder, "pyvenv.cfg")) {
		t.Errorf("error %v, ran %q", err, d.ran)
	}
	d.fails = nil
	facts, err := makeIt(Options{Models: true})
	if err != nil || len(facts) != 4 || !slices.Contains(d.ran, install) || slices.ContainsFunc(d.ran, func(l string) bool { return strings.Contains(l, "venv ") }) {
		t.Errorf("into one that is complete: %q, error %v, ran %q", facts, err, d.ran)
	}
	folder = filepath.Join(t.TempDir(), "torch")
	install = "uv pip install --python " + python.In(folder) + " transformers peft"
	if _, err := makeIt(Options{Models: true}); err != nil || !slices.Contains(d.ran, install) || disk.Exists(filepath.Join(folder, python.Incomplete)) {
		t.Errorf("at once: error %v, ran %q", err, d.ran)
	}
	if _, err := New("torch", intelMac, Options{Models: true}); err == nil || !strings.Contains(err.Error(), "transformers needs a newer PyTorch") {
		t.Errorf("error %v on an Intel Mac", err)
	}
}
