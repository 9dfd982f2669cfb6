package gemm

import "unsafe"

// A product is C = op(A)·op(B) in memory; strides are in bytes.
type product struct {
	m, n           int
	depth          int // k in elements
	a, b, c        unsafe.Pointer
	lda, ldb, ldc  int
	transA, transB bool
}

// A driver computes products and keeps its buffers for the next one. It is the work of
// a team: whatever is not in a thread's own scratch is written before the products, or
// in one phase by one thread alone.
type driver struct {
	*kernel
	product
	planned product // the shape that the fields below were planned for, without addresses
	times   int
	worth   float64 // number of multiplications that justify a second thread

	way     way
	threads int  // the number that takes part
	k       int  // k in steps
	packsA  bool // instead of reading it in place
	packsB  bool

	// How C and k are blocked.
	kb, nb int    // kc and nc, evened out
	spans  []span // the row ranges that threads take as their shares
	parts  int    // column ranges per span, where there are few rows to share
	// together is how many panels of B a thread packs at a time.
	together int

	vector     vectorProduct
	rowsAtOnce int

	panels [2]buffer // packed B; two that alternate, so that one barrier per block is enough
	sums   buffer    // sums that do not go straight into C: those to be rounded, or one part per thread
	own    []scratch
}

// A way is how a product is computed.
type way int

const (
	inPlace      way = iota // B is read in place
	packed                  // B is packed, by all threads together
	split                   // each thread sums a part of k
	matrixVector            // one operand is a vector
)

// A span is a range of rows: from inclusive, to exclusive.
type span struct{ from, to int }

// A scratch is memory that only one thread writes to.
type scratch struct {
	tile  tile
	a     buffer // packed rows of A
	b     buffer // packed B, where threads do not share it
	edge  buffer // a copy of B's last columns, where B is read in place
	lines buffer // elements converted to words before they are transposed
	seen  byte   // checksum of the bytes that fetch read, stored so that the reads are not optimized away
	_     [64]byte
}

// release drops the references to the caller's matrices, so that the garbage
// collector can free them.
func (d *driver) release() {
	d.product, d.vector = product{}, vectorProduct{}
	for i := range d.own {
		t := &d.own[i].tile
		t.a, t.b, t.c = nil, nil, nil
	}
}

// phases returns the number of phases of all products: see do.
func (d *driver) phases() int {
	switch d.way {
	case split:
		return 2 * d.times
	case packed:
		return d.times*d.blocks() + 1
	case matrixVector:
		if d.gathers() {
			return 2 * d.times
		}
	}
	return d.times
}

// shares returns the number of shares of a phase.
func (d *driver) shares(phase int) int {
	switch d.way {
	case split:
		return d.threads
	case packed:
		shares := 0
		if phase > 0 {
			shares = len(d.spans) * d.parts
		}
		if phase < d.times*d.blocks() {
			shares += d.packs(d.block(phase))
		}
		return shares
	case matrixVector:
		if d.gathers() && phase%2 == 0 {
			return 1
		}
		return d.vectorShares()
	}
	return len(d.spans) * d.parts
}

// do does one share of a phase. In place, a product is one phase. Where B is packed,
// it is one for each block of B, in which shares of C are computed from the block that
// the previous phase packed, and then the next block is packed, of the next product
// after the last one. A split product has one phase for the parts of k, and one for
// their sum.
func (d *driver) do(thread, phase, share int) {
	w := &d.own[thread]
	switch d.way {
	case split:
		if phase%2 == 0 {
			d.sumPart(w, share)
		} else {
			d.addParts(share)
		}
	case packed:
		if phase > 0 {
			if shares := len(d.spans) * d.parts; share >= shares {
				share -= shares
			} else {
				d.packedShare(w, d.spans[share/d.parts], share%d.parts, d.block(phase-1), d.packedAt(phase-1))
				return
			}
		}
		d.packShare(w, share, d.block(phase), d.packedAt(phase))
	case matrixVector:
		if d.gathers() && phase%2 == 0 {
			d.gatherVector()
		} else {
			d.vectorShare(w, share)
		}
	default:
		if d.threads == 1 {
			d.single(w)
			return
		}
		rows := d.spans[share/d.parts]
		from, to := d.columns(d.n, share%d.parts)
		d.rectangle(w, rows, from, to, span{0, d.k}, unsafe.Add(d.c, rows.from*d.ldc+from*d.out), d.ldc)
	}
}

