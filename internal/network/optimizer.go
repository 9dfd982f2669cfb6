package network

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gpuplay/gpuplay/internal/gemm"
)

// A Rule is how an optimizer makes a step from a gradient. Each is PyTorch's of the same name,
// without weight decay.
type Rule string

const (
	SGD      Rule = "sgd"
	Momentum Rule = "momentum" // 0.9
	Nesterov Rule = "nesterov" // momentum 0.9, applied once more in advance
	RMSProp  Rule = "rmsprop"  // α 0.99, ε 1e-8
	Adam     Rule = "adam"     // β 0.9 and 0.999, ε 1e-8
	// Muon moves each matrix by its momentum (0.95, Nesterov's form) with all singular values
	// brought close to 1 (Keller Jordan, https://kellerjordan.github.io/posts/muon). What is no
	// matrix is moved by Adam, as there.
	Muon Rule = "muon"
)

// Rules lists them.
var Rules = []Rule{SGD, Momentum, Nesterov, RMSProp, Adam, Muon}

// Check returns an error if there is no such rule.
func (r Rule) Check() error {
	if !slices.Contains(Rules, r) {
		return fmt.Errorf("unknown optimizer %q", string(r))
	}
	return nil
}

// The constants of the rules. They are those of PyTorch's optimizers, and every engine computes with them.
const (
	Decay        = 0.9 // of the sum of gradients, for Momentum and Nesterov
	Alpha        = 0.99
	Beta1, Beta2 = 0.9, 0.999
	Epsilon      = 1e-8

	MuonDecay           = 0.95 // of the mean of gradients
	MuonA, MuonB, MuonC = 3.4445, -4.7750, 2.0315
	MuonEpsilon         = 1e-7 // is added to the norm
	MuonRounds          = 5    // Newton–Schulz iterations
)

// AdamShares returns the shares that Adam's two means, which begin at 0, have of full ones after
// some steps: 1 - β₁ⁿ and 1 - β₂ⁿ.
func AdamShares(steps int) (mean, square float64) {
	return 1 - math.Pow(Beta1, float64(steps)), 1 - math.Pow(Beta2, float64(steps))
}

// An Optimizer moves weights against their gradient.
type Optimizer[T Real] struct {
	Rate T // the learning rate; it may change between steps

	rule    Rule
	tensors []Tensor
	pool    *gemm.Pool
	steps   int
	mean    []T // of the gradient, or its decaying sum
	square  []T // mean of the gradient's square
	muon    orthogonalizer[T]
}

// NewOptimizer returns an optimizer of weights that consist of tensors. pool computes the
// products of Muon and may be nil for the other rules.
func NewOptimizer[T Real](pool *gemm.Pool, rule Rule, rate T, tensors []Tensor) *Optimizer[T] {
	last := tensors[len(tensors)-1]
	n := last.From + last.Len()
	o := &Optimizer[T]{Rate: rate, rule: rule, tensors: tensors, pool: pool, mean: make([]T, n), square: make([]T, n)}
	o.muon.pool = pool
	return o
}

// Step moves the weights by one step. The gradient is overwritten.
func (o *Optimizer[T]) Step(ctx context.Context, weights, grad []T) error {
	o.steps++
	switch o.rule {
	case SGD:
		for i, g := range grad {
			weights[i] -= o.Rate * g
		}
	case Momentum:
		for i, g := range grad {
			o.mean[i] = Decay*o.mean[i] + g
			weights[i] -= o.Rate * o.mean[i]
		}
	case Nesterov:
		for i, g := range grad {
			o.mean[i] = Decay*o.mean[i] + g
			weights[i] -= o.Rate * (g + Decay*o.mean[i])
		}
	case RMSProp:
		for i, g := range grad {
			o.square[i] = Alpha*o.square[i] + (1-Alpha)*g*g
			weights[i] -= o.Rate * g / (root(o.square[i]) + Epsilon)
		}
	case Adam:
		o.adam(weights, grad, 0, len(grad))
	case Muon:
		for _, t := range o.tensors {
			if len(t.Shape) != 2 {
				o.adam(weights, grad, t.From, t.From+t.Len())
			} else if err := o.matrix(ctx, weights, grad, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// adam makes Adam's step for a range of the weights. The means begin at 0, and are divided by
// the share that they lack of a full mean.
func (o *Optimizer[T]) adam(weights, grad []T, from, to int) {
	first, second := AdamShares(o.steps)
	mean, square := T(first), T(second)
	for i := from; i < to; i++ {
		g := grad[i]
		o.mean[i] = Beta1*o.mean[i] + (1-Beta1)*g
		o.square[i] = Beta2*o.square[i] + (1-Beta2)*g*g
		weights[i] -= o.Rate * (o.mean[i] / mean) / (root(o.square[i]/square) + Epsilon)
	}
}

// matrix makes Muon's step for a matrix. One with more rows than columns moves further, so
// that all neurons do: its singular values are shared by more of them.
func (o *Optimizer[T]) matrix(ctx context.Context, weights, grad []T, t Tensor) error {
	w, g, m := part(weights, t), part(grad, t), part(o.mean, t)
	for i := range g {
		m[i] += (1 - MuonDecay) * (g[i] - m[i])
		g[i] += MuonDecay * (m[i] - g[i])
	}
	rows, columns := t.Shape[0], t.Shape[1]
	if err := o.muon.orthogonalize(ctx, g, rows, columns); err != nil {
		return err
	}
	rate := o.Rate * root(max(1, T(rows)/T(columns)))
	for i := range g {
		w[i] -= rate * g[i]
	}
	return nil
}

// An orthogonalizer keeps the matrices that it needs on the way.
type orthogonalizer[T Real] struct {
	pool                     *gemm.Pool
	gram, gramSquared, moved []T
}

// orthogonalize replaces a matrix by one with the same singular vectors, whose singular values
// are all near 1, by five Newton–Schulz steps X ← aX + (bA + cA²)X with A = X·Xᵀ. The
// coefficients are Keller Jordan's: they bring small values up fast and end between 0.7 and 1.2.
func (o *orthogonalizer[T]) orthogonalize(ctx context.Context, x []T, rows, columns int) error {
	norm := T(0)
	for _, v := range x {
		norm += v * v
	}
	norm = root(norm) + MuonEpsilon
	for i := range x {
		x[i] /= norm
	}
	// For a tall matrix X·(bA + cA²) with A = Xᵀ·X is the same with smaller products.
	tall := rows > columns
	n := min(rows, columns)
	o.gram, o.gramSquared, o.moved = resize(o.gram, n*n), resize(o.gramSquared, n*n), resize(o.moved, len(x))
	for range MuonRounds {
		g := gemm.Problem{M: n, N: n, K: len(x) / n, TransA: tall, TransB: !tall}
		if err := multiply(ctx, o.pool, g, x, x, o.gram); err != nil {
			return err
		}
		if err := multiply(ctx, o.pool, gemm.Problem{M: n, N: n, K: n}, o.gram, o.gram, o.gramSquared); err != nil {
			return err
		}
		for i := range o.gram {
			o.gram[i] = MuonB*o.gram[i] + MuonC*o.gramSquared[i]
		}
		left, right, k := o.gram, x, rows
		if tall {
			left, right, k = x, o.gram, columns
		}
		if err := multiply(ctx, o.pool, gemm.Problem{M: rows, N: columns, K: k}, left, right, o.moved); err != nil {
			return err
		}
		for i := range x {
			x[i] = MuonA*x[i] + o.moved[i]
		}
	}
	return nil
}

func root[T Real](x T) T { return T(math.Sqrt(float64(x))) }
