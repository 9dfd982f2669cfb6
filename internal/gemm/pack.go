package gemm

import "unsafe"

// A buffer is memory that a driver keeps from one product to the next. It is
// aligned to a cache line.
type buffer []byte

// grow makes room for n bytes and returns their address.
func (b *buffer) grow(n int) unsafe.Pointer {
	if cap(*b) < n+64 {
		*b = make([]byte, n+64)
	}
	start := unsafe.Pointer(unsafe.SliceData(*b))
	return unsafe.Add(start, -int(uintptr(start))&63)
}

// fetch loads rows of a matrix into the second-level cache, bytes of each, and
// reports whether it did: only if they fit there and the whole matrix, of size all,
// does not. It reads one byte of every cache line. The reads do not depend on each
// other, so they arrive as fast as memory delivers, whereas a kernel jumps from row
// to row in a pattern that the hardware prefetcher cannot follow. Prefetch
// instructions do not help: CPUs drop them when they are busy.
func (d *driver) fetch(w *scratch, src unsafe.Pointer, stride, rows, bytes, all int) bool {
	if all <= d.far || rows*bytes > d.near {
		return false
	}
	var sum byte
	for i := range rows {
		row := unsafe.Add(src, i*stride)
		j := 0
		for ; j+256 <= bytes; j += 256 {
			sum += *(*byte)(unsafe.Add(row, j)) | *(*byte)(unsafe.Add(row, j+64)) | *(*byte)(unsafe.Add(row, j+128)) | *(*byte)(unsafe.Add(row, j+192))
		}
		for ; j < bytes; j += 64 {
			sum += *(*byte)(unsafe.Add(row, j))
		}
		sum += *(*byte)(unsafe.Add(row, bytes-1))
	}
	w.seen = sum
	return true
}

// A packFunc copies k rows of B, stride bytes apart and cols elements long, to a
// panel whose rows have the given number of lanes. Lanes without a column are set
// to zero: stale data, such as subnormal numbers, could slow a kernel down. Where
// rows are grouped, the last group is padded with zeros as well.
type packFunc func(dst, src unsafe.Pointer, stride, k, cols, lanes int)

// copyRowsOf copies rows of the given number of bytes from one stride to another,
// prefetching the row that lies later rows ahead.
func (k *kernel) copyRowsOf(dst, src unsafe.Pointer, ld, stride, rows, bytes, later int) {
	done := 0
	if k.copyRows != nil && bytes >= 32 {
		done = bytes &^ 31
		k.copyRows(dst, src, ld, stride, rows, done, later*stride)
	}
	if done == bytes {
		return
	}
	for i := range rows { // no running pointers: they would end up past the end of the matrix
		copy(unsafe.Slice((*byte)(unsafe.Add(dst, i*ld+done)), bytes-done), unsafe.Slice((*byte)(unsafe.Add(src, i*stride+done)), bytes-done))
	}
}

// packPlain is a packFunc for elements that are words already.
func (k *kernel) packPlain(dst, src unsafe.Pointer, stride, rows, cols, lanes int) {
	row, used := lanes*k.word, cols*k.word
	if used < row {
		clear(unsafe.Slice((*byte)(dst), rows*row))
	}
	k.copyRowsOf(dst, src, row, stride, rows, used, 8)
}

// words copies n elements of a row of A, or of a row of B transposed, in the form
// that a kernel reads, and pads the last group with zeros.
func (d *driver) words(dst, src unsafe.Pointer, n int, widen func(dst, src unsafe.Pointer, n int)) {
	if widen != nil {
		widen(dst, src, n)
		return
	}
	used := n * d.elem
	to := unsafe.Slice((*byte)(dst), (n+d.group-1)/d.group*d.word)
	copy(to, unsafe.Slice((*byte)(src), used))
	clear(to[used:])
}

// elements returns how many elements of a row the k steps from step p cover: the
// last step may be incomplete.
func (d *driver) elements(p, k int) int { return min(k*d.group, d.depth-p*d.group) }

// packA copies rows of op(A), from the given row and k steps from step p, to dst
// with stride ld. It transposes A only where the caller's A is transposed: kernels
// accept any stride between rows.
func (d *driver) packA(w *scratch, dst unsafe.Pointer, ld, row, rows, p, k int) {
	n := d.elements(p, k)
	first := p * d.group
	switch {
	case !d.transA && d.widenA == nil && n == k*d.group:
		d.copyRowsOf(dst, unsafe.Add(d.a, row*d.lda+first*d.elem), ld, d.lda, rows, k*d.word, 2)
	case !d.transA:
		for i := range rows {
			d.words(unsafe.Add(dst, i*ld), unsafe.Add(d.a, (row+i)*d.lda+first*d.elem), n, d.widenA)
		}
	case d.group > 1:
		line := w.lines.grow(transposed * k * d.word)
		for i := 0; i < rows; i += transposed {
			some := min(transposed, rows-i)
			src := unsafe.Add(d.a, first*d.lda+(row+i)*d.elem)
			if d.elem == 1 {
				transposeElements[uint8](line, k*d.word, src, d.lda, n, some)
			} else {
				transposeElements[uint16](line, k*d.word, src, d.lda, n, some)
			}
			for r := range some {
				d.words(unsafe.Add(dst, (i+r)*ld), unsafe.Add(line, r*k*d.word), n, d.widenA)
			}
		}
	default:
		for from := 0; from < k; from += transposed {
			d.transpose(w, unsafe.Add(dst, from*d.word), ld, unsafe.Add(d.a, (first+from)*d.lda+row*d.elem), d.lda, min(transposed, k-from), rows, d.widenA)
		}
	}
	if d.whole {
		for i := rows; i%d.mostRows(d.vecs) != 0; i++ {
			clear(unsafe.Slice((*byte)(unsafe.Add(dst, i*ld)), k*d.word))
		}
	}
}

