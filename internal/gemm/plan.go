package gemm

import (
	"math"
	"math/bits"
)

// prepare sets up the driver for a product. If the shape is the same as that of the
// previous product, the plan is reused.
func (d *driver) prepare(k *kernel, g product, times int) {
	shape := g
	shape.a, shape.b, shape.c = nil, nil, nil
	known := k == d.kernel && shape == d.planned && d.way != matrixVector
	d.kernel, d.product, d.planned, d.times = k, g, shape, times
	if !known {
		d.plan()
	}
}

// plan decides how to compute the product.
func (d *driver) plan() {
	d.k = (d.depth + d.group - 1) / d.group
	d.threads = d.useful()
	d.packsA = d.mustPackA() || d.crowdsA()
	d.packsB = d.mustPackB() || !d.few() && (d.crowdsB() || d.n > d.slim*d.width() && min(d.k, d.kc)*d.n*d.word > d.small)
	vector, isVector := d.asVector()
	switch {
	case isVector:
		d.way, d.vector = matrixVector, vector
	case d.threads > 1 && d.k > 8*max(d.m, d.n) && d.m*d.n < 1<<16:
		d.way = split
	case !d.packsB:
		d.way = inPlace
	default:
		d.way = packed
	}
	d.nb = d.n
	if d.way == packed {
		d.nb = even(d.n, d.nc, d.width())
	}
	d.share()
	d.kb = even(d.k, d.deep(), d.steps)
	d.together = max(1, min(packedTogether, (d.nb+d.width()-1)/d.width()/(2*d.threads)))
	d.reserve()
}

// useful returns how many threads make a product fastest. One on t threads takes W/t
// for the multiplications, W being the time of one thread, and about c·t for handing
// out shares and waiting for the last one: the sum is least at t = √(W/c).
func (d *driver) useful() int {
	products := float64(d.m) * float64(d.n) * float64(d.depth) / float64(d.group*max(1, d.dense))
	if products < d.worth {
		return 1
	}
	return int(max(1, min(float64(len(d.own)), 2*math.Sqrt(products/d.worth))))
}

// deep returns how many steps of k to take at a time.
func (d *driver) deep() int {
	switch {
	case d.packsB:
	case d.n <= d.width(): // B is one panel: follow the rows of A as far as B stays in a cache
		return max(d.kc, min(d.small, onePanel)/(d.n*d.word))
	case d.k*d.n*d.word > d.small:
		// Take as many rows of B as fit into the second-level cache. With few rows
		// of C take fewer, so that C stays in the cache as well: the smaller it is,
		// the less it costs to add to it often.
		rows := d.near / ((d.n + d.parts - 1) / d.parts * d.word)
		if d.few() {
			rows = min(rows*min(d.m, 12)/12, 128)
		}
		return min(d.kc, max(12, rows))
	}
	return d.kc
}

// onePanel is how many bytes of B are read in place at a time when B is a single
// panel: as much as a second-level cache holds beside rows of A.
const onePanel = 512 << 10

// few reports whether C has too few rows for packing B to pay off.
func (d *driver) few() bool { return d.m <= 2*d.mostRows(d.vecs) }

// packedTogether is how many panels of B a thread packs at a time, where there are
// enough for all threads. It makes the pieces of B's rows long enough for the hardware
// prefetcher.
const packedTogether = 4

// reserve allocates the buffers that the product needs. Each thread is the first to
// write to those that it uses, so that on a NUMA machine the memory is close to it.
func (d *driver) reserve() {
	if d.way == matrixVector {
		d.rowsAtOnce = max(4, up(min(256, d.vector.rows/(4*d.threads)), 4), up(d.vector.rows/maxShares, 4))
		if d.gathers() {
			d.sums.grow(d.depth * d.elem)
		}
		for i := range d.own {
			if d.vector.strideY != d.word {
				d.own[i].b.grow(columnsAtOnce)
			}
		}
		return
	}
	wide := d.panel(d.kb) * ((d.nb + d.width() - 1) / d.width())
	mb := 0
	for _, s := range d.spans {
		mb = max(mb, even(s.to-s.from, d.mc, d.mostRows(d.vecs)))
	}
	for i := range d.own { // any thread may take part: see team
		w := &d.own[i]
		if d.packsA {
			w.a.grow(mb * oddLines(d.kb*d.word))
		}
		if d.transA || d.transB {
			w.lines.grow(transposed * max(d.kb, mb) * d.word)
		}
		if d.way == split && d.packsB {
			w.b.grow(wide)
		}
		if !d.packsB && !d.masks {
			w.edge.grow(d.kb * d.width() * d.word)
		}
	}
	switch {
	case d.way == split:
		d.sums.grow(d.threads * d.m * oddLines(d.n*d.word))
	case d.way == packed:
		d.panels[0].grow(wide)
		if d.threads > 1 { // other threads may still be reading the previous block
			d.panels[1].grow(wide)
		}
		if d.narrow != nil {
			d.sums.grow(d.m * oddLines(d.nb*d.word))
		}
	}
}

