package model

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/model/modeltest"
)

func pair(key string, value any) modeltest.Pair { return modeltest.Pair{Key: key, Value: value} }

func shape(name string, n ...uint64) modeltest.Tensor { return modeltest.Tensor{Name: name, Shape: n} }

// small is a model of two blocks with an embedding that is not the output layer.
func small(more ...modeltest.Pair) []byte {
	return modeltest.GGUF(append([]modeltest.Pair{
		pair("general.architecture", "llama"),
		pair("general.name", "Small One"),
		pair("general.license", "Apache-2.0"),
		pair("general.file_type", uint32(1)),
		pair("llama.block_count", uint32(2)),
		pair("llama.context_length", uint32(4096)),
	}, more...), []modeltest.Tensor{
		shape("token_embd.weight", 32, 100),
		shape("blk.0.attn_q.weight", 32, 32),
		shape("blk.0.attn_norm.weight", 32),
		shape("blk.1.ffn_up_exps.weight", 32, 16, 8),
		shape("output.weight", 32, 100),
	})
}

func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenGGUF(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "small-f16.gguf"), small(pair("tokenizer.chat_template", "{{ messages }}")))
	got, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := os.Stat(path)
	want := Model{
		Ref: path, Name: "Small One", Path: path, Format: GGUF, Architecture: "llama", Quantization: "F16",
		Parameters: 3200 + 1024 + 32 + 4096 + 3200, Bytes: info.Size(), Layers: 3, Context: 4096,
		License: "apache-2.0", Chat: true, Runtimes: []string{LlamaCpp},
		TokenBytes: 2 * (1024 + 32 + 4096 + 3200), PromptParameters: 1024 + 4096,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	// A token that uses two of eight experts reads a quarter of their weights.
	path = write(t, path, small(pair("llama.expert_count", uint32(8)), pair("llama.expert_used_count", uint32(2))))
	if got, err = Open(path); err != nil || got.TokenBytes != 2*(1024+32+1024+3200) || got.PromptParameters != 1024+1024 || got.Chat {
		t.Errorf("with experts: %+v, %v", got, err)
	}
}

