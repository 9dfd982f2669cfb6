package gocpu

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// A counter is what a task computed.
type counter struct {
	products, sums int
	unsummed       int // products since the last sum
}

// count counts what a float32 task computes, and still computes it.
func count(t *testing.T, task *task[float32, float32]) *counter {
	t.Helper()
	c := &counter{}
	product := task.product
	task.product = func(ctx context.Context, times int, g gemm.Problem, a, b, to []float32) error {
		c.products += times
		c.unsummed += times
		return product(ctx, times, g, a, b, to)
	}
	if sum := task.sum; sum != nil {
		task.sum = func(ctx context.Context, of []float32) error {
			if c.unsummed != 1 {
				t.Errorf("a sum after %d products", c.unsummed)
			}
			if len(of) != task.shape.M*task.shape.N || &of[0] != &task.c.Elements[0] {
				t.Error("the sum is of something else")
			}
			c.unsummed = 0
			c.sums++
			return sum(ctx, of)
		}
	}
	return c
}

func prepared(t *testing.T, e *Engine, g bench.GEMM) bench.Task {
	t.Helper()
	task, err := e.Prepare(t.Context(), cpu, g, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { task.Close() })
	return task
}

// A sample of n products is n products, and as many sums where sums are asked.
func TestProductsAreCounted(t *testing.T) {
	e := newEngine(t, Options{Threads: 2})
	for _, sum := range []bool{false, true} {
		g := bench.Square(20, matrix.Float32)
		g.Sum = sum
		task := prepared(t, e, g).(*task[float32, float32])
		if (task.sum != nil) != sum {
			t.Fatalf("sum asked: %v, computed: %v", sum, task.sum != nil)
		}
		for _, n := range []int{1, 2, 3, 100} {
			c := count(t, task)
			s, err := task.Run(t.Context(), n, n%matrix.Sets)
			if err != nil {
				t.Fatal(err)
			}
			if c.products != n || s.Iters != n {
				t.Errorf("%d products asked, %d computed, %d reported", n, c.products, s.Iters)
			}
			if sum && c.sums != n || c.unsummed != 0 && sum {
				t.Errorf("%d sums of %d products", c.sums, n)
			}
		}
	}
}

// A watched context counts how often it is asked whether it has ended.
type watched struct {
	context.Context
	asked *atomic.Int64
}

func (w watched) Err() error {
	w.asked.Add(1)
	return w.Context.Err()
}

// The kernels compute n products, too: on one thread they look at the context once after
// each product, so each further product is one look more.
func TestKernelsAreCounted(t *testing.T) {
	for _, isa := range gemm.ISAs() {
		e := newEngine(t, Options{ISA: string(isa), Threads: 1})
		for _, d := range []matrix.DType{matrix.Float64, matrix.Float32, matrix.Float16, matrix.BFloat16, matrix.Int8} {
			task := prepared(t, e, bench.Square(24, d))
			looks := func(n int) int64 {
				var asked atomic.Int64
				if _, err := task.Run(watched{t.Context(), &asked}, n, 0); err != nil {
					t.Fatal(err)
				}
				return asked.Load()
			}
			one := looks(1)
			for _, n := range []int{2, 3, 8, 101} {
				if got := looks(n) - one; got < int64(n-1) || got%int64(n-1) != 0 || got/int64(n-1) != looks(2)-one {
					t.Errorf("%s, %s: %d products looked at the context %d times more than one did", string(isa), d, n, got)
				}
			}
		}
	}
}

// C holds what no product has when the first product of a run begins, and A is that of
// the set, at an address that does not change.
func TestReady(t *testing.T) {
	e := newEngine(t, Options{Threads: 1})
	nans := func(x float32) bool { return math.IsNaN(float64(x)) }
	testReady(t, e, matrix.Float32, nans, func(x float32) float64 { return float64(x) })
	testReady(t, e, matrix.Float64, math.IsNaN, func(x float64) float64 { return x })
	for _, d := range []matrix.DType{matrix.Float16, matrix.BFloat16} {
		testReady(t, e, d, func(x uint16) bool { return math.IsNaN(d.From16(x)) }, d.From16)
	}
	testReady(t, e, matrix.Int8, func(x int32) bool { return uint32(x) == 0x80808080 }, func(x int8) float64 { return float64(x) })
}

