package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/forecast"
	"github.com/gpuplay/gpuplay/internal/hub"
	"github.com/gpuplay/gpuplay/internal/hub/hubtest"
	"github.com/gpuplay/gpuplay/internal/llm/framework/frameworktest"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/model/modeltest"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/term"
)

// somewhere makes the environment one without models and with a Hub of its own.
func somewhere(t *testing.T) (home string, h *hubtest.Server) {
	home, h = t.TempDir(), hubtest.New(t)
	for name, value := range map[string]string{
		"HOME": home, "USERPROFILE": home, "LOCALAPPDATA": home, "LANG": "C.UTF-8", "HF_ENDPOINT": h.URL,
		"HF_HOME": "", "HF_HUB_CACHE": "", "HUGGINGFACE_HUB_CACHE": "", "HF_TOKEN": "", "HF_TOKEN_PATH": "",
		"HUGGING_FACE_HUB_TOKEN": "", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "", "HF_HUB_OFFLINE": "", "TRANSFORMERS_OFFLINE": "",
		"OLLAMA_MODELS": filepath.Join(home, "ollama"), "LLAMA_CACHE": "", "XDG_CACHE_HOME": "", "XDG_DATA_HOME": "",
	} {
		t.Setenv(name, value)
	}
	return home, h
}

// gguf is a model of a size in kilobytes.
func gguf(name string, kilobytes uint64, more ...modeltest.Pair) []byte {
	return modeltest.GGUF(append([]modeltest.Pair{
		{Key: "general.architecture", Value: "llama"}, {Key: "general.name", Value: name},
		{Key: "general.file_type", Value: uint32(1)}, {Key: "llama.block_count", Value: uint32(2)},
	}, more...), []modeltest.Tensor{{Name: "token_embd.weight", Shape: []uint64{512, kilobytes}}})
}

