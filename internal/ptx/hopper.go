package ptx

import (
	"fmt"

	"github.com/gpuplay/gpuplay/internal/matrix"
)

// A hopper kernel uses what compute capability 9.0 has: bulk copies of tiles (TMA),
// barriers that count bytes, clusters of blocks, and, in wgmma.go, matrix
// instructions of a whole warpgroup. PTX ISA 8.0, sections "Asynchronous data copies",
// "mbarrier" and "setmaxnreg".
//
// As many blocks as fit run until all tiles of C are computed. The four warps of the
// first warpgroup copy, of which one thread suffices; those of the others multiply:
//
//	producer:                                    consumers:
//	for each tile, for k0 := 0; k0 < K; {        for each tile, for k0 := 0; k0 < K; {
//		wait until stage is empty                    wait until stage is full
//		copy A[tile rows][k0…] and                   c += a · b
//			B[k0…][tile columns] to stage            say that stage is empty
//		k0 += depth; stage = (stage + 1) % stages    k0 += depth; stage = (stage + 1) % stages
//	}                                            }; write the tile of C
//
// So the first copies of the next tile are made while this one is written. In a
// cluster, two blocks whose tiles are neighbours in M need the same part of B: each
// copies half of it, to both.
//
// Elements outside of A and B arrive as zeros, which add nothing, and those outside
// of C are not written, so that every shape works.
type hopper struct {
	rows, columns int
	stages        int
	cluster       int // 1 or 2 blocks
	band          int // clusters in M that are walked before the next column of tiles
	split         bool
	direct        bool // C is written from registers; else by bulk copies, for which its rows must be multiples of 16 bytes

	// Only of float32, which is multiplied without tensor cores (fma.go):
	threadRows, threadColumns int
	deepA                     int  // k of A that are read at once: 2 or 4
	unroll                    int  // groups of 4 k in the body of the loop
	order                     int  // seed of the order in which the multiplications are listed
	wide                      bool // C is written 16 bytes at a time
}

// multipliers is the number of warpgroups that multiply.
const multipliers = 2

const hopperThreads = 128 * (multipliers + 1)

// rowBytes is the length of a row of the ring: what TMA can swizzle.
const rowBytes = 128

func (d hopper) fma() bool { return d.threadRows > 0 }

func (d hopper) name() string {
	if d.fma() {
		name := fmt.Sprintf("fma %dx%d s%d", d.rows, d.columns, d.stages)
		if d.wide {
			name += " wide"
		}
		return name + splitName(d.split)
	}
	name := fmt.Sprintf("wgmma %dx%d s%d", d.rows, d.columns, d.stages)
	if d.cluster > 1 {
		name += fmt.Sprintf(" c%d", d.cluster)
	}
	if d.direct {
		name += " direct"
	}
	return name + splitName(d.split)
}

// needs: the target with an a has what only this generation has; PTX for it runs on
// no other.
func (d hopper) needs(Card, Problem) (string, int) { return "sm_90a", 80 }

func (d hopper) fits(c Card, p Problem) bool {
	if c.CC != 90 || d.shared() > c.Shared || d.fma() != (p.Acc == matrix.Float32 && p.In == matrix.Float32) || p.In == matrix.Float64 {
		return false
	}
	l := d.layout(p)
	if !l.deepB && !d.fma() && d.columns/d.cluster < 64 {
		return false // a block of a cluster copies whole groups of 64 columns
	}
	switch {
	case d.wide:
		return aligned(p.N * p.Out.Size())
	case !d.direct && !d.fma():
		return p.Out.Size() == 2 && !d.split && aligned(p.N*p.Out.Size())
	}
	return true
}

// A layout says which operands have consecutive k next to each other in memory.
type layout struct{ deepA, deepB bool }

// layout returns how the ring holds the operands. 16-bit matrix instructions take
// either way, those of other types only consecutive k; without tensor cores, B is
// read as rows of its columns. What memory holds the other way is repacked before.
func (d hopper) layout(p Problem) layout {
	switch {
	case d.fma():
		return layout{true, false}
	case p.In.Size() == 2:
		return layout{!p.TransA, p.TransB}
	}
	return layout{true, true}
}

// depth is the number of k of a step.
func (d hopper) depth(p Problem) int { return rowBytes / p.In.Size() }

func (d hopper) bytesA() int { return d.rows * rowBytes }
func (d hopper) bytesB() int { return d.columns * rowBytes }
func (d hopper) ring() int   { return d.stages * (d.bytesA() + d.bytesB()) }

