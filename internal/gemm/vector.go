package gemm

import "unsafe"

// A matrix-vector product reads each element of the matrix once and reuses nothing,
// so all that matters is the order of the reads. It is computed as dot products of
// the matrix's rows with the vector, or as a sum of the rows times the vector's
// elements.

// A vectorProduct is y = M·x or y = x·M. M is rows×cols in memory, whether it is A
// or B, transposed or not. Strides are in bytes.
type vectorProduct struct {
	m, x, y          unsafe.Pointer
	rows, cols       int
	ld               int
	strideX, strideY int
	dots             bool // y has one element per row of M rather than one per column
}

// asVector returns the product as a vectorProduct if one operand is a vector.
func (d *driver) asVector() (v vectorProduct, ok bool) {
	if d.dot4 == nil || d.widenA != nil || d.group > 1 {
		return v, false
	}
	switch {
	case d.n == 1: // C is a column and A the matrix
		v = vectorProduct{m: d.a, rows: d.m, cols: d.depth, ld: d.lda, dots: !d.transA,
			x: d.b, strideX: d.ldb, y: d.c, strideY: d.ldc}
		if d.transA {
			v.rows, v.cols = v.cols, v.rows
		}
		if d.transB {
			v.strideX = d.elem
		}
	case d.m == 1: // C is a row and B the matrix
		v = vectorProduct{m: d.b, rows: d.depth, cols: d.n, ld: d.ldb, dots: d.transB,
			x: d.a, strideX: d.elem, y: d.c, strideY: d.out}
		if d.transB {
			v.rows, v.cols = v.cols, v.rows
		}
		if d.transA {
			v.strideX = d.lda
		}
	default:
		return v, false
	}
	return v, true
}

// columnsAtOnce is how many bytes of y stay in the first-level cache while rows are
// added to them.
const columnsAtOnce = 16 << 10

// gathers reports whether x must first be copied, because its elements are apart.
func (d *driver) gathers() bool { return d.vector.strideX != d.elem }

// gatherVector copies x.
func (d *driver) gatherVector() {
	gather(d.sums.grow(0), d.elem, d.vector.x, d.vector.strideX, d.depth, d.elem)
}

// vectorAtOnce returns how many elements of y a share has, of all.
func (d *driver) vectorAtOnce() (each, all int) {
	v := &d.vector
	if v.dots {
		return d.rowsAtOnce, v.rows
	}
	return min(columnsAtOnce/d.elem, up((v.cols+d.threads-1)/d.threads, 64)), v.cols
}

// vectorShares returns the number of shares of y.
func (d *driver) vectorShares() int {
	each, all := d.vectorAtOnce()
	return (all + each - 1) / each
}

// vectorShare computes a share of y.
func (d *driver) vectorShare(w *scratch, share int) {
	x := d.vector.x
	if d.gathers() {
		x = d.sums.grow(0)
	}
	each, all := d.vectorAtOnce()
	from := share * each
	if some := min(each, all-from); d.vector.dots {
		d.dotRows(w, x, from, some)
	} else {
		d.addRows(w, x, from, some)
	}
}

// dotRows computes a range of y's elements, each from one row.
func (d *driver) dotRows(w *scratch, x unsafe.Pointer, from, rows int) {
	v := &d.vector
	out := unsafe.Pointer(&w.tile.edge)
	for i := from; i < from+rows; {
		some, ld := min(4, from+rows-i), v.ld
		if some < 4 { // pass the same row four times
			some, ld = 1, 0
		}
		d.dot4(out, unsafe.Add(v.m, i*v.ld), ld, x, v.cols)
		gather(unsafe.Add(v.y, i*v.strideY), v.strideY, out, d.word, some, d.word)
		i += some
	}
}

// addRows computes a range of y's elements, each from one column.
func (d *driver) addRows(w *scratch, x unsafe.Pointer, from, cols int) {
	v := &d.vector
	y := unsafe.Add(v.y, from*v.strideY)
	if v.strideY != d.word {
		y = w.b.grow(0)
	}
	atOnce := max(4, d.near/2/(cols*d.elem)&^3)
	for p, fetched := 0, 0; p < v.rows; {
		some, add := 4, d.axpy4
		if v.rows-p < 4 {
			some, add = 1, d.axpy1
		}
		if p >= fetched {
			fetched = min(p+atOnce, v.rows)
			d.fetch(w, unsafe.Add(v.m, p*v.ld+from*d.elem), v.ld, fetched-p, cols*d.elem, v.rows*v.cols*d.elem)
		}
		add(y, unsafe.Add(x, p*d.elem), unsafe.Add(v.m, p*v.ld+from*d.elem), v.ld, cols, p > 0)
		p += some
	}
	if v.strideY != d.word {
		gather(unsafe.Add(v.y, from*v.strideY), v.strideY, y, d.word, cols, d.word)
	}
}

// gather copies n elements of size bytes, 4 or 8, from one stride to another.
func gather(dst unsafe.Pointer, to int, src unsafe.Pointer, stride, n, size int) {
	if size == 8 {
		for i := range n {
			*(*uint64)(unsafe.Add(dst, i*to)) = *(*uint64)(unsafe.Add(src, i*stride))
		}
		return
	}
	for i := range n {
		*(*uint32)(unsafe.Add(dst, i*to)) = *(*uint32)(unsafe.Add(src, i*stride))
	}
}
