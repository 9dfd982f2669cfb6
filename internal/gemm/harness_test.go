package gemm

import (
	"context"
	"fmt"
	"math"
	"testing"
)

// A lane is one element type under test. Its product takes and returns float64, so
// that one reference serves all types.
type lane struct {
	name       string
	arithmetic Arithmetic
	unit       float64               // unit roundoff of the sums
	operand    func(float64) float64 // turns a number in [-1, 1) into an operand
	round      func(float64) float64 // to C's type
	product    func(p *Pool, g Problem, a, b []float64) ([]float64, error)
}

var lanes = []lane{
	{"float64", Float64, 0x1p-53, same, same, func(p *Pool, g Problem, a, b []float64) ([]float64, error) {
		return guarded(g, a, b, math.NaN(), math.NaN(), -77, p.Float64, same, same)
	}},
	{"float32", Float32, 0x1p-24, toFloat32, toFloat32, func(p *Pool, g Problem, a, b []float64) ([]float64, error) {
		return guarded(g, a, b, float32(math.NaN()), float32(math.NaN()), -77, p.Float32,
			func(x float64) float32 { return float32(x) }, func(x float32) float64 { return float64(x) })
	}},
	{"float16", Float16, 0x1p-24, roundFloat16, roundFloat16, func(p *Pool, g Problem, a, b []float64) ([]float64, error) {
		return guarded(g, a, b, 0x7e01, 0x7e01, 0xabcd, p.Float16, toFloat16, fromFloat16)
	}},
	{"bfloat16", BFloat16, 0x1p-24, roundBFloat16, roundBFloat16, func(p *Pool, g Problem, a, b []float64) ([]float64, error) {
		return guarded(g, a, b, 0x7fc1, 0x7fc1, 0xabcd, p.BFloat16, toBFloat16, fromBFloat16)
	}},
	{"int8", Int8, 0, func(x float64) float64 { return math.Floor(128 * x) }, wrap, func(p *Pool, g Problem, a, b []float64) ([]float64, error) {
		return guarded(g, a, b, 117, 0x7654321, int32(-0x12345678), p.Int8, func(x float64) int8 { return int8(x) }, func(x int32) float64 { return float64(x) })
	}},
}

func same(x float64) float64 { return x }

func toFloat32(x float64) float64 { return float64(float32(x)) }

func roundFloat16(x float64) float64 { return roundTo(x, 11, 15) }

func roundBFloat16(x float64) float64 { return roundTo(x, 8, 127) }

// wrap returns an integer as int32 stores it after overflow.
func wrap(x float64) float64 { return float64(int32(int64(x))) }

// roundTo rounds to a format with the given number of bits in its significand, ties
// to even. It uses arithmetic, so that it is independent of the bit manipulation
// under test.
func roundTo(x float64, bits, emax int) float64 {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return x
	}
	_, e := math.Frexp(x)
	ulp := math.Ldexp(1, max(e, 2-emax)-bits)
	x = math.RoundToEven(x/ulp) * ulp
	if math.Abs(x) >= math.Ldexp(1, emax+1) {
		return math.Copysign(math.Inf(1), x)
	}
	return x
}

func toFloat16(x float64) uint16 {
	sign := uint16(math.Float64bits(x)>>48) & 0x8000
	x = math.Abs(roundTo(x, 11, 15))
	switch {
	case math.IsNaN(x):
		return 0x7e00
	case math.IsInf(x, 0):
		return sign | 0x7c00
	case x < 0x1p-14:
		return sign | uint16(x*0x1p24)
	}
	return sign | uint16(math.Float64bits(x)>>42-(1023-15)<<10)
}

func fromFloat16(h uint16) float64 {
	x := math.Ldexp(float64(h&0x3ff), -24)
	switch exp := int(h >> 10 & 31); {
	case exp == 31 && h&0x3ff != 0:
		return math.NaN()
	case exp == 31:
		x = math.Inf(1)
	case exp > 0:
		x = math.Ldexp(float64(h&0x3ff|0x400), exp-25)
	}
	return math.Copysign(x, float64(int16(h)|1))
}

func toBFloat16(x float64) uint16 {
	if math.IsNaN(x) {
		return 0x7fc0
	}
	return uint16(math.Float32bits(float32(roundTo(x, 8, 127))) >> 16)
}

func fromBFloat16(h uint16) float64 { return float64(math.Float32frombits(uint32(h) << 16)) }

