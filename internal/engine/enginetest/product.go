package enginetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// subject is one device under test.
type subject struct {
	engine bench.Engine
	device hardware.Device
	dtypes []matrix.DType // what it must support
	inUse  func() uint64
}

// seed has more bits than a float64 holds: a protocol that cuts it is found out.
const seed = 0xfedc_ba98_7654_3211

// square returns an n×n×n product of a type that the device must support.
func (s *subject) square(n int) bench.GEMM { return bench.Square(n, s.dtypes[0]) }

func (s *subject) prepare(ctx context.Context, g bench.GEMM, seed uint64) (bench.Task, error) {
	task, err := s.engine.Prepare(ctx, s.device, g, seed, func(bench.Tuning) {})
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", describe(g), err)
	}
	return task, nil
}

func describe(g bench.GEMM) string {
	text := fmt.Sprintf("%d×%d×%d %s with sums in %s", g.M, g.N, g.K, g.In, g.Acc)
	if g.TransA {
		text += ", A transposed"
	}
	if g.TransB {
		text += ", B transposed"
	}
	if g.Data != matrix.Random {
		text += ", inputs: " + g.Data.String()
	}
	return text
}

// supports reports whether the device takes a type, with an error if it must and
// does not.
func (s *subject) supports(ctx context.Context, d matrix.DType) (bool, error) {
	task, err := s.prepare(ctx, bench.Square(2, d), seed)
	if errors.Is(err, fault.Unsupported) && !slices.Contains(s.dtypes, d) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, task.Close()
}

// shapes are m, n and k: squares, edges of one, and odd sizes on both sides of
// every blocking factor.
var shapes = [][3]int{
	{1, 1, 1}, {2, 2, 2}, {17, 17, 17}, {64, 64, 64}, {100, 100, 100},
	{1, 19, 1}, {131, 1, 70}, {1, 1, 1000}, {3, 5, 7}, {5, 300, 129}, {257, 3, 64}, {700, 4, 9}, {4, 700, 9},
}

// fewColumns is up to how many columns C is compared element by element.
const fewColumns = 20

// products verifies one product of every shape, the transposed ones too where
// they can be told from one another. A coarse type's are those that are not
// compared element by element.
func (s *subject) products(ctx context.Context, d matrix.DType, coarse bool) error {
	for _, shape := range shapes {
		g := bench.Square(1, d)
		g.M, g.N, g.K = shape[0], shape[1], shape[2]
		if coarse && g.N <= fewColumns {
			continue
		}
		for trans := range 4 {
			g.TransA, g.TransB = trans&1 != 0, trans&2 != 0
			if trans != 0 && g.K == 1 {
				break // a row is its own transpose in memory
			}
			if err := s.product(ctx, g, seed); err != nil {
				return err
			}
		}
	}
	return s.inputs(ctx, d, coarse)
}

// inputs verifies products of every kind of inputs, of sizes at which a pattern ends anywhere.
func (s *subject) inputs(ctx context.Context, d matrix.DType, coarse bool) error {
	for i, data := range matrix.Kinds[1:] { // without random ones
		g := bench.Square(1, d)
		g.M, g.N, g.K, g.Data = 21, 18, 35, data
		if coarse {
			g.N = 40
		}
		g.TransA, g.TransB = i&1 != 0, i&2 != 0
		if err := s.product(ctx, g, seed); err != nil {
			return err
		}
	}
	return nil
}

// product prepares, runs, verifies and closes.
func (s *subject) product(ctx context.Context, g bench.GEMM, seed uint64) error {
	task, err := s.prepare(ctx, g, seed)
	if err != nil {
		return err
	}
	err = verify(ctx, task, g, seed)
	return errors.Join(err, task.Close())
}

// verify runs the task once with each set of operands, and with the first again, and
// inspects its C each time: a C that is stale belongs to the other set.
func verify(ctx context.Context, task bench.Task, g bench.GEMM, seed uint64) error {
	for _, set := range []int{0, 1, 0} {
		if _, err := task.Run(ctx, 1, set); err != nil {
			return fmt.Errorf("run %s: %w", describe(g), err)
		}
		if err := inspect(ctx, task, g, seed, set); err != nil {
			return err
		}
	}
	return nil
}

// inspect compares C with the reference, and element by element if it has few
// columns.
func inspect(ctx context.Context, task bench.Task, g bench.GEMM, seed uint64, set int) error {
	ref, err := matrix.NewReference(ctx, matrix.Problem{M: g.M, N: g.N, K: g.K, In: g.In, TransA: g.TransA, TransB: g.TransB, Data: g.Data, Seed: seed, Set: set})
	if err != nil {
		return err
	}
	c, err := ref.CheckProduct(func(x []float64) ([]float64, error) { return task.MulVec(ctx, x) }, g.Acc, g.Out)
	switch {
	case err != nil:
		return fmt.Errorf("check of %s: %w", describe(g), err)
	case !c.Passed && c.Error == nil:
		return fmt.Errorf("%s: C holds NaN or infinity", describe(g))
	case !c.Passed:
		return fmt.Errorf("set %d of %s: error %.2e where at most %.2e is expected; looks like %q", set, describe(g), *c.Error, c.Bound, c.Arithmetic)
	case g.N <= fewColumns:
		return elements(ctx, task, g, seed, set)
	}
	return nil
}

// elements compares C column by column with a float64 product.
func elements(ctx context.Context, task bench.Task, g bench.GEMM, seed uint64, set int) error {
	a, b := g.Data.Stream(seed, matrix.OfA(set), g.In), g.Data.Stream(seed, matrix.B, g.In)
	for j := range g.N {
		unit := make([]float64, g.N)
		unit[j] = 1
		column, err := task.MulVec(ctx, unit)
		if err != nil {
			return fmt.Errorf("column %d of %s: %w", j, describe(g), err)
		}
		for i, got := range column {
			var want, size float64
			for l := range g.K {
				ai, bi := i*g.K+l, l*g.N+j
				if g.TransA {
					ai = l*g.M + i
				}
				if g.TransB {
					bi = j*g.K + l
				}
				p := a.At(ai) * b.At(bi)
				want += p
				size += math.Abs(p)
			}
			if limit := worst(g, want, size); !(math.Abs(got-want) <= limit) { // NaN fails
				return fmt.Errorf("%s: element %d, %d is %v instead of %v ± %.1e", describe(g), i, j, got, want, limit)
			}
		}
	}
	return nil
}

// worst returns how far an honest element can be off, if every rounding goes the
// same way; size is the sum of the magnitudes of what is added up.
func worst(g bench.GEMM, want, size float64) float64 {
	acc, operand := g.Acc, 0.0
	if acc == matrix.TF32 {
		acc, operand = matrix.Float32, 4*matrix.TF32.Unit() // both cut off, not rounded
	}
	step := 0.0 // of numbers too small for full precision
	if g.Out == matrix.Float16 {
		step = 0x1p-22
	}
	return (float64(g.K+2)*acc.Unit()+operand)*size + g.Out.Unit()*math.Abs(want) + step
}

// Verify is what the suite does with a prepared product: for the tests of an engine that
// chooses between several ways to compute one.
func Verify(ctx context.Context, task bench.Task, g bench.GEMM, seed uint64) error {
	return verify(ctx, task, g, seed)
}

// Inspect is what the suite does with the C of the latest run or round trip, from operands
// of a set.
func Inspect(ctx context.Context, task bench.Task, g bench.GEMM, seed uint64, set int) error {
	return inspect(ctx, task, g, seed, set)
}
