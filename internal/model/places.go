package model

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/fault"
)

// Places are the folders in which programs keep models, each with the variables
// and defaults that name it. One that is not there is no error.
type Places struct {
	Dirs        []string // of the user's own
	HuggingFace string   // HF_HUB_CACHE, HF_HOME/hub, ~/.cache/huggingface/hub
	Ollama      []string // OLLAMA_MODELS, ~/.ollama/models
	LMStudio    []string // ~/.lmstudio/models, ~/.cache/lm-studio/models
	LlamaCpp    []string // LLAMA_CACHE, ~/.cache/llama.cpp; its newer versions use Hugging Face's
	Free        int64    // bytes of memory that are free: what fits comes first. 0: not known
}

// What Model.Place says.
const (
	placeDir         = "your folders"
	placeHuggingFace = "Hugging Face"
	placeOllama      = "Ollama"
	placeLMStudio    = "LM Studio"
	placeLlamaCpp    = "llama.cpp"
)

// Find returns the models in all places, what is best to try first, and an error
// for each that is there and cannot be used. A file in two places is found once.
// It ends early when the context does.
func Find(ctx context.Context, p Places) (found []Model, unusable []error) {
	s := search{ctx: ctx, seen: map[string]bool{}}
	for _, dir := range p.Dirs {
		if _, err := os.Stat(dir); err != nil {
			s.unusable = append(s.unusable, invalid(fault.Remedies{fault.Change("model-dir", "{} names a folder with models in it")}, "%s: %v", dir, cause(err)))
		}
		s.walk(dir, placeDir)
	}
	s.huggingFace(p.HuggingFace)
	for _, dir := range p.Ollama {
		s.ollama(dir)
	}
	for _, dir := range p.LMStudio {
		s.walk(dir, placeLMStudio)
	}
	for _, dir := range p.LlamaCpp {
		s.walk(dir, placeLlamaCpp)
	}
	sortByUse(s.found, p.Free)
	return s.found, s.unusable
}

type search struct {
	ctx      context.Context
	seen     map[string]bool // real paths
	found    []Model
	unusable []error
}

// add opens what lies at a path and notes it under a name.
func (s *search) add(path, place, ref string, change func(*Model)) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil || s.seen[real] || s.ctx.Err() != nil {
		return
	}
	s.seen[real] = true
	m, err := Open(path)
	if err != nil {
		s.unusable = append(s.unusable, err)
		return
	}
	m.Place, m.Ref = place, ref
	if change != nil {
		change(&m)
	}
	s.found = append(s.found, m)
}

// walk looks for models below a folder; each is called by its path below it.
func (s *search) walk(root, place string) {
	s.below(root, func(path string) {
		ref, err := filepath.Rel(root, path)
		if err != nil || place == placeDir || ref == "." {
			ref = path
		}
		s.add(path, place, filepath.ToSlash(ref), nil)
	})
}

// below calls found for each GGUF file with a language model's name and each
// folder that Transformers or MLX can load. What cannot be read is passed over:
// it is not ours.
func (s *search) below(root string, found func(path string)) {
	real, err := filepath.EvalSymlinks(root)
	if root == "" || err != nil {
		return
	}
	filepath.WalkDir(real, func(path string, d fs.DirEntry, err error) error {
		if s.ctx.Err() != nil {
			return fs.SkipAll
		}
		if err != nil {
			return fs.SkipDir
		}
		name := d.Name()
		if d.IsDir() {
			if path != real && strings.HasPrefix(name, ".") {
				return fs.SkipDir
			}
			return nil
		}
		below, err := filepath.Rel(real, path)
		if err != nil {
			return nil
		}
		path = filepath.Join(root, below)
		switch {
		case name == "config.json" && textModel(filepath.Dir(path)):
			found(filepath.Dir(path))
		case strings.HasSuffix(name, ".gguf") && LanguageModel(name):
			found(path)
		}
		return nil
	})
}

// textModel reports whether a folder with a config.json holds a text model that
// can be loaded: caches hold many others, and configurations without weights.
func textModel(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	var c config
	if err != nil || json.Unmarshal(text, &c) != nil || !slices.ContainsFunc(c.Architectures, generates) {
		return false
	}
	return len(disk.Match(dir, "*.safetensors")) > 0
}

// LanguageModel reports whether a GGUF file's name is that of a model, or of the
// first part of one: not a projector for images, an adapter, a vocabulary.
func LanguageModel(name string) bool {
	name = strings.ToLower(name)
	if p := part.FindStringSubmatch(name); p != nil && p[2] != "00001" {
		return false
	}
	for _, other := range []string{"mmproj", "ggml-vocab", "imatrix", "-lora", "adapter"} {
		if strings.Contains(name, other) {
			return false
		}
	}
	return true
}

