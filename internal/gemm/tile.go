package gemm

import "unsafe"

// A tile holds the arguments of a micro-kernel: a tile of C and where the next ones
// are. It is passed by pointer because a dozen arguments on the stack cost
// more than the smallest tiles take. All strides are in bytes; assembly reads the
// fields by their names in go_asm.h.
//
// The pointers always lie within their matrices, so that the garbage collector may
// inspect them at any time. The running addresses of a kernel end up past the end;
// for that reason they are not pointers.
type tile struct {
	a, b, c unsafe.Pointer
	rowA    int // from one row of A to the next
	stepA   int // from one step of k to the next in a row of A
	rowB    int // from one step of k to the next in B
	rowC    int
	k       int // steps, at least one
	rows    int // rows of a tile
	last    int // columns in use in the last vector of a row
	add     int // 1: C += A·B, 0: C = A·B

	// There are count tiles, at least one; kernels count it down. From one tile to
	// the next, a, b and c move by these distances: tiles lie below each other or
	// side by side.
	count               int
	moveA, moveB, moveC int

	// Address in the next panel of B to prefetch from, a piece at a time, and the
	// distance from one piece to the next.
	nextB   uintptr
	nextRow int

	//lint:ignore U1000 assembly uses them
	nowA, nowB, nowC, soon uintptr // running addresses of the kernel
	//lint:ignore U1000 for wholeTiles, and AMX's configuration
	edge [128]float64
}

// A tileFunc computes count tiles of C, each with t.rows rows and a fixed number of
// columns. For one tile, with indices in elements:
//
//	for i := range rows {
//		for j := range columns {
//			sum := 0
//			for p := range k {
//				sum += a[i*rowA+p*stepA] * b[p*rowB+j]
//			}
//			if add {
//				sum += c[i*rowC+j]
//			}
//			c[i*rowC+j] = sum
//		}
//	}
//
// Where a step of k is a pair or a quad of elements, the product of two words is
// the sum of the products of their elements.
//
// The rows of A may lie anywhere: a kernel broadcasts one element of a row at a
// time, so it can read A in place, even transposed. The columns are full vectors
// except for the last one, of which t.last columns are written. Full vectors of B
// are read, unless the kernel has masks set.
type tileFunc func(t *tile)

// portableTile is the micro-kernel in Go, for up to 4×4 elements. It takes two rows
// at a time, because the sums of four rows do not fit into the registers of every
// processor.
func portableTile[T number](t *tile) {
	size := int(unsafe.Sizeof(T(0)))
	a, b, c := t.a, t.b, t.c
	for {
		for i := 0; i < t.rows; i += 2 {
			out := unsafe.Add(c, i*t.rowC)
			if i+2 <= t.rows && t.last == portableLanes {
				portablePair[T](t, unsafe.Add(a, i*t.rowA), b, out)
				continue
			}
			for r := range min(2, t.rows-i) {
				for j := range t.last {
					var sum T
					for p := range t.k {
						sum += *(*T)(unsafe.Add(a, (i+r)*t.rowA+p*t.stepA)) * *(*T)(unsafe.Add(b, p*t.rowB+j*size))
					}
					to := (*T)(unsafe.Add(out, r*t.rowC+j*size))
					if t.add != 0 {
						sum += *to
					}
					*to = sum
				}
			}
		}
		if t.count--; t.count == 0 {
			return
		}
		a, b, c = unsafe.Add(a, t.moveA), unsafe.Add(b, t.moveB), unsafe.Add(c, t.moveC)
	}
}

const portableLanes = 4

// portablePair computes two rows of four columns for portableTile.
func portablePair[T number](t *tile, a, b, c unsafe.Pointer) {
	var s00, s01, s02, s03, s10, s11, s12, s13 T
	for p := range t.k {
		row := (*[portableLanes]T)(unsafe.Add(b, p*t.rowB))
		x, y := *(*T)(unsafe.Add(a, p*t.stepA)), *(*T)(unsafe.Add(a, p*t.stepA+t.rowA))
		s00 += x * row[0]
		s01 += x * row[1]
		s02 += x * row[2]
		s03 += x * row[3]
		s10 += y * row[0]
		s11 += y * row[1]
		s12 += y * row[2]
		s13 += y * row[3]
	}
	upper, lower := (*[portableLanes]T)(c), (*[portableLanes]T)(unsafe.Add(c, t.rowC))
	if t.add != 0 {
		s00, s01, s02, s03 = s00+upper[0], s01+upper[1], s02+upper[2], s03+upper[3]
		s10, s11, s12, s13 = s10+lower[0], s11+lower[1], s12+lower[2], s13+lower[3]
	}
	*upper, *lower = [portableLanes]T{s00, s01, s02, s03}, [portableLanes]T{s10, s11, s12, s13}
}
