package gpt

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gpuplay/gpuplay/internal/network"
)

// Settings are how a network is trained: by AdamW with β 0.9 and 0.99, ε 1e-8 and a weight
// decay of 0.1 for matrices, which is what nanoGPT takes for characters
// (github.com/karpathy/nanoGPT, config/train_shakespeare_char.py).
type Settings struct {
	Rate  float64 `json:"rate"`
	Batch int     `json:"batch"` // sequences of a step, each as long as the context
	Seed  uint64  `json:"seed"`
}

const (
	beta1, beta2 = 0.9, 0.99
	epsilon      = 1e-8
	decay        = 0.1
)

// Limits of a step.
const (
	MaxBatch = 64
	// MaxWork is the most that the weights times the characters of a step may be, twenty times what
	// is usual: a step then takes about a second on one core.
	MaxWork = 8 << 30
)

// Check returns an error that names what is wrong with the settings.
func (s Settings) Check() error {
	if !(s.Rate > 0 && s.Rate <= 1) {
		return fmt.Errorf("a learning rate of %v: must be above 0 and at most 1", s.Rate)
	}
	if s.Batch < 1 || s.Batch > MaxBatch {
		return fmt.Errorf("a batch of %d sequences: must be between 1 and %d", s.Batch, MaxBatch)
	}
	return nil
}

// Check returns an error that names what keeps a network of a shape from being trained on a text.
func Check(t *Text, shape Shape, s Settings) error {
	if err := cmp.Or(s.Check(), shape.Check()); err != nil {
		return err
	}
	if len(t.Tokens)-t.learned <= shape.Context { // the shorter part
		return fmt.Errorf("a text of %d characters is too short for a context of %d: it needs %d", len(t.Tokens), shape.Context, 10*shape.Context+1)
	}
	if work := float64(shape.Weights()) * float64(s.Batch*shape.Context); work > MaxWork {
		return fmt.Errorf("a step of %d sequences of %d characters with %d weights is %.1f times what is allowed: choose a smaller batch, context, width or number of layers",
			s.Batch, shape.Context, shape.Weights(), work/MaxWork)
	}
	return nil
}

// A Trainer trains a network on a text, step by step.
type Trainer[T network.Real] struct {
	Network *Network[T]
	Rate    T // the learning rate; it may change between steps
	Steps   int

	text            *Text
	batch           int
	random          *rand.Rand
	tokens, targets []int32
	grad            []T
	mean, square    []T // of the gradient and of its square, decaying
}

// NewTrainer returns a trainer that has made no step yet.
func NewTrainer[T network.Real](team *Team, text *Text, shape Shape, s Settings) (*Trainer[T], error) {
	if err := Check(text, shape, s); err != nil {
		return nil, err
	}
	n, err := New[T](team, shape)
	if err != nil {
		return nil, err
	}
	n.Init(s.Seed)
	weights := len(n.Weights)
	return &Trainer[T]{
		Network: n, Rate: T(s.Rate), text: text, batch: s.Batch, random: random(s.Seed, 2),
		grad: make([]T, weights), mean: make([]T, weights), square: make([]T, weights),
	}, nil
}

// Starts returns where in the text the sequences of the next step begin: anywhere in the part
// that is learned.
func (t *Trainer[T]) Starts() []int {
	starts := make([]int, t.batch)
	for i := range starts {
		starts[i] = t.random.IntN(t.text.learned - t.Network.Shape.Context)
	}
	return starts
}

// StepOn makes a step with the sequences that begin at those places, and returns their loss before
// the step, in nats per character.
func (t *Trainer[T]) StepOn(starts []int) float64 {
	t.read(starts, t.Network.Shape.Context)
	loss := t.gradient(t.Network.Shape.Context)
	t.Steps++
	t.adamW()
	return loss
}

// read reads sequences, and the characters that follow each of theirs.
func (t *Trainer[T]) read(starts []int, length int) {
	t.tokens, t.targets = t.tokens[:0], t.targets[:0]
	for _, s := range starts {
		t.tokens = append(t.tokens, t.text.Tokens[s:s+length]...)
		t.targets = append(t.targets, t.text.Tokens[s+1:s+length+1]...)
	}
}

// gradient computes the loss of what was read, and its gradient.
func (t *Trainer[T]) gradient(length int) float64 {
	t.Network.forward(t.tokens, length)
	loss := t.Network.loss(t.targets, true)
	t.Network.backward(t.tokens, t.grad)
	return loss
}

