package network

import (
	"context"
	"math"
)

// Tolerance is how far a gradient in T may be from the differences, as CheckGradient measures
// it, when it is right: rounding alone stays well below it.
func Tolerance[T Real]() float64 {
	if _, single := any(T(0)).(float32); single {
		return 1e-5
	}
	return 1e-7
}

// CheckGradient compares the gradient that the network computes, in T, with central
// differences of the loss of the same network in float64, weight by weight. It returns the
// largest difference, relative to the largest element of the gradient. Of a large network it
// tries several hundred weights, evenly spread.
func CheckGradient[T Real](ctx context.Context, n *Network[T], kind Loss, x, y []T) (worst float64, err error) {
	grad := make([]T, len(n.Weights))
	if _, err := n.Loss(ctx, kind, x, y, grad); err != nil {
		return 0, err
	}
	exact, err := New[float64](n.pool, n.Shape)
	if err != nil {
		return 0, err
	}
	exact.Weights = convert[float64](n.Weights)
	x64, y64 := convert[float64](x), convert[float64](y)
	return worstOf(grad, exact.Weights, func() (float64, error) { return exact.Loss(ctx, kind, x64, y64, nil) })
}

// worstOf compares a gradient with central differences of loss by weights, which loss reads.
// Of many weights it tries a regular selection.
func worstOf[T Real](grad []T, weights []float64, loss func() (float64, error)) (worst float64, err error) {
	largest := 0.0
	for _, g := range grad {
		largest = max(largest, math.Abs(float64(g)))
	}
	difference := func(i int, h float64) (float64, error) {
		was := weights[i]
		defer func() { weights[i] = was }()
		weights[i] = was + h
		above, err := loss()
		if err != nil {
			return 0, err
		}
		weights[i] = was - h
		below, err := loss()
		return (above - below) / (2 * h), err
	}
	every := max(1, len(grad)/512)
	for i := 0; i < len(grad); i += every {
		// The better of two distances, since the loss may have a kink of ReLU within one of
		// them. A wrong gradient is far from both.
		off := math.Inf(1)
		for _, h := range []float64{1e-5, 1e-7} {
			d, err := difference(i, h)
			if err != nil {
				return 0, err
			}
			if off = min(off, math.Abs(float64(grad[i])-d)); off <= 1e-8*largest {
				break
			}
		}
		worst = max(worst, off) // NaN stays NaN
	}
	if largest == 0 {
		return worst, nil
	}
	return worst / largest, nil
}
