package gocpu

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// neighbour returns element i of a slice, or what is beside it in memory.
func neighbour[S any](s []S, i int) *S {
	return (*S)(unsafe.Add(unsafe.Pointer(&s[0]), i*int(unsafe.Sizeof(s[0]))))
}

// A victim is a product that was computed, to be spoilt and checked.
type victim struct {
	task bench.Task
	g    bench.GEMM
	ref  *matrix.Reference
	a, b matrix.Stream
}

func newVictim(t *testing.T, e *Engine, g bench.GEMM, seed uint64, set int) *victim {
	t.Helper()
	task, err := e.Prepare(t.Context(), cpu, g, seed, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := task.Run(t.Context(), 1, set); err != nil {
		t.Fatal(err)
	}
	ref, err := matrix.NewReference(t.Context(), matrix.Problem{M: g.M, N: g.N, K: g.K, In: g.In, Seed: seed, Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return &victim{task, g, ref, matrix.NewStream(seed, matrix.OfA(set), g.In), matrix.NewStream(seed, matrix.B, g.In)}
}

// check returns the verdict on C.
func (v *victim) check(t *testing.T) matrix.Check {
	t.Helper()
	c, err := v.ref.CheckProduct(func(x []float64) ([]float64, error) { return v.task.MulVec(t.Context(), x) }, v.g.Acc, v.g.Out)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// add adds an error to one element of C and returns what undoes it.
func (v *victim) add(row, col int, e float64) (undo func()) {
	i := row*v.g.N + col
	switch task := v.task.(type) {
	case *task[float64, float64]:
		return replace(&task.c.Elements[i], task.c.Elements[i]+e)
	case *task[float32, float32]:
		return replace(&task.c.Elements[i], float32(float64(task.c.Elements[i])+e))
	case *task[uint16, uint16]:
		return replace(&task.c.Elements[i], v.g.Out.Bits16(v.g.Out.From16(task.c.Elements[i])+e))
	case *task[int8, int32]:
		return replace(&task.c.Elements[i], task.c.Elements[i]+int32(e))
	}
	panic("unknown task")
}

func replace[R any](at *R, with R) (undo func()) {
	old := *at
	*at = with
	return func() { *at = old }
}

// scale returns the root of the sum of squares that the errors of elements from to to of
// a row are compared with.
func (v *victim) scale(row, from, to int) float64 {
	sum := 0.0
	for l := range v.g.K {
		a := v.a.At(row*v.g.K + l)
		for j := from; j < to; j++ {
			b := v.b.At(l*v.g.N + j)
			sum += a * a * b * b
		}
	}
	return math.Sqrt(sum)
}

// picked returns the column that is checked on its own, and the signs.
func (v *victim) picked() (column int, signs []float64) {
	for j, x := range v.ref.Vectors()[1] {
		if x != 0 {
			column = j
		}
	}
	return column, v.ref.Vectors()[0]
}

// An error at one random place of C, above the bound in terms of its row, is always
// found. One below a tenth of the bound in terms of its element never is: it could be
// rounding. What lies between is found in the picked column only, see below; in int8 all
// errors are found.
func TestInjectedFaults(t *testing.T) {
	problems, each := 200, 50
	if testing.Short() {
		problems = 20
	}
	e := newEngine(t, Options{Threads: 1})
	random := rand.New(rand.NewPCG(20, 26))
	dtypes := []matrix.DType{matrix.Float32, matrix.Float64, matrix.Float16, matrix.BFloat16, matrix.Int8}
	for p := range problems {
		g := bench.Square(0, dtypes[p%len(dtypes)])
		g.M, g.N, g.K = 1+random.IntN(120), 1+random.IntN(120), 1+random.IntN(120)
		v := newVictim(t, e, g, random.Uint64(), random.IntN(matrix.Sets))
		right := v.check(t)
		if !right.Passed {
			t.Fatalf("%+v: wrong before anything was added: %+v", g, right)
		}
		for range each {
			row, col, sign := random.IntN(g.M), random.IntN(g.N), float64(1-2*random.IntN(2))
			if g.In.Integer() {
				undo := v.add(row, col, sign*float64(1+random.IntN(1<<random.IntN(20))))
				if v.check(t).Passed {
					t.Errorf("%+v: an error at %d,%d passed", g, row, col)
				}
				undo()
				continue
			}
			// Correct rounding may have taken a part of the bound in the other direction.
			above := (1.5 + 1000*random.Float64()*random.Float64()) * right.Bound * v.scale(row, 0, g.N)
			undo := v.add(row, col, sign*(above+1e-5*float64(btoi(g.Out == matrix.Float16)))) // Float16's smallest step counts on top
			if c := v.check(t); c.Passed {
				t.Errorf("%+v: an error of %.2e at %d,%d passed: %+v", g, above, row, col, c)
			}
			undo()
			below := random.Float64() / 10 * right.Bound * v.scale(row, col, col+1)
			undo = v.add(row, col, sign*below)
			if c := v.check(t); !c.Passed {
				t.Errorf("%+v: an error of %.2e at %d,%d, a tenth of the bound, was reported: %+v", g, below, row, col, c)
			}
			undo()
		}
		if again := v.check(t); *again.Error != *right.Error {
			t.Fatalf("C has changed: %+v, then %+v", right, again)
		}
		if err := v.task.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// The two vectors see different errors.
//
// The signs see every element, but relative to a whole row. The picked column is compared
// element by element, so that errors are found there that are small for a row: a library
// that computes every element a little wrong is found by it.
//
// Two errors in a row that cancel each other under the signs are found if one of them is
// in the picked column. Otherwise they are not found: for a fault that does not know the
// signs, which follow from the seed, the chance is one in two per row if it makes exactly
// two errors of equal size, and it makes them in every row alike only if they are in the
// same columns. Nor is an error found that is confined to columns which are not picked
// and is below the bound of its row.
func TestWhatEachVectorSees(t *testing.T) {
	e := newEngine(t, Options{Threads: 1})
	for _, d := range []matrix.DType{matrix.Float32, matrix.Float64} {
		g := bench.Square(100, d)
		g.M = 7
		for seed := range uint64(10) {
			v := newVictim(t, e, g, seed, int(seed%matrix.Sets))
			bound := v.check(t).Bound
			column, signs := v.picked()
			row := int(seed) % g.M
			next := func(j int, sign float64) int { // the next column of a sign that is not picked
				for range g.N {
					if j = (j + 1) % g.N; signs[j] == sign && j != column {
						return j
					}
				}
				t.Fatalf("no other column has the sign %v", sign)
				return 0
			}
			same, opposite := next(column, signs[column]), next(column, -signs[column])
			small := 2 * bound * v.scale(row, column, column+1)
			if small > bound*v.scale(row, 0, g.N)/2 {
				t.Fatalf("an error of %.1e in one element is not small for a row", small)
			}
			large := 3 * bound * v.scale(row, 0, g.N)
			type spot struct {
				col int
				e   float64
			}
			for _, tt := range []struct {
				name  string
				spots []spot
				found bool
			}{
				{"a small error in the picked column", []spot{{column, small}}, true},
				{"a small error elsewhere", []spot{{same, small / 4}}, false},
				{"two that cancel in a sum of the row", []spot{{same, large}, {opposite, -large}}, true},
				{"two that cancel under the signs, one in the picked column", []spot{{column, large}, {same, -large}}, true},
				{"two of opposite signs that cancel under them, one in the picked column", []spot{{column, large}, {opposite, large}}, true},
			} {
				var undo []func()
				for _, s := range tt.spots {
					undo = append(undo, v.add(row, s.col, s.e))
				}
				if c := v.check(t); c.Passed == tt.found {
					t.Errorf("%s, seed %d: %s: %+v", d, seed, tt.name, c)
				}
				for _, f := range undo {
					f()
				}
			}
			if err := v.task.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
