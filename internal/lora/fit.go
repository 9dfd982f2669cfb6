package lora

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/model"
)

// Fits refuses the adapter in a folder for a model that it was not trained on: one whose
// matrices have other shapes, and, where gpuplay has kept what it was trained on, one with
// other weights of the same shapes. An adapter that mlx-lm or peft made and whose matrices
// have the model's shapes may be of another model. A model that no framework loads is left
// to whoever loads it.
func Fits(folder string, m model.Model) error {
	if m.Format != model.Safetensors {
		return nil
	}
	runtime, _, err := Made(folder)
	if err != nil {
		return err
	}
	if err := fitting(filepath.Join(folder, weights[runtime]), folder, m); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(folder, stateFile)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	s, err := Resume(folder)
	if err != nil {
		return err
	}
	if s.Base == "" { // an earlier gpuplay kept the size alone
		if s.Weights != m.Bytes {
			return trainedOnAnother("the adapter in %s was trained on %s, not on %s", folder, s.Model, m.Path)
		}
		return nil
	}
	base, err := model.Fingerprint(m.Path)
	if err != nil {
		return err
	}
	if base != s.Base {
		return trainedOnAnother("the adapter in %s was trained on the weights of %s (%.19s…); those of %s have the same shapes and are others (%.19s…)", folder, s.Model, s.Base, m.Path, base)
	}
	return nil
}

func trainedOnAnother(format string, args ...any) error {
	return invalid(fault.Remedies{fault.Remedy{Text: "name the model that it was trained on"}, fault.Change("adapter", "{} names the adapter of this one")}, format, args...)
}

// half is the name of one of the two thin matrices of an adapter.
var half = regexp.MustCompile(`^(?:base_model\.model\.)?(.+)\.(?:lora_([AB])(?:\.default)?\.weight|lora_([ab]))$`)

// changed returns the shapes of the matrices that an adapter changes, as out×in, by their
// names in the model. Through a rank r, peft has lora_A of r×in and lora_B of out×r, and
// mlx-lm lora_a of in×r and lora_b of r×out.
func changed(adapter map[string]model.Tensor) map[string][2]int64 {
	shapes := map[string][2]int64{}
	for name, t := range adapter {
		p := half.FindStringSubmatch(name)
		if p == nil || len(t.Shape) != 2 {
			continue
		}
		s := shapes[bare(p[1])]
		switch p[2] + p[3] {
		case "A":
			s[1] = t.Shape[1]
		case "B":
			s[0] = t.Shape[0]
		case "a":
			s[1] = t.Shape[0]
		case "b":
			s[0] = t.Shape[1]
		}
		shapes[bare(p[1])] = s
	}
	return shapes
}

// bare is a weight's name without the parts in front of the list of layers, which the
// frameworks and the files of a model do not write alike.
func bare(name string) string {
	for {
		first, rest, ok := strings.Cut(name, ".")
		if !ok || !slices.Contains([]string{"model", "language_model", "transformer"}, first) {
			return name
		}
		name = rest
	}
}

// layer is the beginning of a bare name, up to the number of a layer.
var layer = regexp.MustCompile(`^(?:layers|h|blocks)\.\d+\.`)

// fitting compares the shapes in an adapter's file with those of the model. What the
// model's files do not have under the same name is left to the framework, unless it is in a
// layer that is not there at all.
func fitting(file, folder string, m model.Model) error {
	adapter, err := model.Tensors(file)
	if err != nil {
		return err
	}
	found, err := model.Weights(m.Path)
	if err != nil {
		return err
	}
	base, layers := map[string]model.Tensor{}, map[string]bool{}
	for name, t := range found {
		base[bare(name)] = t
		if in := layer.FindString(bare(name)); in != "" {
			layers[in] = true
		}
	}
	shapes := changed(adapter)
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		want := shapes[name]
		t, there := base[name+".weight"]
		if in := layer.FindString(name); !there && in != "" && len(layers) > 0 && !layers[in] {
			return trainedOnAnother("the adapter in %s does not fit %s: it changes %s (%d×%d), of whose layers the model has %d", folder, m.Path, name, want[0], want[1], len(layers))
		}
		if !there || len(t.Shape) != 2 {
			continue
		}
		if !strings.HasPrefix(strings.TrimPrefix(t.DType, "B"), "F") { // several values are packed into each element
			continue
		}
		rows, columns := t.Shape[0], t.Shape[1]
		if want == [2]int64{rows, columns} || want == [2]int64{columns, rows} { // GPT-2 keeps its matrices transposed
			continue
		}
		return trainedOnAnother("the adapter in %s does not fit %s: %s is %d×%d in the adapter, %d×%d in the model", folder, m.Path, name, want[0], want[1], rows, columns)
	}
	return nil
}
