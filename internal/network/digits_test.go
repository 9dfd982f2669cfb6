package network

import (
	"fmt"
	"slices"
	"testing"
)

// There are as many of each digit as UCI says, and a network learns to recognise those that
// other people wrote.
func TestDigits(t *testing.T) {
	d := ReadDigits()
	if d.Rows() != 3823 || d.Held != 1797 || len(d.X) != 64*5620 || slices.Min(d.X) != 0 || slices.Max(d.X) != 1 {
		t.Fatalf("%d and %d digits, %d pixels", d.Rows(), d.Held, len(d.X))
	}
	var learn, held [10]int
	for i, y := range d.Y {
		if i < d.Rows() {
			learn[int(y)]++
		} else {
			held[int(y)]++
		}
	}
	if want := "[376 389 380 389 387 376 377 387 380 382] [178 182 177 183 181 182 181 179 174 180]"; fmt.Sprint(learn, held) != want {
		t.Errorf("%v %v, want %s", learn, held, want)
	}
	tr, err := NewTrainer[float32](newPool(t), d, Settings{Hidden: []int{32}, Activation: Tanh, Optimizer: Adam, Rate: 0.01, Batch: 32, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if worst, err := tr.Check(t.Context()); err != nil || !(worst <= Tolerance[float32]()) {
		t.Errorf("gradients: worst %.1e, %v", worst, err)
	}
	train(t, tr, 2000)
	s, err := tr.Evaluate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Right < 0.99 || s.Held < 0.94 || s.Held >= s.Right {
		t.Errorf("%+v", s)
	}
}

// A network is not trained on rows that are held out, and they alone make the score of the test.
func TestHeld(t *testing.T) {
	d := three()
	d.Held = 20
	changed := *d
	changed.Y = slices.Clone(d.Y)
	for i := d.Rows(); i < len(d.Y); i++ {
		changed.Y[i] = float64(int(d.Y[i]+1) % 3)
	}
	var scores [2]Score
	for i, d := range []*Data{d, &changed} {
		tr, err := NewTrainer[float64](newPool(t), d, Settings{Hidden: []int{8}, Activation: Tanh, Optimizer: Adam, Rate: 0.05, Batch: 8, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		train(t, tr, 300)
		if scores[i], err = tr.Evaluate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	a, b := scores[0], scores[1]
	if a.Loss != b.Loss || a.Right != b.Right || a.Held < 0.9 || b.Held > 0.1 {
		t.Errorf("%+v, with other classes of the rows that are held out %+v", a, b)
	}
}
