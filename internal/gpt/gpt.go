// Package gpt trains a small transformer that writes text, character by character, on the CPU:
// forward pass, backward pass and AdamW in plain Go, with every matrix product computed by
// package gemm.
//
// The network is GPT-2's (Radford et al. 2019) without biases and dropout: embeddings of tokens and
// positions; blocks of causal attention and of a perceptron with GELU, each of which normalises
// its input and adds to it; a last normalisation; and the token embeddings again as the output
// layer. Its weights are one slice, in the order and with the names that the same network has in
// PyTorch (internal/python/torch_gpt.py).
//
// The code runs in float32 and in float64. Trainer.Check compares its gradients with central
// differences in float64. Everything follows from the seed: the same settings and number of threads
// on the same CPU give the same bits.
package gpt

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/network"
)

// A Shape is what a network looks like.
type Shape struct {
	Vocabulary int `json:"vocabulary"` // how many characters it knows
	Context    int `json:"context"`    // how many characters it sees at most
	Layers     int `json:"layers"`
	Heads      int `json:"heads"`
	Width      int `json:"width"` // a multiple of Heads
}

// A Size is what can be chosen of a shape: the vocabulary is the text's, and there is a head for
// each HeadSize of the width.
type Size struct {
	Layers  int `json:"layers"`
	Width   int `json:"width"`
	Context int `json:"context"`
}

// HeadSize is the width of a head of a Size.
const HeadSize = 32

// Usual is the size of 0.4 million weights for English.
var Usual = Size{Layers: 2, Width: 128, Context: 64}

// Shape returns the shape of a network of this size for a text.
func (s Size) Shape(t *Text) Shape {
	return Shape{Vocabulary: len(t.Characters), Context: s.Context, Layers: s.Layers, Heads: s.Width / HeadSize, Width: s.Width}
}

// Check returns an error that names what is wrong with the size.
func (s Size) Check() error {
	switch {
	case s.Layers < 1 || s.Layers > MaxLayers:
		return fmt.Errorf("%d layers: must be between 1 and %d", s.Layers, MaxLayers)
	case s.Width < HeadSize || s.Width > MaxWidth || s.Width%HeadSize != 0:
		return fmt.Errorf("a width of %d: must be a multiple of %d, the width of a head, up to %d", s.Width, HeadSize, MaxWidth)
	}
	return nil
}

// Check returns an error that names what is wrong with the shape.
func (s Shape) Check() error {
	switch {
	case s.Vocabulary < 2 || s.Vocabulary > MaxCharacters:
		return fmt.Errorf("a vocabulary of %d characters: must be between 2 and %d", s.Vocabulary, MaxCharacters)
	case s.Context < 1 || s.Context > MaxContext:
		return fmt.Errorf("a context of %d characters: must be between 1 and %d", s.Context, MaxContext)
	case s.Layers < 1 || s.Heads < 1 || s.Width < 1 || s.Width%s.Heads != 0:
		return fmt.Errorf("%d layers of width %d with %d heads: each must be at least 1, and the width a multiple of the heads", s.Layers, s.Width, s.Heads)
	}
	return nil
}

// Limits of a shape.
const (
	// MaxContext keeps the products of one head so small that package gemm computes them on the
	// thread that asks for them: each thread has heads of its own.
	MaxContext = 128
	MaxLayers  = 6
	MaxWidth   = 256
)

// block holds the tensors of a block.
type block struct{ norm1, qkv, proj, norm2, up, down network.Tensor }

// layout is where each tensor lies among the weights.
type layout struct {
	tokens, positions network.Tensor
	blocks            []block
	norm              network.Tensor
	all               []network.Tensor
}