func TestOpenNoModel(t *testing.T) {
	dir := t.TempDir()
	whole := small()
	version := bytes.Clone(whole)
	version[4] = 9
	huge := bytes.Clone(whole)
	binary.LittleEndian.PutUint64(huge[8:], 1<<60)
	tests := []struct {
		name string
		data []byte
		says string
		hint string
	}{
		{"empty.gguf", nil, "is empty", "download it again"},
		{"text.gguf", []byte("hello"), `is not a GGUF file: it begins with "hell"`, "name a .gguf file"},
		{"weights.gguf", []byte("PK\x03\x04 a PyTorch file"), `it begins with "PK\x03\x04"`, "name a .gguf file"},
		{"lfs.gguf", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:00"), "is a pointer of Git LFS, not the model", "git lfs pull"},
		{"page.gguf", []byte("\n<!DOCTYPE html><html>"), "is a web page, not a GGUF file", "log in"},
		{"start.gguf", whole[:6], "is cut off after 6 bytes", "download it again"},
		{"header.gguf", whole[:60], "is cut off or damaged", "download it again"},
		{"half.gguf", whole[:len(whole)-2000], "is cut off", "download it again"},
		{"version.gguf", version, "is GGUF version 9; versions 2 to 3 are known", "newer gpuplay"},
		{"huge.gguf", huge, "is cut off or damaged", "download it again"},
		{"types.gguf", modeltest.GGUF([]modeltest.Pair{pair("general.architecture", uint32(7))}, nil), "is no language model but of no architecture", "name the model's own file"},
		{"lora.gguf", small(pair("general.type", "adapter")), "is no language model but an adapter", "name the model's own file"},
		{"bert.gguf", modeltest.GGUF([]modeltest.Pair{pair("general.architecture", "nomic-bert"), pair("nomic-bert.block_count", uint32(1))}, nil), "is no language model but an encoder (nomic-bert)", "name the model's own file"},
		{"m-00002-of-00003.gguf", small(pair("split.no", uint32(1)), pair("split.count", uint32(3))), "is part 2 of 3 of a model", "name the first: " + filepath.Join(dir, "m-00001-of-00003.gguf")},
		{"n-00001-of-00002.gguf", small(pair("split.no", uint32(0)), pair("split.count", uint32(2))), "part 2 of 2 is missing: " + filepath.Join(dir, "n-00002-of-00002.gguf"), "download it again"},
	}
	for _, tt := range tests {
		path := write(t, filepath.Join(dir, tt.name), tt.data)
		_, err := Open(path)
		var e *fault.Error
		if !errors.As(err, &e) || !errors.Is(err, fault.Invalid) || !strings.Contains(e.Message, path) || !strings.Contains(e.Message, tt.says) || !strings.Contains(e.Remedies.String(), tt.hint) {
			t.Errorf("%s: %v (%+v), want %q and the remedy %q", tt.name, err, e, tt.says, tt.hint)
		}
	}
	_, err := Open(filepath.Join(dir, "none.gguf"))
	if err == nil || !strings.Contains(err.Error(), "there is no file or folder "+filepath.Join(dir, "none.gguf")) {
		t.Errorf("error %v of a file that is not there", err)
	}
	if _, err = Open(dir); err == nil || !strings.Contains(err.Error(), "is no model's folder: config.json") {
		t.Errorf("error %v of a folder without a model", err)
	}
}

func TestOpenSplit(t *testing.T) {
	dir := t.TempDir()
	first := write(t, filepath.Join(dir, "big-Q8_0-00001-of-00002.gguf"), small(pair("general.name", "Big"), pair("split.no", uint32(0)), pair("split.count", uint32(2))))
	write(t, filepath.Join(dir, "big-Q8_0-00002-of-00002.gguf"), modeltest.GGUF(nil, []modeltest.Tensor{shape("blk.2.attn_q.weight", 32, 32)}))
	m, err := Open(first)
	if err != nil {
		t.Fatal(err)
	}
	one, _ := Open(write(t, filepath.Join(dir, "one.gguf"), small()))
	if m.Parameters != one.Parameters+1024 || m.Bytes <= one.Bytes {
		t.Errorf("both parts have %d parameters in %d bytes", m.Parameters, m.Bytes)
	}
}

// safetensors writes a file with tensors whose elements have a number of bytes.
func safetensors(tensors map[string]tensor) []byte {
	var end int64
	for _, t := range tensors {
		end = max(end, t.Offsets[1])
	}
	header, _ := json.Marshal(tensors)
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, uint64(len(header)))
	b.Write(header)
	b.Write(make([]byte, end))
	return b.Bytes()
}

// folder writes a model of one matrix of 64×64 and its embedding, as MLX packs it
// with a number of bits, or unpacked.
func folder(t *testing.T, dir string, bits int, config string) string {
	t.Helper()
	write(t, filepath.Join(dir, "config.json"), []byte(config))
	tensors := map[string]tensor{
		"model.embed_tokens.weight":              {"BF16", []int64{100, 64}, [2]int64{0, 12800}},
		"model.layers.0.self_attn.q_proj.weight": {"BF16", []int64{64, 64}, [2]int64{12800, 20992}},
	}
	if bits > 0 {
		packed := int64(64 * 64 * bits / 8)
		tensors["model.layers.0.self_attn.q_proj.weight"] = tensor{"U32", []int64{64, int64(64 * bits / 32)}, [2]int64{12800, 12800 + packed}}
		tensors["model.layers.0.self_attn.q_proj.scales"] = tensor{"BF16", []int64{64, 1}, [2]int64{12800 + packed, 12928 + packed}}
		tensors["model.layers.0.self_attn.q_proj.biases"] = tensor{"BF16", []int64{64, 1}, [2]int64{12928 + packed, 13056 + packed}}
	}
	write(t, filepath.Join(dir, "model.safetensors"), safetensors(tensors))
	return dir
}

