package gpt

import (
	"math"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/network"
)

// tiny has every part of a GPT, and few weights.
func tiny(t *Text) Shape {
	return Shape{Vocabulary: len(t.Characters), Context: 12, Layers: 2, Heads: 2, Width: 8}
}

func readText(t *testing.T) *Text {
	t.Helper()
	text, err := ReadText(Coriolanus)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func newTrainer[T network.Real](t *testing.T, threads int, shape func(*Text) Shape, s Settings) *Trainer[T] {
	t.Helper()
	team, err := NewTeam(threads)
	if err != nil {
		t.Fatal(err)
	}
	text := readText(t)
	trainer, err := NewTrainer[T](team, text, shape(text), s)
	if err != nil {
		t.Fatal(err)
	}
	return trainer
}

// spread makes the weights so large that every part of the network matters.
func spread[T network.Real](n *Network[T]) {
	r := random(7, 7)
	for i := range n.Weights {
		n.Weights[i] += T(r.NormFloat64() / 2)
	}
}

var settings = Settings{Rate: 1e-3, Batch: 4, Seed: 1}

// Every element of the gradient is the difference quotient of the loss.
func TestGradients(t *testing.T) {
	trainer := newTrainer[float64](t, 2, tiny, settings)
	n := trainer.Network
	spread(n)
	length := n.Shape.Context
	trainer.read([]int{5, 70, 900}, length)
	trainer.gradient(length)
	loss := func() float64 {
		n.forward(trainer.tokens, length)
		return n.loss(trainer.targets, false)
	}
	for _, tensor := range n.Shape.Tensors() {
		for i := range tensor.Len() {
			w, h := &n.Weights[tensor.From+i], 1e-5
			was := *w
			*w = was + h
			above := loss()
			*w = was - h
			below := loss()
			*w = was
			got, want := trainer.grad[tensor.From+i], (above-below)/(2*h)
			if math.Abs(got-want) > 1e-6 {
				t.Fatalf("element %d of %s: %v, and by differences %v", i, tensor.Name, got, want)
			}
		}
	}
}

// What a user is shown is small before a training, in both types.
func TestCheck(t *testing.T) {
	single, double := newTrainer[float32](t, 1, tiny, settings), newTrainer[float64](t, 1, tiny, settings)
	spread(single.Network)
	spread(double.Network)
	for _, check := range []func() (float64, error){single.Check, double.Check} {
		if worst, err := check(); err != nil || !(worst < Tolerance) {
			t.Errorf("gradients are off by %v, error %v", worst, err)
		}
	}
}

// No character sees what comes after it.
func TestCausal(t *testing.T) {
	n := newTrainer[float64](t, 1, tiny, settings).Network
	spread(n)
	n.forward([]int32{1, 2, 3, 4, 5, 6}, 6)
	before := append([]float64{}, n.passes[0].logits...)
	n.forward([]int32{1, 2, 3, 9, 9, 9}, 6)
	for row := range 6 {
		same := true
		for i := range n.Shape.Vocabulary {
			same = same && before[row*n.Shape.Vocabulary+i] == n.passes[0].logits[row*n.Shape.Vocabulary+i]
		}
		if want := row < 3; same != want {
			t.Errorf("character %d: the same answer is %v", row, same)
		}
	}
}

// losses makes steps and returns the loss of each.
func losses[T network.Real](t *Trainer[T], steps int) (list []float64) {
	for range steps {
		list = append(list, t.StepOn(t.Starts()))
	}
	return list
}

func TestLossFalls(t *testing.T) {
	trainer := newTrainer[float32](t, 1, tiny, Settings{Rate: 1e-2, Batch: 8, Seed: 1})
	before := trainer.Evaluate()
	if want := math.Log(61); math.Abs(before-want) > 0.1 {
		t.Errorf("a network that knows nothing has a loss of %v, want about %v", before, want)
	}
	losses(trainer, 300)
	if after := trainer.Evaluate(); !(after < 2.9) {
		t.Errorf("after 300 steps the loss of text that was not learned is %v", after)
	}
	if trainer.Steps != 300 {
		t.Errorf("%d steps", trainer.Steps)
	}
}

// The seed decides everything: the same bits again, and others with another seed.
func TestDeterministic(t *testing.T) {
	run := func(threads int, seed uint64) ([]float64, string) {
		trainer := newTrainer[float32](t, threads, tiny, Settings{Rate: 1e-3, Batch: 3, Seed: seed})
		list := losses(trainer, 5)
		return list, trainer.Write(t.Context(), 40, seed)
	}
	first, wrote := run(2, 1)
	again, wroteAgain := run(2, 1)
	alone, _ := run(1, 1)
	crowd, _ := run(5, 1) // more threads than sequences
	other, wroteOther := run(2, 2)
	for i, l := range first {
		if again[i] != l {
			t.Errorf("step %d: %v, and again %v", i, l, again[i])
		}
		if math.Abs(alone[i]-l) > 1e-5 || math.Abs(crowd[i]-l) > 1e-5 {
			t.Errorf("step %d: %v, on one thread %v, on five %v", i, l, alone[i], crowd[i])
		}
		if other[i] == l {
			t.Errorf("step %d: %v with another seed", i, l)
		}
	}
	if wrote != wroteAgain || wrote == wroteOther {
		t.Errorf("wrote %q, again %q, with another seed %q", wrote, wroteAgain, wroteOther)
	}
}

// A trained network writes by its probabilities; of the first character the most frequent
// letters of a play.
func TestWrite(t *testing.T) {
	trainer := newTrainer[float32](t, 1, tiny, Settings{Rate: 1e-2, Batch: 8, Seed: 1})
	losses(trainer, 60)
	weights := append([]float32{}, trainer.Network.Weights...)
	text := trainer.Write(t.Context(), 200, 3)
	if n := len([]rune(text)); n != 200 {
		t.Errorf("wrote %d characters", n)
	}
	common := 0
	for _, c := range text {
		if strings.ContainsRune(" etaoinshr\n", c) {
			common++
		}
	}
	if common < 100 {
		t.Errorf("only %d of 200 characters are frequent ones: %q", common, text)
	}
	for i, w := range trainer.Network.Weights {
		if w != weights[i] {
			t.Fatal("writing changed the weights")
		}
	}
}

// No sequence of a step reaches into the text that is held out.
func TestHeldOut(t *testing.T) {
	trainer := newTrainer[float32](t, 1, tiny, settings)
	learned, all, context := trainer.text.learned, len(trainer.text.Tokens), trainer.Network.Shape.Context
	for range 2000 {
		for _, s := range trainer.Starts() {
			if s < 0 || s+context+1 > learned {
				t.Fatalf("a step begins at %d of %d characters", s, learned)
			}
		}
	}
	held := trainer.HeldOut()
	if held[0] != learned || held[len(held)-1]+context+1 != all {
		t.Errorf("evaluated at %v, of %d to %d", held, learned, all)
	}
}

func TestShape(t *testing.T) {
	text := readText(t)
	if n := Usual.Shape(text).Weights(); n != 409_856 {
		t.Errorf("%d weights", n)
	}
	for _, tt := range []struct {
		shape Shape
		want  string
	}{
		{Shape{Vocabulary: 1, Context: 8, Layers: 1, Heads: 1, Width: 8}, "a vocabulary of 1 characters"},
		{Shape{Vocabulary: 9, Context: 1000, Layers: 1, Heads: 1, Width: 8}, "a context of 1000 characters"},
		{Shape{Vocabulary: 9, Context: 8, Layers: 1, Heads: 3, Width: 8}, "with 3 heads"},
		{Shape{Vocabulary: 9, Context: 8, Heads: 1, Width: 8}, "0 layers"},
	} {
		if err := tt.shape.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v", tt.shape, err)
		}
	}
}

