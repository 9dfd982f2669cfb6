package cuda

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/dl"
	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/network"
)

// A course is a network that package network and an engine train side by side.
type course struct {
	trainer *network.Trainer[float64]
	task    network.Task
	stepper network.Stepper
	batch   int
}

// newCourse prepares a training on an engine's first GPU.
func newCourse(t *testing.T, e *Engine, d *network.Data, s network.Settings, double bool) *course {
	t.Helper()
	pool, err := gemm.NewPool(gemm.ISAs()[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	c := &course{batch: min(s.Batch, d.Rows())}
	if c.trainer, err = network.NewTrainer[float64](pool, d, s); err != nil {
		t.Fatal(err)
	}
	for i, w := range c.trainer.Network.Weights { // both begin with the same weights
		c.trainer.Network.Weights[i] = float64(float32(w))
	}
	loss, _ := d.Loss()
	c.task = network.Task{
		Shape: s.Shape(d), Loss: loss, Rule: s.Optimizer, Batch: c.batch, Double: double,
		X: d.X[:d.Rows()*d.Inputs], Y: d.Y[:d.Rows()], Weights: append([]float64{}, c.trainer.Network.Weights...),
	}
	found, err := e.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c.stepper, err = e.Network(t.Context(), found.Devices[0], c.task); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.stepper.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// rows are those of the next steps.
func (c *course) rows(steps int) (rows []int) {
	for range steps {
		rows = append(rows, c.trainer.Rows()...)
	}
	return rows
}

// apart makes the same steps with package network and returns the largest difference of the
// weights.
func (c *course) apart(t *testing.T, rows []int) float64 {
	t.Helper()
	for len(rows) > 0 {
		if _, err := c.trainer.StepOn(t.Context(), rows[:c.batch]); err != nil {
			t.Fatal(err)
		}
		rows = rows[c.batch:]
	}
	found, err := c.stepper.Weights(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	for i, w := range c.trainer.Network.Weights {
		worst = max(worst, math.Abs(found[i]-w))
	}
	return worst
}

// What is launched is what the kernel expects: the data, the weights in their slots, the rows and
// factors of each step. The stand-in for the driver runs no kernel: the test writes the weights that
// a kernel would have written.
func TestNetworkIsLaunched(t *testing.T) {
	e := on(standIn(t, none), Options{})
	used := count(t, "in_use")
	for _, double := range []bool{false, true} {
		c := newCourse(t, e, mustMake(t, "moons"), network.Settings{Hidden: []int{3, 2}, Activation: network.Tanh, Optimizer: network.Adam, Rate: 0.02, Batch: 7, Seed: 4}, double)
		k := c.stepper.(*training).kernel
		number := func(at uint64, i int) float64 {
			if double {
				return math.Float64frombits(*(*uint64)(at64(at + uint64(8*i))))
			}
			return float64(math.Float32frombits(*(*uint32)(at64(at + uint64(4*i)))))
		}
		for range 2 { // the second turn goes on where the first ended
			rows := c.rows(3)
			made := c.stepper.(*training).made
			if took, err := c.stepper.Steps(t.Context(), rows, 0.125); err != nil || took <= 0 {
				t.Fatal(took, err)
			}
			var args [4]uint64
			for i := range args {
				args[i] = uint64(dl.Call(symbol(t, "trained"), uintptr(i)))
			}
			if steps := uint32(args[3]); steps != 3 {
				t.Errorf("%d steps are launched", steps)
			}
			for i, x := range append(append([]float64{}, c.task.X...), c.task.Y...) {
				if got := number(args[0], i); math.Abs(got-x) > 1e-6 {
					t.Fatalf("number %d of the data is %v, not %v", i, got, x)
				}
			}
			for s := range 3 {
				first, second := network.AdamShares(made + s + 1)
				for i, want := range []float64{0.125, first, second} {
					if got := number(args[2], 3*s+i); math.Abs(got-want) > 1e-7 {
						t.Errorf("factor %d of step %d is %v, not %v", i, made+s, got, want)
					}
				}
			}
			for i, want := range rows {
				if got := *(*uint32)(at64(args[2] + uint64(k.Rows+4*i))); int(got) != want {
					t.Errorf("row %d is %d, not %d", i, got, want)
				}
			}
			// The weights are where the kernel reads them, and are read where it writes them.
			for i, slot := range k.Slot {
				if made == 0 && number(args[1], slot) != c.task.Weights[i] {
					t.Errorf("weight %d is not in slot %d", i, slot)
				}
				if double {
					*(*uint64)(at64(args[1] + uint64(8*slot))) = math.Float64bits(float64(i))
				} else {
					*(*uint32)(at64(args[1] + uint64(4*slot))) = math.Float32bits(float32(i))
				}
			}
			weights, err := c.stepper.Weights(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for i, w := range weights {
				if w != float64(i) {
					t.Errorf("weight %d is read as %v", i, w)
				}
			}
		}
		if _, err := c.stepper.Steps(t.Context(), []int{0, 1, 2, 3, 4, 5, 240}, 0.1); !errors.Is(err, fault.Invalid) {
			t.Errorf("a row beyond the data: %v", err)
		}
		if _, err := c.stepper.Steps(t.Context(), []int{0, 1}, 0.1); !errors.Is(err, fault.Invalid) {
			t.Errorf("half a step: %v", err)
		}
		if err := c.stepper.Close(); err != nil || used() != 0 {
			t.Errorf("%d bytes are in use after closing, %v", used(), err)
		}
	}
}

// at64 is the address of memory of the stand-in.
func at64(address uint64) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }

func mustMake(t *testing.T, set string) *network.Data {
	t.Helper()
	if set == "classes" {
		d, err := network.ReadCSV(strings.NewReader(strings.Repeat("0,0,a\n1,1,b\n0.5,-1,c\n-0.3,0.2,a\n0.9,0.8,b\n0.4,-0.7,c\n", 12)))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if set == network.Digits {
		return network.ReadDigits()
	}
	d, err := network.Make(set, 240, 3)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// onRealGPU returns an engine on a real GPU, or skips the test.
func onRealGPU(t *testing.T) *Engine {
	t.Helper()
	e := New(Options{})
	if _, err := e.Devices(t.Context()); errors.Is(err, fault.Unavailable) {
		enginetest.Require(t, "nvidia", err.Error())
	}
	return e
}

// On a real GPU the kernel makes the steps of package network, for every activation, loss and
// optimizer, in both types.
func TestNetworkOnGPU(t *testing.T) {
	e := onRealGPU(t)
	for _, a := range network.Activations {
		for _, set := range []string{"moons", "plane", "classes"} {
			for _, rule := range network.Rules {
				for _, double := range []bool{true, false} {
					t.Run(fmt.Sprint(a, " ", set, " ", rule, " ", double), func(t *testing.T) {
						c := newCourse(t, e, mustMake(t, set), network.Settings{Hidden: []int{8, 8}, Activation: a, Optimizer: rule, Rate: 0.02, Batch: 32, Seed: 4}, double)
						steps := 20
						if rule == network.Muon { // which magnifies rounding
							steps = 5
						}
						rows := c.rows(steps)
						if _, err := c.stepper.Steps(t.Context(), rows, 0.02); err != nil {
							t.Fatal(err)
						}
						limit := 1e-3
						if double {
							limit = 1e-11
						}
						if worst := c.apart(t, rows); !(worst < limit) {
							t.Errorf("the weights differ by %.1e", worst)
						}
					})
				}
			}
		}
	}
}

// Networks of all sizes, with their speed: in shared memory, and too large for it.
func TestNetworkSizesOnGPU(t *testing.T) {
	e := onRealGPU(t)
	for _, c := range []struct {
		set    string
		hidden []int
		batch  int
	}{
		{"moons", nil, 1}, {"moons", []int{8, 8}, 32}, {"moons", []int{16, 16, 16, 16, 16, 16}, 128}, {"moons", []int{128, 128, 128}, 240},
		{network.Digits, []int{32}, 32}, {network.Digits, []int{128, 128, 128}, 256},
	} {
		t.Run(fmt.Sprint(c.set, c.hidden, c.batch), func(t *testing.T) {
			c := newCourse(t, e, mustMake(t, c.set), network.Settings{Hidden: c.hidden, Activation: network.Tanh, Optimizer: network.Adam, Rate: 0.01, Batch: c.batch, Seed: 4}, false)
			begun := time.Now()
			steps, took := 0, time.Duration(0)
			for some := 8; time.Since(begun) < 500*time.Millisecond && some <= 4096; some *= 2 {
				var err error
				if took, err = c.stepper.Steps(t.Context(), c.rows(some), 0.01); err != nil {
					t.Fatal(err)
				}
				steps = some
			}
			t.Logf("%.0f steps/s: %d in %v, %s", float64(steps)/took.Seconds(), steps, took, c.stepper.Place())
		})
		t.Run(fmt.Sprint(c.set, c.hidden, c.batch, " agrees"), func(t *testing.T) {
			c := newCourse(t, e, mustMake(t, c.set), network.Settings{Hidden: c.hidden, Activation: network.Tanh, Optimizer: network.SGD, Rate: 0.1, Batch: c.batch, Seed: 4}, false)
			rows := c.rows(5)
			if _, err := c.stepper.Steps(t.Context(), rows, 0.1); err != nil {
				t.Fatal(err)
			}
			if worst := c.apart(t, rows); !(worst < 1e-5) {
				t.Errorf("the weights differ by %.1e", worst)
			}
			gradient, err := c.task.Gradient(t.Context(), func(task network.Task) (network.Stepper, error) {
				found, err := e.Devices(t.Context())
				if err != nil {
					return nil, err
				}
				return e.Network(t.Context(), found.Devices[0], task)
			})
			if err != nil {
				t.Fatal(err)
			}
			pool, err := gemm.NewPool(gemm.ISAs()[0], 1)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			if worst, err := c.task.CheckOf(t.Context(), pool, gradient); err != nil || !(worst < network.Tolerance[float32]()) {
				t.Errorf("the gradient is off by %.1e, %v", worst, err)
			} else {
				t.Logf("gradient checked: worst %.1e", worst)
			}
		})
	}
}