const plainConfig = `{"architectures":["Qwen2ForCausalLM"],"model_type":"qwen2","num_hidden_layers":1,"max_position_embeddings":32768}`

func TestOpenFolder(t *testing.T) {
	dir := t.TempDir()
	plain := folder(t, filepath.Join(dir, "plain [1]"), 0, plainConfig)
	write(t, filepath.Join(plain, "README.md"), []byte("---\nlicense: apache-2.0\ntags:\n- chat\n---\n# A model\nlicense: another\n"))
	write(t, filepath.Join(plain, "tokenizer_config.json"), []byte(`{"chat_template":"{{ messages }}"}`))
	got, err := Open(plain)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := os.Stat(filepath.Join(plain, "model.safetensors"))
	want := Model{
		Ref: plain, Name: "plain [1]", Path: plain, Format: Safetensors, Architecture: "qwen2", Quantization: "BF16",
		Parameters: 6400 + 4096, Bytes: info.Size(), Layers: 2, Context: 32768, License: "apache-2.0", Chat: true,
		Runtimes: []string{MLX, Torch}, TokenBytes: 20992, PromptParameters: 4096,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	packed := folder(t, filepath.Join(dir, "packed"), 4, `{"architectures":["Gemma3ForConditionalGeneration"],"model_type":"gemma3","text_config":{"num_hidden_layers":1},"quantization":{"bits":4,"group_size":64},"quantization_config":{"bits":4,"group_size":64}}`)
	m, err := Open(packed)
	if err != nil || m.Quantization != "4-bit" || m.Parameters != want.Parameters || m.Layers != 2 || !cmp.Equal(m.Runtimes, []string{MLX}) || m.Chat {
		t.Errorf("packed: %+v, %v", m, err)
	}
	awq := folder(t, filepath.Join(dir, "awq"), 0, strings.TrimSuffix(plainConfig, "}")+`,"quantization_config":{"quant_method":"awq","bits":4}}`)
	if m, err := Open(awq); err != nil || m.Quantization != "awq" || !cmp.Equal(m.Runtimes, []string{Torch}) {
		t.Errorf("awq: %+v, %v", m, err)
	}
}

func TestOpenNoFolder(t *testing.T) {
	dir := t.TempDir()
	cut := folder(t, filepath.Join(dir, "cut"), 0, plainConfig)
	data, _ := os.ReadFile(filepath.Join(cut, "model.safetensors"))
	write(t, filepath.Join(cut, "model.safetensors"), data[:len(data)-1])
	odd := folder(t, filepath.Join(dir, "odd"), 0, plainConfig)
	write(t, filepath.Join(odd, "model.safetensors"), []byte("12345678{}"))
	bare := filepath.Join(dir, "bare")
	write(t, filepath.Join(bare, "config.json"), []byte(plainConfig))
	gguf := filepath.Join(dir, "gguf")
	write(t, filepath.Join(gguf, "m.gguf"), small())
	torn := filepath.Join(dir, "torn")
	write(t, filepath.Join(torn, "config.json"), []byte(plainConfig[:20]))
	parts := folder(t, filepath.Join(dir, "parts"), 0, plainConfig)
	write(t, filepath.Join(parts, "model.safetensors.index.json"), []byte(`{"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}}`))
	if err := os.Rename(filepath.Join(parts, "model.safetensors"), filepath.Join(parts, "model-1.safetensors")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, says, hint string }{
		{cut, "its tensors take 20992 bytes, there are 20991", "download it again"},
		{odd, "model.safetensors is cut off, damaged or no safetensors file: a header of", "download it again"},
		{bare, "has a config.json and no .safetensors", "a model's folder holds"},
		{gguf, "is no model's folder", "name the file: " + filepath.Join(gguf, "m.gguf")},
		{torn, "config.json cannot be read", "a model's folder holds"},
		{parts, "model-2.safetensors is missing", "download it again"},
		{folder(t, filepath.Join(dir, "bert"), 0, `{"architectures":["BertModel"],"model_type":"bert"}`), "is no language model but BertModel", "name a model that generates text"},
	} {
		_, err := Open(tt.path)
		var e *fault.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, tt.says) || !strings.Contains(e.Remedies.String(), tt.hint) {
			t.Errorf("%s: %v (%+v), want %q", tt.path, err, e, tt.says)
		}
	}
}

