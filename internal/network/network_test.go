package network

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gpuplay/gpuplay/internal/gemm"
)

// newPool returns one thread of the fastest instruction set.
func newPool(t testing.TB) *gemm.Pool {
	t.Helper()
	p, err := gemm.NewPool(gemm.ISAs()[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func makeData(t testing.TB, name string, rows int) *Data {
	t.Helper()
	d, err := Make(name, rows, 3)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// three is a data set of three classes.
func three() *Data {
	d := &Data{Inputs: 2, Classes: 3}
	r := random(1, 9)
	for i := range 60 {
		y, x := math.Sincos(float64(i%3) * 2 * math.Pi / 3)
		d.X = append(d.X, 0.6*x+0.2*r.NormFloat64(), 0.6*y+0.2*r.NormFloat64())
		d.Y = append(d.Y, float64(i%3))
	}
	return d
}

// Every gradient agrees with central differences in float64: for each activation, loss and
// type, in networks with none, one and several hidden layers.
func TestGradients(t *testing.T) {
	pool := newPool(t)
	for _, d := range []*Data{makeData(t, "moons", 60), makeData(t, "hills", 60), three()} {
		for _, a := range Activations {
			for _, hidden := range [][]int{nil, {8}, {8, 8}, {5, 17, 3}} {
				s := Settings{Hidden: hidden, Activation: a, Optimizer: Adam, Rate: 0.01, Batch: 16, Seed: 5}
				t.Run(fmt.Sprint(d.Classes, a, hidden), func(t *testing.T) {
					checkGradients[float32](t, pool, d, s)
					checkGradients[float64](t, pool, d, s)
				})
			}
		}
	}
}

// checkGradients checks the gradient at the start of a training and after 20 steps.
func checkGradients[T Real](t *testing.T, pool *gemm.Pool, d *Data, s Settings) {
	tr, err := NewTrainer[T](pool, d, s)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		worst, err := tr.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !(worst <= Tolerance[T]()) {
			t.Errorf("%T: worst %.1e after %d steps", T(0), worst, tr.Steps)
		}
		train(t, tr, 20)
	}
}

func train[T Real](t testing.TB, tr *Trainer[T], steps int) {
	t.Helper()
	for range steps {
		if _, err := tr.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// The check finds a gradient with one wrong element, however small the error that matters.
func TestCheckFindsAWrongGradient(t *testing.T) {
	weights := []float64{0.3, -0.8, 2}
	loss := func() (float64, error) {
		return weights[0]*weights[0] + math.Sin(weights[1]) + weights[0]*weights[2], nil
	}
	right := []float64{2*0.3 + 2, math.Cos(-0.8), 0.3}
	for i := -1; i < len(right); i++ {
		grad := slices.Clone(right)
		if i >= 0 {
			grad[i] *= 1.001
		}
		worst, err := worstOf(grad, weights, loss)
		if err != nil {
			t.Fatal(err)
		}
		if found := worst > Tolerance[float32](); found != (i >= 0) {
			t.Errorf("element %d wrong by 0.1 %%: worst %.1e", i, worst)
		}
	}
	if worst, _ := worstOf([]float64{math.NaN(), 0, 0}, weights, loss); worst <= Tolerance[float32]() {
		t.Errorf("NaN: worst %.1e", worst)
	}
}

// Each rule learns each data set that a network of two layers can learn.
func TestLearns(t *testing.T) {
	pool := newPool(t)
	rates := map[Rule]float64{SGD: 0.3, Momentum: 0.05, Nesterov: 0.05, RMSProp: 0.01, Adam: 0.02, Muon: 0.02}
	for _, name := range Sets {
		for _, rule := range Rules {
			if name == "spiral" && rule != Adam && rule != Muon {
				continue // it takes the others tens of thousands of steps
			}
			t.Run(name+"/"+string(rule), func(t *testing.T) {
				tr, err := NewTrainer[float32](pool, makeData(t, name, 240), Settings{Hidden: []int{12, 12}, Activation: Tanh, Optimizer: rule, Rate: rates[rule], Batch: 32, Seed: 1})
				if err != nil {
					t.Fatal(err)
				}
				first, err := tr.Evaluate(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				train(t, tr, 3000)
				last, err := tr.Evaluate(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if last.Loss > first.Loss/3 || tr.loss == Logistic && last.Right < 0.95 {
					t.Errorf("loss %.3f, before %.3f; %.0f %% right", last.Loss, first.Loss, 100*last.Right)
				}
			})
		}
	}
}

// Two steps of each rule for a single weight, worked out by hand. TestAgreesWithPyTorch
// compares whole trainings.
func TestRules(t *testing.T) {
	for rule, want := range map[Rule][2]float64{
		SGD:      {0.95, 0.925},
		Momentum: {0.95, 0.88},
		Nesterov: {0.905, 0.817},
		RMSProp:  {0, -0.449013},
		Adam:     {0.9, 0.806782},
	} {
		o := NewOptimizer[float64](nil, rule, 0.1, []Tensor{{Shape: []int{1}}})
		w := []float64{1}
		for step, g := range []float64{0.5, 0.25} {
			if err := o.Step(t.Context(), w, []float64{g}); err != nil {
				t.Fatal(err)
			}
			if math.Abs(w[0]-want[step]) > 1e-6 {
				t.Errorf("%s: %v after %d steps, want %v", rule, w[0], step+1, want[step])
			}
		}
	}
}

// The same seed gives the same bits, and another one does not.
func TestDeterministic(t *testing.T) {
	run := func(seed uint64) []float32 {
		tr, err := NewTrainer[float32](newPool(t), makeData(t, "spiral", 100), Settings{Hidden: []int{8, 8}, Activation: Tanh, Optimizer: Muon, Rate: 0.02, Batch: 32, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		train(t, tr, 50)
		return tr.Network.Weights
	}
	if !slices.Equal(run(1), run(1)) {
		t.Error("two trainings from one seed differ")
	}
	if slices.Equal(run(1), run(2)) {
		t.Error("two seeds give the same weights")
	}
}

// Points lie in about ±1 and come from the seed; classes are equally many, and values as
// described.
func TestSets(t *testing.T) {
	for _, name := range Sets {
		d := makeData(t, name, 400)
		if other, err := Make(name, 400, 4); err != nil || slices.Equal(d.X, other.X) {
			t.Errorf("%s: the seed changes nothing (%v)", name, err)
		}
		sum := 0.0
		for i, target := range d.Y {
			x, y := d.X[2*i], d.X[2*i+1]
			if math.Abs(x) > 1.3 || math.Abs(y) > 1.3 || math.Abs(target) > 1.1 {
				t.Errorf("%s: %v at %v, %v", name, target, x, y)
			}
			if name == "hills" && math.Hypot(x+0.5, y-0.5) < 0.1 && target < 0.8 || name == "plane" && math.Abs(target-(x+y)/2) > 1e-12 || name == "xor" && (target == 1) != (x*y > 0) {
				t.Errorf("%s: %v at %v, %v", name, target, x, y)
			}
			sum += target
		}
		if d.Classes == 2 && sum != 200 {
			t.Errorf("%s: %v of 400 points are of class 1", name, sum)
		}
	}
}

// Each row is used once before any is used again.
func TestEpochs(t *testing.T) {
	d := makeData(t, "gauss", 64)
	tr, err := NewTrainer[float64](newPool(t), d, Settings{Activation: Tanh, Optimizer: SGD, Rate: 0.1, Batch: 16, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		seen := map[float64]int{}
		for range 4 {
			train(t, tr, 1)
			for i := range tr.by {
				seen[tr.bx[2*i]]++
			}
		}
		if len(seen) != 64 {
			t.Errorf("%d of 64 rows in an epoch", len(seen))
		}
	}
}

func TestRefused(t *testing.T) {
	good := Settings{Hidden: []int{8}, Activation: Tanh, Optimizer: Adam, Rate: 0.01, Batch: 32}
	for want, change := range map[string]func(*Settings){
		`unknown optimizer "sdg"`:                                    func(s *Settings) { s.Optimizer = "sdg" },
		`unknown activation "gelu"`:                                  func(s *Settings) { s.Activation = "gelu" },
		"hidden layer 2 has 0 neurons: must be between 1 and 128":    func(s *Settings) { s.Hidden = []int{8, 0} },
		"7 hidden layers: at most 6 are possible":                    func(s *Settings) { s.Hidden = make([]int, 7) },
		"a batch of 0 rows: must be between 1 and 1024":              func(s *Settings) { s.Batch = 0 },
		"a learning rate of NaN: must be above 0 and at most 10000":  func(s *Settings) { s.Rate = math.NaN() },
		"a learning rate of -0.1: must be above 0 and at most 10000": func(s *Settings) { s.Rate = -0.1 },
	} {
		s := good
		change(&s)
		if _, err := NewTrainer[float32](newPool(t), makeData(t, "xor", 10), s); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// A canceled training ends with the context's error.
func TestCancel(t *testing.T) {
	tr, err := NewTrainer[float32](newPool(t), makeData(t, "xor", 10), Settings{Hidden: []int{8}, Activation: Tanh, Optimizer: Adam, Rate: 0.01, Batch: 32})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tr.Step(ctx); err != context.Canceled {
		t.Error(err)
	}
}

// The 2-8-8-1 network with a batch of 32, on one core.
func BenchmarkStep(b *testing.B) {
	for _, rule := range Rules {
		b.Run(string(rule), func(b *testing.B) {
			tr, err := NewTrainer[float32](newPool(b), makeData(b, "spiral", 500), Settings{Hidden: []int{8, 8}, Activation: Tanh, Optimizer: rule, Rate: 0.01, Batch: 32, Seed: 1})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				train(b, tr, 1)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "steps/s")
		})
	}
}
