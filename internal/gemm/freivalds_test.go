package gemm

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// TestLargeShapes checks products of random shapes that are too large for a full
// reference, by Freivalds' method: with as many threads as there are CPUs, and with
// one.
func TestLargeShapes(t *testing.T) {
	shapes := [][3]int{{100, 100, 100}, {5, 300, 200}, {200, 5, 300}, {33, 31, 2001}, {57, 129, 131}}
	if enginetest.AllCases() {
		shapes = append(shapes, [3]int{300, 300, 300}, [3]int{33, 31, 9001})
		random := rand.New(rand.NewPCG(1, 2))
		for range 8 {
			shapes = append(shapes, [3]int{1 + random.IntN(900), 1 + random.IntN(900), 1 + random.IntN(900)})
		}
	}
	eachISA(t, func(t *testing.T, isa ISA) {
		ctx := context.Background()
		for _, threads := range []int{0, 1} {
			p := newPool(t, isa, threads, false)
			for i, s := range shapes {
				if isa == Portable && i > 6 {
					break // uses the same driver, and is slow
				}
				g := Problem{M: s[0], N: s[1], K: s[2], TransA: i&1 != 0, TransB: i&2 != 0}
				verify(t, matrix.Float64, g, matrix.Stream.Fill64, same, func(a, b, c []float64) error { return p.Float64(ctx, 1, g, a, b, c) })
				verify(t, matrix.Float32, g, matrix.Stream.Fill32, func(x float32) float64 { return float64(x) }, func(a, b, c []float32) error { return p.Float32(ctx, 1, g, a, b, c) })
				verify(t, matrix.Float16, g, matrix.Stream.Fill16, fromFloat16, func(a, b, c []uint16) error { return p.Float16(ctx, 1, g, a, b, c) })
				verify(t, matrix.BFloat16, g, matrix.Stream.Fill16, fromBFloat16, func(a, b, c []uint16) error { return p.BFloat16(ctx, 1, g, a, b, c) })
				verify(t, matrix.Int8, g, matrix.Stream.Fill8, func(x int32) float64 { return float64(x) }, func(a, b []int8, c []int32) error { return p.Int8(ctx, 1, g, a, b, c) })
			}
		}
	})
}

// verify computes a product of seeded operands and checks it with package matrix.
func verify[S, R any](t *testing.T, d matrix.DType, g Problem, fill func(matrix.Stream, []S, int), from func(R) float64, product func(a, b []S, c []R) error) {
	t.Helper()
	const seed = 1
	a, b, c := make([]S, g.M*g.K), make([]S, g.K*g.N), make([]R, g.M*g.N)
	fill(matrix.NewStream(seed, matrix.A, d), a, 0)
	fill(matrix.NewStream(seed, matrix.B, d), b, 0)
	if err := product(a, b, c); err != nil {
		t.Fatalf("%s %+v: %v", d, g, err)
	}
	ctx := context.Background()
	ref, err := matrix.NewReference(ctx, matrix.Problem{M: g.M, N: g.N, K: g.K, In: d, TransA: g.TransA, TransB: g.TransB, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	var y [][]float64
	for _, x := range ref.Vectors() {
		v, err := matrix.MulVec(ctx, c, x, from)
		if err != nil {
			t.Fatal(err)
		}
		y = append(y, v)
	}
	sums, out := d, d
	switch d {
	case matrix.Float16, matrix.BFloat16:
		sums = matrix.Float32
	case matrix.Int8:
		sums, out = matrix.Int32, matrix.Int32
	}
	check, err := ref.Check(y, sums, out)
	if err != nil || !check.Passed {
		t.Fatalf("%s %+v: %+v, %v", d, g, check, err)
	}
}
