package gemm

import "unsafe"

// A driver computes products of one type of sums; its buffers stay for the next
// product. The threads share it: whatever is not written under a scratch of a
// thread's own is written between two barriers by one thread alone.
type driver[T number] struct {
	kernel[T]
	team *team

	// The product in hand.
	m, n, k int
	times   int
	a, b    operand[T]
	c       result[T]

	// How it is cut up.
	kb, nb int    // kc and nc, evened out
	spans  []span // of rows, by which threads share the work
	parts  int    // of columns, where there are few rows to share

	panels [2][]T // packed B, in turns, so that one barrier a block is enough
	sums   []T    // C in float32 while a 16-bit type is computed, nb wide
	own    []scratch[T]
}

// A span is rows from (included) to (excluded).
type span struct{ from, to int }

// A scratch is what one thread writes to alone.
type scratch[T number] struct {
	a     []T // packed rows of A
	tile  []T // for tiles that reach beyond C
	lines []T // widened, before they are transposed
}

// prepare takes on a product, as checked by Problem.check.
func (d *driver[T]) prepare(g Problem, times int, a, b operand[T], c result[T]) {
	a.stride, a.trans = g.LDA, g.TransA
	b.stride, b.trans = g.LDB, g.TransB
	c.stride = g.LDC
	d.m, d.n, d.k, d.times, d.a, d.b, d.c = g.M, g.N, g.K, times, a, b, c
	d.kb = even(d.k, d.kc, 1)
	d.nb = even(d.n, d.nc, d.nr)
	d.share()
	d.panels[0] = grow(d.panels[0], d.kb*d.nb)
	if len(d.own) == 1 { // nobody is still reading the block before
		d.panels[1] = d.panels[0]
	} else {
		d.panels[1] = grow(d.panels[1], d.kb*d.nb)
	}
	for i := range d.own {
		d.own[i].a = grow(d.own[i].a, min(d.mc, up(d.m, d.mr))*strideA[T](d.kb))
		d.own[i].tile = grow(d.own[i].tile, d.mr*d.nr)
	}
	if c.half != nil {
		d.sums = grow(d.sums, d.m*d.nb)
	}
}

// release forgets the caller's matrices, so that the collector may have them.
func (d *driver[T]) release() {
	d.a, d.b, d.c = operand[T]{}, operand[T]{}, result[T]{}
}

// share cuts the rows into spans: at most mc, and fewer towards the end, so that
// the threads finish together. With too few rows for that, columns are cut too.
func (d *driver[T]) share() {
	threads := len(d.own)
	d.spans = d.spans[:0]
	for from := 0; from < d.m; {
		left := d.m - from
		rows := left
		if threads > 1 {
			rows = max(left/(2*threads), 2*d.mr) // one tile would not pay for fetching B
		} else if left < 2*d.mc { // two halves rather than a whole and a rest
			rows = max(left/2, min(left, d.mc/2))
		}
		rows = min(up(rows, d.mr), d.mc, left)
		d.spans = append(d.spans, span{from, from + rows})
		from += rows
	}
	d.parts = 1
	if want := 4 * threads; threads > 1 && len(d.spans) < want {
		d.parts = min((want+len(d.spans)-1)/len(d.spans), (d.nb+d.nr-1)/d.nr)
	}
}

// up rounds n up to a multiple of unit.
func up(n, unit int) int { return (n + unit - 1) / unit * unit }

// even returns the size of blocks, at most limit and a multiple of unit, that
// cut n into as few and as equal pieces as can be.
func even(n, limit, unit int) int {
	count := (n + limit - 1) / limit
	return up((n+count-1)/count, unit)
}

// grow returns a buffer of n elements that begins with a cache line: buf, if it
// is large enough.
func grow[T number](buf []T, n int) []T {
	if cap(buf) >= n {
		return buf[:n]
	}
	line := lineElems[T](1)
	buf = make([]T, n+line)
	if past := int(uintptr(unsafe.Pointer(&buf[0])) & 63); past != 0 {
		buf = buf[(64-past)/int(unsafe.Sizeof(buf[0])):]
	}
	return buf[:n]
}

// packedTogether is how many panels of B are packed together: enough of each of
// B's rows for the processor to fetch it ahead.
const packedTogether = 4

// work is one thread's part of the product: pack a share of B, wait for the
// others, multiply shares of A's rows; block after block.
func (d *driver[T]) work(thread int) {
	own := &d.own[thread]
	block, some := 0, packedTogether*d.nr
	for range d.times {
		for col := 0; col < d.n; col += d.nb {
			cols := min(d.nb, d.n-col)
			for p := 0; p < d.k; p += d.kb {
				k := min(d.kb, d.k-p)
				packed := d.panels[block%2]
				block++
				for {
					at := d.team.nextPanels() * some
					if at >= cols {
						break
					}
					d.packB(own, packed[at*k:], p, k, col+at, min(some, cols-at))
				}
				if d.team.wait(); d.team.stop {
					return
				}
				for {
					share := d.team.nextShare()
					if share >= len(d.spans)*d.parts {
						break
					}
					d.multiply(own, packed, d.spans[share/d.parts], share%d.parts, col, cols, p, k)
				}
			}
		}
	}
}

// multiply adds to C, or sets it when p is 0, the product of some rows of A,
// columns p to p+k, with one part of a packed block of B, which is the columns
// from col on.
func (d *driver[T]) multiply(own *scratch[T], packed []T, rows span, part, col, cols, p, k int) {
	panels := (cols + d.nr - 1) / d.nr
	from, to := panels*part/d.parts*d.nr, min(cols, panels*(part+1)/d.parts*d.nr)
	if from >= to {
		return
	}
	ld := strideA[T](k)
	d.packA(own, own.a, ld, rows.from, rows.to-rows.from, p, k)

	c, stride := d.c.wide, d.c.stride
	base := col
	if d.c.half != nil {
		c, stride, base = d.sums, d.nb, 0
	}
	for j := from; j < to; j += d.nr {
		panel := &packed[j*k]
		width := min(d.nr, to-j)
		for i := rows.from; i < rows.to; i += d.mr {
			height := min(d.mr, rows.to-i)
			a := &own.a[(i-rows.from)*ld]
			at := i*stride + base + j
			if width == d.nr && height == d.mr {
				d.tile(k, a, ld, panel, &c[at], stride, p > 0)
				continue
			}
			d.tile(k, a, ld, panel, &own.tile[0], d.nr, false)
			for r := range height {
				put(c[at+r*stride:][:width], own.tile[r*d.nr:], p > 0)
			}
		}
	}
	if d.c.half != nil && p+k == d.k {
		for i := rows.from; i < rows.to; i++ {
			at := i*d.c.stride + col
			d.c.narrow(d.c.half[at+from:at+to], d.sums[i*d.nb+from:][:to-from])
		}
	}
}

// put sets dst to a row of a tile, or adds it.
func put[T number](dst, row []T, add bool) {
	if !add {
		copy(dst, row)
		return
	}
	for i, x := range row[:len(dst)] {
		dst[i] += x
	}
}