// stagingBytes is the part of C that a warp writes with one bulk copy: 16 rows of 128
// bytes. A warp has two of them.
const stagingBytes = 16 * rowBytes

func (d hopper) staging() int {
	if d.fma() || d.direct {
		return 0
	}
	return multipliers * 4 * 2 * stagingBytes
}

// barriers is where the barriers are in shared memory: full of each stage, which
// waits for one arrival and the bytes, then empty of each stage, which waits for
// every multiplying warp of the cluster. PTX ISA: an mbarrier takes 8 bytes.
func (d hopper) barriers() int { return d.ring() + d.staging() }

// shared is the size of shared memory.
func (d hopper) shared() int { return d.barriers() + 16*d.stages }

func (d hopper) module(t *text, c Card, p Problem) {
	t.line(".extern .shared .align 1024 .b8 ring[];")
	params := []string{".param .align 64 .b8 mapA[128]", ".param .align 64 .b8 mapB[128]"}
	if d.staging() > 0 {
		params = append(params, ".param .align 64 .b8 mapC[128]")
	}
	params = append(params, ".u64 pC", ".u32 pM", ".u32 pN", ".u32 pK")
	// One block is resident: with that, ptxas lets the multiplying warps have the
	// registers that setmaxnreg takes from those that copy.
	t.begin(entry{name: "gemm", threads: hopperThreads, blocks: 1, cluster: d.cluster, params: append(params, splitParams(d.split)...)})
	t.pointers(map[string]string{"pC": "cStart"})
	t.words(map[string]string{"pM": "rows", "pN": "columns", "pK": "depth"})
	t.line(`	.reg .pred check, notFirst, freeing;
	.reg .u32 thread, warpgroup, warp, lane, ringStart, rank, full, stage, phase, k, kEnd, scratch, at, next, last, step, tile, shares;
	.reg .u64 mapAt_A, mapAt_B, mapAt_C, cBase;
	mov.b64 mapAt_A, mapA;
	cvta.param.u64 mapAt_A, mapAt_A;
	mov.b64 mapAt_B, mapB;
	cvta.param.u64 mapAt_B, mapAt_B;`)
	if d.staging() > 0 {
		t.line("\tmov.b64 mapAt_C, mapC;\n\tcvta.param.u64 mapAt_C, mapAt_C;")
	}
	// The shuffle tells ptxas that all threads of a warp have the same number.
	t.line(`	mov.u32 thread, %%tid.x;
	shr.u32 warpgroup, thread, 7;
	shfl.sync.idx.b32 warpgroup, warpgroup, 0, 31, -1;
	and.b32 lane, thread, 31;
	mov.u32 ringStart, ring;
	mov.u32 next, %%ctaid.x;
	mov.u32 step, %%nctaid.x;
	mov.u32 rank, 0;`)
	if d.cluster > 1 {
		t.line("\tmov.u32 rank, %%cluster_ctarank;\n\tdiv.u32 next, next, %[1]d;\n\tdiv.u32 step, step, %[1]d;", d.cluster)
	}
	t.count(d.rows*d.cluster, d.columns, d.band)
	t.line("\tmul.lo.u32 last, tilesM, tilesN;")
	if d.split {
		t.words(map[string]string{"pShare": "share"})
		t.line(`	.reg .u32 tiles;
	.reg .u64 shareBytes, shareNumber64;
	mov.u32 tiles, last;
	add.u32 shares, depth, share;
	sub.u32 shares, shares, 1;
	div.u32 shares, shares, share;
	mul.lo.u32 last, last, shares;`)
	}
	t.line("\tadd.u32 full, ringStart, %d;\n\tsetp.ne.u32 check, thread, 0;\n\t@check bra READY;", d.barriers())
	for s := range d.stages {
		t.line("\tmbarrier.init.shared::cta.b64 [full+%d], 1;\n\tmbarrier.init.shared::cta.b64 [full+%d], %d;", 8*s, 8*(d.stages+s), 4*multipliers*d.cluster)
	}
	t.line("\tfence.mbarrier_init.release.cluster;\nREADY:")
	if d.cluster > 1 {
		t.line("\tbarrier.cluster.arrive.aligned;\n\tbarrier.cluster.wait.aligned;")
	} else {
		t.line("\tbar.sync 0;")
	}
	t.line("\tmov.u32 stage, 0;\n\tsetp.ne.u32 check, warpgroup, 0;\n\t@check bra CONSUMER;")

	d.produce(t, p)

	// 240 registers for each of 256 threads and 24 for 128 are what a multiprocessor
	// has: 65,536.
	t.line(`CONSUMER:
	setmaxnreg.inc.sync.aligned.u32 240;
	mov.u32 phase, 0;
	shr.u32 warp, thread, 5;
	sub.u32 warp, warp, 4;
	shfl.sync.idx.b32 warp, warp, 0, 31, -1;
	sub.u32 warpgroup, warpgroup, 1;
	setp.lt.u32 freeing, lane, %d;
	.reg .u32 empty;
	add.u32 empty, full, %d;`, d.cluster, 8*d.stages)
	if d.cluster > 1 { // lane i of each warp frees the stage in block i
		t.line("\tand.b32 scratch, lane, %d;\n\tmapa.shared::cluster.u32 empty, empty, scratch;", d.cluster-1)
	}
	if d.fma() {
		d.multiplyFMA(t, p)
	} else {
		d.multiplyWGMMA(t, p)
	}
	t.line("END:")
	if d.cluster > 1 { // no block may end while its neighbour still copies into it
		t.line("\tbarrier.cluster.arrive;\n\tbarrier.cluster.wait;")
	}
	t.end()
	if d.split {
		t.reduce(c, p)
	}
	repackEntries(t, p, d.layout(p))
}

