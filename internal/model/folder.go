package model

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/fault"
)

// A config is what is read of a model's config.json. Models that also see keep
// what concerns text in text_config.
type config struct {
	Architectures []string `json:"architectures"`
	Type          string   `json:"model_type"`
	DType         string   `json:"torch_dtype"`
	NewDType      string   `json:"dtype"` // Transformers 5 and MLX
	textConfig
	Text *textConfig `json:"text_config"`
	// MLX writes quantization and the same as quantization_config; others write
	// quantization_config with the method's name.
	Quantization *struct {
		Bits int `json:"bits"`
	} `json:"quantization"`
	Method *struct {
		Name string `json:"quant_method"`
		Bits int    `json:"bits"`
	} `json:"quantization_config"`
}

type textConfig struct {
	Layers       int   `json:"num_hidden_layers"`
	Context      int   `json:"max_position_embeddings"`
	Used         int64 `json:"num_experts_per_tok"`
	Experts      int64 `json:"num_experts"`
	LocalExperts int64 `json:"num_local_experts"`
	attentionConfig
}

// text is what concerns text.
func (c config) text() textConfig {
	if c.Text != nil {
		return *c.Text
	}
	return c.textConfig
}

var wantsFolder = fault.Advice("a model's folder holds config.json, tokenizer.json and model.safetensors")

// openFolder reads what MLX and Transformers load.
func openFolder(path string) (Model, error) {
	text, err := os.ReadFile(filepath.Join(path, "config.json"))
	if err != nil {
		return Model{}, invalid(inFolder(path), "%s is no model's folder: config.json: %v", path, cause(err))
	}
	var c config
	if err := json.Unmarshal(text, &c); err != nil {
		return Model{}, invalid(wantsFolder, "%s: config.json cannot be read: %v", path, err)
	}
	what, runtimes := folderInstead(path, c)
	if what != "" {
		return Model{}, holds(path, what, "name a model that generates text")
	}
	files, single, err := weightFiles(path)
	if err != nil {
		return Model{}, err
	}
	if !single { // Transformers loads no parts without their index, mlx-lm any file with such a name
		runtimes = slices.DeleteFunc(runtimes, func(r string) bool { return r == Torch })
	}
	size := c.text()
	m := Model{
		Name:         filepath.Base(path),
		Format:       Safetensors,
		Architecture: c.Type,
		Context:      size.Context,
		License:      license(filepath.Join(path, "README.md")),
		Chat:         hasTemplate(path),
		Runtimes:     runtimes,
		CacheBytes:   size.cache(),
	}
	if size.Layers > 0 {
		m.Layers = size.Layers + 1
	}
	bits := 0
	switch {
	case c.Quantization != nil:
		bits = c.Quantization.Bits
		m.Quantization, m.Runtimes = fmt.Sprintf("%d-bit", bits), only(m.Runtimes, MLX)
	case c.Method != nil && c.Method.Name != "":
		m.Quantization, m.Runtimes = c.Method.Name, only(m.Runtimes, Torch)
	}
	if len(m.Runtimes) == 0 {
		return Model{}, invalid(wantsFolder, "%s: neither MLX nor PyTorch loads %s with %s weights", path, strings.Join(c.Architectures, ", "), cmp.Or(m.Quantization, "these"))
	}
	var w weights
	for _, file := range files {
		types, err := m.addSafetensors(file, bits, &w)
		if err != nil {
			return Model{}, err
		}
		if m.Quantization == "" {
			m.Quantization = types
		}
	}
	m.TokenBytes, m.PromptParameters = w.cost(size.Used, max(size.Experts, size.LocalExperts))
	return m, nil
}

// only returns a runtime alone if it is among those.
func only(runtimes []string, name string) []string {
	return slices.DeleteFunc(runtimes, func(r string) bool { return r != name })
}

// weightFiles returns the files with weights that the frameworks load: model.safetensors,
// else the parts that the index names, which must all be there; else, for mlx-lm alone,
// all that begin with "model". Other files, such as a maker's own consolidated.safetensors
// of the same weights, are loaded by none.
func weightFiles(path string) (files []string, transformers bool, err error) {
	single := filepath.Join(path, "model.safetensors")
	if disk.Exists(single) {
		return []string{single}, true, nil
	}
	const name = "model.safetensors.index.json"
	text, err := os.ReadFile(filepath.Join(path, name))
	if err == nil {
		var index struct {
			Files map[string]string `json:"weight_map"` // by tensor
		}
		if err := json.Unmarshal(text, &index); err != nil || len(index.Files) == 0 {
			return nil, false, invalid(again, "%s: %s names no parts", path, name)
		}
		for _, part := range slices.Compact(slices.Sorted(maps.Values(index.Files))) {
			file := filepath.Join(path, filepath.Base(part))
			if !disk.Exists(file) {
				return nil, false, invalid(again, "%s: %s is missing", path, part)
			}
			files = append(files, file)
		}
		return files, true, nil
	}
	if files = disk.Match(path, "model*.safetensors"); len(files) > 0 {
		return files, false, nil
	}
	if others := disk.Match(path, "*.safetensors"); len(others) > 0 {
		return nil, false, invalid(wantsFolder, "%s has %s, which neither MLX nor PyTorch loads, and no model.safetensors", path, filepath.Base(others[0]))
	}
	return nil, false, invalid(wantsFolder, "%s has a config.json and no .safetensors", path)
}