func TestSize(t *testing.T) {
	for _, tt := range []struct {
		size Size
		want string
	}{
		{Usual, ""},
		{Size{1, 32, 1}, ""},
		{Size{MaxLayers, MaxWidth, MaxContext}, ""},
		{Size{0, 128, 64}, "0 layers: must be between 1 and 6"},
		{Size{7, 128, 64}, "7 layers: must be between 1 and 6"},
		{Size{2, 0, 64}, "a width of 0: must be a multiple of 32, the width of a head, up to 256"},
		{Size{2, 100, 64}, "a width of 100: "},
		{Size{2, 288, 64}, "a width of 288: "},
	} {
		if err := tt.size.Check(); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v", tt.size, err)
		}
	}
	if heads := (Size{2, 96, 64}).Shape(readText(t)).Heads; heads != 3 {
		t.Errorf("%d heads", heads)
	}
}

// What would take too long or too much memory is refused before anything is allocated.
func TestWork(t *testing.T) {
	whole := readText(t)
	short, err := ReadText(Coriolanus[:1200])
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		text  *Text
		size  Size
		batch int
		want  string
	}{
		{whole, Usual, 16, ""},
		{whole, Usual, MaxBatch, ""},
		{whole, Size{MaxLayers, MaxWidth, MaxContext}, 4, ""},
		{whole, Size{MaxLayers, MaxWidth, MaxContext}, MaxBatch, "a step of 64 sequences of 128 characters with 4770304 weights is 4.5 times what is allowed: "},
		{whole, Size{1, 32, MaxContext + 1}, 1, "a context of 129 characters: must be between 1 and 128"},
		{short, Size{1, 32, 119}, 1, ""},
		{short, Size{1, 32, 120}, 1, "a text of 1200 characters is too short for a context of 120: it needs 1201"},
	} {
		err := Check(tt.text, tt.size.Shape(tt.text), Settings{Rate: 1e-3, Batch: tt.batch})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v, batch %d: %v", tt.size, tt.batch, err)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, tt := range []struct {
		settings Settings
		want     string
	}{
		{Settings{Rate: 0, Batch: 1}, "a learning rate of 0"},
		{Settings{Rate: math.NaN(), Batch: 1}, "a learning rate of NaN"},
		{Settings{Rate: 1e-3, Batch: 0}, "a batch of 0"},
		{Settings{Rate: 1e-3, Batch: 1000}, "a batch of 1000"},
	} {
		if err := tt.settings.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v", tt.settings, err)
		}
	}
}
