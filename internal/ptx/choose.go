package ptx

import (
	"cmp"
	"slices"

	"github.com/gpuplay/gpuplay/internal/matrix"
)

// most is the number of kernels that are worth timing: compiling and timing each takes
// a few hundredths of a second, or some tenths.
const most = 6

// A variant is a design with what is known of its speed. The numbers are from an H100, and
// are only for choosing: a kernel is timed, and what it really takes is what counts.
type variant struct {
	design
	// blocks is how many work on a multiprocessor at a time: a fraction for a cluster.
	blocks float64
	// rate is the multiplications that a multiprocessor makes in a clock with it.
	rate float64
	// write is the clocks that writing an element of C takes, while nothing is multiplied.
	write float64
}

// preferred lists the designs that fit, the one that is expected to be the fastest
// first.
func preferred(c Card, p Problem) []design {
	fit := fitting(c, p)
	slices.SortStableFunc(fit, func(a, b variant) int { return cmp.Compare(a.clocks(c, p), b.clocks(c, p)) })
	out := make([]design, min(most, len(fit)))
	for i := range out {
		out[i] = fit[i].design
	}
	return out
}

// fitting lists the variants that the card has the instructions for, without those that
// would divide a K into one share.
func fitting(c Card, p Problem) []variant {
	return slices.DeleteFunc(variants(p), func(v variant) bool {
		if _, isa := v.needs(c, p); isa > c.ISA || !v.fits(c, p) {
			return true
		}
		g := v.tiling(p)
		_, count := g.shares(c, p)
		return g.split && count == 1
	})
}

// clocks estimates how long a product takes: as many rounds as the blocks need to
// compute all tiles, full or not, and what is launched before and after.
func (v variant) clocks(c Card, p Problem) float64 {
	const (
		launch = 5000 // of each further kernel
		memory = 1500 // bytes that the card reads or writes in a clock
		ahead  = 4    // steps that pass before the first is computed
	)
	launches, workspace := v.launches(c, p)
	clocks := launch * float64(len(launches)-1)
	g := v.tiling(p)
	tiles, k := g.tiles(p), p.K
	if g.split {
		share, count := g.shares(c, p)
		tiles, k = tiles*count, share
	}
	clocks += 2 * float64(workspace) / memory // what is repacked, or the sums of shares
	perTile := float64(g.rows*g.columns) * (float64(ceil(k, g.depth)*g.depth+ahead*g.depth)/v.rate + v.write)
	if v.blocks < 1 { // all of a cluster's multiprocessors work on its tile
		perTile *= v.blocks
	}
	rounds := ceil(tiles, max(1, int(v.blocks*float64(c.SMs))))
	together := max(1, min(v.blocks, float64(ceil(tiles, c.SMs))))
	return clocks + float64(rounds)*together*perTile
}

// variants lists what there is for the types of a problem.
func variants(p Problem) []variant {
	out := portables(p)
	switch {
	case p.In == matrix.Float64:
		for _, m := range []mma{
			{rows: 128, columns: 128, warpRows: 64, warpColumns: 32, stages: 4, async: true},
			{rows: 64, columns: 64, warpRows: 32, warpColumns: 32, stages: 4, async: true},
		} {
			v := variant{design: m, blocks: 128 / float64(m.rows), rate: 90 + float64(m.rows)/8, write: 0.1}
			s := v
			m.split = true
			s.design = m
			out = append(out, v, s)
		}
	case p.Acc == matrix.Float32 && p.In == matrix.Float32:
		small := hopper{rows: 64, columns: 128, stages: 6, cluster: 1, band: 16, threadRows: 4, threadColumns: 8, deepA: 4, unroll: 8, order: 57}
		wide, split := small, small
		wide.wide, split.split = true, true
		out = append(out,
			variant{design: largeFMA, blocks: 1, rate: 114},
			variant{design: wide, blocks: 1, rate: 103},
			variant{design: small, blocks: 1, rate: 102},
			variant{design: split, blocks: 1, rate: 102})
	default:
		out = append(out, tensors(p)...)
	}
	return out
}

func portables(p Problem) []variant {
	large := portable{rows: 128, columns: 128, depth: 16, threadRows: 8, threadColumns: 8}
	small := portable{rows: 64, columns: 64, depth: 16, threadRows: 4, threadColumns: 4}
	var out []variant
	for _, wide := range []bool{true, false} {
		large.wide, small.wide = wide, wide
		split := small
		split.split = true
		faster := float64(2 * bit(wide))
		if p.In != matrix.Float64 { // of which a large tile takes too many registers
			out = append(out, variant{design: large, blocks: 1, rate: 92 + faster})
		}
		out = append(out,
			variant{design: small, blocks: 4, rate: 70 + faster},
			variant{design: split, blocks: 4, rate: 70 + faster})
	}
	return out
}

// tensors lists what uses tensor cores. Their rates are those for 16 bits, and twice or half
// as many for 8 and 32.
func tensors(p Problem) []variant {
	var out []variant
	scale := 2 / float64(p.In.Size())
	for _, h := range []struct {
		rate float64
		hopper
	}{
		{1790, hopper{rows: 128, columns: 256, stages: 4, cluster: 2, band: 8}},
		{1800, hopper{rows: 128, columns: 256, stages: 4, cluster: 1, band: 16}},
		{1550, hopper{rows: 128, columns: 128, stages: 6, cluster: 1, band: 16}},
		{1040, hopper{rows: 128, columns: 64, stages: 8, cluster: 1, band: 16}},
	} {
		v := variant{design: h.hopper, blocks: 1 / float64(h.cluster), rate: scale * h.rate, write: 0.05}
		direct := h.hopper
		direct.direct = true
		split := direct
		split.split = true
		d, s := v, v
		d.design, s.design = direct, split
		d.write, s.write = 0.35, 0.35
		out = append(out, v, d, s)
	}
	for _, m := range []struct {
		rate, blocks float64
		mma
	}{
		{600, 2, mma{rows: 128, columns: 128, warpRows: 64, warpColumns: 32, stages: 4, async: true}},
		{570, 4, mma{rows: 64, columns: 64, warpRows: 32, warpColumns: 32, stages: 4, async: true}},
		{400, 2, mma{rows: 128, columns: 128, warpRows: 64, warpColumns: 32, stages: 2}},
		{300, 4, mma{rows: 64, columns: 64, warpRows: 32, warpColumns: 32, stages: 2}},
	} {
		v := variant{design: m.mma, blocks: m.blocks, rate: scale * m.rate, write: 0.05}
		s, split := v, m.mma
		split.split = true
		s.design = split
		out = append(out, v, s)
	}
	return out
}