// inFolder says what to do with a folder that is no model: name the GGUF file in it.
func inFolder(path string) fault.Remedies {
	if files := disk.Match(path, "*.[gG][gG][uU][fF]"); len(files) > 0 {
		return fault.Advice("name the file: " + files[0])
	}
	return wantsFolder
}

// hasTemplate reports whether a folder has a chat template, in any of the places
// where Transformers has kept it.
func hasTemplate(path string) bool {
	for _, name := range []string{"chat_template.jinja", "chat_template.json"} {
		if _, err := os.Stat(filepath.Join(path, name)); err == nil {
			return true
		}
	}
	text, err := os.ReadFile(filepath.Join(path, "tokenizer_config.json"))
	var c struct {
		Template json.RawMessage `json:"chat_template"` // a string, or a list of named ones
	}
	return err == nil && json.Unmarshal(text, &c) == nil && len(c.Template) > len(`""`) && string(c.Template) != "null"
}

// license reads the license from the block of metadata that begins a model card.
func license(readme string) string {
	text, err := os.ReadFile(readme)
	if err != nil || !bytes.HasPrefix(text, []byte("---")) {
		return ""
	}
	head, _, _ := bytes.Cut(text[3:], []byte("\n---"))
	for line := range strings.Lines(string(head)) {
		if value, ok := strings.CutPrefix(line, "license:"); ok {
			return strings.ToLower(strings.Trim(strings.TrimSpace(value), `"'`))
		}
	}
	return ""
}

// A tensor is an entry in the header of a safetensors file:
// https://github.com/huggingface/safetensors#format
type tensor struct {
	DType   string   `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// addSafetensors adds a file's tensors to the model and returns the type that
// most of its bytes have. bits is what MLX has packed weights into.
func (m *Model) addSafetensors(path string, bits int, w *weights) (most string, err error) {
	tensors, _, size, err := readSafetensors(path)
	if err != nil {
		return "", err
	}
	m.Bytes += size
	held := map[string]int64{}
	for name, t := range tensors {
		count := t.count()
		base, last := name, ""
		if i := strings.LastIndexByte(name, '.'); i >= 0 {
			base, last = name[:i], name[i+1:]
		}
		_, packed := tensors[base+".scales"]
		switch {
		case packed && last == "weight" && bits > 0:
			count = count * 32 / int64(bits)
		case packed && (last == "scales" || last == "biases"):
			count = 0 // they are part of how a weight is written
		}
		n := t.Offsets[1] - t.Offsets[0]
		m.Parameters += count
		w.add(name, len(t.Shape), count, n)
		if held[t.DType] += n; held[t.DType] > held[most] {
			most = t.DType
		}
	}
	return most, nil
}

func (t tensor) count() int64 {
	n := int64(1)
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// longest is more than a safetensors header may take: the reference
// implementation refuses 100 MB and more.
const longest = 100 << 20

// readSafetensors reads a file's header, compares what it promises with the file's size,
// and returns where its data starts.
func readSafetensors(path string) (tensors map[string]tensor, start, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, 0, invalid(again, "%s cannot be read: %v", path, cause(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, 0, invalid(nil, "%s cannot be read: %v", path, cause(err))
	}
	damaged := func(err error) error {
		return invalid(again, "%s is cut off, damaged or no safetensors file: %v", path, err)
	}
	var length uint64
	if err := binary.Read(f, binary.LittleEndian, &length); err != nil {
		return nil, 0, 0, damaged(err)
	}
	if length > longest || int64(length) > info.Size()-8 {
		return nil, 0, 0, damaged(fmt.Errorf("a header of %d bytes in a file of %d", length, info.Size()))
	}
	header := make([]byte, length)
	if _, err := io.ReadFull(f, header); err != nil {
		return nil, 0, 0, damaged(err)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(header, &raw); err != nil {
		return nil, 0, 0, damaged(err)
	}
	delete(raw, "__metadata__")
	tensors = make(map[string]tensor, len(raw))
	var end int64
	for name, text := range raw {
		var t tensor
		if err := json.Unmarshal(text, &t); err != nil {
			return nil, 0, 0, damaged(err)
		}
		if t.Offsets[0] < 0 || t.Offsets[1] < t.Offsets[0] || slices.ContainsFunc(t.Shape, func(d int64) bool { return d < 0 }) {
			return nil, 0, 0, damaged(errors.New(name + " has no possible place or shape"))
		}
		tensors[name] = t
		end = max(end, t.Offsets[1])
	}
	if have := info.Size() - 8 - int64(length); end > have {
		return nil, 0, 0, damaged(fmt.Errorf("its tensors take %d bytes, there are %d", end, have))
	}
	return tensors, 8 + int64(length), info.Size(), nil
}
