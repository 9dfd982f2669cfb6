package model

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/model/modeltest"
)

// What a GGUF file holds is what its metadata says, whatever its name is.
func TestKindOfGGUF(t *testing.T) {
	of := func(architecture string, more ...modeltest.Pair) []byte {
		return modeltest.GGUF(append([]modeltest.Pair{pair("general.architecture", architecture), pair(architecture+".block_count", uint32(1))}, more...), []modeltest.Tensor{shape("token_embd.weight", 32, 100)})
	}
	for name, tt := range map[string]struct {
		data []byte
		what string // "": a language model
	}{
		"zephyr-7b-lora-merged.gguf": {of("llama"), ""},
		"my-adapter-lora.gguf":       {of("llama"), ""},
		"mmproj.gguf":                {of("llama"), ""},
		"no-00002-of-00002.gguf":     {of("llama"), ""}, // no part by its metadata
		"pooling-0.gguf":             {of("qwen3", pair("qwen3.pooling_type", uint32(0))), ""},
		"causal.gguf":                {of("llama", pair("llama.attention.causal", true)), ""},
		"UPPER-CASE.GGUF":            {of("llama"), ""},
		"plain.gguf":                 {of("gemma-embedding", pair("gemma-embedding.pooling_type", uint32(1))), "an embedding model"},
		"Qwen3-Embedding-0.6B.gguf":  {of("qwen3", pair("qwen3.pooling_type", uint32(3))), "an embedding model"},
		"reranker.gguf":              {of("qwen3", pair("qwen3.pooling_type", uint32(4))), "a model that ranks texts"},
		"not-causal.gguf":            {of("gemma3", pair("gemma3.attention.causal", false)), "an encoder (gemma3)"},
		"bge.gguf":                   {of("bert"), "an encoder (bert)"},
		"flan.gguf":                  {of("t5"), "an encoder with a decoder (t5)"},
		"vision.gguf":                {of("clip"), "a projector for images or sound"},
		"dream.gguf":                 {of("dream"), "a diffusion model (dream)"},
		"llama-merged.gguf":          {of("llama", pair("general.type", "adapter"), pair("adapter.type", "lora")), "an adapter"},
		"weights-importance.gguf":    {of("llama", pair("general.type", "imatrix")), `of the type "imatrix"`},
		"ggml-vocab-llama.gguf":      {modeltest.GGUF([]modeltest.Pair{pair("general.architecture", "llama")}, nil), "a vocabulary without weights"},
	} {
		path := write(t, filepath.Join(t.TempDir(), name), tt.data)
		_, err := Open(path)
		if what, other := Another(err); what != tt.what || other != (tt.what != "") || (err == nil) != (tt.what == "") {
			t.Errorf("%s is %q, %v; want %q", name, what, err, tt.what)
		}
		found, unusable := Find(t.Context(), Places{Dirs: []string{filepath.Dir(path)}})
		if len(found) != map[bool]int{true: 1}[tt.what == ""] || len(unusable) != 1-len(found) {
			t.Errorf("%s: found %v, %v", name, found, unusable)
		}
		if tt.what != "" {
			if _, err := Resolve(t.Context(), Places{Dirs: []string{filepath.Dir(path)}}, stem(path)); err == nil || !strings.Contains(err.Error(), tt.what) {
				t.Errorf("%s by its name: %v", name, err)
			}
		}
	}
}

