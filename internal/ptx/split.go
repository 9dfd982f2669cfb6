package ptx

import "github.com/gpuplay/gpuplay/internal/matrix"

// A tiling is how a design divides a product among blocks.
type tiling struct {
	rows, columns int  // of C that a block, or a cluster of blocks, computes at a time
	depth         int  // k of a step
	split         bool // K is divided
}

func (g tiling) tiles(p Problem) int { return ceil(p.M, g.rows) * ceil(p.N, g.columns) }

// Split-K. If C has fewer tiles than the card has multiprocessors, K is divided into
// shares, which other blocks sum up. The sums of each share go to the workspace; a
// second kernel adds them in a fixed order, so that a product is the same each time.

func splitName(split bool) string {
	if split {
		return " split-K"
	}
	return ""
}

// splitParams are the parameters that a product's entry has in addition: how many k
// a share has.
func splitParams(split bool) []string {
	if split {
		return []string{".u32 pShare"}
	}
	return nil
}

// share sets kStart and kEnd, the first k of a block and the one after its last. Of
// a divided K it takes the share's number out of tile, and moves cBase to the
// share's sums in the workspace.
func (t *text) share(split bool, tileRows, tileColumns, size int) {
	t.line("\t.reg .u32 kStart;")
	if !split {
		t.line("\tmov.u32 kStart, 0;\n\tmov.u32 kEnd, depth;")
		return
	}
	t.words(map[string]string{"pShare": "share"})
	t.line(`	.reg .u32 shareTiles, shareNumber;
	.reg .u64 shareBytes, shareNumber64;
	add.u32 scratch, rows, %[1]d;
	div.u32 scratch, scratch, %[2]d;
	add.u32 shareTiles, columns, %[3]d;
	div.u32 shareTiles, shareTiles, %[4]d;
	mul.lo.u32 shareTiles, shareTiles, scratch;
	div.u32 shareNumber, tile, shareTiles;
	mul.lo.u32 scratch, shareNumber, shareTiles;
	sub.u32 tile, tile, scratch;`, tileRows-1, tileRows, tileColumns-1, tileColumns)
	t.enterShare("shareNumber", "kStart", size)
}

// enterShare sets first and kEnd to the first k of a share and the one after its last, and
// moves cBase to its sums of size bytes. number and first are registers.
func (t *text) enterShare(number, first string, size int) {
	t.line(`	mul.lo.u32 %[2]s, %[1]s, share;
	add.u32 kEnd, %[2]s, share;
	min.u32 kEnd, kEnd, depth;
	cvt.u64.u32 shareNumber64, %[1]s;
	mul.wide.u32 shareBytes, rows, columns;
	mul.lo.u64 shareBytes, shareBytes, shareNumber64;
	mad.lo.u64 cBase, shareBytes, %[3]d, cBase;`, number, first, size)
}

// sums is the type of the sums in the workspace.
func sums(p Problem) matrix.DType {
	if p.Acc == matrix.TF32 {
		return matrix.Float32
	}
	return p.Acc
}

// written is the type that the product's entry writes.
func written(p Problem, split bool) matrix.DType {
	if split {
		return sums(p)
	}
	return p.Out
}

const reduceThreads = 256

// reduce writes the entry that adds the shares' sums:
//
//	for i := range M * N { // a thread each
//		sum := 0
//		for s := range shares {
//			sum += work[s][i]
//		}
//		c[i] = sum
//	}
func (t *text) reduce(c Card, p Problem) {
	n := arithmeticOf(p)
	t.begin(entry{name: "reduce", threads: reduceThreads, params: []string{".u64 pWork", ".u64 pC", ".u32 pM", ".u32 pN", ".u32 pShares"}})
	t.pointers(map[string]string{"pWork": "workBase", "pC": "cBase"})
	t.words(map[string]string{"pM": "rows", "pN": "columns", "pShares": "shares"})
	t.line(`	.reg .u64 count, index, stride, from;
	.reg .u32 block, thread;
	.reg .pred inside, more;
	.reg .b16 half;
	.reg .b32 bits, odd;
	.reg .%[1]s sum, next;
	mov.u32 block, %%ctaid.x;
	mov.u32 thread, %%tid.x;
	mul.wide.u32 count, rows, columns;
	mul.wide.u32 index, block, %[2]d;
	cvt.u64.u32 from, thread;
	add.u64 index, index, from;
	setp.lt.u64 inside, index, count;
	@!inside bra DONE;
	mul.lo.u64 stride, count, %[3]d;
	mad.lo.u64 from, index, %[3]d, workBase;
	mov.%[1]s sum, %[4]s;
NEXT:
	ld.global.%[1]s next, [from];
	add.%[1]s sum, sum, next;
	add.u64 from, from, stride;
	sub.u32 shares, shares, 1;
	setp.ne.u32 more, shares, 0;
	@more bra NEXT;
	mad.lo.u64 from, index, %[5]d, cBase;`, n.register, reduceThreads, n.size, n.zero, p.Out.Size())
	t.storeRounded(c, p.Out, "inside", "from", "sum")
	t.line("DONE:")
	t.end()
}

// splitLaunches completes the launch of a product with its grid, and where K is
// divided adds the launch of reduce. output is the index of C among the parameters, work the
// bytes of workspace that are in use already; it returns how many there are then.
func splitLaunches(c Card, p Problem, g tiling, l Launch, output, work int) ([]Launch, int) {
	l.Grid = [3]int{g.tiles(p), 1, 1}
	if !g.split {
		return []Launch{l}, work
	}
	share, shares := g.shares(c, p)
	l.Grid[0] *= shares
	sumsAt := Param{Kind: Work, Offset: work}
	l.Params[output] = sumsAt
	l.Params = append(l.Params, word(share))
	add := Launch{
		Entry: "reduce", Grid: [3]int{ceil(p.M*p.N, reduceThreads), 1, 1}, Block: [3]int{reduceThreads, 1, 1},
		Params: []Param{sumsAt, {Kind: C}, word(p.M), word(p.N), word(shares)},
	}
	return []Launch{l, add}, work + shares*p.M*p.N*sums(p).Size()
}

// shares divides K so that there are about two blocks for each multiprocessor, and
// each of them has at least 8 steps to do.
func (g tiling) shares(c Card, p Problem) (share, count int) {
	count = max(1, min(2*c.SMs/g.tiles(p), p.K/(8*g.depth)))
	share = ceil(ceil(p.K, count), g.depth) * g.depth
	return share, ceil(p.K, share)
}

func word(n int) Param { return Param{Kind: Word, Word: uint32(n)} }

func aligned(bytes int) bool { return bytes%16 == 0 }

// columnsOfA and columnsOfB are the lengths of the rows in memory.
func (p Problem) columnsOfA() int {
	if p.TransA {
		return p.M
	}
	return p.K
}

func (p Problem) columnsOfB() int {
	if p.TransB {
		return p.K
	}
	return p.N
}