// single computes a whole product in place, on one thread.
func (d *driver) single(w *scratch) {
	if d.k > d.kb || d.m > d.mc {
		d.rectangle(w, span{0, d.m}, 0, d.n, span{0, d.k}, d.c, d.ldc)
		return
	}
	d.multiply(w, span{0, d.m}, d.n, 0, d.k, panels{at: d.b, row: d.ldb}, d.c, d.ldc, false)
}

// columns returns the range of columns that make up the given part of n.
func (d *driver) columns(n, part int) (from, to int) {
	width := d.width()
	panels := (n + width - 1) / width
	return panels * part / d.parts * width, min(n, panels*(part+1)/d.parts*width)
}

// rectangle sets c, a range of rows and columns of C, to the product over a range
// of the steps of k. It shares nothing with other threads.
func (d *driver) rectangle(w *scratch, rows span, from, to int, steps span, c unsafe.Pointer, ldc int) {
	if from >= to {
		return
	}
	kb := even(steps.to-steps.from, d.deep(), d.steps)
	mb := even(rows.to-rows.from, d.mc, d.mostRows(d.vecs))
	for p := steps.from; p < steps.to; p += kb {
		k := min(kb, steps.to-p)
		var b panels
		if d.packsB {
			b = panels{at: w.b.grow(0), step: d.panel(k)}
			d.packPanels(w, b, p, k, from, to-from)
		} else {
			b = panels{at: unsafe.Add(d.b, p*d.ldb+from*d.word), row: d.ldb}
			if d.fetch(w, b.at, d.ldb, k, (to-from)*d.word, d.k*d.n*d.word) && (to-from)*d.word <= 2*fetched {
				b.next = uintptr(b.at) + uintptr(k*d.ldb)
			}
		}
		for i := rows.from; i < rows.to; i += mb {
			d.multiply(w, span{i, min(i+mb, rows.to)}, to-from, p, k, b, unsafe.Add(c, (i-rows.from)*ldc), ldc, p > steps.from)
		}
	}
}

// packPanels packs k steps of B, from step p, for cols columns from column col.
func (d *driver) packPanels(w *scratch, b panels, p, k, col, cols int) {
	width := d.width()
	for j := 0; j < cols; j += width {
		some := min(width, cols-j)
		lanes := up(some, d.lanes)
		if d.whole {
			lanes = width
		}
		panel := unsafe.Add(b.at, j/width*b.step)
		if d.start == nil {
			d.packB(w, panel, p, k, col+j, some, lanes)
			continue
		}
		d.packB(w, unsafe.Add(panel, lanes*d.word), p, k, col+j, some, lanes)
		d.start(panel, k, lanes)
	}
}

// sumPart sums a part of k over all of C.
func (d *driver) sumPart(w *scratch, part int) {
	ld := oddLines(d.n * d.word)
	steps := span{d.k * part / d.threads, d.k * (part + 1) / d.threads}
	d.rectangle(w, span{0, d.m}, 0, d.n, steps, unsafe.Add(d.sums.grow(0), part*d.m*ld), ld)
}

// addParts adds up all parts for a share of the rows, in a fixed order whichever was
// finished first.
func (d *driver) addParts(share int) {
	ld := oddLines(d.n * d.word)
	parts := d.sums.grow(0)
	for i := d.m * share / d.threads; i < d.m*(share+1)/d.threads; i++ {
		sum, c := unsafe.Add(parts, i*ld), unsafe.Add(d.c, i*d.ldc)
		for part := 1; part < d.threads; part++ {
			d.accumulate(sum, unsafe.Add(sum, part*d.m*ld), d.n)
		}
		if d.narrow != nil {
			d.narrow(c, sum, d.n)
		} else {
			copy(unsafe.Slice((*byte)(c), d.n*d.word), unsafe.Slice((*byte)(sum), d.n*d.word))
		}
	}
}

