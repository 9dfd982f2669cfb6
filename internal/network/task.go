package network

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gpuplay/gpuplay/internal/gemm"
)

// A Task is a network that another engine trains.
type Task struct {
	Shape   Shape
	Loss    Loss
	Rule    Rule
	Batch   int       // rows of a step
	Double  bool      // float64 instead of float32
	X, Y    []float64 // the rows to learn from: inputs, and a class or a value for each
	Weights []float64 // before the first step
}

// Check returns an error that names what is wrong with the task.
func (t Task) Check() error {
	if err := t.Shape.Check(); err != nil {
		return err
	}
	if err := t.Rule.Check(); err != nil {
		return err
	}
	rows := len(t.Y)
	switch {
	case !slices.Contains([]Loss{Logistic, Softmax, Squares}, t.Loss):
		return fmt.Errorf("unknown loss %q", string(t.Loss))
	case t.Loss != Softmax && t.Shape.Outputs != 1:
		return fmt.Errorf("%d outputs: the loss %s is of one", t.Shape.Outputs, t.Loss)
	case rows == 0 || len(t.X) != rows*t.Shape.Inputs:
		return fmt.Errorf("%d inputs of %d rows, each of which has %d", len(t.X), rows, t.Shape.Inputs)
	case t.Batch < 1 || t.Batch > min(MaxBatch, rows):
		return fmt.Errorf("a batch of %d rows: must be between 1 and %d", t.Batch, min(MaxBatch, rows))
	case len(t.Weights) != t.Shape.Weights():
		return fmt.Errorf("%d weights: the network has %d", len(t.Weights), t.Shape.Weights())
	}
	return nil
}

// A Stepper trains the network of a Task on another engine.
type Stepper interface {
	// Steps makes steps, one after the other, with those rows, a batch for each, and returns the
	// time that they took without what is copied before and after them.
	Steps(ctx context.Context, rows []int, rate float64) (time.Duration, error)
	// Weights returns the weights after them.
	Weights(ctx context.Context) ([]float64, error)
	// Place says for people where it computes: "one of 132 multiprocessors".
	Place() string
	// Close frees its memory.
	Close() error
}

// stepRate is the learning rate of the step from which Gradient is read: so high that a
// gradient of ordinary size is not lost in the rounding of the weights.
const stepRate = 1 << 10

// Gradient returns the gradient of the loss of the first batch of rows that a Stepper computes:
// what one step of SGD has moved the weights of the task by. start makes a Stepper.
func (t Task) Gradient(ctx context.Context, start func(Task) (Stepper, error)) (gradient []float64, err error) {
	t.Rule = SGD
	s, err := start(t)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closed := s.Close(); err == nil {
			err = closed
		}
	}()
	rows := make([]int, t.Batch)
	for i := range rows {
		rows[i] = i
	}
	if _, err := s.Steps(ctx, rows, stepRate); err != nil {
		return nil, err
	}
	after, err := s.Weights(ctx)
	if err != nil {
		return nil, err
	}
	gradient = make([]float64, len(after))
	for i, w := range after {
		before := t.Weights[i]
		if !t.Double {
			before = float64(float32(before))
		}
		gradient[i] = (before - w) / stepRate
	}
	return gradient, nil
}

// LossAt returns the loss of all rows with some weights, computed in the type of the task.
func (t Task) LossAt(ctx context.Context, pool *gemm.Pool, weights []float64) (float64, error) {
	if t.Double {
		return lossAt[float64](ctx, pool, t, weights)
	}
	return lossAt[float32](ctx, pool, t, weights)
}

func lossAt[T Real](ctx context.Context, pool *gemm.Pool, t Task, weights []float64) (float64, error) {
	n, err := New[T](pool, t.Shape)
	if err != nil {
		return 0, err
	}
	n.Weights = convert[T](weights)
	return n.Loss(ctx, t.Loss, convert[T](t.X), convert[T](t.Y), nil)
}

// CheckOf compares a gradient of the first batch of rows that another engine has computed with
// differences, as CheckGradient does.
func (t Task) CheckOf(ctx context.Context, pool *gemm.Pool, gradient []float64) (worst float64, err error) {
	if len(gradient) != t.Shape.Weights() {
		return 0, fmt.Errorf("a gradient of %d elements: the network has %d weights", len(gradient), t.Shape.Weights())
	}
	n, err := New[float64](pool, t.Shape)
	if err != nil {
		return 0, err
	}
	n.Weights = slices.Clone(t.Weights)
	if !t.Double { // both start from the same weights
		n.Weights = convert[float64](convert[float32](t.Weights))
	}
	x, y := t.X[:t.Batch*t.Shape.Inputs], t.Y[:t.Batch]
	return worstOf(gradient, n.Weights, func() (float64, error) { return n.Loss(ctx, t.Loss, x, y, nil) })
}
