// Package network trains small neural networks on the CPU: forward pass, backward pass and
// optimizers in plain Go, with every matrix product computed by package gemm.
//
// It is made to be read and to be watched. A network is a chain of dense layers; its weights
// are one slice, in the order and with the names that PyTorch's nn.Sequential gives them, so
// that an optimizer, a direction in weight space and a file of weights are all about the same
// slice. The same code runs in float32 and in float64. Check compares the gradients with
// central differences in float64 before a training is shown.
//
// Everything follows from the seed: the same settings on the same CPU give the same bits.
package network

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/gpuplay/gpuplay/internal/gemm"
)

// Real is the type of weights, activations and gradients.
type Real interface{ float32 | float64 }

// Limits of a network. They keep a step of the largest one below a few milliseconds.
const (
	MaxLayers = 6    // hidden layers
	MaxWidth  = 128  // neurons of a hidden layer
	MaxBatch  = 1024 // rows of a step
)

// A Shape is what a network looks like.
type Shape struct {
	Inputs     int        `json:"inputs"`
	Hidden     []int      `json:"hidden"` // the width of each hidden layer, the first one first
	Outputs    int        `json:"outputs"`
	Activation Activation `json:"activation"` // of the hidden layers; the last layer has none
}

// Check returns an error that names what is wrong with the shape.
func (s Shape) Check() error {
	if s.Inputs < 1 || s.Outputs < 1 {
		return fmt.Errorf("a network of %d inputs and %d outputs: it needs at least 1 of each", s.Inputs, s.Outputs)
	}
	if len(s.Hidden) > MaxLayers {
		return fmt.Errorf("%d hidden layers: at most %d are possible", len(s.Hidden), MaxLayers)
	}
	for i, n := range s.Hidden {
		if n < 1 || n > MaxWidth {
			return fmt.Errorf("hidden layer %d has %d neurons: must be between 1 and %d", i+1, n, MaxWidth)
		}
	}
	return s.Activation.check()
}

// widths returns the widths of all layers, the inputs first.
func (s Shape) widths() []int {
	w := append([]int{s.Inputs}, s.Hidden...)
	return append(w, s.Outputs)
}

// A Tensor is a part of the weights: a matrix, with a row for each neuron and a column for
// each of its inputs, or the biases of a layer.
type Tensor struct {
	Name  string `json:"name"` // as in nn.Sequential: 0.weight, 0.bias, 2.weight, …
	Shape []int  `json:"shape"`
	From  int    `json:"from"` // its first element among the weights
}

// Len returns the number of elements.
func (t Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Tensors returns the parts of the weights of a network of this shape.
func (s Shape) Tensors() []Tensor {
	var list []Tensor
	widths, from := s.widths(), 0
	add := func(name string, shape ...int) {
		t := Tensor{Name: name, Shape: shape, From: from}
		list, from = append(list, t), from+t.Len()
	}
	for l := range len(widths) - 1 {
		in, out := widths[l], widths[l+1]
		name := strconv.Itoa(2 * l) // an activation has the numbers between
		add(name+".weight", out, in)
		add(name+".bias", out)
	}
	return list
}

// Weights returns the number of weights, biases among them.
func (s Shape) Weights() int {
	n := 0
	for _, t := range s.Tensors() {
		n += t.Len()
	}
	return n
}

// A Network is a chain of dense layers with its weights. It keeps the activations of the last
// forward pass for the backward pass, so it serves one caller at a time.
type Network[T Real] struct {
	Shape   Shape
	Weights []T
	pool    *gemm.Pool
	layers  []layer[T]
}

// A layer computes out = activation(in·Wᵀ + bias). The slices of activations hold as many
// rows as the largest batch so far.
type layer[T Real] struct {
	in, out      int
	weight, bias Tensor
	activation   Activation // none in the last layer
	x            []T        // rows × in, what the last forward pass read
	y            []T        // rows × out, what it computed
	dy           []T        // rows × out: ∂loss/∂y, then ∂loss/∂(in·Wᵀ + bias)
}

// New returns a network whose weights are all zero. Its products are computed by pool.
func New[T Real](pool *gemm.Pool, s Shape) (*Network[T], error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	n := &Network[T]{Shape: s, pool: pool, Weights: make([]T, s.Weights())}
	tensors, widths := s.Tensors(), s.widths()
	for l := range len(widths) - 1 {
		a := s.Activation
		if l == len(widths)-2 {
			a = Identity
		}
		n.layers = append(n.layers, layer[T]{in: widths[l], out: widths[l+1], weight: tensors[2*l], bias: tensors[2*l+1], activation: a})
	}
	return n, nil
}

// Init fills the weights with random numbers, uniform in ±1/√inputs of their neuron, as
// PyTorch's nn.Linear does.
func (n *Network[T]) Init(seed uint64) {
	r := random(seed, 1)
	for _, l := range n.layers {
		bound := 1 / math.Sqrt(float64(l.in))
		for _, t := range []Tensor{l.weight, l.bias} {
			for i := range t.Len() {
				n.Weights[t.From+i] = T((2*r.Float64() - 1) * bound)
			}
		}
	}
}

// random returns the stream of random numbers of a seed. Each purpose has a stream of its own,
// so that a change of one leaves the others as they were.
func random(seed, purpose uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, purpose)) }

