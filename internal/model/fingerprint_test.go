package model

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// A fingerprint is that of the weights alone: it stays where they are moved or split, and
// changes with their content, shape, type or name.
func TestFingerprint(t *testing.T) {
	const rows, columns = 1024, 1024 // of 2 MiB, of which half is read
	one := map[string]tensor{
		"a.weight": {"BF16", []int64{rows, columns}, [2]int64{0, 2 * rows * columns}},
		"b.weight": {"BF16", []int64{8}, [2]int64{2 * rows * columns, 2*rows*columns + 16}},
	}
	of := func(t *testing.T, files map[string][]byte) string {
		t.Helper()
		dir := t.TempDir()
		for name, data := range files {
			write(t, filepath.Join(dir, name), data)
		}
		print, err := Fingerprint(dir)
		if err != nil {
			t.Fatal(err)
		}
		return print
	}
	data := safetensors(one)
	want := of(t, map[string][]byte{"model.safetensors": data})
	a := safetensors(map[string]tensor{"a.weight": one["a.weight"]})
	b := safetensors(map[string]tensor{"b.weight": {"BF16", []int64{8}, [2]int64{0, 16}}})
	if got := of(t, map[string][]byte{"x.safetensors": a, "y.safetensors": b, "model.safetensors.index.json": []byte(`{"weight_map":{"a.weight":"x.safetensors","b.weight":"y.safetensors"}}`)}); got != want {
		t.Errorf("in two files it is %s, in one %s", got, want)
	}
	if got := of(t, map[string][]byte{"model.safetensors": data, "README.md": []byte("A model"), "consolidated.safetensors": a}); got != want {
		t.Errorf("beside other files it is %s, else %s", got, want)
	}
	changed := func(at int) []byte {
		c := append([]byte(nil), data...)
		c[at]++
		return c
	}
	renamed := maps.Clone(one)
	renamed["c.weight"] = renamed["b.weight"]
	delete(renamed, "b.weight")
	shaped, typed := maps.Clone(one), maps.Clone(one)
	shaped["b.weight"] = tensor{"BF16", []int64{2, 4}, one["b.weight"].Offsets}
	typed["b.weight"] = tensor{"F16", []int64{8}, one["b.weight"].Offsets}
	start := len(data) - 2*rows*columns - 16
	for name, other := range map[string][]byte{
		"the first byte of a large tensor": changed(start), "its last": changed(len(data) - 17), "the middle of a small one": changed(len(data) - 8),
		"a name": safetensors(renamed), "a shape": safetensors(shaped), "a type": safetensors(typed),
	} {
		if of(t, map[string][]byte{"model.safetensors": other}) == want {
			t.Errorf("%s has changed, and the fingerprint is the same", name)
		}
	}
	if _, err := Fingerprint(t.TempDir()); err == nil {
		t.Error("an empty folder has a fingerprint")
	}
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "model.safetensors"), data)
	if err := os.Truncate(path, int64(len(data)-1)); err != nil {
		t.Fatal(err)
	}
	if _, err := Fingerprint(dir); err == nil {
		t.Error("weights that are cut off have a fingerprint")
	}
}
