package hub

import (
	"testing"

	"github.com/gpuplay/gpuplay/internal/hub/hubtest"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/model/modeltest"
)

// What a model needs is known from its headers before it is downloaded: of eight experts
// a token uses two, in whichever file they are.
func TestDescribe(t *testing.T) {
	h := hubtest.New(t)
	experts := func(name string) []modeltest.Tensor {
		return []modeltest.Tensor{{Name: name, Shape: []uint64{32, 64, 8}}}
	}
	h.Models["a/Experts-GGUF"] = map[string][]byte{
		"experts-q4_k_m-00001-of-00002.gguf": modeltest.GGUF([]modeltest.Pair{
			{Key: "general.architecture", Value: "llama"}, {Key: "general.name", Value: "Experts"}, {Key: "llama.expert_count", Value: uint32(8)}, {Key: "llama.expert_used_count", Value: uint32(2)},
			{Key: "llama.block_count", Value: uint32(2)}, {Key: "llama.attention.head_count", Value: uint32(8)}, {Key: "llama.attention.head_count_kv", Value: uint32(2)}, {Key: "llama.embedding_length", Value: uint32(32)},
		}, experts("blk.0.ffn_up_exps.weight")),
		"experts-q4_k_m-00002-of-00002.gguf": modeltest.GGUF(nil, experts("blk.1.ffn_up_exps.weight")),
	}
	h.Models["a/Folder"] = map[string][]byte{"model.safetensors": noise(5000), "config.json": []byte(`{"text_config":{"num_hidden_layers":2,"num_key_value_heads":2,"head_dim":8}}`)}
	h.Models["a/Damaged"] = map[string][]byte{"damaged-q4_k_m.gguf": noise(5000)}
	h.Models["a/Other"] = map[string][]byte{"model.safetensors": noise(5000), "config.json": []byte("<html>")}
	c := client(t, h)
	for word, want := range map[string]model.Model{
		"a/Experts-GGUF": {Name: "Experts", TokenBytes: 2 * 2 * 32 * 64 * 2, CacheBytes: 2 * 2 * 2 * 4 * 2},
		"a/Folder":       {CacheBytes: 2 * 2 * 2 * 8 * 2},
		"a/Damaged":      {},
		"a/Other":        {},
	} {
		p, err := c.Plan(t.Context(), word)
		if err != nil {
			t.Fatal(err)
		}
		m, err := c.Describe(t.Context(), p)
		if failed := want.CacheBytes == 0; (err != nil) != failed || m.Bytes != p.Bytes || m.Name != want.Name || m.TokenBytes != want.TokenBytes || m.CacheBytes != want.CacheBytes {
			t.Errorf("%s: %+v, %v", word, m, err)
		}
		if p.Missing != p.Bytes {
			t.Errorf("%s: something was kept", word)
		}
	}
}
