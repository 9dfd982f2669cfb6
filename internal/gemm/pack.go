package gemm

import "unsafe"

// A buffer is memory that a driver keeps from product to product. It begins with
// a cache line.
type buffer []byte

// grow makes room for n bytes and returns where they are.
func (b *buffer) grow(n int) unsafe.Pointer {
	if cap(*b) < n+64 {
		*b = make([]byte, n+64)
	}
	start := unsafe.Pointer(unsafe.SliceData(*b))
	return unsafe.Add(start, -int(uintptr(start))&63)
}

// fetch brings rows of so many bytes, of a matrix of all bytes, into the
// second-level cache, if they fit there and the matrix does not, and says whether
// it did. It reads a number of every line: no read waits for another, so that they
// come as fast as memory can bring them, while a kernel jumps from row to row
// faster than the CPU can guess. Prefetching would not do: CPUs drop what they have
// no time for.
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

// A packFunc copies k rows of B, stride bytes apart, cols elements of each, to a
// panel with so many lanes in a row. Lanes that no column is left for become
// zeros: what lay there before, such as subnormal numbers, might slow a kernel
// down. With groups of rows the last group is filled up with zeros as well.
type packFunc func(dst, src unsafe.Pointer, stride, k, cols, lanes int)

// copyRowsOf copies rows of so many bytes from one stride to another, fetching
// what comes so many rows later.
func (k *kernel) copyRowsOf(dst, src unsafe.Pointer, ld, stride, rows, bytes, later int) {
	done := 0
	if k.copyRows != nil && bytes >= 32 {
		done = bytes &^ 31
		k.copyRows(dst, src, ld, stride, rows, done, later*stride)
	}
	if done == bytes {
		return
	}
	for i := range rows { // no running pointers: they would end up beyond the matrix
		copy(unsafe.Slice((*byte)(unsafe.Add(dst, i*ld+done)), bytes-done), unsafe.Slice((*byte)(unsafe.Add(src, i*stride+done)), bytes-done))
	}
}

// packPlain is a packFunc for rows of elements that are words already.
func (k *kernel) packPlain(dst, src unsafe.Pointer, stride, rows, cols, lanes int) {
	row, used := lanes*k.word, cols*k.word
	if used < row {
		clear(unsafe.Slice((*byte)(dst), rows*row))
	}
	k.copyRowsOf(dst, src, row, stride, rows, used, 8)
}

// words copies n elements of one row of A, or of B transposed, as a kernel reads
// them, and fills up the last group with zeros.
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

// elements returns how many elements of a row the k steps from p on take: the
// last step may be short of some.
func (d *driver) elements(p, k int) int { return min(k*d.group, d.depth-p*d.group) }

// packA copies rows of op(A) from row on, k steps from p on, to dst with stride
// ld. A is not transposed unless it was before: kernels take any row stride.
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

// packB packs the panel of B, k steps from p on, that begins with column col and
// has cols columns in so many lanes.
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

// transposed is how many rows are transposed at a time: few enough that lines of
// all of them, a power of two apart, find room in the first-level cache.
const transposed = 8

// transpose writes rows of n elements, stride apart, as columns of words: word i
// of row r goes to dst + i*ld + r*word.
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

// transposeElements writes n rows of so many elements, stride apart, as columns:
// element r of row i goes to dst + r*ld + i*size.
func transposeElements[E uint8 | uint16](dst unsafe.Pointer, ld int, src unsafe.Pointer, stride, n, elements int) {
	size := int(unsafe.Sizeof(E(0)))
	for i := range n {
		to := unsafe.Add(dst, i*size)
		for r, x := range unsafe.Slice((*E)(unsafe.Add(src, i*stride)), elements) {
			*(*E)(unsafe.Add(to, r*ld)) = x
		}
	}
}

// interleaveLast makes words of the rows that do not fill up a group, zeros for
// those that are missing.
func interleaveLast[E uint8 | uint16](dst, src unsafe.Pointer, stride, k, group, cols, lanes int) {
	first := k / group * group
	if first == k {
		return
	}
	dst = unsafe.Add(dst, k/group*lanes*4)
	clear(unsafe.Slice((*uint32)(dst), lanes))
	transposeElements[E](dst, 4, unsafe.Add(src, first*stride), stride, k-first, cols)
}