func TestFind(t *testing.T) {
	home := t.TempDir()
	at := func(path ...string) string { return filepath.Join(append([]string{home}, path...)...) }
	chat := pair("tokenizer.chat_template", "x")
	write(t, at("own", "deep", "base.gguf"), small())
	write(t, at("own", "mmproj-small.gguf"), modeltest.GGUF([]modeltest.Pair{pair("general.architecture", "clip")}, nil))
	write(t, at("own", "broken.gguf"), []byte("nonsense"))
	blob := write(t, at("hub", "models--Qwen--Small-GGUF", "blobs", "abc"), small(chat, pair("padding", strings.Repeat("x", 1000))))
	for _, revision := range []string{"old", "new"} {
		os.MkdirAll(at("hub", "models--Qwen--Small-GGUF", "snapshots", revision), 0o755)
		if err := os.Symlink(blob, at("hub", "models--Qwen--Small-GGUF", "snapshots", revision, "small-"+revision+".gguf")); err != nil {
			t.Skip(err)
		}
	}
	write(t, at("hub", "models--Qwen--Small-GGUF", "refs", "main"), []byte("new"))
	folder(t, at("hub", "models--mlx-community--Small-4bit", "snapshots", "rev"), 4, strings.TrimSuffix(plainConfig, "}")+`,"quantization":{"bits":4}}`)
	write(t, at("hub", "models--bert-base", "snapshots", "rev", "config.json"), []byte(`{"architectures":["BertModel"]}`))
	write(t, at("ollama", "blobs", "sha256-123"), small(pair("padding", strings.Repeat("x", 2000))))
	layers := `{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:123"},{"mediaType":"application/vnd.ollama.image.template","digest":"sha256:456"}]}`
	write(t, at("ollama", "manifests", "registry.ollama.ai", "library", "small", "latest"), []byte(layers))
	write(t, at("ollama", "manifests", "registry.ollama.ai", "library", "gone", "1b"), []byte(strings.Replace(layers, ":123", ":789", 1)))
	write(t, at("lmstudio", "someone", "Repo-GGUF", "lm-Q8.gguf"), small(pair("padding", strings.Repeat("x", 9000))))
	places := Places{Dirs: []string{at("own"), at("nowhere")}, HuggingFace: at("hub"), Ollama: []string{at("ollama")}, LMStudio: []string{at("lmstudio"), at("lmstudio2")}, LlamaCpp: []string{at("own")}}

	found, unusable := Find(t.Context(), places)
	var refs []string
	for _, m := range found {
		refs = append(refs, m.Place+" "+m.Ref)
	}
	want := []string{
		"Hugging Face Qwen/Small-GGUF:F16", "Ollama small:latest", // to be talked to
		"Hugging Face mlx-community/Small-4bit", "your folders " + at("own", "deep", "base.gguf"), "LM Studio someone/Repo-GGUF/lm-Q8.gguf",
	}
	if d := cmp.Diff(want, refs); d != "" {
		t.Error(d)
	}
	for i, says := range []string{"broken.gguf is not a GGUF file", "mmproj-small.gguf is no language model but a projector", "nowhere: no such file", "gone:1b: its file is missing"} {
		if i >= len(unusable) || !strings.Contains(unusable[i].Error(), says) {
			t.Errorf("unusable: %v, want %q as number %d", unusable, says, i)
		}
	}
	if len(found) > 2 && (found[0].Path != at("hub", "models--Qwen--Small-GGUF", "snapshots", "new", "small-new.gguf") || !cmp.Equal(found[1].Runtimes, []string{LlamaCpp, Ollama})) {
		t.Errorf("%+v", found[:2])
	}
	places.Free = found[0].Bytes // too little for it
	if again, _ := Find(t.Context(), places); again[0].Format != Safetensors {
		t.Errorf("first is %s, which does not fit", again[0].Ref)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if found, _ := Find(stopped, places); len(found) > 0 {
		t.Errorf("an ended context finds %d", len(found))
	}
}

func TestPick(t *testing.T) {
	found := []Model{
		{Ref: "Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M", Name: "qwen2.5-0.5b-instruct", Path: "/hub/qwen2.5-0.5b-instruct-q4_k_m.gguf", Place: placeHuggingFace, Format: GGUF},
		{Ref: "qwen2.5:latest", Name: "Qwen2.5 7B", Path: "/blobs/sha256-1", Place: placeOllama, Format: GGUF},
		{Ref: "mlx-community/SmolLM2-135M-Instruct", Name: "SmolLM2-135M-Instruct", Path: "/hub/1", Place: placeHuggingFace, Format: Safetensors},
	}
	for word, want := range map[string]string{
		"qwen2.5:latest":                         found[1].Ref,
		"qwen2.5":                                found[1].Ref,
		"qwen/qwen2.5-0.5b-instruct-gguf":        found[0].Ref,
		"qwen2.5-0.5b-instruct-q4_k_m.gguf":      found[0].Ref,
		"smollm2":                                found[2].Ref,
		"Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M": found[0].Ref,
	} {
		if m, err := pick(found, word); err != nil || m.Ref != want {
			t.Errorf("%q is %q, %v; want %s", word, m.Ref, err, want)
		}
	}
	for word, says := range map[string]string{
		"qwen":                      "write more of the name: Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M, qwen2.5:latest",
		"SmallLM2-135M-Instruct":    "did you mean mlx-community/SmolLM2-135M-Instruct?",
		"TheBloke/Llama-2-70B-GGUF": "gpuplay models get TheBloke/Llama-2-70B-GGUF downloads one",
	} {
		_, err := pick(found, word)
		var e *fault.Error
		if !errors.As(err, &e) || !strings.Contains(e.Remedies.String(), says) {
			t.Errorf("%q: %v (%+v), want the hint %q", word, err, e, says)
		}
	}
	if _, err := pick(nil, "x"); err == nil || !errors.Is(err, fault.Unavailable) {
		t.Errorf("error %v with no models at all", err)
	}
}

// What a file holds never makes Open panic, whatever it is.
func FuzzOpen(f *testing.F) {
	f.Add(small())
	f.Add(small(pair("general.alignment", uint32(0)), pair("split.tensors.count", uint32(1<<31))))
	f.Add(small(pair("llama.embedding_length", uint32(32)), pair("llama.attention.head_count", uint32(4)), pair("llama.attention.head_count_kv", []uint32{0, 1<<32 - 1})))
	f.Add(safetensors(map[string]tensor{"a.weight": {"F32", []int64{4}, [2]int64{0, 16}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		var e *fault.Error
		if m, err := Open(write(t, filepath.Join(dir, "m.gguf"), data)); err != nil && !errors.As(err, &e) {
			t.Errorf("%T %v", err, err)
		} else if err == nil && (m.Architecture == "" || m.CacheBytes < 0 || m.Needs() < 0) {
			t.Errorf("a model that cannot be: %+v", m)
		}
		write(t, filepath.Join(dir, "config.json"), []byte(plainConfig))
		write(t, filepath.Join(dir, "model.safetensors"), data)
		if _, err := Open(dir); err != nil && !errors.As(err, &e) {
			t.Errorf("%T %v", err, err)
		}
	})
}
