package model

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
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
	real, err := realPath(path)
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

// below calls found for each GGUF file, of several that belong together the first, and each
// folder with weights and a configuration that names its architecture. Links are followed,
// each folder once; one that leads above the root is not. What cannot be read is passed
// over: it is not ours.
func (s *search) below(root string, found func(path string)) {
	real, err := realPath(root)
	if root == "" || err != nil {
		return
	}
	s.folder(root, real, map[string]bool{}, found)
}

func (s *search) folder(path, root string, seen map[string]bool, found func(path string)) {
	real, err := realPath(path)
	if err != nil || seen[real] || s.ctx.Err() != nil || real != root && strings.HasPrefix(root, strings.TrimSuffix(real, string(filepath.Separator))+string(filepath.Separator)) {
		return
	}
	seen[real] = true
	entries, err := os.ReadDir(path)
	if err != nil {
		return
	}
	for _, e := range entries {
		name, at := e.Name(), filepath.Join(path, e.Name())
		folder := e.IsDir()
		if e.Type()&fs.ModeSymlink != 0 {
			info, err := os.Stat(at)
			folder = err == nil && info.IsDir()
		}
		switch {
		case folder && !strings.HasPrefix(name, "."):
			s.folder(at, root, seen, found)
		case folder:
		case name == "config.json" && textModel(path):
			found(path)
		case strings.EqualFold(filepath.Ext(name), ".gguf") && !follows(at):
			found(at)
		}
	}
}

// realPath returns the absolute path of a file or folder without links.
func realPath(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	return filepath.Abs(real)
}

// textModel reports whether a folder with a config.json holds weights of an architecture:
// caches hold many configurations without either.
func textModel(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	var c config
	return err == nil && json.Unmarshal(text, &c) == nil && len(c.Architectures) > 0 && len(disk.Match(dir, "*.safetensors")) > 0
}

// follows reports whether a file is called a further part of a model whose first part lies
// beside it, and is opened with that.
func follows(path string) bool {
	p := part.FindStringSubmatch(filepath.Base(path))
	return p != nil && p[2] != "00001" && disk.Exists(filepath.Join(filepath.Dir(path), p[1]+"-00001-of-"+p[3]+".gguf"))
}

// LanguageModel reports whether a GGUF file's name can be that of a model, or of the first
// part of one, where the name is all that is known: not a projector for images, an
// importance matrix, a vocabulary or an adapter.
func LanguageModel(name string) bool {
	name = strings.ToLower(name)
	if p := part.FindStringSubmatch(name); p != nil && p[2] != "00001" {
		return false
	}
	return !noModel.MatchString(name)
}

var noModel = regexp.MustCompile(`mmproj|imatrix|^ggml-vocab|[-_.](lora|adapter)([-_.](f16|f32|bf16|q8_0))?\.gguf$`)

// huggingFace looks through the Hub's cache, as described in
// https://huggingface.co/docs/huggingface_hub/guides/manage-cache. Of each repository it
// takes all snapshots, since the files of one may come with several: that which refs/main
// names first, then the newest. Of a file that several have, the first that can be used
// counts.
func (s *search) huggingFace(cache string) {
	for _, repository := range disk.Match(cache, "models--*") {
		owner, name, ok := strings.Cut(strings.TrimPrefix(filepath.Base(repository), "models--"), "--")
		id := owner + "/" + name
		if !ok {
			id = owner // those from the Hub's first days have none
		}
		before, wrong := len(s.found), len(s.unusable)
		done, failed := map[string]bool{}, map[string]error{}
		for _, snapshot := range Snapshots(repository) {
			s.below(snapshot, func(path string) {
				file, err := filepath.Rel(snapshot, path)
				if err != nil || done[file] {
					return
				}
				found := len(s.found)
				s.add(path, placeHuggingFace, id, func(m *Model) { m.Ref = id + "/" + filepath.ToSlash(file) })
				if len(s.unusable) > wrong { // an older version may be whole
					if failed[file] == nil {
						failed[file] = s.unusable[wrong]
					}
					s.unusable = s.unusable[:wrong]
				}
				done[file] = len(s.found) > found // else it has failed before, as part of another snapshot
			})
		}
		for _, file := range slices.Sorted(maps.Keys(failed)) {
			if !done[file] {
				s.unusable = append(s.unusable, failed[file])
			}
		}
		nameFiles(s.found[before:], id)
	}
}

// nameFiles gives the models of one repository the names by which models get knows them:
// that of the repository for its folder, with the quantization for a GGUF file, and with
// the file's name where two have the same quantization.
func nameFiles(list []Model, id string) {
	times := map[string]int{}
	for _, m := range list {
		times[m.Quantization]++
	}
	for i := range list {
		m := &list[i]
		file := strings.TrimPrefix(m.Ref, id+"/")
		switch {
		case file == ".":
			m.Ref, m.Name = id, path.Base(id)
		case m.Format != GGUF:
			m.Name = filepath.Base(m.Path)
		case m.Quantization != "" && times[m.Quantization] == 1:
			m.Ref = id + ":" + m.Quantization
		default:
			m.Ref = id + ":" + file
		}
	}
}

// Snapshots returns the folders of the snapshots of a repository in the Hub's cache: that of
// refs/main, then the newest first.
func Snapshots(repository string) []string {
	main := ""
	if text, err := os.ReadFile(filepath.Join(repository, "refs", "main")); err == nil {
		main = filepath.Base(strings.TrimSpace(string(text)))
	}
	var list []fs.FileInfo
	entries, _ := os.ReadDir(filepath.Join(repository, "snapshots"))
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.IsDir() {
			list = append(list, info)
		}
	}
	slices.SortFunc(list, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	var paths []string
	for _, info := range list {
		snapshot := filepath.Join(repository, "snapshots", info.Name())
		if info.Name() == main {
			paths = slices.Insert(paths, 0, snapshot)
		} else {
			paths = append(paths, snapshot)
		}
	}
	return paths
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
