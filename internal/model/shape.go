package model

import (
	"cmp"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/scaling"
)

// longestUsual is the sequence length that training is planned for if a model's context is
// longer.
const longestUsual = 8192

// ReadShape returns the shape of the transformer that a GGUF file, a config.json or the
// folder around one describes. Its weights need not be there. Models that are no plain
// transformer, such as a mixture of experts, are refused.
func ReadShape(path string) (scaling.Shape, error) {
	info, err := os.Stat(path)
	if err != nil {
		return scaling.Shape{}, invalid(nil, "%s cannot be read: %v", path, cause(err))
	}
	var s scaling.Shape
	switch {
	case info.IsDir():
		s, err = configShape(filepath.Join(path, "config.json"))
	case strings.EqualFold(filepath.Ext(path), ".json"):
		s, err = configShape(path)
	default:
		s, err = ggufShape(path)
	}
	if err != nil {
		return scaling.Shape{}, err
	}
	s.Seq = min(cmp.Or(s.Seq, longestUsual), longestUsual)
	if err := s.Check(); err != nil {
		return scaling.Shape{}, invalid(nil, "%s does not describe a transformer: %v", path, err)
	}
	return s, nil
}

// A shapeConfig is what config.json says of a shape; GPT-2's has names of its own.
type shapeConfig struct {
	Type    string `json:"model_type"`
	Layers  int    `json:"num_hidden_layers"`
	Width   int    `json:"hidden_size"`
	Heads   int    `json:"num_attention_heads"`
	KVHeads int    `json:"num_key_value_heads"`
	Head    int    `json:"head_dim"`
	Hidden  int    `json:"intermediate_size"`
	Vocab   int    `json:"vocab_size"`
	Context int    `json:"max_position_embeddings"`
	Tied    *bool  `json:"tie_word_embeddings"`

	Layers2   int `json:"n_layer"`
	Width2    int `json:"n_embd"`
	Heads2    int `json:"n_head"`
	Hidden2   int `json:"n_inner"`
	Positions int `json:"n_positions"`

	Experts      int `json:"num_experts"`
	LocalExperts int `json:"num_local_experts"`
	Routed       int `json:"n_routed_experts"`
	Latent       int `json:"kv_lora_rank"`
}

// plainMLP are the model types whose MLP has two matrices; that of all others has a gate.
var plainMLP = []string{"gpt2", "gpt_neo", "gpt_neox", "gptj", "gpt_bigcode", "opt", "bloom", "falcon", "mpt", "phi", "starcoder2"}

func configShape(path string) (scaling.Shape, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return scaling.Shape{}, invalid(nil, "%s cannot be read: %v", path, cause(err))
	}
	return parseShape(path, text)
}

// parseShape is configShape of a text; path is what errors call it.
func parseShape(path string, text []byte) (scaling.Shape, error) {
	var outer struct {
		shapeConfig
		Text *shapeConfig `json:"text_config"` // of models that also see
	}
	if err := json.Unmarshal(text, &outer); err != nil {
		return scaling.Shape{}, invalid(nil, "%s cannot be read: %v", path, err)
	}
	c := outer.shapeConfig
	if outer.Text != nil {
		c = *outer.Text
	}
	c.Layers, c.Width, c.Heads = cmp.Or(c.Layers, c.Layers2), cmp.Or(c.Width, c.Width2), cmp.Or(c.Heads, c.Heads2)
	switch {
	case max(c.Experts, c.LocalExperts, c.Routed) > 1:
		return scaling.Shape{}, notPlain(path, "a mixture of experts")
	case c.Latent > 0:
		return scaling.Shape{}, notPlain(path, "a model with latent attention")
	case c.Head > 0 && c.Head*c.Heads != c.Width:
		return scaling.Shape{}, notPlain(path, "a model whose heads are together wider than the model")
	}
	s := scaling.Shape{
		Layers: c.Layers, Width: c.Width, Heads: c.Heads, KVHeads: c.KVHeads, Hidden: cmp.Or(c.Hidden, c.Hidden2), Vocab: c.Vocab,
		Seq: cmp.Or(c.Context, c.Positions), Gated: !slices.Contains(plainMLP, c.Type), Positions: c.Positions > 0,
	}
	s.Tied = c.Type == "gpt2" || strings.HasPrefix(c.Type, "gemma") // Transformers' default where config.json does not say
	if c.Tied != nil {
		s.Tied = *c.Tied
	}
	return s, nil
}

func ggufShape(path string) (scaling.Shape, error) {
	if err := begins(path); err != nil {
		return scaling.Shape{}, err
	}
	h, err := readHeader(path)
	if err != nil {
		return scaling.Shape{}, invalid(again, "%s is cut off or damaged: %v", path, err)
	}
	prefix := h.text("general.architecture") + "."
	of := func(key string) int { return int(min(h.number(prefix+key), math.MaxInt32)) }
	s := scaling.Shape{
		Layers: of("block_count"), Width: of("embedding_length"), Heads: of("attention.head_count"), KVHeads: of("attention.head_count_kv"),
		Hidden: of("feed_forward_length"), Seq: of("context_length"), Vocab: of("vocab_size"), Tied: true,
	}
	switch key := of("attention.key_length"); {
	case of("expert_count") > 1:
		return scaling.Shape{}, notPlain(path, "a mixture of experts")
	case key > 0 && key*s.Heads != s.Width:
		return scaling.Shape{}, notPlain(path, "a model whose heads are together wider than the model")
	}
	for _, t := range h.tensors {
		switch t.name {
		case "token_embd.weight":
			if s.Width > 0 {
				s.Vocab = int(min(t.parameters/int64(s.Width), math.MaxInt32))
			}
		case "output.weight":
			s.Tied = false
		case "position_embd.weight":
			s.Positions = true
		case "blk.0.ffn_gate.weight":
			s.Gated = true
		}
	}
	return s, nil
}

func notPlain(path, what string) error {
	return fault.Errorf(fault.Unsupported, "%s describes %s, whose training is not modelled", path, what)
}
