package model

import (
	"cmp"
	"encoding/json"
	"strconv"
)

// UsualContext is the context, in tokens, for which forecasts of memory and speed are made,
// unless the model's own is shorter.
const UsualContext = 4096

// cacheValue is the bytes of a number in the cache of keys and values: runtimes keep 16
// bits unless they are asked for something else.
const cacheValue = 2

// most is more than a model has of heads, and of numbers in a key or a value.
const most = 1 << 16

// UsualContext returns the package's UsualContext, or the model's own context where that is
// shorter.
func (m Model) UsualContext() int {
	if m.Context > 0 {
		return min(UsualContext, m.Context)
	}
	return UsualContext
}

// Needs returns about how many bytes of memory a model takes: its weights, the keys and
// values of UsualContext tokens, and a tenth of the weights for buffers. Where the metadata
// does not tell the size of keys and values, another tenth stands for them.
func (m Model) Needs() int64 {
	cache := m.CacheBytes * int64(m.UsualContext())
	return m.Bytes + m.Bytes/10 + cmp.Or(cache, m.Bytes/10)
}

// Fits reports whether that many bytes of memory hold what the model needs.
func (m Model) Fits(free int64) bool { return m.Needs() <= free }

// cacheOf returns the bytes of keys and values that a token of context takes by a GGUF
// file's metadata, 0 if it does not say. Every layer with attention is taken to keep all
// tokens, though one with a sliding window keeps fewer.
func cacheOf(h header, prefix string) int64 {
	blocks := min(h.number(prefix+"block_count"), mostBlocks)
	blocks -= min(blocks, h.number(prefix+"attention.shared_kv_layers")) // the last ones use those of others
	heads := h.perBlock(prefix+"attention.head_count", blocks)
	if _, said := h.values[prefix+"attention.head_count_kv"]; said {
		heads = h.perBlock(prefix+"attention.head_count_kv", blocks)
	}
	width := uint64(0) // of a head, where keys and values do not say theirs
	if n := h.number(prefix + "attention.head_count"); n > 0 {
		width = h.number(prefix+"embedding_length") / n
	}
	key := cmp.Or(h.number(prefix+"attention.key_length"), width)
	value := cmp.Or(h.number(prefix+"attention.value_length"), width)
	if key > most || value > most {
		return 0
	}
	sum := uint64(0)
	for _, n := range heads {
		sum += min(n, most) * (key + value)
	}
	if every := h.number(prefix + "full_attention_interval"); every > 1 { // the layers between keep a state of fixed size
		sum /= every
	}
	return int64(sum * cacheValue)
}

// A count is a number in config.json; anything else there is 0, since models are loaded
// without it.
type count int64

func (c *count) UnmarshalJSON(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err == nil && n > 0 {
		*c = count(min(n, most))
	}
	return nil
}

// attentionConfig is what config.json says of keys and values.
type attentionConfig struct {
	Heads   count    `json:"num_attention_heads"`
	KVHeads count    `json:"num_key_value_heads"`
	Width   count    `json:"head_dim"`
	Hidden  count    `json:"hidden_size"`
	Shared  count    `json:"num_kv_shared_layers"` // the last ones use those of others
	Latent  count    `json:"kv_lora_rank"`         // what is kept depends on the framework
	Kinds   []string `json:"layer_types"`
}

// cache returns the bytes of keys and values that a token of context takes, 0 where
// config.json does not say.
func (c textConfig) cache() int64 {
	width := c.Width
	if width == 0 && c.Heads > 0 {
		width = c.Hidden / c.Heads
	}
	layers := min(max(0, c.Layers), mostBlocks)
	if len(c.Kinds) > 0 {
		layers = 0
		for _, kind := range c.Kinds[:min(len(c.Kinds), mostBlocks)] {
			switch kind {
			case "full_attention", "sliding_attention", "chunked_attention", "attention":
				layers++
			}
		}
	}
	layers -= min(layers, int(c.Shared))
	if c.Latent > 0 {
		return 0
	}
	return 2 * cacheValue * int64(layers) * int64(c.KVHeads) * int64(width)
}

// ReadConfig returns what a config.json says of a model whose weights are elsewhere.
func ReadConfig(text []byte) (Model, error) {
	var c config
	if err := json.Unmarshal(text, &c); err != nil {
		return Model{}, err
	}
	size := c.text()
	return Model{Format: Safetensors, Architecture: c.Type, Context: size.Context, CacheBytes: size.cache()}, nil
}
