// Package gemm multiplies matrices on the CPU, in Go and Go assembly: row-major
// C = op(A)·op(B) for float64, float32, float16 and bfloat16, on all the CPUs
// that the process may use.
//
// It follows BLIS: five loops around a micro-kernel (driver.go), operands packed
// so that the kernel reads them in the order it wants (pack.go), the constants
// of each instruction set in one table (isa_*.go). The micro-kernels are in
// assembly; on other processors, and with the build tag noasm, one in Go serves.
//
// Nothing depends on the data: zeros are multiplied like any number, NaN and
// infinities spread as IEEE 754 demands. Every element is summed in the same
// order however many threads there are, so the same product has the same bits.
//
// The package knows nothing of gpuplay; engine/gocpu makes an engine of it.
package gemm

import (
	"cmp"
	"context"
	"fmt"
	"math/bits"
)

// A Problem is the shape of a product. C is M×N and row-major, as are A and B:
// A is M×K in memory, or K×M when TransA is set; B is K×N, or N×K with TransB.
type Problem struct {
	M, N, K        int
	TransA, TransB bool
	// LDA, LDB and LDC are the elements from one row in memory to the next.
	// 0 stands for rows without a gap.
	LDA, LDB, LDC int
}

// check compares the shape with the slices' lengths and returns it with its
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

// checkStride returns the stride of a matrix, cols if it is 0.
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

// Float64 computes C = op(A)·op(B) so many times, one product after the other,
// and overwrites c. It returns early with the context's error when that ends,
// and then c is undefined; any other error is about the shape or a closed pool,
// and then c is untouched. c must not overlap a or b.
//
// The repetition is here, and not around the call, because waking the threads
// takes as long as a small product.
func (p *Pool) Float64(ctx context.Context, times int, g Problem, a, b, c []float64) error {
	return multiply(ctx, p, &p.float64s, times, g, operand[float64]{wide: a}, operand[float64]{wide: b}, result[float64]{wide: c})
}

// Float32 is Float64 for float32.
func (p *Pool) Float32(ctx context.Context, times int, g Problem, a, b, c []float32) error {
	return multiply(ctx, p, &p.float32s, times, g, operand[float32]{wide: a}, operand[float32]{wide: b}, result[float32]{wide: c})
}

// Float16 is Float64 for the bit patterns of IEEE half-precision numbers. They
// are multiplied and summed in float32; each element of C is rounded once, to
// nearest, ties to even.
func (p *Pool) Float16(ctx context.Context, times int, g Problem, a, b, c []uint16) error {
	return p.half(ctx, times, g, &p.set.float16, a, b, c)
}

// BFloat16 is Float16 for the bit patterns of bfloat16 numbers.
func (p *Pool) BFloat16(ctx context.Context, times int, g Problem, a, b, c []uint16) error {
	return p.half(ctx, times, g, &p.set.bfloat16, a, b, c)
}

func (p *Pool) half(ctx context.Context, times int, g Problem, conv *converter, a, b, c []uint16) error {
	return multiply(ctx, p, &p.float32s, times, g,
		operand[float32]{half: a, widen: conv.widen}, operand[float32]{half: b, widen: conv.widen}, result[float32]{half: c, narrow: conv.narrow})
}

func multiply[T number](ctx context.Context, p *Pool, d *driver[T], times int, g Problem, a, b operand[T], c result[T]) error {
	if times < 1 {
		return fmt.Errorf("gemm: %d products: it must be at least 1", times)
	}
	g, err := g.check(a.len(), b.len(), c.len())
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	d.prepare(g, times, a, b, c)
	p.team.reset(ctx)
	p.run(d)
	d.release()
	if p.team.stop {
		return ctx.Err()
	}
	return nil
}
