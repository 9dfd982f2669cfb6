package model

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
)

// part is the name of one of several files that hold a model together.
var part = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})\.gguf$`)

var again = fault.Remedies{fault.Run("download it again: {} checks size and SHA-256", "gpuplay", "models", "get")}

// openGGUF reads a GGUF file's metadata and its list of tensors.
func openGGUF(path string) (Model, error) {
	if err := begins(path); err != nil {
		return Model{}, err
	}
	first, err := readHeader(path)
	if err != nil {
		return Model{}, invalid(again, "%s is cut off or damaged: %v", path, err)
	}
	files, err := whole(path, int(min(first.number("split.no"), math.MaxInt16)), int(min(first.number("split.count"), math.MaxInt16)))
	if err != nil {
		return Model{}, err
	}
	if what := instead(first); what != "" {
		return Model{}, holds(path, what, "name the model's own file")
	}
	headers := []header{first}
	var size int64
	for i, file := range files {
		if i > 0 {
			h, err := readHeader(file)
			if err != nil {
				return Model{}, invalid(again, "%s is cut off or damaged: %v", file, err)
			}
			headers = append(headers, h)
		}
		info, err := os.Stat(file)
		if err != nil {
			return Model{}, invalid(nil, "%s cannot be read: %v", file, cause(err))
		}
		size += info.Size()
	}
	m := described(headers)
	m.Bytes = size
	if own := ownMix(path); own != "" {
		m.Quantization = own
	}
	return m, nil
}

// A Part is a file of a model that is elsewhere.
type Part struct {
	Open func() (io.ReadCloser, error) // from its beginning on; little more is read than the header
	Size int64                         // in bytes
}

// ReadGGUF returns what a GGUF file says of itself that is elsewhere, or several files that
// belong together.
func ReadGGUF(parts ...Part) (Model, error) {
	var headers []header
	var size int64
	for _, p := range parts {
		in, err := p.Open()
		if err != nil {
			return Model{}, err
		}
		h, err := parseHeader(in, p.Size)
		in.Close()
		if err != nil {
			return Model{}, err
		}
		headers, size = append(headers, h), size+p.Size
	}
	m := described(headers)
	m.Bytes = size
	return m, nil
}

// described returns what the headers of a model's files say, of which the first has the
// metadata.
func described(headers []header) Model {
	first := headers[0]
	m := Model{Format: GGUF, Runtimes: []string{LlamaCpp}}
	var w weights
	held := map[uint32]int64{}
	for _, h := range headers {
		for _, t := range h.tensors {
			m.Parameters += t.parameters
			held[t.kind] += t.bytes
			w.add(t.name, t.dimensions, t.parameters, t.bytes)
		}
	}
	m.Architecture = first.text("general.architecture")
	of := func(key string) int { return int(min(first.number(m.Architecture+"."+key), math.MaxInt32)) }
	m.Name = first.text("general.name")
	m.License = strings.ToLower(first.text("general.license"))
	m.Quantization = quantization(first, held)
	m.Layers = of("block_count") + 1
	m.Context = of("context_length")
	m.Chat = first.text("tokenizer.chat_template") != ""
	m.TokenBytes, m.PromptParameters = w.cost(int64(of("expert_used_count")), int64(of("expert_count")))
	m.CacheBytes = cacheOf(first, m.Architecture+".")
	return m
}

// begins checks the first bytes, which tell whether this is a GGUF file at all.
func begins(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return invalid(nil, "%s cannot be read: %v", path, cause(err))
	}
	defer f.Close()
	head := make([]byte, 64)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid(nil, "%s cannot be read: %v", path, cause(err))
	}
	head = head[:n]
	switch {
	case n == 0:
		return invalid(again, "%s is empty", path)
	case bytes.HasPrefix(head, []byte("version https://git-lfs")):
		return invalid(fault.Remedies{fault.Run("{} fetches the model", "git", "lfs", "pull")}, "%s is a pointer of Git LFS, not the model", path)
	case bytes.HasPrefix(bytes.ToLower(bytes.TrimSpace(head)), []byte("<")):
		return invalid(fault.Remedies{fault.Run("a download ended at a page, perhaps one to log in: {} downloads models", "gpuplay", "models", "get")}, "%s is a web page, not a GGUF file", path)
	case !bytes.HasPrefix(head, []byte("GGUF")):
		return invalid(fault.Advice("name a .gguf file, or a folder with config.json for MLX and PyTorch"), "%s is not a GGUF file: it begins with %q", path, head[:min(n, 4)])
	case n < 8:
		return invalid(again, "%s is cut off after %d bytes", path, n)
	}
	// A file of the other byte order has a version of 2²⁴ and more.
	version := binary.LittleEndian.Uint32(head[4:])
	if big := binary.BigEndian.Uint32(head[4:]); big < version {
		version = big
	}
	if version < oldestGGUF || version > newestGGUF {
		return invalid(fault.Advice("take a file of a version that is known, or a newer gpuplay"), "%s is GGUF version %d; versions %d to %d are known", path, version, oldestGGUF, newestGGUF)
	}
	return nil
}

// whole returns all files of a model, of which one was named: by its metadata it is number
// no, from 0 on, of a number of files. llama.cpp finds the others by the first one's name.
func whole(path string, no, of int) ([]string, error) {
	if of <= 1 {
		return []string{path}, nil
	}
	p := part.FindStringSubmatch(filepath.Base(path))
	if p == nil || p[2] != fmt.Sprintf("%05d", no+1) || p[3] != fmt.Sprintf("%05d", of) {
		return nil, invalid(fault.Advice(fmt.Sprintf("give all parts the names under which they were published, which end in -00001-of-%05d.gguf and so on", of)),
			"%s is part %d of %d of a model, and its name does not say so: the other parts are not found", path, no+1, of)
	}
	name := func(i int) string {
		return filepath.Join(filepath.Dir(path), fmt.Sprintf("%s-%05d-of-%05d.gguf", p[1], i, of))
	}
	if no != 0 {
		return nil, invalid(fault.Advice("name the first: "+name(1)), "%s is part %d of %d of a model", path, no+1, of)
	}
	files := []string{path}
	for i := 2; i <= of; i++ {
		if _, err := os.Stat(name(i)); err != nil {
			return nil, invalid(again, "%s: part %d of %d is missing: %s", path, i, of, name(i))
		}
		files = append(files, name(i))
	}
	return files, nil
}

// mix is the name of a mix of types where publishers write it, at the end of a file's name.
var mix = regexp.MustCompile(`(?i)[-._/]((?:UD-)?(?:I?Q[1-9]|TQ[12]|MXFP4|NVFP4)(?:_[A-Z0-9]+)+)$`)

// ownMix returns the name of a mix of types that is a publisher's own, such as UD-Q4_K_XL,
// from the file's name; "" for the mixes that llama.cpp knows, which the metadata tells.
func ownMix(path string) string {
	found := mix.FindStringSubmatch(stem(path))
	if found == nil {
		return ""
	}
	name := strings.ToUpper(found[1])
	for _, known := range fileTypes {
		if name == known {
			return ""
		}
	}
	return name
}

// HasMix reports whether a file's name has the name of a mix between marks, so that Q4_K
// is not found in Q4_K_M.
func HasMix(file, name string) bool {
	return name != "" && regexp.MustCompile(`(^|[-._/])`+regexp.QuoteMeta(strings.ToLower(name))+`([-./]|$)`).MatchString(strings.ToLower(file))
}

// quantization is the file's own word for its mix of types, or the type of most
// of its bytes where that word is not known.
func quantization(h header, held map[uint32]int64) string {
	if _, said := h.values["general.file_type"]; said {
		if name := fileTypes[h.number("general.file_type")]; name != "" {
			return name
		}
	}
	var most string
	var bytes int64
	for _, kind := range slices.Sorted(maps.Keys(held)) {
		if held[kind] > bytes {
			most, bytes = ggmlTypes[kind].name, held[kind]
		}
	}
	return most
}

// weights add up what generating a token and reading a prompt cost.
type weights struct {
	bytes, embeddingBytes, expertBytes int64
	matrices, outputs, expertMatrices  int64 // parameters; outputs: of the embedding and the output layer
	output                             bool  // a layer of its own, not the embedding again
}

// add counts a tensor, by its name in GGUF or in safetensors.
func (w *weights) add(name string, dimensions int, parameters, bytes int64) {
	w.bytes += bytes
	if dimensions >= 2 {
		w.matrices += parameters
	}
	name = strings.TrimPrefix(strings.TrimPrefix(name, "language_model."), "model.")
	switch {
	case strings.HasPrefix(name, "token_embd.") || strings.HasPrefix(name, "embed_tokens."):
		w.embeddingBytes += bytes
		w.outputs += parameters
	case strings.HasPrefix(name, "output.") || strings.HasPrefix(name, "lm_head."):
		w.output = true
		w.outputs += parameters
	case strings.Contains(name, "_exps.") || strings.Contains(name, ".experts.") || strings.Contains(name, ".switch_mlp."):
		w.expertBytes += bytes
		w.expertMatrices += parameters
	}
}

// cost returns Model's TokenBytes and PromptParameters where each token uses some of
// the experts; 0 experts stand for a model without.
func (w *weights) cost(used, experts int64) (tokenBytes, promptParameters int64) {
	tokenBytes, promptParameters = w.bytes, w.matrices-w.outputs
	if w.output {
		tokenBytes -= w.embeddingBytes
	}
	if experts > 0 && used > 0 && used < experts {
		idle := func(n int64) int64 { return n / experts * (experts - used) }
		tokenBytes -= idle(w.expertBytes)
		promptParameters -= idle(w.expertMatrices)
	}
	return tokenBytes, promptParameters
}
