package main

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/hub"
	"github.com/gpuplay/gpuplay/internal/model"
)

// modelEnvironment is what programs that keep models take from the environment.
type modelEnvironment struct {
	places   model.Places // without Dirs and Free
	endpoint string       // HF_ENDPOINT
	token    token        // HF_TOKEN, or what the login of the Hub's own tools has left
	offline  string       // HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE, whichever is set to yes; empty: neither
	ollama   string       // OLLAMA_HOST
	key      string       // OPENAI_API_KEY, as all clients of that interface take it
}

// readModelEnvironment finds the places as their programs do:
// https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables,
// https://docs.ollama.com/faq, https://lmstudio.ai/docs/app/basics/import-model,
// common/common.cpp and common/hf-cache.cpp of llama.cpp.
func readModelEnvironment() modelEnvironment {
	e := modelEnvironment{
		endpoint: cmp.Or(os.Getenv("HF_ENDPOINT"), hub.Endpoint),
		offline:  offline(),
		ollama:   os.Getenv("OLLAMA_HOST"),
		key:      strings.TrimSpace(os.Getenv("OPENAI_API_KEY")),
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = ""
	}
	at := func(words ...string) string {
		if home == "" {
			return ""
		}
		return filepath.Join(append([]string{home}, words...)...)
	}
	below := func(dir string, words ...string) string {
		if dir == "" {
			return ""
		}
		return filepath.Join(append([]string{dir}, words...)...)
	}
	expand := func(dir string) string {
		if rest, ok := strings.CutPrefix(dir, "~"); ok && home != "" {
			return home + rest
		}
		return dir
	}
	cache := cmp.Or(xdg("XDG_CACHE_HOME"), at(".cache")) // of Linux; Hugging Face's Python has it everywhere
	hf := cmp.Or(expand(os.Getenv("HF_HOME")), below(cache, "huggingface"))
	e.token = readToken(cmp.Or(expand(os.Getenv("HF_TOKEN_PATH")), below(hf, "token")))
	p := &e.places
	p.HuggingFace = cmp.Or(expand(os.Getenv("HF_HUB_CACHE")), expand(os.Getenv("HUGGINGFACE_HUB_CACHE")), below(hf, "hub"))
	p.Ollama = []string{cmp.Or(os.Getenv("OLLAMA_MODELS"), at(".ollama", "models"))}
	if runtime.GOOS == "linux" {
		p.Ollama = append(p.Ollama, "/usr/share/ollama/.ollama/models", "/var/lib/ollama/.ollama/models") // of its service
	}
	p.LMStudio = []string{at(".lmstudio", "models"), at(".cache", "lm-studio", "models")}
	own := below(cache, "llama.cpp")
	if runtime.GOOS != "linux" {
		dir, _ := os.UserCacheDir() // Library/Caches, LocalAppData; without one there are none
		own = below(dir, "llama.cpp")
	}
	p.LlamaCpp = []string{os.Getenv("LLAMA_CACHE"), own}
	return e
}

// yes reports whether a variable of Hugging Face's is set to one of its words for yes.
func yes(name string) bool {
	return slices.Contains([]string{"1", "ON", "YES", "TRUE"}, strings.ToUpper(os.Getenv(name)))
}

// offline returns the variable that keeps the Hub's libraries from the network, as
// huggingface_hub/constants.py reads them: TRANSFORMERS_OFFLINE counts where the other is
// not set.
func offline() string {
	for _, name := range []string{"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		if os.Getenv(name) != "" {
			if yes(name) {
				return name
			}
			return ""
		}
	}
	return ""
}

// A token of the Hub's, and where it is from, for messages.
type token struct{ word, from string }

// readToken finds the token as get_token in huggingface_hub/utils/_auth.py does: in
// the environment, or else in the file that hf auth login has written. What cannot
// be read is no token.
func readToken(file string) token {
	if yes("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
		return token{}
	}
	for _, name := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"} {
		if word := cleanToken(os.Getenv(name)); word != "" {
			return token{word, name}
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return token{}
	}
	return token{cleanToken(string(text)), file}
}

// cleanToken takes away what copying and editors add to a token.
func cleanToken(t string) string {
	return strings.TrimSpace(strings.NewReplacer("\r", "", "\n", "").Replace(t))
}

// places are all places in which models are looked for.
func (a *app) places(dirs []string) model.Places {
	p := a.env.models.places
	p.Dirs, p.Free = dirs, host.Free()
	return p
}

// hub returns a client of the Hub as the environment has it.
func (a *app) hub() *hub.Client {
	c := hub.New(a.env.models.endpoint, a.env.models.token.word, a.env.models.places.HuggingFace)
	c.TokenFrom, c.Offline, c.Free = a.env.models.token.from, a.env.models.offline, disk.Free
	return c
}
