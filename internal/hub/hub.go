// Package hub downloads models from the Hugging Face Hub into the cache that all
// programs which use the Hub share, in the layout of
// https://huggingface.co/docs/huggingface_hub/guides/manage-cache.
//
// A download is planned first: Plan asks the Hub what a model consists of and how
// much of it is missing, so that a person can be asked; Get then downloads it.
// Every file is checked against the size and the hash that the Hub has promised
// before it gets its name. A download that was cut off is continued the next time.
package hub

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/fetch"
	"github.com/gpuplay/gpuplay/internal/model"
)

// Endpoint is the Hub's own address, which HF_ENDPOINT replaces by a mirror's.
const Endpoint = "https://huggingface.co"

// A Client talks to the Hub.
type Client struct {
	Endpoint  string                              // HF_ENDPOINT, or Endpoint
	Token     string                              // goes to the Endpoint's host only; "" for none
	TokenFrom string                              // where it is from, for messages: "HF_TOKEN", a file
	Cache     string                              // HF_HUB_CACHE: where the models go
	Offline   string                              // the variable that forbids to ask anything, HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE; "": none does
	Free      func(folder string) (uint64, error) // bytes free on its disk: disk.Free
	Observe   func(Progress)                      // is called while Plan waits and Get runs, and must not block; may be nil

	client *fetch.Client
}

// New returns a client for an endpoint that keeps its files in the cache folder.
func New(endpoint, token, cache string) *Client {
	return &Client{Endpoint: strings.TrimRight(endpoint, "/"), Token: token, Cache: cache, Free: disk.Free, client: fetch.New()}
}

// A Progress is how far a download is.
type Progress struct {
	File        string        // the one that is being fetched
	Done, Total int64         // bytes of the whole plan, those that were there included
	Waiting     string        // why nothing comes: another program's download, a connection that broke; empty while it does
	Pause       time.Duration // until the next attempt, where Waiting
}

// A Plan is what is to be downloaded for a model.
type Plan struct {
	ID      string // "Qwen/Qwen2.5-0.5B-Instruct-GGUF"
	Commit  string // 40 hexadecimal digits: a plan is of one version
	License string // "apache-2.0"; empty when the model card says none
	Gated   bool   // the Hub wants its terms accepted first
	Files   []File
	Bytes   int64  // of all files
	Missing int64  // bytes that are not here yet
	Open    string // the file or, for MLX and Transformers, "" : the folder, below the snapshot
}

// A File is one of a repository.
type File struct {
	Path   string // in the repository, with slashes
	Size   int64
	SHA256 string // of the content, for files in Git LFS
	Blob   string // of Git: SHA-1 of a head and the content, for all others
}

// hash identifies the content on the Hub and names it in the cache.
func (f File) hash() string { return cmp.Or(f.SHA256, f.Blob) }

// A Default is a model that is offered to somebody who has none.
type Default struct {
	Name    string // for Plan
	Runtime string // that it is for
	Bytes   int64  // about; Plan knows it exactly
	License string
}

// Defaults are small, can be talked to, and have a license without conditions on
// use; sizes as their pages showed them in 2025. The second and third are the
// same model as the first.
var Defaults = []Default{
	{"Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M", model.LlamaCpp, 491e6, "Apache-2.0"},
	{"mlx-community/Qwen2.5-0.5B-Instruct-4bit", model.MLX, 290e6, "Apache-2.0"},
	{"Qwen/Qwen2.5-0.5B-Instruct", model.Torch, 999e6, "Apache-2.0"},
}

// DefaultFor returns the model to offer for a runtime.
func DefaultFor(runtime string) Default {
	for _, d := range Defaults {
		if d.Runtime == runtime {
			return d
		}
	}
	return Defaults[0]
}

// id is what the Hub accepts: an owner and a name of letters, digits, "-", "_"
// and ".".
var id = regexp.MustCompile(`^[A-Za-z0-9][\w.-]*/[\w.-]+$`)

// Named reports whether a word could be a model's name on the Hub, with or
// without what Plan accepts after a colon.
func Named(word string) bool {
	name, _, _ := strings.Cut(trimmed(word), ":")
	return id.MatchString(name) && !model.NoOwner(name)
}

// NotNamed is the error for a word that could not be a model's name on the Hub.
func NotNamed(word string) *fault.Error {
	return fault.Errorf(fault.Invalid, "%q is no model's name on Hugging Face", word).With(fault.Advice("names have an owner: " + Defaults[0].Name)...)
}

// trimmed is a name without the addresses that people copy with it.
func trimmed(word string) string {
	for _, prefix := range []string{"https://", "huggingface.co/", "hf.co/", "hf://"} {
		word = strings.TrimPrefix(word, prefix)
	}
	return strings.TrimSuffix(word, "/")
}

