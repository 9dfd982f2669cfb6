package gemm

import (
	"context"
	"math/bits"
)

// prepare takes on a product for as many threads as it is worth. One of the same
// shape as the one before is computed in the same way.
func (d *driver) prepare(ctx context.Context, k *kernel, g product, times int) {
	shape := g
	shape.a, shape.b, shape.c = nil, nil, nil
	known := k == d.kernel && shape == d.planned && d.way != matrixVector
	d.kernel, d.product, d.planned, d.times = k, g, shape, times
	if !known {
		d.plan()
	}
	d.team.reset(ctx, d.threads)
}

// plan decides how to compute a product.
func (d *driver) plan() {
	d.k = (d.depth + d.group - 1) / d.group
	d.threads = len(d.own)
	if float64(d.m)*float64(d.n)*float64(d.depth) < d.worth {
		d.threads = 1
	}
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
	d.kb = even(d.k, d.deep(), 1)
	d.reserve()
}

// deep returns how many steps of k to take at once.
func (d *driver) deep() int {
	switch {
	case d.packsB:
	case d.n <= d.width(): // B is one panel: run along A as long as it stays in a cache
		return max(d.kc, min(d.small, onePanel)/(d.n*d.word))
	case d.k*d.n*d.word > d.small:
		// Run along some rows of B, which are near then. With few rows of C these
		// are fewer still, so that C is near as well: the less of it there is the
		// less it takes to add to it often.
		rows := d.near / ((d.n + d.parts - 1) / d.parts * d.word)
		if d.few() {
			rows = min(rows*min(d.m, 12)/12, 128)
		}
		return min(d.kc, max(12, rows))
	}
	return d.kc
}

// onePanel is how many bytes of B are read in place at a time where it is but one
// panel: what a second-level cache can hold beside rows of A.
const onePanel = 512 << 10

// few reports whether C has too few rows to pay for packing B.
func (d *driver) few() bool { return d.m <= 2*d.mostRows(d.vecs) }

// reserve makes room for all that the product needs. The threads touch it first,
// each what it will use, so that it is near them.
func (d *driver) reserve() {
	if d.way == matrixVector {
		d.rowsAtOnce = max(4, up(min(256, d.vector.rows/(4*d.threads)), 4))
		for i := range d.own[:d.threads] {
			if d.vector.strideX != d.elem {
				d.own[i].edge.grow(d.depth * d.elem)
			}
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
	for i := range d.own[:d.threads] {
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
		if d.threads > 1 { // others may still be reading the block before
			d.panels[1].grow(wide)
		}
		if d.narrow != nil {
			d.sums.grow(d.m * oddLines(d.nb*d.word))
		}
	}
}

// worthThreads is how many multiplications pay for a second thread.
const worthThreads = 1 << 17

// width returns the columns of a tile.
func (d *driver) width() int { return d.vecs * d.lanes }

// panel returns the bytes of a packed panel of k steps.
func (d *driver) panel(k int) int {
	if d.start != nil {
		k++
	}
	return k * d.width() * d.word
}

// mostRows returns the rows of the highest tile so many vectors wide.
func (d *driver) mostRows(vecs int) int { return len(d.tiles[vecs]) - 1 }

// mustPackA reports whether a kernel cannot read A in place.
func (d *driver) mustPackA() bool {
	return d.widenA != nil || d.whole || d.group > 1 && (d.transA || d.depth%d.group != 0)
}

// mustPackB reports whether a kernel cannot read B in place.
func (d *driver) mustPackB() bool { return d.widenB != nil || d.whole || d.group > 1 || d.transB }

// crowdsA reports whether rows of A crowd into few sets of a cache. Measured on a
// Zen 5: with rows 2 KB apart copying takes 1 to 3 % of float32's speed, and not
// copying a sixth of bfloat16's.
func (d *driver) crowdsA() bool {
	apart := 4096
	if d.group > 1 {
		apart = 2048
	}
	return d.n > d.width() && (d.transA && d.m*d.depth > 1<<16 || d.lda%apart == 0)
}

// crowdsB reports whether rows of B crowd into few sets of a cache.
func (d *driver) crowdsB() bool {
	return d.k*d.n*d.word > 256<<10 && bits.TrailingZeros(uint(d.ldb)) >= 12
}

// share cuts C's rows into spans: fewer rows towards the end, so that the
// threads finish together. With too few rows for that, columns are cut too. Of a
// product that is over soon every thread gets one share: more would take longer
// to hand out than to compute.
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
			rows = up(max(left/(2*d.threads), 2*mr), mr) // one tile would not pay for fetching B
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

// even returns the size of blocks, at most limit or one unit, and a multiple of
// unit, that cut n into as few and as equal pieces as can be.
func even(n, limit, unit int) int {
	count := (n + limit - 1) / limit
	return up((n+count-1)/count, unit)
}

// oddLines rounds bytes up to an odd number of cache lines, so that rows so far
// apart do not crowd into few sets of a cache.
func oddLines(n int) int { return (n+63)/64*64 | 64 }
