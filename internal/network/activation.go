package network

import (
	"fmt"
	"math"
	"slices"
)

// An Activation is the function that a hidden layer applies to each of its sums.
type Activation string

// The activations. The derivative of each follows from its result alone, so the sums need not
// be kept.
const (
	Tanh     Activation = "tanh"
	ReLU     Activation = "relu"
	Sigmoid  Activation = "sigmoid"
	Identity Activation = "identity"
)

// Activations lists them.
var Activations = []Activation{Tanh, ReLU, Sigmoid, Identity}

func (a Activation) check() error {
	if !slices.Contains(Activations, a) {
		return fmt.Errorf("unknown activation %q", string(a))
	}
	return nil
}

// activate adds the biases to each row of y and applies the activation.
func activate[T Real](a Activation, y, bias []T) {
	for i := 0; i < len(y); i += len(bias) {
		row := y[i : i+len(bias)]
		for j, b := range bias {
			row[j] += b
		}
	}
	switch a {
	case Tanh:
		for i, z := range y {
			y[i] = T(math.Tanh(float64(z)))
		}
	case ReLU:
		for i, z := range y {
			y[i] = max(z, 0) // NaN stays NaN
		}
	case Sigmoid:
		for i, z := range y {
			y[i] = T(sigmoid(float64(z)))
		}
	}
}

// derive multiplies dy by the derivative of the activation at the place where it gave y.
func derive[T Real](a Activation, dy, y []T) {
	switch a {
	case Tanh:
		for i, v := range y {
			dy[i] *= 1 - v*v
		}
	case ReLU:
		for i, v := range y {
			if v <= 0 {
				dy[i] = 0
			}
		}
	case Sigmoid:
		for i, v := range y {
			dy[i] *= v * (1 - v)
		}
	}
}

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