// huggingFace looks through the Hub's cache, as described in
// https://huggingface.co/docs/huggingface_hub/guides/manage-cache: of each
// repository the snapshot that refs/main names, or else the newest.
func (s *search) huggingFace(cache string) {
	for _, repository := range disk.Match(cache, "models--*") {
		owner, name, ok := strings.Cut(strings.TrimPrefix(filepath.Base(repository), "models--"), "--")
		id := owner + "/" + name
		if !ok {
			id = owner // those from the Hub's first days have none
		}
		snapshot := newestSnapshot(repository)
		if snapshot == "" {
			continue
		}
		s.below(snapshot, func(path string) {
			if path == snapshot {
				s.add(path, placeHuggingFace, id, func(m *Model) { m.Name = id[strings.LastIndexByte(id, '/')+1:] })
				return
			}
			s.add(path, placeHuggingFace, id, func(m *Model) {
				if m.Format != GGUF {
					m.Ref, m.Name = id+"/"+filepath.Base(path), filepath.Base(path)
				} else if m.Quantization != "" {
					m.Ref = id + ":" + m.Quantization
				}
			})
		})
	}
}

func newestSnapshot(repository string) string {
	if text, err := os.ReadFile(filepath.Join(repository, "refs", "main")); err == nil {
		snapshot := filepath.Join(repository, "snapshots", filepath.Base(strings.TrimSpace(string(text))))
		if _, err := os.Stat(snapshot); err == nil {
			return snapshot
		}
	}
	var newest fs.FileInfo
	entries, _ := os.ReadDir(filepath.Join(repository, "snapshots"))
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.IsDir() && (newest == nil || info.ModTime().After(newest.ModTime())) {
			newest = info
		}
	}
	if newest == nil {
		return ""
	}
	return filepath.Join(repository, "snapshots", newest.Name())
}

// A manifest is how Ollama writes what a model consists of:
// https://github.com/ollama/ollama/blob/main/manifest/manifest.go
type manifest struct {
	Layers []struct {
		Type   string `json:"mediaType"`
		Digest string `json:"digest"` // "sha256:…"
	} `json:"layers"`
}

const ollamaLayer = "application/vnd.ollama.image."

// ollama looks through the manifests of a folder of Ollama's:
// manifests/registry.ollama.ai/library/qwen2.5/0.5b is qwen2.5:0.5b, and its
// GGUF file is among the blobs.
func (s *search) ollama(root string) {
	manifests := filepath.Join(root, "manifests")
	filepath.WalkDir(manifests, func(path string, d fs.DirEntry, err error) error {
		switch {
		case s.ctx.Err() != nil:
			return fs.SkipAll
		case err != nil:
			return fs.SkipDir
		case d.IsDir() || strings.HasPrefix(d.Name(), "."):
			return nil
		}
		below, _ := filepath.Rel(manifests, path)
		name := ollamaName(filepath.ToSlash(below))
		text, err := os.ReadFile(path)
		var m manifest
		if err != nil || json.Unmarshal(text, &m) != nil {
			s.unusable = append(s.unusable, invalid(fault.Remedies{fault.Run("{} fetches it again", "ollama", "pull", name)}, "%s is no manifest of Ollama's", path))
			return nil
		}
		s.ollamaModel(root, name, m)
		return nil
	})
}

// ollamaName is what Ollama calls the model of a manifest.
func ollamaName(below string) string {
	dir, tag := below[:max(0, strings.LastIndexByte(below, '/'))], below[strings.LastIndexByte(below, '/')+1:]
	return strings.TrimPrefix(strings.TrimPrefix(dir, "registry.ollama.ai/"), "library/") + ":" + tag
}

// ollamaModel adds a model of Ollama's, which more than one name may stand for.
func (s *search) ollamaModel(root, name string, m manifest) {
	var file string
	template := false
	for _, l := range m.Layers {
		switch strings.TrimPrefix(l.Type, ollamaLayer) {
		case "model":
			file = filepath.Join(root, "blobs", strings.Replace(l.Digest, ":", "-", 1))
		case "template":
			template = true
		}
	}
	if file == "" {
		return // one that runs elsewhere, or not as GGUF
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		s.unusable = append(s.unusable, invalid(fault.Remedies{fault.Run("{} fetches it", "ollama", "pull", name)}, "%s: its file is missing from %s", name, filepath.Join(root, "blobs")))
		return
	}
	s.add(file, placeOllama, name, func(m *Model) {
		if m.Name == stem(file) {
			m.Name = name
		}
		m.Chat = m.Chat || template
		m.Runtimes = append(m.Runtimes, Ollama)
	})
}
