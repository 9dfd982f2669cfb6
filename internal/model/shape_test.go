package model

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/model/modeltest"
	"github.com/gpuplay/gpuplay/internal/scaling"
)

// config.json of meta-llama/Llama-3.1-8B, openai-community/gpt2 and Qwen/Qwen2.5-0.5B, as far
// as it matters.
var shapeConfigs = map[string]struct {
	text   string
	want   scaling.Shape
	params int64
}{
	"llama3-8b": {`{"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 131072, "tie_word_embeddings": false}`,
		scaling.Shape{Layers: 32, Width: 4096, Heads: 32, KVHeads: 8, Hidden: 14336, Vocab: 128256, Seq: 8192, Gated: true}, 8030261248},
	"gpt2": {`{"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024, "vocab_size": 50257, "n_inner": null}`,
		scaling.Shape{Layers: 12, Width: 768, Heads: 12, Vocab: 50257, Seq: 1024, Positions: true, Tied: true}, 124439808},
	"text of a model that sees": {`{"model_type": "x", "text_config": {"model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 4096, "tie_word_embeddings": true}}`,
		scaling.Shape{Layers: 24, Width: 896, Heads: 14, KVHeads: 2, Hidden: 4864, Vocab: 151936, Seq: 4096, Gated: true, Tied: true}, 0},
}

func TestReadShape(t *testing.T) {
	for name, tt := range shapeConfigs {
		file := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(file, []byte(tt.text), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{file, filepath.Dir(file)} {
			s, err := ReadShape(path)
			if err != nil || s != tt.want {
				t.Errorf("%s: %+v, %v", name, s, err)
			}
		}
		if got := tt.want.Params(); tt.params > 0 && got != tt.params {
			t.Errorf("%s: %d parameters, and it has %d", name, got, tt.params)
		}
	}
}

func TestReadShapeRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"num_hidden_layers": 2, "num_local_experts": 8}`:                                        "mixture of experts",
		`{"num_hidden_layers": 2, "kv_lora_rank": 512}`:                                           "latent attention",
		`{"num_hidden_layers": 2, "hidden_size": 640, "num_attention_heads": 4, "head_dim": 256}`: "wider than the model",
		`{}`:                        "layers 0",
		`{"num_hidden_layers": -1}`: "layers -1",
		`{"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 5, "vocab_size": 9}`: "not divisible by 5 heads",
		`[`:                          "cannot be read",
		`{"num_hidden_layers": "2"}`: "cannot be read",
	} {
		file := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := ReadShape(file)
		if e := fault.From(err); e == nil || e.Code != fault.Invalid && e.Code != fault.Unsupported || !strings.Contains(e.Message, want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := ReadShape(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fault.Invalid) {
		t.Errorf("nothing there: %v", err)
	}
}

func TestReadShapeGGUF(t *testing.T) {
	pairs := []modeltest.Pair{
		{Key: "general.architecture", Value: "llama"}, {Key: "llama.block_count", Value: uint32(2)}, {Key: "llama.embedding_length", Value: uint32(64)},
		{Key: "llama.attention.head_count", Value: uint32(4)}, {Key: "llama.attention.head_count_kv", Value: uint32(2)},
		{Key: "llama.feed_forward_length", Value: uint32(128)}, {Key: "llama.context_length", Value: uint32(256)},
	}
	file := filepath.Join(t.TempDir(), "m.gguf")
	write := func(pairs []modeltest.Pair) {
		t.Helper()
		if err := os.WriteFile(file, modeltest.GGUF(pairs, []modeltest.Tensor{{Name: "token_embd.weight", Shape: []uint64{64, 100}}, {Name: "blk.0.ffn_gate.weight", Shape: []uint64{64, 128}}}), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(pairs)
	s, err := ReadShape(file)
	if want := (scaling.Shape{Layers: 2, Width: 64, Heads: 4, KVHeads: 2, Hidden: 128, Vocab: 100, Seq: 256, Gated: true, Tied: true}); err != nil || s != want {
		t.Errorf("%+v, %v", s, err)
	}
	write(append(pairs, modeltest.Pair{Key: "llama.expert_count", Value: uint32(8)}))
	if _, err := ReadShape(file); !errors.Is(err, fault.Unsupported) {
		t.Errorf("a mixture of experts: %v", err)
	}
}

func FuzzShape(f *testing.F) {
	for _, tt := range shapeConfigs {
		f.Add([]byte(tt.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseShape("config.json", text)
		if err != nil && s != (scaling.Shape{}) {
			t.Errorf("%+v and %v", s, err)
		}
		s.Check()
	})
}