func (s Shape) layout() layout {
	var l layout
	from := 0
	add := func(name string, shape ...int) network.Tensor {
		t := network.Tensor{Name: name + ".weight", Shape: shape, From: from}
		l.all, from = append(l.all, t), from+t.Len()
		return t
	}
	c := s.Width
	l.tokens = add("tokens", s.Vocabulary, c)
	l.positions = add("positions", s.Context, c)
	for i := range s.Layers {
		in := fmt.Sprintf("blocks.%d.", i)
		l.blocks = append(l.blocks, block{
			norm1: add(in+"norm1", c), qkv: add(in+"qkv", 3*c, c), proj: add(in+"proj", c, c),
			norm2: add(in+"norm2", c), up: add(in+"up", 4*c, c), down: add(in+"down", c, 4*c),
		})
	}
	l.norm = add("norm", c)
	return l
}

// Tensors returns the parts of the weights of a network of this shape.
func (s Shape) Tensors() []network.Tensor { return s.layout().all }

// Weights returns the number of weights.
func (s Shape) Weights() int {
	all := s.Tensors()
	last := all[len(all)-1]
	return last.From + last.Len()
}

// A Network is a GPT with its weights. It keeps the activations of the last forward pass for
// the backward pass, so it serves one caller at a time.
type Network[T network.Real] struct {
	Shape   Shape
	Weights []T

	team   *Team
	at     layout
	passes []*pass[T] // one for each thread of the team
}

// A pass is what one thread computes: the forward and the backward pass of some sequences.
type pass[T network.Real] struct {
	shape   Shape
	weights []T // of the network
	at      layout
	pool    *gemm.Pool // which computes on the thread

	rows int // of the last forward pass: sequences times their length
	long int // the length of a sequence of the last forward pass

	layers []activations[T]
	last   []T // rows × width, what the last normalisation reads
	normed normed[T]
	logits []T // rows × vocabulary; after loss, its derivative by the logits
	loss   float64
	grad   []T // as long as the weights; of the first pass, that of the whole network
	// What is needed for a moment only.
	some, wide, scores []T
	dx                 []T // rows × width: the derivative by what a block returns
}

// activations are what a block computed. A row is a character of one of the sequences.
type activations[T network.Real] struct {
	in     []T // rows × width, what the block reads
	norm1  normed[T]
	qkv    []T // rows × 3·width: queries, keys and values, each for all heads
	shares []T // sequences × heads × length × length: how much each character looks at each
	heads  []T // rows × width
	middle []T // rows × width: in and what the attention adds
	norm2  normed[T]
	up     []T // rows × 4·width; after GELU, its derivative
	gelu   []T // rows × 4·width
}

// New returns a network whose weights are all zero.
func New[T network.Real](team *Team, s Shape) (*Network[T], error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	n := &Network[T]{Shape: s, Weights: make([]T, s.Weights()), team: team, at: s.layout()}
	for range team.threads {
		pool, err := gemm.NewInline(team.isa)
		if err != nil {
			return nil, err
		}
		n.passes = append(n.passes, &pass[T]{shape: s, weights: n.Weights, at: n.at, pool: pool, layers: make([]activations[T], s.Layers)})
	}
	return n, nil
}

// Init fills the weights with normally distributed numbers as GPT-2 does: with a deviation of
// 0.02, divided by the root of how many of them are added up for the last matrix of
// each sum. They are numbers of float32, so that training in both types begins at one point.
func (n *Network[T]) Init(seed uint64) {
	r := random(seed, 1)
	for _, t := range n.at.all {
		w := part(n.Weights, t)
		if len(t.Shape) == 1 { // of a normalisation
			for i := range w {
				w[i] = 1
			}
			continue
		}
		deviation := 0.02
		for _, b := range n.at.blocks {
			if t.From == b.proj.From || t.From == b.down.From {
				deviation /= math.Sqrt(2 * float64(n.Shape.Layers))
			}
		}
		for i := range w {
			w[i] = T(float32(deviation * r.NormFloat64()))
		}
	}
}

// random returns the stream of random numbers of a seed for one purpose.
func random(seed, purpose uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, purpose)) }

// part returns the elements of a tensor among those of a slice like Weights.
func part[T network.Real](all []T, t network.Tensor) []T { return all[t.From : t.From+t.Len()] }

// resize returns a slice of n elements, s itself if it is large enough.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
