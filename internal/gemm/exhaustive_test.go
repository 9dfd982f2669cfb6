package gemm

import (
	"context"
	"math"
	"testing"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
)

// most is the largest m, n and k up to which all shapes are tested. It is beyond
// the edges of most kernels' tiles and vectors.
const most = 33

// A small holds the operands of all small products and the expected sums. A product
// multiplies the first m rows and k columns of one matrix by the first k rows and n
// columns of the other; element i, j of its result depends on k alone. All numbers
// are integers.
type small struct {
	a, b [most][most]float64
	sums [most + 1][most][most]float64 // indexed by k
}

func newSmall() *small {
	s := new(small)
	a, b := wholes(most*most, 1), wholes(most*most, 2)
	for i := range most {
		copy(s.a[i][:], a[i*most:])
		copy(s.b[i][:], b[i*most:])
	}
	for k := range most {
		for i := range most {
			for j := range most {
				s.sums[k+1][i][j] = s.sums[k][i][j] + s.a[i][k]*s.b[k][j]
			}
		}
	}
	return s
}

// A storing says how one element type is stored.
type storing[S, R comparable] struct {
	to       func(float64) S
	result   func(float64) R // rounded once
	around   S               // fill value around A and B: NaN, or a number that would show up in sums
	stale    R               // the previous content of C
	sentinel R               // fill value around C
	product  func(p *Pool, g Problem, a, b []S, c []R) error
}

// TestSmallShapes compares every product up to 33×33×33 with the reference: plain,
// and with a combination of transposes, gaps between rows and small blocks that
// varies with the shape.
func TestSmallShapes(t *testing.T) {
	s := newSmall()
	ctx := context.Background()
	float := func(x float64) float32 { return float32(x) }
	nan32, nan64 := float32(math.NaN()), math.NaN()
	eachISA(t, func(t *testing.T, isa ISA) {
		t.Run("float64", func(t *testing.T) {
			smallShapes(t, isa, s, storing[float64, float64]{same, same, nan64, nan64, -77, func(p *Pool, g Problem, a, b, c []float64) error { return p.Float64(ctx, 1, g, a, b, c) }})
		})
		t.Run("float32", func(t *testing.T) {
			smallShapes(t, isa, s, storing[float32, float32]{float, float, nan32, nan32, -77, func(p *Pool, g Problem, a, b, c []float32) error { return p.Float32(ctx, 1, g, a, b, c) }})
		})
		t.Run("float16", func(t *testing.T) {
			smallShapes(t, isa, s, storing[uint16, uint16]{toFloat16, toFloat16, 0x7e01, 0x7e01, 0xabcd, func(p *Pool, g Problem, a, b, c []uint16) error { return p.Float16(ctx, 1, g, a, b, c) }})
		})
		t.Run("bfloat16", func(t *testing.T) {
			smallShapes(t, isa, s, storing[uint16, uint16]{toBFloat16, toBFloat16, 0x7fc1, 0x7fc1, 0xabcd, func(p *Pool, g Problem, a, b, c []uint16) error { return p.BFloat16(ctx, 1, g, a, b, c) }})
		})
		t.Run("int8", func(t *testing.T) {
			smallShapes(t, isa, s, storing[int8, int32]{
				func(x float64) int8 { return int8(x) }, func(x float64) int32 { return int32(x) }, 117, 0x7654321, -0x12345678,
				func(p *Pool, g Problem, a, b []int8, c []int32) error { return p.Int8(ctx, 1, g, a, b, c) }})
		})
	})
}

func smallShapes[S, R comparable](t *testing.T, isa ISA, s *small, st storing[S, R]) {
	smallShapesOf(t, newPool(t, isa, 1, false), newPool(t, isa, 1, true), s, st, everyFew())
}

// everyFew returns 1 where all of the small shapes are tested, and elsewhere how many there
// are for each that is.
func everyFew() int {
	switch {
	case testing.Short():
		return 29
	case enginetest.AllCases():
		return 1
	}
	return 5
}

// smallShapesOf computes the plain products on one pool and the others on another, of one
// shape in a few.
func smallShapesOf[S, R comparable](t *testing.T, plain, blocks *Pool, s *small, st storing[S, R], few int) {
	var a, b [most][most]S
	for i := range most {
		for j := range most {
			a[i][j], b[i][j] = st.to(s.a[i][j]), st.to(s.b[i][j])
		}
	}
	var want [most][most]R
	memory := buffers[S, R]{}
	for k := 1; k <= most; k++ {
		for i := range most {
			for j := range most {
				want[i][j] = st.result(s.sums[k][i][j])
			}
		}
		for m := 1; m <= most; m++ {
			for n := 1; n <= most; n++ {
				if (m+7*n+11*k)%few != 0 {
					continue
				}
				g := Problem{M: m, N: n, K: k}
				if !memory.right(t, plain, g, st, &a, &b, &want) {
					return
				}
				choice := m + 5*n + 3*k
				if choice%3 == 0 {
					continue
				}
				g.TransA, g.TransB = choice&1 != 0, choice&2 != 0
				g.LDA, g.LDB, g.LDC = max(m, k)+choice%3, max(k, n)+choice%4, n+choice%5
				if !memory.right(t, blocks, g, st, &a, &b, &want) {
					return
				}
			}
		}
	}
}

// buffers is memory for the operands and the result, reused for all products.
type buffers[S, R comparable] struct {
	a, b []S
	c    []R
}

// right computes a product between guards and reports whether the result is right
// and the guards are intact.
func (m *buffers[S, R]) right(t *testing.T, p *Pool, g Problem, st storing[S, R], a, b *[most][most]S, want *[most][most]R) bool {
	var viewA, viewB []S
	m.a, viewA = place(m.a, g.M, g.K, g.LDA, g.TransA, st.around, func(i, j int) S { return a[i][j] })
	m.b, viewB = place(m.b, g.K, g.N, g.LDB, g.TransB, st.around, func(i, j int) S { return b[i][j] })
	var c []R
	m.c, c = place(m.c, g.M, g.N, g.LDC, false, st.sentinel, func(int, int) R { return st.stale })
	if err := st.product(p, g, viewA, viewB, c); err != nil {
		t.Errorf("%+v: %v", g, err)
		return false
	}
	stride := max(g.LDC, g.N)
	for i := range g.M {
		row := c[i*stride:][:g.N]
		for j, x := range row {
			if x != want[i][j] {
				t.Errorf("%d threads, %+v: C[%d,%d] is %v, not %v", p.Threads(), g, i, j, x, want[i][j])
				return false
			}
			row[j] = st.sentinel
		}
	}
	for i, x := range m.c {
		if x != st.sentinel {
			t.Errorf("%d threads, %+v: element %d outside of C was overwritten with %v", p.Threads(), g, i-guard, x)
			return false
		}
	}
	return true
}

// place stores a matrix, transposed or not, with guards around it and in the gaps
// between its rows. It returns the whole buffer, enlarged if necessary, and the
// part with the matrix.
func place[T any](buf []T, rows, cols, stride int, trans bool, around T, at func(i, j int) T) (all, view []T) {
	if trans {
		rows, cols = cols, rows
	}
	stride = max(stride, cols)
	size := (rows-1)*stride + cols
	if cap(buf) < guard+size+guard {
		buf = make([]T, guard+most*(most+8)+guard)
	}
	all = buf[:guard+size+guard]
	for i := range all {
		all[i] = around
	}
	view = all[guard:][:size]
	for i := range rows {
		for j := range cols {
			if trans {
				view[i*stride+j] = at(j, i)
			} else {
				view[i*stride+j] = at(i, j)
			}
		}
	}
	return all, view
}
