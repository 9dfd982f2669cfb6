package ptx

import (
	"cmp"
	"slices"

	"github.com/gpuplay/gpuplay/internal/matrix"
)

// most is the number of kernels that are worth timing: compiling and timing each takes
// a few hundredths of a second, or some tenths.
const most = 6

// A variant is a design with what is known of its speed.
type variant struct {
	design
	rows, columns, depth int // of a step of one block, or of a cluster
	// blocks is how many work on a multiprocessor at a time: a fraction for a cluster.
	blocks float64
	// rate is the multiplications that a multiprocessor makes in a clock with it, of
	// products that keep it busy. Rough values suffice.
	rate  float64
	split bool
}

// preferred lists the designs that fit, the one that is expected to be the fastest
// first.
func preferred(c Card, p Problem) []design {
	var fit []variant
	for _, v := range variants(p) {
		if _, isa := v.needs(c, p); isa > c.ISA || !v.fits(c, p) || v.split && !worthSplitting(c, p, v.rows, v.columns, v.depth) {
			continue
		}
		fit = append(fit, v)
	}
	slices.SortStableFunc(fit, func(a, b variant) int { return cmp.Compare(a.clocks(c, p), b.clocks(c, p)) })
	out := make([]design, min(most, len(fit)))
	for i := range out {
		out[i] = fit[i].design
	}
	return out
}

// clocks estimates how long a product takes: as many rounds as the blocks need to
// compute all tiles, full or not.
func (v variant) clocks(c Card, p Problem) float64 {
	const launch = 4000 // what each further launch adds
	tiles, k := ceil(p.M, v.rows)*ceil(p.N, v.columns), p.K
	launches, _ := v.launches(c, p)
	if v.split {
		share, count := shares(c, p, tiles, v.depth)
		tiles, k = tiles*count, share
	}
	slots := max(1, int(v.blocks*float64(c.SMs)))
	// A block alone on a multiprocessor runs at its full speed or nearly.
	perTile := float64(v.rows*v.columns) * float64(ceil(k, v.depth)*v.depth+4*v.depth) / v.rate * v.blocks
	return float64(ceil(tiles, slots))*perTile + launch*float64(len(launches)-1)
}

// variants lists what there is for the types of a problem.
func variants(p Problem) []variant {
	var out []variant
	add := func(rate, blocks float64, rows, columns, depth int, d, split design) {
		out = append(out, variant{d, rows, columns, depth, blocks, rate, false})
		if split != nil {
			out = append(out, variant{split, rows, columns, depth, blocks, rate, true})
		}
	}
	for _, size := range []struct {
		rate  float64
		large bool
	}{{80, true}, {60, false}} {
		d := portable{rows: 64, columns: 64, depth: 16, threadRows: 4, threadColumns: 4}
		if size.large {
			if p.In == matrix.Float64 {
				continue // too many registers
			}
			d = portable{rows: 128, columns: 128, depth: 16, threadRows: 8, threadColumns: 8}
		}
		blocks := 4.0
		if size.large {
			blocks = 1
		}
		for _, wide := range []bool{true, false} {
			d.wide = wide
			split := d
			split.split = true
			rate := size.rate
			if !wide {
				rate *= 0.9
			}
			if size.large {
				add(rate, blocks, d.rows, d.columns, d.depth, d, nil)
			} else {
				add(rate, blocks, d.rows, d.columns, d.depth, d, split)
			}
		}
	}
	if p.In == matrix.Float32 && p.Acc == matrix.Float32 {
		small := hopper{rows: 64, columns: 128, stages: 6, cluster: 1, band: 16, threadRows: 4, threadColumns: 8, deepA: 4, unroll: 8, order: 57}
		large := hopper{rows: 128, columns: 256, stages: 4, cluster: 1, band: 16, threadRows: 16, threadColumns: 8, deepA: 2, unroll: 2, order: 35}
		split, wide := small, small
		split.split = true
		wide.wide = true
		add(120, 1, 128, 256, 32, large, nil)
		add(101, 1, 64, 128, 32, wide, nil)
		add(100, 1, 64, 128, 32, small, split)
	}
	if p.In != matrix.Float64 {
		bytes := p.In.Size()
		rate := map[int]float64{1: 4, 2: 2, 4: 1}[bytes] // of tensor cores
		for _, h := range []struct {
			rate float64
			hopper
		}{
			{920, hopper{rows: 128, columns: 256, stages: 4, cluster: 2, band: 8}},
			{900, hopper{rows: 128, columns: 256, stages: 4, cluster: 1, band: 16}},
			{750, hopper{rows: 128, columns: 128, stages: 6, cluster: 1, band: 16}},
			{520, hopper{rows: 128, columns: 64, stages: 8, cluster: 1, band: 16}},
		} {
			d, direct := h.hopper, h.hopper
			direct.direct = true
			split := direct
			split.split = true
			rows := d.rows * d.cluster
			add(rate*h.rate, 1/float64(d.cluster), rows, d.columns, rowBytes/bytes, d, nil)
			add(rate*h.rate*0.95, 1/float64(d.cluster), rows, d.columns, rowBytes/bytes, direct, split)
		}
		for _, m := range []struct {
			rate, blocks float64
			mma
		}{
			{400, 2, mma{rows: 128, columns: 128, warpRows: 64, warpColumns: 32, stages: 4, async: true}},
			{280, 4, mma{rows: 64, columns: 64, warpRows: 32, warpColumns: 32, stages: 4, async: true}},
			{200, 2, mma{rows: 128, columns: 128, warpRows: 64, warpColumns: 32, stages: 2}},
			{150, 4, mma{rows: 64, columns: 64, warpRows: 32, warpColumns: 32, stages: 2}},
		} {
			split := m.mma
			split.split = true
			add(rate*m.rate, m.blocks, m.rows, m.columns, stepBytes/bytes, m.mma, split)
		}
	}
	return out
}