// adamW moves the weights against their gradient, each by about the learning rate. The means
// begin at 0, and are divided by the share that they lack of a full mean.
func (t *Trainer[T]) adamW() {
	rate := t.Rate / T(1-math.Pow(beta1, float64(t.Steps)))
	full := 1 / T(math.Sqrt(1-math.Pow(beta2, float64(t.Steps))))
	t.Network.team.each(len(t.grad), func(_, first, end int) {
		for _, tensor := range t.Network.at.all {
			from, to := max(first, tensor.From), min(end, tensor.From+tensor.Len())
			if from >= to {
				continue
			}
			keep := T(1)
			if len(tensor.Shape) == 2 {
				keep -= t.Rate * decay
			}
			w, grad, mean, square := t.Network.Weights[from:to], t.grad[from:to], t.mean[from:to], t.square[from:to]
			for i, g := range grad {
				mean[i] += (1 - beta1) * (g - mean[i])
				square[i] = beta2*square[i] + (1-beta2)*g*g
				w[i] = keep*w[i] - rate*mean[i]/(T(math.Sqrt(float64(square[i])))*full+epsilon)
			}
		}
	})
}

// heldOut is how many sequences of the text's end are evaluated.
const heldOut = 16

// HeldOut returns where the sequences begin whose loss Evaluate returns. No step learns them.
func (t *Trainer[T]) HeldOut() []int {
	starts := make([]int, heldOut)
	room := len(t.text.Tokens) - t.text.learned - t.Network.Shape.Context - 1
	for i := range starts {
		starts[i] = t.text.learned + room*i/(heldOut-1)
	}
	return starts
}

// Evaluate returns the loss of sequences that are not learned, in nats per character.
func (t *Trainer[T]) Evaluate() float64 {
	length := t.Network.Shape.Context
	t.read(t.HeldOut(), length)
	t.Network.forward(t.tokens, length)
	return t.Network.loss(t.targets, false)
}

// Tolerance is the most that Check returns where the gradients are right: rounding stays well
// below it, in both types.
const Tolerance = 1e-5

// Check compares the gradient that is computed in T with central differences of the loss of the
// same network in float64, and returns the largest difference, relative to the largest element
// of the gradient of the same tensor. It tries the largest element of each tensor, and others that
// are spread evenly over it, nine unless the network is large. The weights and the order of the
// steps stay as they are.
func (t *Trainer[T]) Check() (worst float64, err error) {
	const sequences, h = 2, 1e-5
	each := min(9, max(1, 4<<20/len(t.Network.Weights))) // takes about a second at most
	length := min(t.Network.Shape.Context, 16)
	starts := make([]int, sequences)
	for i := range starts {
		starts[i] = i * (t.text.learned - length - 1)
	}
	t.read(starts, length)
	t.gradient(length)
	exact, err := New[float64](t.Network.team, t.Network.Shape)
	if err != nil {
		return 0, err
	}
	for i, w := range t.Network.Weights {
		exact.Weights[i] = float64(w)
	}
	lossAt := func(w *float64, value float64) float64 {
		was := *w
		defer func() { *w = was }()
		*w = value
		exact.forward(t.tokens, length)
		return exact.loss(t.targets, false)
	}
	for _, tensor := range t.Network.at.all {
		grad, weights := part(t.grad, tensor), part(exact.Weights, tensor)
		largest := 0
		for i, g := range grad {
			if math.Abs(float64(g)) > math.Abs(float64(grad[largest])) {
				largest = i
			}
		}
		for k := range each + 1 {
			i := largest
			if k < each {
				i = (2*k + 1) * len(grad) / (2 * each)
			}
			w := &weights[i]
			difference := (lossAt(w, *w+h) - lossAt(w, *w-h)) / (2 * h)
			worst = max(worst, math.Abs(float64(grad[i])-difference)/math.Abs(float64(grad[largest]))) // NaN stays NaN
		}
	}
	return worst, nil
}

// temperature divides the logits before a character is drawn: below 1, likely ones become
// likelier.
const temperature = 0.8

// Write has the network write some characters, fewer if ctx ends. It begins as if a line of the text
// had ended, and draws each character by the probability that the network gives it.
func (t *Trainer[T]) Write(ctx context.Context, some int, seed uint64) string {
	r := random(seed, 3)
	tokens := []int32{t.text.begin()}
	text := make([]rune, 0, some)
	size := t.Network.Shape.Vocabulary
	for len(text) < some && ctx.Err() == nil {
		seen := tokens[max(0, len(tokens)-t.Network.Shape.Context):]
		t.Network.forward(seen, len(seen))
		next := t.Network.passes[0].logits[(len(seen)-1)*size:][:size]
		softmax(next, size, 1/T(temperature))
		token, left := 0, r.Float64()
		for token < size-1 && left >= float64(next[token]) {
			left -= float64(next[token])
			token++
		}
		tokens = append(tokens, int32(token))
		text = append(text, t.text.Characters[token])
	}
	return string(text)
}
