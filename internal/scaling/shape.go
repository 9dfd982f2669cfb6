// Package scaling is the model of training on several devices: how much memory each of
// them needs, what a step sends, and how long it takes. All of it is computed from the
// shape of the transformer, the time that one device takes, and what messages cost.
// Nothing here is measured, and whoever shows a result says that it is modelled.
//
// Times are in seconds, sizes in bytes, work in floating-point operations.
package scaling

import (
	"github.com/gpuplay/gpuplay/internal/fault"
)

// A Shape is a decoder-only transformer with pre-norm blocks.
type Shape struct {
	Layers    int  `json:"layers"`
	Width     int  `json:"width"`
	Heads     int  `json:"heads"`
	KVHeads   int  `json:"kv_heads,omitempty"` // heads of keys and values; 0: as many as Heads
	Hidden    int  `json:"hidden,omitempty"`   // width of the MLP; 0: 4·Width
	Vocab     int  `json:"vocab"`
	Seq       int  `json:"seq"`                 // tokens of a sequence
	Gated     bool `json:"gated,omitempty"`     // as Llama: an MLP of three matrices, no biases, norms that only scale
	Positions bool `json:"positions,omitempty"` // learned positions, as GPT-2
	Tied      bool `json:"tied,omitempty"`      // one matrix embeds tokens and makes logits
}

// kv returns the width of the keys, which is that of the values.
func (s Shape) kv() int {
	if s.KVHeads == 0 {
		return s.Width
	}
	return s.Width / s.Heads * s.KVHeads
}

// MLP returns the width of the MLP.
func (s Shape) MLP() int {
	if s.Hidden == 0 {
		return 4 * s.Width
	}
	return s.Hidden
}

// products returns the parameters of a block that are factors of matrix products.
func (s Shape) products() int64 {
	d, kv, h := int64(s.Width), int64(s.kv()), int64(s.MLP())
	matrices := int64(2)
	if s.Gated {
		matrices = 3
	}
	return 2*d*d + 2*d*kv + matrices*d*h
}

// LayerParams returns the parameters of one block.
func (s Shape) LayerParams() int64 {
	d, kv, h := int64(s.Width), int64(s.kv()), int64(s.MLP())
	if s.Gated {
		return s.products() + 2*d
	}
	return s.products() + (2*d + 2*kv + h + d) + 4*d // biases; scales and shifts of two norms
}

// Embedding returns the parameters of the matrix that embeds tokens.
func (s Shape) Embedding() int64 { return int64(s.Vocab) * int64(s.Width) }

// InputParams returns the parameters in front of the first block.
func (s Shape) InputParams() int64 {
	n := s.Embedding()
	if s.Positions {
		n += int64(s.Seq) * int64(s.Width)
	}
	return n
}

// OutputParams returns the parameters behind the last block. Of a tied matrix they are
// none: it is counted in InputParams.
func (s Shape) OutputParams() int64 {
	n := int64(s.Width)
	if !s.Gated {
		n *= 2
	}
	if !s.Tied {
		n += s.Embedding()
	}
	return n
}

// Params returns all parameters.
func (s Shape) Params() int64 {
	return s.InputParams() + int64(s.Layers)*s.LayerParams() + s.OutputParams()
}

// FLOPs returns the work of one training step: three times that of the forward pass,
// which takes two operations for each parameter of a product and each token, those of the
// logits among them, and 4·Seq·Width for each token and layer of attention, half of it
// where a token sees only those before it. What is computed again to save memory is not
// counted, nor is looking up embeddings (Narayanan et al. 2021, arXiv:2104.04473,
// appendix, with full attention).
func (s Shape) FLOPs(sequences int, causal bool) float64 {
	tokens := float64(sequences) * float64(s.Seq)
	attention := 4 * float64(s.Seq) * float64(s.Width) * float64(s.Layers)
	if causal {
		attention /= 2
	}
	return 3 * tokens * (2*(float64(s.Layers)*float64(s.products())+float64(s.Embedding())) + attention)
}

// Check refuses shapes that no transformer has.
func (s Shape) Check() error {
	for _, x := range []struct {
		name  string
		value int
	}{{"layers", s.Layers}, {"width", s.Width}, {"heads", s.Heads}, {"vocab", s.Vocab}, {"seq", s.Seq}} {
		if x.value < 1 || x.value > 1<<24 {
			return fault.Errorf(fault.Invalid, "%s %d: from 1 to %d is possible", x.name, x.value, 1<<24)
		}
	}
	switch {
	case s.Width%s.Heads != 0:
		return fault.Errorf(fault.Invalid, "width %d is not divisible by %d heads", s.Width, s.Heads)
	case s.KVHeads < 0 || s.KVHeads > 0 && s.Heads%s.KVHeads != 0:
		return fault.Errorf(fault.Invalid, "%d heads cannot share %d heads of keys and values equally", s.Heads, s.KVHeads)
	case s.Hidden < 0:
		return fault.Errorf(fault.Invalid, "an MLP of width %d: at least 1 is needed", s.Hidden)
	}
	return nil
}

// A Model is a shape that has a name.
type Model struct {
	Name   string
	Shape  Shape
	Source string // where the shape is published; empty: it is gpuplay's own
}

const (
	gpt2   = "Radford et al. 2019; config.json of openai-community/gpt2 and its relatives"
	llama3 = "Grattafiori et al. 2024, arXiv:2407.21783, table 3"
)

// Models returns the shapes that have names, the smallest first. The vocabulary of GPT-2
// is filled up to a multiple of 64, as nanoGPT does, so that it can be divided.
func Models() []Model {
	gpt := func(name string, layers, width, heads int) Model {
		return Model{name, Shape{Layers: layers, Width: width, Heads: heads, Vocab: 50304, Seq: 1024, Positions: true, Tied: true}, gpt2}
	}
	llama := func(name string, layers, width, heads, hidden int) Model {
		return Model{name, Shape{Layers: layers, Width: width, Heads: heads, KVHeads: 8, Hidden: hidden, Vocab: 128256, Seq: 8192, Gated: true}, llama3}
	}
	return []Model{
		{"tiny", Shape{Layers: 4, Width: 128, Heads: 4, Vocab: 512, Seq: 64, Positions: true}, ""},
		{"small", Shape{Layers: 8, Width: 1024, Heads: 16, Vocab: 8192, Seq: 512, Positions: true}, ""},
		gpt("gpt2", 12, 768, 12),
		gpt("gpt2-medium", 24, 1024, 16),
		gpt("gpt2-large", 36, 1280, 20),
		gpt("gpt2-xl", 48, 1600, 25),
		llama("llama3-8b", 32, 4096, 32, 14336),
		llama("llama3-70b", 80, 8192, 64, 28672),
		{"gpt3-175b", Shape{Layers: 96, Width: 12288, Heads: 96, Vocab: 51200, Seq: 2048, Positions: true, Tied: true}, "Brown et al. 2020, arXiv:2005.14165, table 2.1; vocabulary as Narayanan et al. 2021"},
		llama("llama3-405b", 126, 16384, 128, 53248),
	}
}

// Lookup returns the model of that name.
func Lookup(name string) (Model, bool) {
	for _, m := range Models() {
		if m.Name == name {
			return m, true
		}
	}
	return Model{}, false
}
