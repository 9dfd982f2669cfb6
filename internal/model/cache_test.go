package model

import (
	"path/filepath"
	"testing"

	"github.com/gpuplay/gpuplay/internal/model/modeltest"
)

// The size of the cache of keys and values, from the metadata of models as they are
// published: two times layers, heads and their width, at two bytes.
func TestCacheBytes(t *testing.T) {
	count := func(key string, n uint32) modeltest.Pair { return pair("x."+key, n) }
	heads := func(list ...uint32) modeltest.Pair { return pair("x.attention.head_count_kv", list) }
	for name, tt := range map[string]struct {
		pairs []modeltest.Pair
		want  int64
	}{
		"Llama 3 8B":                 {[]modeltest.Pair{count("block_count", 32), count("embedding_length", 4096), count("attention.head_count", 32), count("attention.head_count_kv", 8)}, 131072},
		"every head has its own":     {[]modeltest.Pair{count("block_count", 32), count("embedding_length", 4096), count("attention.head_count", 32)}, 524288},
		"heads of their own width":   {[]modeltest.Pair{count("block_count", 18), count("embedding_length", 640), count("attention.head_count", 4), count("attention.head_count_kv", 1), count("attention.key_length", 256), count("attention.value_length", 256)}, 18432},
		"a list of heads":            {[]modeltest.Pair{count("block_count", 3), count("embedding_length", 128), count("attention.head_count", 4), heads(0, 2, 2)}, 512},
		"a list too long":            {[]modeltest.Pair{count("block_count", 1), count("embedding_length", 128), count("attention.head_count", 4), heads(2, 2, 2)}, 256},
		"some layers keep a state":   {[]modeltest.Pair{count("block_count", 4), count("embedding_length", 128), count("attention.head_count", 4), count("full_attention_interval", 4)}, 512},
		"some layers use others'":    {[]modeltest.Pair{count("block_count", 4), count("embedding_length", 128), count("attention.head_count", 4), count("attention.shared_kv_layers", 3)}, 512},
		"no attention":               {[]modeltest.Pair{count("block_count", 4), count("embedding_length", 128)}, 0},
		"numbers that no model has":  {[]modeltest.Pair{count("block_count", 1<<31), count("attention.head_count", 1), count("attention.key_length", 1<<31), count("attention.value_length", 1)}, 0},
		"more blocks than there are": {[]modeltest.Pair{count("block_count", 1<<31), count("embedding_length", 1), count("attention.head_count", 1)}, 4096},
	} {
		path := write(t, filepath.Join(t.TempDir(), "m.gguf"), modeltest.GGUF(append(tt.pairs, pair("general.architecture", "x")), []modeltest.Tensor{shape("token_embd.weight", 32, 100)}))
		if m, err := Open(path); err != nil || m.CacheBytes != tt.want {
			t.Errorf("%s: %d bytes, %v, want %d", name, m.CacheBytes, err, tt.want)
		}
	}
	for text, want := range map[string]int64{
		`{"num_hidden_layers":24,"num_attention_heads":14,"num_key_value_heads":2,"hidden_size":896}`:                                                            12288,
		`{"text_config":{"num_hidden_layers":18,"num_attention_heads":4,"num_key_value_heads":1,"hidden_size":640,"head_dim":256}}`:                              18432,
		`{"num_hidden_layers":4,"num_key_value_heads":2,"head_dim":8,"layer_types":["linear_attention","linear_attention","linear_attention","full_attention"]}`: 64,
		`{"num_hidden_layers":4,"num_key_value_heads":2,"head_dim":8,"num_kv_shared_layers":2}`:                                                                  128,
		`{"num_hidden_layers":4,"num_key_value_heads":2,"head_dim":8,"kv_lora_rank":512}`:                                                                        0,
		`{"num_hidden_layers":4,"num_key_value_heads":[2,2,1,1],"head_dim":null}`:                                                                                0,
		`{"num_hidden_layers":4,"num_attention_heads":4,"hidden_size":64}`:                                                                                       0,
		`{"num_hidden_layers":-4,"num_key_value_heads":2,"head_dim":8}`:                                                                                          0,
	} {
		if m, err := ReadConfig([]byte(text)); err != nil || m.CacheBytes != want {
			t.Errorf("%s: %d bytes, %v, want %d", text, m.CacheBytes, err, want)
		}
	}
}

// A model fits with its cache; where that is not known, with as much again as for buffers.
func TestFits(t *testing.T) {
	for _, tt := range []struct {
		m     Model
		needs int64
	}{
		{Model{Bytes: 1000}, 1200},
		{Model{Bytes: 1000, CacheBytes: 2}, 1100 + 2*4096},
		{Model{Bytes: 1000, CacheBytes: 2, Context: 131072}, 1100 + 2*4096},
		{Model{Bytes: 1000, CacheBytes: 2, Context: 512}, 1100 + 2*512},
	} {
		if !tt.m.Fits(tt.needs) || tt.m.Fits(tt.needs-1) {
			t.Errorf("%+v needs %d, want %d", tt.m, tt.m.Needs(), tt.needs)
		}
	}
}