// packB packs a panel of B: k steps from step p, and cols columns from column col
// in the given number of lanes.
func (d *driver) packB(w *scratch, dst unsafe.Pointer, p, k, col, cols, lanes int) {
	n := d.elements(p, k)
	first := p * d.group
	if d.transB {
		row := lanes * d.word
		if cols < lanes {
			clear(unsafe.Slice((*byte)(dst), k*row))
		}
		for from := 0; from < cols; from += transposed {
			d.transpose(w, unsafe.Add(dst, from*d.word), row, unsafe.Add(d.b, (col+from)*d.ldb+first*d.elem), d.ldb, min(transposed, cols-from), n, d.widenB)
		}
		return
	}
	src := unsafe.Add(d.b, first*d.ldb+col*d.elem)
	switch {
	case d.interleave != nil:
		d.interleave(dst, src, d.ldb, n, cols, lanes)
	case d.widenB != nil:
		row := lanes * d.word
		for i := range k {
			to := unsafe.Add(dst, i*row)
			d.widenB(to, unsafe.Add(src, i*d.ldb), cols)
			clear(unsafe.Slice((*byte)(unsafe.Add(to, cols*d.word)), row-cols*d.word))
		}
	default:
		d.packPlain(dst, src, d.ldb, k, cols, lanes)
	}
}

// transposed is how many rows are transposed at a time: few enough for a line of
// each to stay in the first-level cache when the rows are a power of two apart.
const transposed = 8

// transpose writes rows of n elements, stride apart, as columns of words: word i of
// row r goes to dst + i*ld + r*word.
func (d *driver) transpose(w *scratch, dst unsafe.Pointer, ld int, src unsafe.Pointer, stride, rows, n int, widen func(dst, src unsafe.Pointer, n int)) {
	words := (n + d.group - 1) / d.group
	if widen != nil || n%d.group != 0 {
		line := w.lines.grow(transposed * words * d.word)
		for r := range rows {
			d.words(unsafe.Add(line, r*words*d.word), unsafe.Add(src, r*stride), n, widen)
		}
		src, stride = line, words*d.word
	}
	if d.word == 8 {
		transposeWords[uint64](dst, ld, src, stride, rows, words)
	} else {
		transposeWords[uint32](dst, ld, src, stride, rows, words)
	}
}

func transposeWords[W uint32 | uint64](dst unsafe.Pointer, ld int, src unsafe.Pointer, stride, rows, n int) {
	size := int(unsafe.Sizeof(W(0)))
	if rows < transposed {
		for r := range rows {
			for i, x := range unsafe.Slice((*W)(unsafe.Add(src, r*stride)), n) {
				*(*W)(unsafe.Add(dst, i*ld+r*size)) = x
			}
		}
		return
	}
	var from [transposed][]W
	for r := range from {
		from[r] = unsafe.Slice((*W)(unsafe.Add(src, r*stride)), n)
	}
	r0, r1, r2, r3, r4, r5, r6, r7 := from[0], from[1][:n], from[2][:n], from[3][:n], from[4][:n], from[5][:n], from[6][:n], from[7][:n]
	for i := range r0 {
		*(*[transposed]W)(unsafe.Add(dst, i*ld)) = [transposed]W{r0[i], r1[i], r2[i], r3[i], r4[i], r5[i], r6[i], r7[i]}
	}
}

// transposeElements writes n rows of the given number of elements, stride apart, as
// columns: element r of row i goes to dst + r*ld + i*size.
func transposeElements[E uint8 | uint16](dst unsafe.Pointer, ld int, src unsafe.Pointer, stride, n, elements int) {
	size := int(unsafe.Sizeof(E(0)))
	for i := range n {
		to := unsafe.Add(dst, i*size)
		for r, x := range unsafe.Slice((*E)(unsafe.Add(src, i*stride)), elements) {
			*(*E)(unsafe.Add(to, r*ld)) = x
		}
	}
}

// interleaveLast packs the last rows, which do not fill a group, and pads it with
// zeros.
func interleaveLast[E uint8 | uint16](dst, src unsafe.Pointer, stride, k, group, cols, lanes int) {
	first := k / group * group
	if first == k {
		return
	}
	dst = unsafe.Add(dst, k/group*lanes*4)
	clear(unsafe.Slice((*uint32)(dst), lanes))
	transposeElements[E](dst, 4, unsafe.Add(src, first*stride), stride, k-first, cols)
}