// Plan asks the Hub for a model: "owner/name", "owner/name:Q4_K_M" or
// "owner/name:file.gguf". Of a repository with GGUF files it takes one, of its
// usual quantization; of others what MLX and Transformers load.
func (c *Client) Plan(ctx context.Context, word string) (*Plan, error) {
	name, want, _ := strings.Cut(trimmed(word), ":")
	if !Named(word) {
		return nil, NotNamed(word)
	}
	if c.Offline != "" {
		return nil, fault.Errorf(fault.Unavailable, "%s is not on this machine, and %s is set", word, c.Offline).With(
			fault.Remedy{Text: "unset it to download"}, fault.Run("{} lists the models that are on this machine", "gpuplay", "models"))
	}
	r, err := c.repository(ctx, name)
	if err != nil {
		return nil, err
	}
	p := &Plan{ID: r.ID, Commit: r.Commit, License: r.license(), Gated: r.gated()}
	if p.Gated && c.Token == "" {
		return nil, c.gated(p.ID)
	}
	files, err := r.files()
	if err != nil {
		return nil, err
	}
	if p.Files, p.Open, err = choose(p.ID, files, want); err != nil {
		return nil, err
	}
	for _, f := range p.Files {
		p.Bytes += f.Size
		p.Missing += f.Size - c.have(p, f)
	}
	return p, nil
}

// Path is where the model is when it has been downloaded.
func (c *Client) Path(p *Plan) string {
	return filepath.Join(c.snapshot(p), filepath.FromSlash(p.Open))
}

// usual are the quantizations that are taken when none is named, the first that a
// repository has: llama.cpp takes Q4_K_M, too.
var usual = []string{"q4_k_m", "q4_0", "q8_0"}

// choose picks a model's files from a repository's, and the one to open.
func choose(id string, files []File, want string) (chosen []File, open string, err error) {
	var models []File // GGUF files, the first of each split one
	for _, f := range files {
		named := strings.EqualFold(f.Path, want) || strings.EqualFold(path.Base(f.Path), want)
		if strings.EqualFold(path.Ext(f.Path), ".gguf") && (named || model.LanguageModel(path.Base(f.Path))) {
			models = append(models, f)
		}
	}
	if want == "" && slices.ContainsFunc(files, weights) {
		return loaded(files), "", nil
	}
	if len(models) == 0 && slices.ContainsFunc(files, weights) {
		return nil, "", fault.Errorf(fault.Unavailable, "%s has no %s: it has safetensors files, and no GGUF files", id, want).With(fault.Run("without it: {}", "gpuplay", "models", "get", id))
	}
	if len(models) == 0 {
		return nil, "", fault.Errorf(fault.Unavailable, "%s has neither GGUF nor safetensors files that could be run", id).With(fault.Run("", "gpuplay", "models", "get", Defaults[0].Name))
	}
	first, ok := pick(models, want)
	if !ok {
		var names []string
		for _, f := range models {
			names = append(names, path.Base(f.Path))
		}
		return nil, "", fault.Errorf(fault.Unavailable, "%s has no %s", id, want).With(fault.Advice("it has " + strings.Join(names, ", "))...)
	}
	return parts(files, first), first.Path, nil
}

// pick returns the file of that name or quantization, without one the usual.
func pick(models []File, want string) (File, bool) {
	if want == "" {
		for _, quantization := range usual {
			if f, ok := pick(models, quantization); ok {
				return f, true
			}
		}
		return slices.MinFunc(models, func(a, b File) int { return cmp.Compare(a.Size, b.Size) }), true
	}
	want = strings.ToLower(want)
	for _, f := range models {
		if name := strings.ToLower(f.Path); name == want || path.Base(name) == want {
			return f, true
		}
	}
	// A publisher's variant, UD-Q4_K_XL for Q4_K_XL, comes after the files of exactly that name.
	for _, exact := range []bool{true, false} {
		for _, f := range models {
			if model.HasMix(f.Path, want) && !(exact && model.HasMix(f.Path, "ud-"+want)) {
				return f, true
			}
		}
	}
	return File{}, false
}

var part = regexp.MustCompile(`^(.*)-00001-of-(\d{5})\.gguf$`)

// parts returns all files of a model of which the first is given.
func parts(files []File, first File) []File {
	p := part.FindStringSubmatch(first.Path)
	if p == nil {
		return []File{first}
	}
	all := []File{first}
	of, _ := strconv.Atoi(p[2])
	for i := 2; i <= of; i++ {
		name := fmt.Sprintf("%s-%05d-of-%05d.gguf", p[1], i, of)
		if at := slices.IndexFunc(files, func(f File) bool { return f.Path == name }); at >= 0 {
			all = append(all, files[at])
		}
	}
	return all
}

// weights reports whether a file has weights that MLX and Transformers load.
func weights(f File) bool {
	return strings.HasPrefix(f.Path, "model") && strings.HasSuffix(f.Path, ".safetensors")
}

// loaded are the files that MLX and Transformers read: weights, configuration,
// vocabulary, and the model card for its license. Programs are left where they are.
func loaded(files []File) []File {
	var chosen []File
	for _, f := range files {
		ending := path.Ext(f.Path)
		switch {
		case strings.Contains(f.Path, "/"): // other formats of the same weights
		case weights(f), f.Path == "README.md", slices.Contains([]string{".json", ".txt", ".jinja", ".model", ".tiktoken"}, ending):
			chosen = append(chosen, f)
		}
	}
	return chosen
}