// worthThreads is how many multiplications justify a second thread, for types of which
// a vector instruction multiplies one element per lane.
const worthThreads = 1 << 17

// width returns the width of a tile in columns.
func (d *driver) width() int { return d.vecs * d.lanes }

// panel returns the size of a packed panel of k steps in bytes.
func (d *driver) panel(k int) int {
	if d.start != nil {
		k++
	}
	return k * d.width() * d.word
}

// mostRows returns the most rows that a tile of the given number of vectors can
// have.
func (d *driver) mostRows(vecs int) int { return len(d.tiles[vecs]) - 1 }

// mustPackA reports whether a kernel cannot read A in place.
func (d *driver) mustPackA() bool {
	return d.widenA != nil || d.whole || d.group > 1 && (d.transA || d.depth%d.group != 0)
}

// mustPackB reports whether a kernel cannot read B in place.
func (d *driver) mustPackB() bool { return d.widenB != nil || d.whole || d.group > 1 || d.transB }

// crowdsA reports whether the rows of A compete for a few sets of a cache. Measured
// on a Zen 5 with rows 2 KB apart: copying costs 1 to 3 % of float32's speed, and
// not copying costs a sixth of bfloat16's.
func (d *driver) crowdsA() bool {
	apart := 4096
	if d.group > 1 {
		apart = 2048
	}
	return d.n > d.width() && (d.transA && d.m*d.depth > 1<<16 || d.lda%apart == 0)
}

// crowdsB reports whether the rows of B compete for a few sets of a cache.
func (d *driver) crowdsB() bool {
	return d.k*d.n*d.word > 256<<10 && bits.TrailingZeros(uint(d.ldb)) >= 12
}

// share divides C's rows into spans, with fewer rows towards the end so that the
// threads finish together. Where there are too few rows for that, it divides the
// columns too. For a small product each thread gets one share: handing out more
// would take longer than computing them.
func (d *driver) share() {
	mr := d.mostRows(d.vecs)
	soon := float64(d.m)*float64(d.n)*float64(d.k) < float64(d.threads)*soonOver
	d.spans = d.spans[:0]
	for from := 0; from < d.m; {
		left := d.m - from
		rows := left
		switch {
		case d.threads == 1 || d.way == split:
		case soon && d.m >= 2*mr*d.threads:
			rows = left / max(1, d.threads-len(d.spans))
		default:
			rows = up(max(left/(2*d.threads), 2*mr), mr) // one tile would not justify loading B
		}
		if d.way == packed {
			rows = even(min(rows, left), d.mc, mr)
		}
		rows = min(rows, left)
		d.spans = append(d.spans, span{from, from + rows})
		from += rows
	}
	d.parts = 1
	want := 4 * d.threads
	if soon {
		want = d.threads
	}
	if d.threads > 1 && d.way != split && len(d.spans) < want {
		d.parts = min((want+len(d.spans)-1)/len(d.spans), (d.nb+d.width()-1)/d.width())
	}
}

// soonOver is how many multiplications take a thread some tens of microseconds.
const soonOver = 2 << 20

// up rounds n up to a multiple of unit.
func up(n, unit int) int { return (n + unit - 1) / unit * unit }

// even returns the block size that divides n into as few and as equal blocks as
// possible: a multiple of unit, and at most limit or one unit.
func even(n, limit, unit int) int {
	count := (n + limit - 1) / limit
	return up((n+count-1)/count, unit)
}

// oddLines rounds a number of bytes up to an odd number of cache lines, so that
// rows that far apart do not compete for a few sets of a cache.
func oddLines(n int) int { return (n+63)/64*64 | 64 }
