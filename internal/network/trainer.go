package network

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/gpuplay/gpuplay/internal/gemm"
)

// Settings are how a network is trained.
type Settings struct {
	Hidden     []int      `json:"hidden"`
	Activation Activation `json:"activation"`
	Optimizer  Rule       `json:"optimizer"`
	Rate       float64    `json:"rate"`
	Batch      int        `json:"batch"` // rows of a step; fewer if the data have fewer
	Seed       uint64     `json:"seed"`
}

// Shape returns what the network that learns d looks like.
func (s Settings) Shape(d *Data) Shape {
	_, outputs := d.Loss()
	return Shape{Inputs: d.Inputs, Hidden: s.Hidden, Outputs: outputs, Activation: s.Activation}
}

// Check returns an error that names what is wrong with the settings.
func (s Settings) Check() error {
	if err := s.Optimizer.Check(); err != nil {
		return err
	}
	if !(s.Rate > 0 && s.Rate <= 1e4) {
		return fmt.Errorf("a learning rate of %v: must be above 0 and at most 10000", s.Rate)
	}
	if s.Batch < 1 || s.Batch > MaxBatch {
		return fmt.Errorf("a batch of %d rows: must be between 1 and %d", s.Batch, MaxBatch)
	}
	return nil
}

// A Trainer trains a network on data, step by step.
type Trainer[T Real] struct {
	Network   *Network[T]
	Optimizer *Optimizer[T]
	Steps     int

	loss   Loss
	x, y   []T
	batch  int
	order  []int // the rows in the order in which they are used
	next   int
	random *rand.Rand
	bx, by []T // the rows of a step
	grad   []T
}

// NewTrainer returns a trainer that has made no step yet. Its products are computed by pool.
func NewTrainer[T Real](pool *gemm.Pool, d *Data, s Settings) (*Trainer[T], error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	kind, _ := d.Loss()
	n, err := New[T](pool, s.Shape(d))
	if err != nil {
		return nil, err
	}
	n.Init(s.Seed)
	t := &Trainer[T]{
		Network: n, Optimizer: NewOptimizer(pool, s.Optimizer, T(s.Rate), n.Shape.Tensors()),
		loss: kind, x: convert[T](d.X), y: convert[T](d.Y), batch: min(s.Batch, d.Rows()),
		random: random(s.Seed, 3), grad: make([]T, len(n.Weights)),
	}
	t.order = t.random.Perm(d.Rows())
	t.bx, t.by = make([]T, t.batch*d.Inputs), make([]T, t.batch)
	return t, nil
}

// Step makes one step and returns the loss of its batch before the step.
func (t *Trainer[T]) Step(ctx context.Context) (float64, error) { return t.StepOn(ctx, t.Rows()) }

// Rows returns the rows of the next step. They are valid until the one after it.
func (t *Trainer[T]) Rows() []int {
	if t.next+t.batch > len(t.order) { // the rest of the rows is left out of this epoch
		t.random.Shuffle(len(t.order), func(i, j int) { t.order[i], t.order[j] = t.order[j], t.order[i] })
		t.next = 0
	}
	t.next += t.batch
	return t.order[t.next-t.batch : t.next]
}

// StepOn makes a step with the rows that Rows has returned.
func (t *Trainer[T]) StepOn(ctx context.Context, rows []int) (float64, error) {
	in := t.Network.Shape.Inputs
	for i, row := range rows {
		copy(t.bx[i*in:(i+1)*in], t.x[row*in:])
		t.by[i] = t.y[row]
	}
	loss, err := t.Network.Loss(ctx, t.loss, t.bx, t.by, t.grad)
	if err != nil {
		return 0, err
	}
	t.Steps++
	return loss, t.Optimizer.Step(ctx, t.Network.Weights, t.grad)
}

// A Score is how well a network has learned.
type Score struct {
	Loss  float64 // mean, over the rows to learn from
	Right float64 // share of them whose class is right, 0 to 1; 0 where there are no classes
	Held  float64 // the same of the rows that are held out; 0 where there are none
}

// Evaluate returns the score of the network at its present weights.
func (t *Trainer[T]) Evaluate(ctx context.Context) (s Score, err error) {
	out, err := t.Network.Forward(ctx, t.x)
	if err != nil {
		return s, err
	}
	rows, outputs := len(t.order), t.Network.Shape.Outputs
	seen, held := out[:rows*outputs], out[rows*outputs:]
	s.Loss = lossOf(t.loss, seen, t.y[:rows], outputs, nil)
	if t.loss != Squares {
		s.Right = right(t.loss, seen, t.y[:rows], outputs)
		if len(held) > 0 {
			s.Held = right(t.loss, held, t.y[rows:], outputs)
		}
	}
	return s, nil
}

// Check compares the gradient of the network at its present weights with differences: see
// CheckGradient.
func (t *Trainer[T]) Check(ctx context.Context) (worst float64, err error) {
	rows := min(len(t.order), 64) // each of the weights needs two passes
	return CheckGradient(ctx, t.Network, t.loss, t.x[:rows*t.Network.Shape.Inputs], t.y[:rows])
}
