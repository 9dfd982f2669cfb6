// Package model knows the language models on this machine: where programs keep
// them, and what their files say of themselves. It reads headers only and never
// loads a model; it writes nothing.
package model

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
)

// A Format is how a model lies on the disk.
type Format string

const (
	GGUF        Format = "gguf"        // a file, or several that belong together
	Safetensors Format = "safetensors" // a folder with config.json, as MLX and Transformers load it
)

// Runtimes that can run a model.
const (
	LlamaCpp = "llama.cpp"
	MLX      = "mlx"
	Torch    = "torch"
	Ollama   = "ollama"
	OpenAI   = "openai" // any server with that interface, which says nothing of where its models are
)

// A Model is a language model on this machine. What its files do not say is
// empty or 0.
type Model struct {
	Ref          string   `json:"ref"`                    // what a person calls it by: "qwen2.5:0.5b", "owner/name:Q4_K_M", a path
	Name         string   `json:"name"`                   // as its maker writes it: "Gemma 3 270m"
	Path         string   `json:"path"`                   // the file, the first one of a split model, or the folder
	Place        string   `json:"place"`                  // the program that keeps it; empty for one named by its path
	Format       Format   `json:"format"`                 //
	Architecture string   `json:"architecture"`           // "gemma3"
	Parameters   int64    `json:"parameters,omitempty"`   //
	Quantization string   `json:"quantization,omitempty"` // "Q4_K_M", "4-bit", "BF16"
	Bytes        int64    `json:"bytes"`                  // of its weights on the disk
	Layers       int      `json:"layers,omitempty"`       // that can go to a GPU: the blocks and the output layer
	Context      int      `json:"context,omitempty"`      // tokens it was made for at most
	License      string   `json:"license,omitempty"`      // "apache-2.0", "gemma"
	Chat         bool     `json:"chat"`                   // it has a chat template
	Runtimes     []string `json:"runtimes"`               //

	// What generation and prompts cost. Each generated token reads TokenBytes of
	// weights: all but an embedding of which only a row is looked up, and of experts
	// those that a token uses. Each token of a prompt is multiplied with
	// PromptParameters weights: all matrices but the embedding and the output layer,
	// which only the last token goes through.
	TokenBytes       int64 `json:"token_bytes,omitempty"`
	PromptParameters int64 `json:"prompt_parameters,omitempty"`
	// CacheBytes are the bytes of keys and values that each token of the context takes in
	// memory, at 16 bits a number, and that each generated token reads.
	CacheBytes int64 `json:"cache_bytes,omitempty"`
}

// Open reads what a model's files say: a GGUF file, the first of several that
// belong together, or a folder that Transformers or MLX can load. Its errors are
// fault.Errors that name the file, what is wrong with it and what to do.
func Open(path string) (Model, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Model{}, invalid(fault.Remedies{listed("{} lists those that are here")}, "there is no file or folder %s", path)
	case err != nil:
		return Model{}, invalid(nil, "%s cannot be read: %v", path, cause(err))
	}
	var m Model
	switch {
	case info.IsDir():
		m, err = openFolder(path)
	case !info.Mode().IsRegular():
		return Model{}, invalid(fault.Advice("name a GGUF file or a model's folder"), "%s is neither a file nor a folder", path)
	default:
		m, err = openGGUF(path)
	}
	if err != nil {
		return Model{}, err
	}
	m.Ref, m.Path = path, path
	if m.Name == "" {
		m.Name = stem(path)
	}
	return m, nil
}

// Resolve returns the model that a person means: a path, or the name of a model
// that Find finds: its Ref, with or without the quantization, its Name, its
// file's name, or a part of these that fits only one.
func Resolve(ctx context.Context, p Places, word string) (Model, error) {
	if _, err := os.Stat(word); err == nil {
		return Open(word)
	}
	found, unusable := Find(ctx, p)
	if err := ctx.Err(); err != nil {
		return Model{}, err
	}
	m, err := pick(found, word)
	if errors.Is(err, fault.Unavailable) { // what is meant may be here and be something else
		for _, other := range unusable {
			if a := (*another)(nil); errors.As(other, &a) && strings.Contains(strings.ToLower(filepath.Base(a.path)), strings.ToLower(word)) {
				return m, other
			}
		}
	}
	return m, err
}