func testReady[S, R any](t *testing.T, e *Engine, d matrix.DType, poison func(R) bool, value func(S) float64) {
	t.Helper()
	task := prepared(t, e, bench.Square(9, d)).(*task[S, R])
	if _, err := task.MulVec(t.Context(), make([]float64, 9)); !errors.Is(err, fault.Invalid) {
		t.Errorf("%s: C·x before the first run: %v", d, err)
	}
	product, at := task.product, &task.a[0]
	for _, set := range []int{0, 0, 1, 1, 0, 1} {
		task.product = func(ctx context.Context, times int, g gemm.Problem, a, b []S, c []R) error {
			for _, x := range c {
				if !poison(x) {
					t.Fatalf("%s: C holds %v before a run", d, x)
				}
			}
			for o, elements := range map[matrix.Operand][]S{matrix.OfA(set): a, matrix.B: b} {
				s := matrix.NewStream(3, o, d)
				for i, x := range elements {
					if value(x) != s.At(i) {
						t.Fatalf("%s: element %d of operand %d is %v in set %d, not %v", d, i, o, value(x), set, s.At(i))
					}
				}
			}
			if &a[0] != at {
				t.Fatalf("%s: A has moved", d)
			}
			return product(ctx, times, g, a, b, c)
		}
		if _, err := task.Run(t.Context(), 2, set); err != nil {
			t.Fatal(err)
		}
	}
	task.product = func(context.Context, int, gemm.Problem, []S, []S, []R) error { return errors.New("no") }
	if _, err := task.Run(t.Context(), 1, 0); err == nil {
		t.Errorf("%s: a product that failed has a sample", d)
	}
	if _, err := task.MulVec(t.Context(), make([]float64, 9)); !errors.Is(err, fault.Invalid) {
		t.Errorf("%s: C·x after a run that failed: %v", d, err)
	}
}

// What is written beside C is found, whatever the product.
func TestGuards(t *testing.T) {
	e := newEngine(t, Options{Threads: 1})
	task := prepared(t, e, bench.Square(9, matrix.Float32)).(*task[float32, float32])
	product := task.product
	for want, at := range map[string]int{"gocpu wrote past the end of C": 9 * 9, "gocpu wrote before the start of C": -1} {
		for _, offset := range []int{0, 3, 1000} { // within a page
			var old float32
			task.product = func(ctx context.Context, times int, g gemm.Problem, a, b, c []float32) error {
				beside := neighbour(c, at+offset*max(-1, min(at, 1)))
				old, *beside = *beside, 0
				return product(ctx, times, g, a, b, c)
			}
			if _, err := task.Run(t.Context(), 1, 0); err != nil {
				t.Fatal(err)
			}
			if _, err := task.MulVec(t.Context(), make([]float64, 9)); !errors.Is(err, fault.Wrong) || err.Error() != want {
				t.Errorf("offset %d: %v, want %q", offset, err, want)
			}
			*neighbour(task.c.Elements, at+offset*max(-1, min(at, 1))) = old
			if _, err := task.MulVec(t.Context(), make([]float64, 9)); err != nil {
				t.Errorf("with the old value again: %v", err)
			}
		}
	}
}

// The memory that is asked for is what Prepare allocates: two A, B, C and its zones.
func TestMemoryThatIsTaken(t *testing.T) {
	g := bench.GEMM{M: 300, N: 100, K: 200, In: matrix.Float32, Acc: matrix.Float32, Out: matrix.Float32}
	const need = 4*(2*300*200+200*100+300*100) + 2*matrix.GuardBytes
	if err := check(g, need); err != nil {
		t.Errorf("%d bytes: %v", need, err)
	}
	if err := check(g, need-1); !errors.Is(err, fault.OutOfMemory) {
		t.Errorf("a byte less: %v", err)
	}
}