// A block is a part of B that is packed at once: cols columns from column col, and k
// steps from step p.
type block struct{ col, cols, p, k int }

// blocks returns the number of blocks of B.
func (d *driver) blocks() int { return ((d.n + d.nb - 1) / d.nb) * ((d.k + d.kb - 1) / d.kb) }

// block returns a block of B by its number, which continues to count in the next
// product. The steps of the same columns follow each other.
func (d *driver) block(number int) block {
	deep := (d.k + d.kb - 1) / d.kb
	number %= d.blocks()
	col, p := number/deep*d.nb, number%deep*d.kb
	return block{col: col, cols: min(d.nb, d.n-col), p: p, k: min(d.kb, d.k-p)}
}

// packedAt returns where a block is packed. One thread needs only one place, since it
// packs a block after it has used the previous one.
func (d *driver) packedAt(number int) unsafe.Pointer {
	return d.panels[number%min(2, d.threads)].grow(0)
}

// packs returns the number of shares in which a block of B is packed.
func (d *driver) packs(b block) int {
	return (b.cols + d.together*d.width() - 1) / (d.together * d.width())
}

// packShare packs a share of a block of B.
func (d *driver) packShare(w *scratch, share int, b block, at unsafe.Pointer) {
	width := d.together * d.width()
	from := share * width
	some := panels{at: unsafe.Add(at, share*d.together*d.panel(b.k)), step: d.panel(b.k)}
	d.packPanels(w, some, b.p, b.k, b.col+from, min(width, b.cols-from))
}

// packedShare computes a range of rows and one part of the columns of a block of B
// that is packed.
func (d *driver) packedShare(w *scratch, rows span, part int, b block, at unsafe.Pointer) {
	from, to := d.columns(b.cols, part)
	if from >= to {
		return
	}
	packed := panels{at: unsafe.Add(at, from/d.width()*d.panel(b.k)), step: d.panel(b.k)}
	c, ldc := unsafe.Add(d.c, rows.from*d.ldc+(b.col+from)*d.out), d.ldc
	if d.narrow != nil {
		ldc = oddLines(d.nb * d.word)
		c = unsafe.Add(d.sums.grow(0), rows.from*ldc+from*d.word)
	}
	d.multiply(w, rows, to-from, b.p, b.k, packed, c, ldc, b.p > 0)
	if d.narrow != nil && b.p+b.k == d.k {
		for i := range rows.to - rows.from {
			d.narrow(unsafe.Add(d.c, (rows.from+i)*d.ldc+(b.col+from)*d.out), unsafe.Add(c, i*ldc), to-from)
		}
	}
}

// panels describes B as the micro-kernels see it.
type panels struct {
	at   unsafe.Pointer
	row  int     // stride between rows where B is read in place; 0: packed, rows as wide as their panel
	step int     // packed: bytes from one panel to the next
	next uintptr // address to prefetch from, row by row, instead of the next panel; 0: none
}

// fetched is how many bytes of a packed panel a micro-kernel prefetches at a time,
// at most: see tile.nextB.
const fetched = 256