func put(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// gpuplay runs the program.
func gpuplay(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestModels(t *testing.T) {
	home, _ := somewhere(t)
	if code, out, _ := gpuplay("models"); code != 0 || !strings.HasPrefix(out, "No language models were found on this machine.\n\nNext: gpuplay models get   Qwen/") {
		t.Errorf("without models: %d, %q", code, out)
	}
	if _, out, _ := gpuplay("models", "--json"); !strings.Contains(out, `"models": []`) {
		t.Errorf("without models, as JSON: %q", out)
	}
	put(t, filepath.Join(home, "ollama", "blobs", "sha256-1"), gguf("Small", 3, modeltest.Pair{Key: "tokenizer.chat_template", Value: "x"}))
	put(t, filepath.Join(home, "ollama", "manifests", "registry.ollama.ai", "library", "small", "1k"), []byte(`{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:1"}]}`))
	put(t, filepath.Join(home, ".lmstudio", "models", "someone", "Odd\x1b[31m-GGUF", "odd.gguf"), gguf("Odd", 9000))
	put(t, filepath.Join(home, ".cache", "llama.cpp", "broken.gguf"), []byte("GGUF"))
	for _, name := range []string{"bge-small.gguf", "bge-large.GGUF"} {
		put(t, filepath.Join(home, ".cache", "llama.cpp", name), modeltest.GGUF([]modeltest.Pair{{Key: "general.architecture", Value: "bert"}}, nil))
	}
	put(t, filepath.Join(home, ".cache", "llama.cpp", "embedding.gguf"), gguf("Embedding", 1, modeltest.Pair{Key: "llama.pooling_type", Value: uint32(3)}))
	code, out, _ := gpuplay("models")
	for _, says := range []string{
		"  Ollama                                 size  parameters  quantization\n    small:1k                          3.36 kB      1.54 k  F16\n  LM Studio\n",
		"    someone/Odd^[[31m-GGUF/odd.gguf   9.22 MB      4.61 M  F16\n",
		"\nNext: gpuplay llm small:1k\n",
		"\nLeft out, since they generate no text: an embedding model; an encoder (bert) ×2\n",
		"\nCannot be used: " + filepath.Join(home, ".cache", "llama.cpp", "broken.gguf") + " is cut off after 4 bytes\n  download it again",
	} {
		if code != 0 || !strings.Contains(out, says) {
			t.Errorf("exit code %d, want %q in\n%s", code, says, out)
		}
	}
	_, out, _ = gpuplay("models", "--json")
	var doc modelsJSON
	if err := json.Unmarshal([]byte(out), &doc); err != nil || len(doc.Models) != 2 || doc.Models[0].Ref != "small:1k" || len(doc.Unusable) != 4 {
		t.Errorf("%v, %+v", err, doc)
	}
	if code, out, _ := gpuplay("models", "--model-dir", filepath.Join(home, "none")); code != 0 || !strings.Contains(out, "Cannot be used: "+filepath.Join(home, "none")+": no such file or directory\n  --model-dir names a folder") {
		t.Errorf("a folder that is not there: %d, %s", code, out)
	}
}

func TestModelTable(t *testing.T) {
	var b strings.Builder
	list := []model.Model{
		{Ref: "Qwen/Small-GGUF:Q4_K_M", Place: "Hugging Face", Bytes: 491e6, Parameters: 494e6, Quantization: "Q4_K_M", Runtimes: []string{"llama.cpp"}},
		{Ref: "llama3.3:70b", Place: "Ollama", Bytes: 42.5e9, Parameters: 70.6e9, Quantization: "Q4_K_M", Runtimes: []string{"llama.cpp", "ollama"}},
		{Ref: "mlx/Small-4bit", Place: "Hugging Face", Bytes: 278e6, Quantization: "4-bit", Runtimes: []string{"mlx"}},
	}
	modelTable(&b, list, 8e9, speeds{}, term.Style{Width: 100, Unicode: true})
	want := `  Hugging Face                  size  parameters  quantization  runs with
    Qwen/Small-GGUF:Q4_K_M    491 MB       494 M  Q4_K_M        llama.cpp
    mlx/Small-4bit            278 MB              4-bit         mlx
  Ollama
    llama3.3:70b            42.5 GB¹      70.6 B  Q4_K_M        llama.cpp, ollama

  ¹ needs more than the memory that is free, 8.00 GB, with up to 4096 tokens of context
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	modelTable(&b, list, 8e9, speeds{}, term.Style{Width: 40})
	for line := range strings.Lines(b.String()) {
		if len(line) > 41 && !strings.HasPrefix(line, "  [1]") {
			t.Errorf("%q is too wide", line)
		}
	}
}

// What is measured is shown as it is, what is modelled as about that, with its basis.
func TestModelTableSpeeds(t *testing.T) {
	m := func(name string, bytes int64) model.Model {
		return model.Model{Ref: name, Name: name, Place: "Hugging Face", Bytes: bytes, TokenBytes: bytes, Runtimes: []string{model.LlamaCpp}}
	}
	small, large, tiny := m("small", 500e6), m("large", 5e9), m("tiny", 1e6)
	folder := model.Model{Ref: "folder", Name: "folder", Place: "Hugging Face", Bytes: 1e9, TokenBytes: 1e9, Runtimes: []string{model.Torch}}
	list := []model.Model{small, large, tiny, folder}
	past := []forecast.Past{{Model: small, Runtime: model.LlamaCpp, Rate: 81.25}, {Model: m("other", 1e9), Runtime: model.LlamaCpp, Rate: 45}, {Model: small, Runtime: model.LlamaCpp, GPU: true, Rate: 400}}
	for _, tt := range []struct {
		known speeds
		want  string
	}{
		{speeds{}, `  Hugging Face      size  parameters  quantization  runs with
    small     500 MB                            llama.cpp
    large    5.00 GB                            llama.cpp
    tiny     1.00 MB                            llama.cpp
    folder   1.00 GB                            torch
`},
		{speeds{bandwidth: 96.8e9}, `  Hugging Face      size  CPU tok/s  parameters  quantization  runs with
    small     500 MB       ~160                            llama.cpp
    large    5.00 GB        ~16                            llama.cpp
    tiny     1.00 MB                                       llama.cpp
    folder   1.00 GB                                       torch

  tok/s: tokens per second at generation; ~ about, with up to 4096 tokens of context,
  modelled from 85 % of the 96.8 GB/s measured; not compared with a measurement here yet
`},
		{speeds{past, 96.8e9}, `  Hugging Face      size  CPU tok/s  GPU tok/s  parameters  quantization  runs with
    small     500 MB       81.2        400                            llama.cpp
    large    5.00 GB         ~9        ~40                            llama.cpp
    tiny     1.00 MB                                                  llama.cpp
    folder   1.00 GB                                                  torch

  tok/s: tokens per second at generation; ~ about, with up to 4096 tokens of context, from
  what other models reached here; so modelled, 2 models measured here are missed by 11 % at
  most
`},
	} {
		var b strings.Builder
		modelTable(&b, list, 0, tt.known, term.Style{Width: 92, Unicode: true})
		if b.String() != tt.want {
			t.Errorf("got\n%s\nwant\n%s", b.String(), tt.want)
		}
	}
}

func TestModelsGet(t *testing.T) {
	_, h := somewhere(t)
	h.Models["Qwen/Small-GGUF"] = map[string][]byte{"small-q4_k_m.gguf": gguf("Small", 3), "README.md": []byte("x")}
	h.Models["Qwen/Folder"] = map[string][]byte{"model.safetensors": make([]byte, 9), "config.json": []byte(`{"num_hidden_layers":2,"num_key_value_heads":2,"head_dim":8,"max_position_embeddings":512}`)}
	if _, _, errs := gpuplay("models", "get", "Qwen/Folder"); !strings.Contains(errs, "\n  fits with 512 tokens of context into the ") {
		t.Errorf("a folder: %q", errs)
	}
	code, out, errs := gpuplay("models", "get", "Qwen/Small-GGUF")
	path := strings.TrimSpace(out)
	if code != 0 || !strings.HasSuffix(path, "small-q4_k_m.gguf") || !strings.Contains(errs, "Qwen/Small-GGUF, license apache-2.0\n  3.33 kB to download into ") {
		t.Fatalf("%d, %q, %q", code, out, errs)
	}
	if m, err := model.Open(path); err != nil || m.Name != "Small" {
		t.Errorf("%+v, %v", m, err)
	}
	if code, again, errs := gpuplay("models", "get", "Qwen/Small-GGUF"); code != 0 || again != out || errs != "" {
		t.Errorf("again: %d, %q, %q", code, again, errs)
	}
	if _, out, _ := gpuplay("models"); !strings.Contains(out, "Qwen/Small-GGUF:F16") {
		t.Errorf("models does not show it: %s", out)
	}
	if !strings.Contains(errs, "memory that are free") && !strings.Contains(errs, "does not fit into") || strings.Contains(errs, "tok/s") {
		t.Errorf("whether it fits, and no speed of so small a model: %q", errs)
	}
	h.Close() // what is here needs no network, with or without leave to use it
	for _, variable := range []string{"", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		t.Run("without a network "+variable, func(t *testing.T) {
			if variable != "" {
				t.Setenv(variable, "1")
			}
			for _, word := range []string{"Qwen/Small-GGUF", "Qwen/Small-GGUF:Q4_K_M"} {
				if code, again, errs := gpuplay("models", "get", word); code != 0 || again != out || errs != "" {
					t.Errorf("%s: %d, %q, %q", word, code, again, errs)
				}
			}
			code, _, errs := gpuplay("models", "get", "Qwen/Small-GGUF:Q8_0")
			if code != exitFailed || variable != "" && !strings.Contains(errs, "Qwen/Small-GGUF:Q8_0 is not on this machine, and "+variable+" is set") || variable == "" && !strings.Contains(errs, "cannot be reached") {
				t.Errorf("what is not here: %d, %q", code, errs)
			}
		})
	}
}

func TestModelsGetRefuses(t *testing.T) {
	_, h := somewhere(t)
	h.Models["Qwen/Small-GGUF"] = map[string][]byte{"small-q4_k_m.gguf": gguf("Small", 3)}
	h.Models["Qwen/Large-GGUF"] = map[string][]byte{"large-q4_k_m.gguf": make([]byte, unasked)}
	code, out, errs := gpuplay("models", "get", "Qwen/Large-GGUF")
	if code != exitFailed || out != "" || !strings.Contains(errs, "gpuplay: Qwen/Large-GGUF is 100 MB: nothing of that size is downloaded unasked\n  --yes downloads it\n") {
		t.Errorf("large: %d, %q, %q", code, out, errs)
	}
	// On a busy machine there may be no time to measure the bandwidth: then there is no speed,
	// nor a doubt about it.
	const (
		fits    = `fits into the [0-9.]+ GB of memory that are free `
		speed   = `about [0-9.]+ tok/s on this CPU, modelled from 85 % of the [0-9.]+ [MG]B/s measured not compared with a measurement here yet `
		doubts  = `not known before the download: the cache of keys and values, which is not counted, and whether only some experts are used`
		noSpeed = `the cache of keys and values is not counted: its size is not known before the download`
	)
	if words := strings.Join(strings.Fields(errs), " "); !regexp.MustCompile(speed + fits + doubts + "|" + `hub ` + fits + noSpeed).MatchString(words) {
		t.Errorf("how fast it will be: %q", errs)
	}
	if code, out, _ := gpuplay("models", "get", "Qwen/Large-GGUF", "--yes"); code != 0 || out == "" {
		t.Errorf("large with --yes: %d, %q", code, out)
	}
	for _, tt := range []struct {
		args string
		code int
		says string
	}{
		{"small", exitUsage, `"small" is no model's name on Hugging Face`},
		{"a/b c/d", exitUsage, "one model at a time: a/b c/d"},
		{"Qwen/Smal-GGUF", exitFailed, "there is no model Qwen/Smal-GGUF on Hugging Face"},
		{"Qwen/Small-GGUF:Q8_0", exitFailed, "Qwen/Small-GGUF has no Q8_0\n  it has small-q4_k_m.gguf"},
	} {
		if code, _, errs := gpuplay(append([]string{"models", "get"}, strings.Fields(tt.args)...)...); code != tt.code || !strings.Contains(errs, tt.says) {
			t.Errorf("get %s: %d, %q, want %q", tt.args, code, errs, tt.says)
		}
	}
}

// alone is an app that can ask nobody.
func alone() *app {
	return &app{stdin: strings.NewReader(""), stderr: &bytes.Buffer{}, env: readEnvironment(), working: make(chan struct{}, 1)}
}

func TestResolveModel(t *testing.T) {
	home, h := somewhere(t)
	_, err := alone().resolveModel(t.Context(), "", nil, "", false)
	if err == nil || err.Error() != "no language model was found on this machine" || !strings.Contains(hintOf(err), "gpuplay models get Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M downloads a small one: about 491 MB, license Apache-2.0") {
		t.Errorf("without a model: %v, %s", err, hintOf(err))
	}
	name, _, _ := strings.Cut(hub.Defaults[0].Name, ":")
	h.Models[name] = map[string][]byte{"qwen2.5-0.5b-instruct-q4_k_m.gguf": gguf("Qwen", 3)}
	put(t, filepath.Join(home, "here", "mine.gguf"), gguf("Mine", 2))
	dirs := []string{filepath.Join(home, "here")}
	if m, err := alone().resolveModel(t.Context(), "", dirs, model.LlamaCpp, false); err != nil || m.Name != "Mine" {
		t.Errorf("the first that was found: %+v, %v", m, err)
	}
	if _, err := alone().resolveModel(t.Context(), "", dirs, model.MLX, false); err == nil || !strings.Contains(err.Error(), "no language model that mlx can run") || !strings.Contains(hintOf(err), "mlx-community/") {
		t.Errorf("for MLX: %v, %s", err, hintOf(err))
	}
	if _, err := alone().resolveModel(t.Context(), "mine", dirs, model.MLX, false); err == nil || err.Error() != "mlx cannot run "+filepath.Join(home, "here", "mine.gguf") {
		t.Errorf("a file for MLX: %v", err)
	}
	m, err := alone().resolveModel(t.Context(), "", nil, "", true)
	if err != nil || m.Name != "Qwen" || m.Ref != hub.Defaults[0].Name {
		t.Errorf("with --yes: %+v, %v", m, err)
	}
	if m, err := alone().resolveModel(t.Context(), name, nil, "", false); err != nil || m.Name != "Qwen" {
		t.Errorf("by its name, once it is here: %+v, %v", m, err)
	}
}

// A path that leads nowhere is not looked up on the Hub, which may well have something
// of that name.
func TestMissingPath(t *testing.T) {
	_, h := somewhere(t)
	t.Chdir(t.TempDir())
	if err := os.Mkdir("mine", 0o755); err != nil {
		t.Fatal(err)
	}
	for word, hint := range map[string]string{
		"mine/gemma":          "gpuplay models get mine/gemma",
		"models/gemma-3-270m": "gpuplay models get OWNER/NAME",
	} {
		h.Models[word] = map[string][]byte{"model.gguf": gguf("Another", 1)}
		a := alone()
		_, err := a.resolveModel(t.Context(), word, nil, "", true)
		if !errors.Is(err, fault.Unavailable) || err.Error() != fmt.Sprintf("no model %q on this machine", word) || !strings.Contains(hintOf(err), hint) {
			t.Errorf("%s: %v, %s", word, err, hintOf(err))
		}
	}
	h.Models["other/gemma"] = h.Models["mine/gemma"]
	a := alone()
	if _, err := a.resolveModel(t.Context(), "other/gemma", nil, "", true); err != nil {
		t.Errorf("a name of the Hub: %v", err)
	}
}

// The token is the one that the Hub's own library would send.
func TestToken(t *testing.T) {
	interpreter := ""
	for _, venv := range []string{".venv-mlx", ".venv-torch"} {
		path := filepath.Join(frameworktest.Root(), venv, "bin", "python")
		if python.HasModule(t.Context(), path, "huggingface_hub") {
			interpreter = path
		}
	}
	if interpreter == "" {
		enginetest.Require(t, "huggingface_hub", "no Python with huggingface_hub was found: pip install huggingface_hub into .venv-mlx")
	}
	const program = `from huggingface_hub.utils import build_hf_headers
print(build_hf_headers().get("authorization", "").removeprefix("Bearer "))`
	for name, tt := range map[string]struct {
		file, at string // of a token, below the home folder
		env      map[string]string
		want     string
		from     string // the variable, or the file below the home folder
	}{
		"none":                   {want: ""},
		"the environment's":      {env: map[string]string{"HF_TOKEN": " hf_env\n"}, file: "hf_file", at: ".cache/huggingface/token", want: "hf_env", from: "HF_TOKEN"},
		"the older variable's":   {env: map[string]string{"HUGGING_FACE_HUB_TOKEN": "hf_old"}, want: "hf_old", from: "HUGGING_FACE_HUB_TOKEN"},
		"the login's":            {file: "hf_file\r\n", at: ".cache/huggingface/token", want: "hf_file", from: ".cache/huggingface/token"},
		"in HF_HOME":             {env: map[string]string{"HF_HOME": "~/hf"}, file: "hf_file", at: "hf/token", want: "hf_file", from: "hf/token"},
		"in XDG_CACHE_HOME":      {env: map[string]string{"XDG_CACHE_HOME": "HOME/c"}, file: "hf_file", at: "c/huggingface/token", want: "hf_file", from: "c/huggingface/token"},
		"at HF_TOKEN_PATH":       {env: map[string]string{"HF_TOKEN_PATH": "HOME/t"}, file: "hf_file", at: "t", want: "hf_file", from: "t"},
		"an empty file":          {file: " \n", at: ".cache/huggingface/token", want: ""},
		"not without being told": {env: map[string]string{"HF_TOKEN": "hf_env", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			home, _ := somewhere(t)
			for name, value := range tt.env {
				t.Setenv(name, strings.Replace(value, "HOME", home, 1))
			}
			if tt.at != "" {
				put(t, filepath.Join(home, filepath.FromSlash(tt.at)), []byte(tt.file))
			}
			cmd := exec.Command(interpreter, "-c", program)
			cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasSuffix(e, "=") }) // empty is not set
			theirs, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			got := readModelEnvironment().token
			if got.word != tt.want || strings.TrimSpace(string(theirs)) != tt.want {
				t.Errorf("token %q, theirs %q, want %q", got.word, theirs, tt.want)
			}
			if from, err := filepath.Rel(home, got.from); tt.want != "" && got.from != tt.from && (err != nil || filepath.ToSlash(from) != tt.from) {
				t.Errorf("from %q, want %q", got.from, tt.from)
			}
		})
	}
}

func TestTransferLine(t *testing.T) {
	p := &hub.Plan{Bytes: 400e6, Missing: 300e6}
	tr := &transfer{plan: p, from: 100e6, style: term.Style{Unicode: true}, now: hub.Progress{File: "x.gguf", Done: 200e6, Total: 400e6}}
	if got, want := tr.line(10*time.Second), "  ████████████░░░░░░░░░░░░  200 MB of 400 MB  10.0 MB/s  20 s left"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	tr.now.Waiting = "the connection ended early"
	if got, want := tr.line(10*time.Second), "  x.gguf: the connection ended early"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A relative path is no XDG folder.
func TestRelativeXDG(t *testing.T) {
	home, _ := somewhere(t)
	t.Setenv("XDG_CACHE_HOME", "cache")
	t.Setenv("XDG_DATA_HOME", "data")
	if got, want := readModelEnvironment().places.HuggingFace, filepath.Join(home, ".cache", "huggingface", "hub"); got != want {
		t.Errorf("the Hub's cache is %s, want %s", got, want)
	}
	if got := dataDir(); !filepath.IsAbs(got) {
		t.Errorf("data is kept in %s", got)
	}
}