// produce is the thread that copies.
func (d hopper) produce(t *text, p Problem) {
	l := d.layout(p)
	t.line(`	setmaxnreg.dec.sync.aligned.u32 24;
	setp.ne.u32 check, thread, 0;
	@check bra END;
	mov.u32 phase, 1;
	prefetch.tensormap [mapAt_A];
	prefetch.tensormap [mapAt_B];`)
	if d.staging() > 0 {
		t.line("\tprefetch.tensormap [mapAt_C];")
	}
	t.line("\t.reg .u32 toA, toB, arrived, emptied, partB;")
	d.eachTile(t, "PRODUCE", func() {
		t.line("PRODUCE_STEP:\n\tshl.b32 scratch, stage, 3;\n\tadd.u32 arrived, full, scratch;\n\tadd.u32 emptied, arrived, %d;", 8*d.stages)
		t.wait("emptied", "phase")
		t.line("\tmbarrier.arrive.expect_tx.shared::cta.b64 _, [arrived], %d;", d.bytesA()+d.bytesB())
		t.line("\tmad.lo.u32 toA, stage, %d, ringStart;\n\tmad.lo.u32 toB, stage, %d, ringStart;", d.bytesA(), d.bytesB())
		if l.deepA {
			t.bulkCopy("toA", "mapAt_A", "k", "tileRow", "arrived", 1)
		} else { // groups of 64 columns of memory, which are rows of A
			for i := range d.rows / 64 {
				t.line("\tadd.u32 scratch, tileRow, %d;", 64*i)
				t.bulkCopy(fmt.Sprintf("toA+%d", i*64*rowBytes), "mapAt_A", "scratch", "k", "arrived", 1)
			}
		}
		ringB, part := d.stages*d.bytesA(), d.columns/d.cluster
		t.line("\tmad.lo.u32 toB, rank, %d, toB;\n\tmad.lo.u32 partB, rank, %d, tileColumn;", part*rowBytes, part)
		switch {
		case l.deepB:
			t.bulkCopy(fmt.Sprintf("toB+%d", ringB), "mapAt_B", "k", "partB", "arrived", d.cluster)
		case d.fma():
			t.bulkCopy(fmt.Sprintf("toB+%d", ringB), "mapAt_B", "partB", "k", "arrived", d.cluster)
		default:
			for i := range part / 64 {
				t.line("\tadd.u32 scratch, partB, %d;", 64*i)
				t.bulkCopy(fmt.Sprintf("toB+%d", ringB+i*64*rowBytes), "mapAt_B", "scratch", "k", "arrived", d.cluster)
			}
		}
		d.nextStage(t)
		t.line("\tadd.u32 k, k, %d;\n\tsetp.lt.u32 check, k, kEnd;\n\t@check bra PRODUCE_STEP;", d.depth(p))
	}, p)
	t.line("\tbra END;")
}