// guarded computes a product of a and b and reports an error if anything outside C
// was written to. It stores the operands with g's strides, fills every gap and the
// memory around them with NaN or a number that would show up in sums, and surrounds
// C, which holds stale numbers, with sentinels.
func guarded[S, R comparable](g Problem, a, b []float64, around S, stale, sentinel R, product func(context.Context, int, Problem, []S, []S, []R) error,
	to func(float64) S, from func(R) float64) ([]float64, error) {
	rowsA, rowsB := g.M, g.K
	if g.TransA {
		rowsA = g.K
	}
	if g.TransB {
		rowsB = g.N
	}
	_, viewA := layout(a, rowsA, g.LDA, around, to)
	_, viewB := layout(b, rowsB, g.LDB, around, to)
	all, view := layout(make([]float64, g.M*g.N), g.M, g.LDC, sentinel, func(float64) R { return stale })
	if err := product(context.Background(), 1, g, viewA, viewB, view); err != nil {
		return nil, err
	}
	stride := max(g.LDC, g.N)
	c := make([]float64, 0, g.M*g.N)
	for i := range g.M {
		for j := range g.N {
			at := guard + i*stride + j
			c = append(c, from(all[at]))
			all[at] = sentinel
		}
	}
	for at, x := range all {
		if x != sentinel {
			return nil, fmt.Errorf("element %d outside of C was overwritten with %v", at-guard, x)
		}
	}
	return c, nil
}

const guard = 67

// layout stores a matrix with the given number of rows within a larger slice; it
// returns that slice and the part with the matrix.
func layout[S any](xs []float64, rows, stride int, fill S, to func(float64) S) (all, view []S) {
	cols := len(xs) / rows
	stride = max(stride, cols)
	size := (rows-1)*stride + cols
	all = make([]S, guard+size+guard)
	for i := range all {
		all[i] = fill
	}
	view = all[guard : guard+size]
	for i, x := range xs {
		view[i/cols*stride+i%cols] = to(x)
	}
	return all, view
}

// reference returns C and the sums of absolute products, which bound the error of
// C.
func reference(g Problem, a, b []float64) (c, size []float64) {
	c, size = make([]float64, g.M*g.N), make([]float64, g.M*g.N)
	for i := range g.M {
		for j := range g.N {
			var sum, abs float64
			for p := range g.K {
				at, bt := i*g.K+p, p*g.N+j
				if g.TransA {
					at = p*g.M + i
				}
				if g.TransB {
					bt = j*g.K + p
				}
				x := a[at] * b[bt]
				sum, abs = sum+x, abs+math.Abs(x)
			}
			c[i*g.N+j], size[i*g.N+j] = sum, abs
		}
	}
	return c, size
}

// wholes returns integers from -4 to 4: their products are exact in every type, so
// that a missing or an extra term shows.
func wholes(n int, seed uint64) []float64 {
	numbers := noise(n, seed)
	for i, x := range numbers {
		numbers[i] = math.Round(4 * x)
	}
	return numbers
}

// exact holds products of integers by shape, so that one is computed once for all
// instruction sets, types, strides and numbers of threads.
type exact map[Problem]exactProduct

type exactProduct struct{ a, b, c []float64 }

func (e exact) product(g Problem) exactProduct {
	g.LDA, g.LDB, g.LDC = 0, 0, 0
	x, ok := e[g]
	if !ok {
		x = exactProduct{a: wholes(g.M*g.K, 1), b: wholes(g.K*g.N, 2)}
		x.c, _ = reference(g, x.a, x.b)
		e[g] = x
	}
	return x
}

// test compares a product of integers with the reference. k must be small enough for the
// sums to be exact.
func (e exact) test(t *testing.T, p *Pool, l *lane, g Problem) {
	t.Helper()
	want := e.product(g)
	got, err := l.product(p, g, want.a, want.b)
	if err != nil {
		t.Fatalf("%s %v %+v: %v", l.name, p.ISA(), g, err)
	}
	for i, c := range want.c {
		if w := l.round(c); got[i] != w {
			t.Fatalf("%s %v %+v: C[%d,%d] is %v, not %v", l.name, p.ISA(), g, i/g.N, i%g.N, got[i], w)
		}
	}
}

// newPool returns a pool that is closed at the end of the test. With small set,
// blocks are so small that every loop iterates, B is always packed where that can
// pay off, fetch loads whatever is read in place, and all threads share every
// product.
func newPool(t testing.TB, isa ISA, threads int, small bool) *Pool {
	t.Helper()
	p, err := NewPool(isa, threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	if small {
		p.driver.worth = 0
		for _, k := range []*kernel{&p.set.float64s, &p.set.float32s, &p.set.float16s, &p.set.bfloat16s, &p.set.int8s} {
			k.mc, k.kc, k.nc, k.small = 2*(len(k.tiles[k.vecs])-1), 7, 2*k.vecs*k.lanes, 0
			k.slim, k.far = 0, 0
		}
	}
	return p
}

var transposes = []Problem{{}, {TransA: true}, {TransB: true}, {TransA: true, TransB: true}}

// eachISA runs a test for every instruction set of this CPU.
func eachISA(t *testing.T, test func(t *testing.T, isa ISA)) {
	for _, isa := range ISAs() {
		t.Run(string(isa), func(t *testing.T) { test(t, isa) })
	}
}