// part returns the elements of a tensor among those of a slice like Weights.
func part[T Real](all []T, t Tensor) []T { return all[t.From : t.From+t.Len()] }

// Forward computes the outputs for rows of inputs, rows × outputs. They are valid until the
// next call.
func (n *Network[T]) Forward(ctx context.Context, x []T) ([]T, error) {
	rows := len(x) / n.Shape.Inputs
	for i := range n.layers {
		l := &n.layers[i]
		l.x, l.y = x, resize(l.y, rows*l.out)
		g := gemm.Problem{M: rows, N: l.out, K: l.in, TransB: true}
		if err := multiply(ctx, n.pool, g, x, part(n.Weights, l.weight), l.y); err != nil {
			return nil, err
		}
		activate(l.activation, l.y, part(n.Weights, l.bias))
		x = l.y
	}
	return x, nil
}

// Backward computes the gradient of the loss, of which dy is the derivative by the outputs of
// the last Forward, into grad, which is as long as Weights. dy is overwritten.
func (n *Network[T]) Backward(ctx context.Context, dy, grad []T) error {
	for i := len(n.layers) - 1; i >= 0; i-- {
		l := &n.layers[i]
		rows := len(dy) / l.out
		derive(l.activation, dy, l.y)
		// ∂loss/∂W = dyᵀ·x, and the biases get the sum of the rows.
		g := gemm.Problem{M: l.out, N: l.in, K: rows, TransA: true}
		if err := multiply(ctx, n.pool, g, dy, l.x, part(grad, l.weight)); err != nil {
			return err
		}
		sumRows(part(grad, l.bias), dy)
		if i == 0 {
			return nil
		}
		// ∂loss/∂x = dy·W is the ∂loss/∂y of the layer below.
		below := &n.layers[i-1]
		below.dy = resize(below.dy, rows*l.in)
		g = gemm.Problem{M: rows, N: l.in, K: l.out}
		if err := multiply(ctx, n.pool, g, dy, part(n.Weights, l.weight), below.dy); err != nil {
			return err
		}
		dy = below.dy
	}
	return nil
}

// Loss computes the mean loss over the rows of x, with y as the targets, and its gradient into
// grad unless that is nil.
func (n *Network[T]) Loss(ctx context.Context, kind Loss, x, y, grad []T) (float64, error) {
	out, err := n.Forward(ctx, x)
	if err != nil {
		return 0, err
	}
	if grad == nil {
		return lossOf(kind, out, y, n.Shape.Outputs, nil), nil
	}
	last := &n.layers[len(n.layers)-1]
	last.dy = resize(last.dy, len(out))
	loss := lossOf(kind, out, y, n.Shape.Outputs, last.dy)
	return loss, n.Backward(ctx, last.dy, grad)
}

// multiply computes a product in the type of its operands.
func multiply[T Real](ctx context.Context, pool *gemm.Pool, g gemm.Problem, a, b, c []T) error {
	switch a := any(a).(type) {
	case []float32:
		return pool.Float32(ctx, 1, g, a, any(b).([]float32), any(c).([]float32))
	case []float64:
		return pool.Float64(ctx, 1, g, a, any(b).([]float64), any(c).([]float64))
	}
	panic("network: no such type") // Real has no other
}

// resize returns a slice of n elements, s itself if it is large enough.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// sumRows adds up the rows of a matrix that is as wide as dst is long.
func sumRows[T Real](dst, rows []T) {
	clear(dst)
	for len(rows) > 0 {
		for i := range dst {
			dst[i] += rows[i]
		}
		rows = rows[len(dst):]
	}
}