// bulkCopy copies a box of a tensor map to shared memory, of every block of the
// cluster at the same place, and counts its bytes at the barrier there.
func (t *text) bulkCopy(to, tensorMap, column, row, barrier string, cluster int) {
	multicast, mask := "", ""
	if cluster > 1 {
		multicast, mask = ".multicast::cluster", fmt.Sprintf(", %d", 1<<cluster-1)
	}
	t.line("\tcp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes%s [%s], [%s, {%s, %s}], [%s]%s;",
		multicast, to, tensorMap, column, row, barrier, mask)
}

// wait waits until the phase of a barrier with that parity is complete.
func (t *text) wait(barrier, parity string) {
	again := t.label("WAIT")
	t.line("%[1]s:\n\tmbarrier.try_wait.parity.shared::cta.b64 check, [%[2]s], %[3]s;\n\t@!check bra %[1]s;", again, barrier, parity)
}

// free says that a stage, given as the offset of its barrier, has been read.
//
// The remote arrival has no .release.cluster: that would cost a fence of the whole
// card in the loop, and a stage that has only been read has nothing to publish.
func (d hopper) free(t *text, predicate, offset string) {
	t.line("\tadd.u32 at, empty, %s;", offset)
	if d.cluster > 1 {
		t.line("\t@%s mbarrier.arrive.shared::cluster.b64 _, [at];", predicate)
	} else {
		t.line("\t@%s mbarrier.arrive.shared::cta.b64 _, [at];", predicate)
	}
}

// nextStage steps through the ring. The parity of the phases changes with each turn.
func (d hopper) nextStage(t *text) {
	t.line("\tadd.u32 stage, stage, 1;\n\tsetp.eq.u32 check, stage, %d;\n\t@check mov.u32 stage, 0;\n\t@check xor.b32 phase, phase, 1;", d.stages)
}

// eachTile runs body for each tile of the block, with tileRow, tileColumn, k, kEnd and
// cBase set.
func (d hopper) eachTile(t *text, name string, body func(), p Problem) {
	t.line("%[1]s_TILE:\n\tsetp.ge.u32 check, next, last;\n\t@check bra %[1]s_DONE;", name)
	t.line("\tmov.u32 tile, next;\n\tmov.u32 k, 0;\n\tmov.u32 kEnd, depth;\n\tmov.u64 cBase, cStart;")
	if d.split {
		t.line(`	div.u32 scratch, next, tiles;
	mul.lo.u32 tile, scratch, tiles;
	sub.u32 tile, next, tile;`)
		t.enterShare("scratch", "k", sums(p).Size())
	}
	t.locate(d.rows*d.cluster, d.columns, d.band)
	if d.cluster > 1 {
		t.line("\tmad.lo.u32 tileRow, rank, %d, tileRow;", d.rows)
	}
	body()
	t.line("\tadd.u32 next, next, step;\n\tbra %[1]s_TILE;\n%[1]s_DONE:", name)
}

func (d hopper) tiling(p Problem) tiling {
	return tiling{d.rows * d.cluster, d.columns, d.depth(p), d.split}
}

func (d hopper) launches(c Card, p Problem) ([]Launch, int) {
	l := d.layout(p)
	depth := d.depth(p)
	part := d.columns / d.cluster
	a, b, before, work := repackLaunches(p, l)
	a.BoxRows, a.BoxCols, a.Swizzle = depth, 64, rowBytes
	if l.deepA {
		a.BoxRows, a.BoxCols = d.rows, depth
	}
	b.BoxRows, b.BoxCols, b.Swizzle = depth, 64, rowBytes
	switch {
	case l.deepB:
		b.BoxRows, b.BoxCols = part, depth
	case d.fma():
		b.BoxCols, b.Swizzle = part, 0
	}
	product := Launch{Entry: "gemm", Block: [3]int{hopperThreads, 1, 1}, Shared: d.shared(), Params: []Param{{Kind: Map, Map: &a}, {Kind: Map, Map: &b}}}
	if d.staging() > 0 {
		product.Params = append(product.Params, Param{Kind: Map, Map: &TensorMap{
			Of: C, DType: p.Out, Rows: p.M, Cols: p.N, BoxRows: 16, BoxCols: rowBytes / p.Out.Size(), Swizzle: rowBytes}})
	}
	output := len(product.Params)
	product.Params = append(product.Params, Param{Kind: C}, word(p.M), word(p.N), word(p.K))
	launches, work := splitLaunches(c, p, d.tiling(p), product, output, work)
	// One block for each multiprocessor, or fewer if there are fewer tiles.
	launches[0].Grid[0] = min(launches[0].Grid[0]*d.cluster, c.SMs/d.cluster*d.cluster)
	return append(before, launches...), work
}