// The parts of a model are found by the metadata and the names that llama.cpp asks for.
func TestParts(t *testing.T) {
	piece := func(no, of uint32) []byte { return small(pair("split.no", no), pair("split.count", of)) }
	for name, tt := range map[string]struct{ says string }{
		"renamed.gguf":              {"is part 1 of 2 of a model, and its name does not say so"},
		"other-00001-of-00003.gguf": {"is part 1 of 2 of a model, and its name does not say so"},
	} {
		if _, err := Open(write(t, filepath.Join(t.TempDir(), name), piece(0, 2))); err == nil || !strings.Contains(err.Error(), tt.says) || len(fault.From(err).Remedies) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := t.TempDir()
	second := write(t, filepath.Join(dir, "m-00002-of-00002.gguf"), piece(1, 2))
	if found, unusable := Find(t.Context(), Places{Dirs: []string{dir}}); len(found) > 0 || len(unusable) != 1 || !strings.Contains(unusable[0].Error(), second+" is part 2 of 2") {
		t.Errorf("a part alone: %v, %v", found, unusable)
	}
	write(t, filepath.Join(dir, "m-00001-of-00002.gguf"), piece(0, 2))
	if found, unusable := Find(t.Context(), Places{Dirs: []string{dir}}); len(found) != 1 || len(unusable) > 0 {
		t.Errorf("both parts: %v, %v", found, unusable)
	}
	whole := write(t, filepath.Join(t.TempDir(), "n-00001-of-00002.gguf"), small()) // joined again by its user
	if _, err := Open(whole); err != nil {
		t.Error(err)
	}
}

// Of a folder it is the class of the model, and what is known of the class.
func TestKindOfFolder(t *testing.T) {
	for class, runtimes := range map[string][]string{
		"LlamaForCausalLM": {MLX, Torch}, "GPT2LMHeadModel": {MLX, Torch}, "Gemma3ForConditionalGeneration": {MLX, Torch}, "Mistral3ForConditionalGeneration": {MLX},
		"T5ForConditionalGeneration": nil, "WhisperForConditionalGeneration": nil, "BartForConditionalGeneration": nil, "WhisperForCausalLM": nil, "RobertaForCausalLM": nil,
		"BertLMHeadModel": nil, "BertModel": nil, "BlipForConditionalGeneration": nil, "Gemma3TextModel": nil, "ForConditionalGeneration": nil,
	} {
		dir := folder(t, filepath.Join(t.TempDir(), "m"), 0, strings.Replace(plainConfig, "Qwen2ForCausalLM", class, 1))
		m, err := Open(dir)
		if what, other := Another(err); !slices.Equal(m.Runtimes, runtimes) || other != (runtimes == nil) || other && what != class {
			t.Errorf("%s: %q, %v", class, m.Runtimes, err)
		}
	}
	dir := folder(t, filepath.Join(t.TempDir(), "Qwen3-Embedding"), 0, plainConfig)
	write(t, filepath.Join(dir, "config_sentence_transformers.json"), []byte("{}"))
	if what, _ := Another(func() error { _, err := Open(dir); return err }()); what != "an embedding model" {
		t.Errorf("of Sentence Transformers: %q", what)
	}
	packed := folder(t, filepath.Join(t.TempDir(), "m"), 0, `{"architectures":["Mistral3ForConditionalGeneration"],"quantization_config":{"quant_method":"awq"}}`)
	if _, err := Open(packed); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "neither MLX nor PyTorch loads Mistral3ForConditionalGeneration with awq weights") {
		t.Errorf("error %v", err)
	}
}

// Only the weights that the frameworks load count.
func TestWeightFiles(t *testing.T) {
	matrix := func(name string) []byte {
		return safetensors(map[string]tensor{name: {"BF16", []int64{64, 64}, [2]int64{0, 8192}}})
	}
	const index = `{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}`
	parts := map[string][]byte{"model-00001-of-00002.safetensors": matrix("a"), "model-00002-of-00002.safetensors": matrix("b")}
	with := func(more map[string][]byte) map[string][]byte {
		all := map[string][]byte{}
		for _, m := range []map[string][]byte{parts, more} {
			for name, data := range m {
				all[name] = data
			}
		}
		return all
	}
	for name, tt := range map[string]struct {
		files      map[string][]byte
		parameters int64
		runtimes   []string
		says       string
	}{
		"one file":                     {map[string][]byte{"model.safetensors": matrix("a")}, 4096, []string{MLX, Torch}, ""},
		"one file and a stale index":   {map[string][]byte{"model.safetensors": matrix("a"), "model.safetensors.index.json": []byte(index)}, 4096, []string{MLX, Torch}, ""},
		"one file and a broken index":  {map[string][]byte{"model.safetensors": matrix("a"), "model.safetensors.index.json": []byte("{")}, 4096, []string{MLX, Torch}, ""},
		"one file and the maker's own": {map[string][]byte{"model.safetensors": matrix("a"), "consolidated.safetensors": matrix("a")}, 4096, []string{MLX, Torch}, ""},
		"parts":                        {with(map[string][]byte{"model.safetensors.index.json": []byte(index)}), 8192, []string{MLX, Torch}, ""},
		"parts and the maker's own":    {with(map[string][]byte{"model.safetensors.index.json": []byte(index), "consolidated.safetensors": matrix("a")}), 8192, []string{MLX, Torch}, ""},
		"parts without an index":       {parts, 8192, []string{MLX}, ""},
		"a part is missing":            {map[string][]byte{"model-00001-of-00002.safetensors": matrix("a"), "model.safetensors.index.json": []byte(index)}, 0, nil, "model-00002-of-00002.safetensors is missing"},
		"a broken index":               {with(map[string][]byte{"model.safetensors.index.json": []byte("{")}), 0, nil, "model.safetensors.index.json names no parts"},
		"the maker's own alone":        {map[string][]byte{"consolidated.safetensors": matrix("a")}, 0, nil, "has consolidated.safetensors, which neither MLX nor PyTorch loads"},
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "config.json"), []byte(plainConfig))
		for name, data := range tt.files {
			write(t, filepath.Join(dir, name), data)
		}
		m, err := Open(dir)
		if m.Parameters != tt.parameters || !slices.Equal(m.Runtimes, tt.runtimes) || (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %d parameters, %q, %v", name, m.Parameters, m.Runtimes, err)
		}
	}
}