// multiply multiplies a range of rows of A, k steps from step p, with n columns of
// panels of B, and writes the result to c or adds it.
func (d *driver) multiply(w *scratch, rows span, n, p, k int, b panels, c unsafe.Pointer, ldc int, add bool) {
	t := &w.tile
	m := rows.to - rows.from
	if d.packsA {
		t.rowA, t.stepA = oddLines(k*d.word), d.word
		t.a = w.a.grow(0)
		d.packA(w, t.a, t.rowA, rows.from, m, p, k)
	} else if d.transA {
		t.rowA, t.stepA = d.elem, d.lda
		t.a = unsafe.Add(d.a, rows.from*d.elem+p*d.lda)
	} else {
		t.rowA, t.stepA = d.lda, d.word
		t.a = unsafe.Add(d.a, rows.from*d.lda+p*d.word)
	}
	a := t.a
	t.k, t.rowC, t.add = k, ldc, 0
	if add {
		t.add = 1
	}
	t.nextB, t.nextRow = b.next, b.row
	width := d.width()
	whole := 0
	if m <= d.mostRows(d.vecs) && !d.whole {
		whole = n / width * width
	}
	if whole > 0 { // a single row of tiles
		t.a, t.b, t.c, t.rows, t.last, t.count = a, b.at, c, m, d.lanes, whole/width
		t.moveA, t.moveB, t.moveC = 0, b.step, width*d.word
		t.rowB = width * d.word
		if b.row != 0 {
			t.rowB, t.moveB = b.row, width*d.word
			t.nextB, t.nextRow = uintptr(b.at)+uintptr(k*b.row), b.row
		} else {
			t.nextB, t.nextRow = uintptr(b.at)+uintptr(b.step), fetched
		}
		d.tiles[d.vecs][m](t)
	}
	for j := whole; j < n; {
		cols := min(width, n-j)
		if left := n - j - width; b.row != 0 && left > 0 && left <= d.lanes && d.vecs == 3 {
			cols = 2 * d.lanes // two tiles of two vectors are faster than one of three and one of one
		}
		vecs := (cols + d.lanes - 1) / d.lanes
		if d.whole {
			vecs = d.vecs
		}
		t.last = cols - (vecs-1)*d.lanes
		at := j
		switch {
		case b.row == 0:
			t.b, t.rowB = unsafe.Add(b.at, j/width*b.step), vecs*d.lanes*d.word
		case t.last == d.lanes || d.masks:
			t.b, t.rowB = unsafe.Add(b.at, j*d.word), b.row
		case !add && n >= vecs*d.lanes:
			// Compute some columns twice, with the same result, so that the last
			// vector is full.
			at, t.last = n-vecs*d.lanes, d.lanes
			t.b, t.rowB = unsafe.Add(b.at, at*d.word), b.row
		default:
			t.b, t.rowB = w.edge.grow(0), vecs*d.lanes*d.word
			d.packPlain(t.b, unsafe.Add(b.at, j*d.word), b.row, k, cols, vecs*d.lanes)
		}
		switch {
		case b.row == 0:
			t.nextB, t.nextRow = uintptr(t.b)+uintptr(b.step), fetched
		case b.next == 0:
			t.nextB, t.nextRow = uintptr(t.b)+uintptr(width*d.word), b.row
		}
		d.column(t, m, vecs, a, unsafe.Add(c, at*d.word))
		j += cols
	}
}

// column computes m rows of C as a column of tiles.
func (d *driver) column(t *tile, m, vecs int, a, c unsafe.Pointer) {
	high := d.mostRows(vecs)
	if !d.packsA && !d.transA && d.lda%4096 == 0 { // all rows would map to one set of the first-level cache
		high = min(high, d.ways)
	}
	count := (m + high - 1) / high
	rows, higher := m/count, m%count // balanced, so that no tile has few rows
	if d.whole {
		count, rows, higher = m/high, high, 0
	}
	some := func(rows, count int, f tileFunc) {
		if count > 0 && rows > 0 {
			t.a, t.c, t.rows, t.count = a, c, rows, count
			t.moveA, t.moveB, t.moveC = rows*t.rowA, 0, rows*t.rowC
			f(t)
			if m -= count * rows; m > 0 {
				a, c = unsafe.Add(a, count*t.moveA), unsafe.Add(c, count*t.moveC)
			}
		}
	}
	if higher > 0 {
		some(rows+1, higher, d.tiles[vecs][rows+1])
	}
	some(rows, count-higher, d.tiles[vecs][rows])
	if d.whole && m > 0 {
		some(m, 1, d.tiles[vecs][high])
	}
}
