package gemm

import "unsafe"

// An operand is A or B: a matrix of T, or of a 16-bit type that packing widens.
type operand[T number] struct {
	wide   []T
	half   []uint16 // instead of wide
	widen  func(dst []T, src []uint16)
	stride int
	trans  bool
}

func (o *operand[T]) len() int { return max(len(o.wide), len(o.half)) }

// read copies len(dst) elements from index at on.
func (o *operand[T]) read(dst []T, at int) {
	if o.half != nil {
		o.widen(dst, o.half[at:at+len(dst)])
		return
	}
	copy(dst, o.wide[at:at+len(dst)])
}

// A result is C: a matrix of T, or of a 16-bit type that is rounded to.
type result[T number] struct {
	wide   []T
	half   []uint16 // instead of wide
	narrow func(dst []uint16, src []T)
	stride int
}

func (r *result[T]) len() int { return max(len(r.wide), len(r.half)) }

// lineElems rounds up to whole cache lines, 64 bytes.
func lineElems[T number](n int) int {
	per := 64 / int(unsafe.Sizeof(T(0)))
	return (n + per - 1) / per * per
}

// strideA returns the elements between packed rows of A, k long: an odd number
// of cache lines, so that a tile's rows do not crowd into few sets of a cache.
func strideA[T number](k int) int {
	per := lineElems[T](1)
	return (lineElems[T](k)/per | 1) * per
}

// packA copies rows of op(A), columns p to p+k, to dst with stride ld. Rows that
// are missing from the last tile become zeros: what is left from products before,
// such as subnormal numbers, might slow the kernel down.
func (d *driver[T]) packA(own *scratch[T], dst []T, ld, row, rows, p, k int) {
	if d.a.trans {
		for from := 0; from < k; from += transposed {
			some := min(transposed, k-from)
			d.a.transpose(own, dst[from:], ld, (p+from)*d.a.stride+row, some, rows)
		}
	} else {
		for i := range rows {
			d.a.read(dst[i*ld:][:k], (row+i)*d.a.stride+p)
		}
	}
	for i := rows; i%d.mr != 0; i++ {
		clear(dst[i*ld:][:k])
	}
}

// packB copies k rows of op(B) from row p on, cols columns of them, to panels of
// nr columns, one after the other. Columns that are missing become zeros,
// for the same reason.
func (d *driver[T]) packB(own *scratch[T], panels []T, p, k, col, cols int) {
	if past := cols % d.nr; past > 0 {
		clear(panels[(cols-past)*k:][:k*d.nr])
	}
	if !d.b.trans {
		for i := range k {
			for j := 0; j < cols; j += d.nr {
				d.b.read(panels[j*k+i*d.nr:][:min(d.nr, cols-j)], (p+i)*d.b.stride+col+j)
			}
		}
		return
	}
	for j := 0; j < cols; j += d.nr {
		width := min(d.nr, cols-j)
		for from := 0; from < width; from += transposed {
			some := min(transposed, width-from)
			d.b.transpose(own, panels[j*k+from:], d.nr, (col+j+from)*d.b.stride+p, some, k)
		}
	}
}

// transposed is how many rows are transposed at a time: few enough that lines of
// all of them, a power of two apart, find room in the first-level cache.
const transposed = 8

// transpose writes the given rows of n elements, the first at index at, as the
// columns of dst: dst[i*ld+r] is row r's element i.
func (o *operand[T]) transpose(own *scratch[T], dst []T, ld, at, rows, n int) {
	var from [transposed][]T
	for r := range rows {
		start := at + r*o.stride
		if o.half == nil {
			from[r] = o.wide[start : start+n]
			continue
		}
		if len(own.lines) < transposed*n {
			own.lines = make([]T, transposed*n)
		}
		from[r] = own.lines[r*n:][:n]
		o.read(from[r], start)
	}
	if rows == transposed {
		r0, r1, r2, r3, r4, r5, r6, r7 := from[0], from[1][:n], from[2][:n], from[3][:n], from[4][:n], from[5][:n], from[6][:n], from[7][:n]
		for i := range r0 {
			*(*[transposed]T)(dst[i*ld:]) = [transposed]T{r0[i], r1[i], r2[i], r3[i], r4[i], r5[i], r6[i], r7[i]}
		}
		return
	}
	for r, line := range from[:rows] {
		for i, x := range line {
			dst[i*ld+r] = x
		}
	}
}