// Links are followed, in circles once, and never out of the folder to where it lies.
func TestLinks(t *testing.T) {
	root := t.TempDir()
	elsewhere := filepath.Join(root, "disk")
	write(t, filepath.Join(elsewhere, "deep", "m.gguf"), small())
	write(t, filepath.Join(root, "not-asked-for.gguf"), small(pair("padding", "x")))
	own := filepath.Join(root, "own")
	for from, to := range map[string]string{"models": elsewhere, "again": elsewhere, "self": own, "up": root, "nowhere": filepath.Join(root, "none"), filepath.Join("a", "b", "circle"): filepath.Join(own, "a")} {
		link := filepath.Join(own, from)
		os.MkdirAll(filepath.Dir(link), 0o755)
		if err := os.Symlink(to, link); err != nil {
			t.Skip(err)
		}
	}
	found, unusable := Find(t.Context(), Places{Dirs: []string{own}})
	if len(found) != 1 || filepath.Base(found[0].Path) != "m.gguf" || len(unusable) > 0 {
		t.Errorf("found %v, %v", found, unusable)
	}
	t.Chdir(own) // a relative path is the same folder
	if found, _ := Find(t.Context(), Places{Dirs: []string{".", own, filepath.Join("..", "own", "self")}}); len(found) != 1 {
		t.Errorf("by relative paths: found %v", found)
	}
}

// The files of a repository may have come with several snapshots, and several of its
// quantizations keep names of their own, by which they are found.
func TestHubCache(t *testing.T) {
	hub := t.TempDir()
	at := func(path ...string) string {
		return filepath.Join(append([]string{hub, "models--a--M-GGUF"}, path...)...)
	}
	mixed := func(kind uint32, padding string) []byte {
		return modeltest.GGUF([]modeltest.Pair{pair("general.architecture", "llama"), pair("general.name", "M"), pair("general.file_type", kind), pair("padding", padding)}, []modeltest.Tensor{shape("token_embd.weight", 32, 100)})
	}
	write(t, at("snapshots", "main", "M-UD-Q4_K_XL.gguf"), mixed(15, "x"))
	write(t, at("snapshots", "main", "M-Q4_K_M.gguf"), mixed(15, "xx"))
	write(t, at("snapshots", "main", "M-Q8_0.gguf"), []byte("GGUF cut"))
	write(t, at("snapshots", "old", "M-Q8_0.gguf"), mixed(7, "xxx"))
	write(t, at("snapshots", "old", "M-Q4_K_M.gguf"), mixed(15, "an older version"))
	write(t, at("snapshots", "oldest", "M-Q6_K.gguf"), mixed(18, "xxxx"))
	write(t, at("snapshots", "oldest", "M-v1-Q6_K.gguf"), mixed(18, "xxxxx"))
	write(t, at("snapshots", "oldest", "M-Q2_K.gguf"), []byte("GGUF cut"))
	if err := os.Symlink(at("snapshots", "oldest", "M-Q2_K.gguf"), at("snapshots", "old", "M-Q2_K.gguf")); err != nil { // both snapshots have the same blob
		t.Skip(err)
	}
	write(t, at("refs", "main"), []byte("main\n"))
	for i, name := range []string{"main", "old", "oldest"} {
		when := time.Now().Add(time.Duration(i) * time.Hour) // the order is not that of their age
		if err := os.Chtimes(at("snapshots", name), when, when); err != nil {
			t.Fatal(err)
		}
	}
	places := Places{HuggingFace: hub}
	found, unusable := Find(t.Context(), places)
	refs := map[string]string{}
	for _, m := range found {
		below, _ := filepath.Rel(at("snapshots"), m.Path)
		refs[m.Ref] = filepath.ToSlash(below)
	}
	want := map[string]string{
		"a/M-GGUF:UD-Q4_K_XL": "main/M-UD-Q4_K_XL.gguf", "a/M-GGUF:Q4_K_M": "main/M-Q4_K_M.gguf", "a/M-GGUF:Q8_0": "old/M-Q8_0.gguf",
		"a/M-GGUF:M-Q6_K.gguf": "oldest/M-Q6_K.gguf", "a/M-GGUF:M-v1-Q6_K.gguf": "oldest/M-v1-Q6_K.gguf",
	}
	if d := cmp.Diff(want, refs); d != "" {
		t.Error(d)
	}
	if len(unusable) != 1 || !strings.Contains(unusable[0].Error(), "M-Q2_K.gguf") {
		t.Errorf("unusable: %v", unusable)
	}
	for word, want := range map[string]string{
		"a/M-GGUF:UD-Q4_K_XL": "M-UD-Q4_K_XL.gguf", "a/m-gguf:q4_k_xl": "M-UD-Q4_K_XL.gguf", "UD-Q4_K_XL": "M-UD-Q4_K_XL.gguf", "a/M-GGUF:Q4_K_M": "M-Q4_K_M.gguf",
		"a/M-GGUF:m-v1-q6_k.gguf": "M-v1-Q6_K.gguf", "M-Q6_K": "M-Q6_K.gguf",
	} {
		if m, err := Resolve(t.Context(), places, word); err != nil || filepath.Base(m.Path) != want {
			t.Errorf("%s is %s, %v; want %s", word, m.Path, err, want)
		}
	}
}
