// Package gemm multiplies matrices on the CPU, in Go and Go assembly: row-major C =
// op(A)·op(B) for float64, float32, float16, bfloat16 and int8, on all the CPUs
// that the process may use.
//
// It follows BLIS: five loops around a micro-kernel (driver.go), blocked to suit
// the shape and the caches (plan.go), with the constants of each instruction set in
// one table (isa_*.go). Operands are read in place and packed (pack.go) only where
// that pays off. The micro-kernels are in assembly; other processors, and builds
// with the tag noasm, use one in Go.
//
// No step depends on the data: zeros are multiplied like any other number, and NaNs
// and infinities propagate as IEEE 754 requires. The same product on the same number of threads gives the same bits
// every time. Where k is much longer than m and n, each thread sums a part of it,
// so a different number of threads may round differently.
//
// The package is independent of the rest of gpuplay; package engine/gocpu wraps it
// as an engine.
package gemm

import (
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"unsafe"
)

// A Problem is the shape of a product. C is M×N and row-major, as are A and B:
// A is M×K in memory, or K×M when TransA is set; B is K×N, or N×K with TransB.
type Problem struct {
	M, N, K        int
	TransA, TransB bool
	// LDA, LDB and LDC are the strides: the number of elements from one row in
	// memory to the next. 0 means that the rows are contiguous.
	LDA, LDB, LDC int
}

// check compares the shape with the lengths of the slices and returns it with its
// strides filled in.
func (g Problem) check(lenA, lenB, lenC int) (Problem, error) {
	if g.M < 1 || g.N < 1 || g.K < 1 {
		return g, fmt.Errorf("gemm: m is %d, n is %d, k is %d: each must be at least 1", g.M, g.N, g.K)
	}
	rowsA, colsA, rowsB, colsB := g.M, g.K, g.K, g.N
	if g.TransA {
		rowsA, colsA = colsA, rowsA
	}
	if g.TransB {
		rowsB, colsB = colsB, rowsB
	}
	var errs [3]error
	g.LDA, errs[0] = checkStride("a", rowsA, colsA, g.LDA, lenA)
	g.LDB, errs[1] = checkStride("b", rowsB, colsB, g.LDB, lenB)
	g.LDC, errs[2] = checkStride("c", g.M, g.N, g.LDC, lenC)
	return g, cmp.Or(errs[:]...)
}

// checkStride returns the stride of a matrix: cols if it is given as 0.
func checkStride(name string, rows, cols, stride, length int) (int, error) {
	if stride == 0 {
		stride = cols
	}
	if stride < cols {
		return 0, fmt.Errorf("gemm: the stride of %s is %d: its rows have %d elements", name, stride, cols)
	}
	over, need := bits.Mul(uint(rows-1), uint(stride))
	need, carry := bits.Add(need, uint(cols), 0)
	if over != 0 || carry != 0 || need > uint(length) {
		return 0, fmt.Errorf("gemm: %s has %d elements: %d rows of %d at stride %d need more", name, length, rows, cols, stride)
	}
	return stride, nil
}

// MaxTimes is the largest number of products that one call computes. It is hours of
// the smallest ones, and the number of phases that they take still fits an int.
const MaxTimes = 1 << 40

// Float64 computes C = op(A)·op(B) the given number of times, at most MaxTimes, one
// product after the other, and overwrites c. If the context ends, it returns early with
// the context's error and c is undefined; any other error is about the number of times,
// the shape or a closed pool, and leaves c untouched. c must not overlap a or b.
//
// The repetition is here, and not around the call, because waking the threads takes
// as long as a small product.
func (p *Pool) Float64(ctx context.Context, times int, g Problem, a, b, c []float64) error {
	return multiply(ctx, p, &p.set.float64s, times, g, a, b, c)
}

// Float32 is Float64 for float32.
func (p *Pool) Float32(ctx context.Context, times int, g Problem, a, b, c []float32) error {
	return multiply(ctx, p, &p.set.float32s, times, g, a, b, c)
}

// Float16 is Float64 for bit patterns of IEEE half-precision numbers. They are
// multiplied and summed in float32; each element of C is rounded once, to nearest,
// ties to even.
func (p *Pool) Float16(ctx context.Context, times int, g Problem, a, b, c []uint16) error {
	return multiply(ctx, p, &p.set.float16s, times, g, a, b, c)
}

// BFloat16 is Float16 for bit patterns of bfloat16 numbers.
func (p *Pool) BFloat16(ctx context.Context, times int, g Problem, a, b, c []uint16) error {
	return multiply(ctx, p, &p.set.bfloat16s, times, g, a, b, c)
}

// Int8 is Float64 for int8 operands. Their products are summed in int32, which
// wraps around on overflow; a sum of fewer than 2¹⁷ products never overflows.
func (p *Pool) Int8(ctx context.Context, times int, g Problem, a, b []int8, c []int32) error {
	return multiply(ctx, p, &p.set.int8s, times, g, a, b, c)
}

// multiply computes products of matrices with elements of type T in memory; U is
// the type of C's elements.
func multiply[T, U any](ctx context.Context, p *Pool, k *kernel, times int, g Problem, a, b []T, c []U) error {
	if times < 1 || times > MaxTimes {
		return fmt.Errorf("gemm: %d products: must be between 1 and %d", times, MaxTimes)
	}
	g, err := g.check(len(a), len(b), len(c))
	if err != nil {
		return err
	}
	return p.multiply(ctx, k, product{
		m: g.M, n: g.N, depth: g.K, transA: g.TransA, transB: g.TransB,
		a: unsafe.Pointer(unsafe.SliceData(a)), lda: g.LDA * k.elem,
		b: unsafe.Pointer(unsafe.SliceData(b)), ldb: g.LDB * k.elem,
		c: unsafe.Pointer(unsafe.SliceData(c)), ldc: g.LDC * k.out,
	}, times)
}