// pick chooses among models that were found.
func pick(found []Model, word string) (Model, error) {
	want := strings.ToLower(word)
	for _, m := range found { // the best to try comes first
		if slices.Contains(m.names(), want) {
			return m, nil
		}
	}
	// owner/name:MIX is what "models get" takes, with the name of any mix in the file's name.
	if repository, mix, ok := strings.Cut(want, ":"); ok {
		for _, m := range found {
			if m.Place == placeHuggingFace && slices.Contains(m.names(), repository) && HasMix(filepath.Base(m.Path), mix) {
				return m, nil
			}
		}
	}
	var part []Model
	for _, m := range found {
		if slices.ContainsFunc(m.names(), func(n string) bool { return strings.Contains(n, want) }) {
			part = append(part, m)
		}
	}
	switch {
	case len(part) == 1:
		return part[0], nil
	case len(part) > 1:
		return Model{}, invalid(fault.Advice("write more of the name: "+refs(part)), "%d models here are called %q", len(part), word)
	case len(found) == 0:
		return Model{}, notHere(word, download("no model was found on this machine", word))
	}
	if near := nearest(found, want); near != "" {
		return Model{}, notHere(word, fault.Remedy{Text: "did you mean " + near + "?"}, listed("{} lists all that are here"))
	}
	return Model{}, notHere(word, listed("{} lists those that are here"), download("{} downloads one", word))
}

func notHere(word string, remedies ...fault.Remedy) error {
	return fault.Errorf(fault.Unavailable, "no model %q on this machine", word).With(remedies...)
}

// listed and download are the commands that a person without a model needs.
func listed(text string) fault.Remedy { return fault.Run(text, "gpuplay", "models") }

func download(text, word string) fault.Remedy {
	return fault.Run(text, "gpuplay", "models", "get", suggestion(word))
}

// suggestion returns what to write after "gpuplay models get".
func suggestion(word string) string {
	owner, name, ok := strings.Cut(word, "/")
	if ok && owner != "" && name != "" && !strings.Contains(name, "/") && !strings.HasPrefix(word, ".") && !NoOwner(word) {
		return word
	}
	return "OWNER/NAME"
}

// NoOwner reports whether a path begins with a word that no owner on the Hugging Face
// Hub has, since its lists are at these addresses: huggingface.co/models.
func NoOwner(path string) bool {
	owner, _, _ := strings.Cut(path, "/")
	return slices.Contains([]string{"models", "datasets", "spaces"}, owner)
}

// names are the names by which a model can be asked for, in lower case.
func (m Model) names() []string {
	names := []string{m.Ref, m.Name, stem(m.Path), filepath.Base(m.Path)}
	if m.Format == GGUF && m.Place == placeHuggingFace {
		repository, _, _ := strings.Cut(m.Ref, ":")
		names = append(names, repository)
	}
	if m.Place == placeOllama {
		names = append(names, strings.TrimSuffix(m.Ref, ":latest"))
	}
	for i, n := range names {
		names[i] = strings.ToLower(n)
	}
	return names
}

func refs(list []Model) string {
	var all []string
	for _, m := range list[:min(len(list), 8)] {
		all = append(all, m.Ref)
	}
	return strings.Join(all, ", ")
}

// nearest returns the Ref of the model whose name a mistyped word is closest to,
// "" when none is close.
func nearest(found []Model, word string) string {
	var names, of []string
	for _, m := range found {
		for _, n := range m.names() {
			names, of = append(names, n), append(of, m.Ref)
		}
	}
	near := fault.Nearest(word, names)
	if len(near) == 0 {
		return ""
	}
	return of[slices.Index(names, near[0])]
}

// sortByUse sorts models by how good they are to try: first those that fit into the
// free memory, among these those with a chat template, then small ones.
func sortByUse(list []Model, free int64) {
	rank := func(m Model) int {
		rank := 0
		if free > 0 && !m.Fits(free) {
			rank += 2
		}
		if !m.Chat {
			rank++
		}
		return rank
	}
	slices.SortStableFunc(list, func(a, b Model) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Bytes, b.Bytes), cmp.Compare(a.Ref, b.Ref))
	})
}

// stem is a file's name without its ending and, of a split model, without the
// number of the part; of a folder, its name.
func stem(path string) string {
	name := filepath.Base(path)
	if ext := filepath.Ext(name); strings.EqualFold(ext, ".gguf") {
		name = strings.TrimSuffix(name, ext)
		if p := part.FindStringSubmatch(filepath.Base(path)); p != nil {
			name = p[1]
		}
	}
	return name
}

// cause strips the path that an os error repeats.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func invalid(remedies fault.Remedies, format string, args ...any) error {
	return fault.Errorf(fault.Invalid, format, args...).With(remedies...)
}
