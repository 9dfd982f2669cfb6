package ptx

import (
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// A Rung is the one before it with one more idea, to see what the idea is worth.
type Rung struct {
	Name, Idea string
	DType      matrix.DType // of the operands; sums are in float32
	// Bytes for each multiplication and addition: Global as multiprocessors ask for them,
	// in the 32-byte sectors in which memory answers, Shared as threads or tensor cores
	// read them.
	Global, Shared float64

	cores  cores
	design design
}

// cores are what multiplies.
type cores int

const (
	ordinary        cores = iota
	warpTensor            // tensor cores, by instructions of a warp
	warpgroupTensor       // tensor cores, by instructions of four warps
)

// Ladder is the way from the textbook's loops to the fastest kernel, for square products.
var Ladder = []Rung{
	{"naive", "a thread for each element of C; the threads of a warp compute elements of a column", matrix.Float32,
		sector + sector/32., 0, ordinary, textbook{title: "naive", write: naive}},
	{"coalesced", "the same, but the threads of a warp compute elements of a row, so that they read neighbours in memory", matrix.Float32,
		4 + sector/32., 0, ordinary, textbook{title: "coalesced", write: coalesced}},
	{"tiled", "blocks of threads first copy 32×32 tiles of A and B to shared memory, and use each number 32 times", matrix.Float32,
		2 * 4. / 32, 2 * 4, ordinary, textbook{title: "tiled", write: tiled}},
	{"blocked", "a thread keeps 8×8 sums in registers; the next tiles are on their way while these are multiplied", matrix.Float32,
		traffic(128, 128, 4), traffic(8, 8, 4), ordinary, portable{rows: 128, columns: 128, depth: 16, threadRows: 8, threadColumns: 8, wide: true}},
	{"bulk copies", "one warp does nothing but start copies of tiles (TMA); the others multiply, 16×8 sums to a thread", matrix.Float32,
		traffic(128, 256, 4), traffic(16, 8, 4), ordinary, largeFMA},
	{"tensor cores", "instructions of a warp that multiply 16×16 by 16×8 numbers of 16 bits (mma.sync), fed by asynchronous copies", matrix.BFloat16,
		traffic(128, 128, 2), traffic(64, 32, 2), warpTensor, mma{rows: 128, columns: 128, warpRows: 64, warpColumns: 32, stages: 4, async: true}},
	{"warpgroups", "instructions of four warps (wgmma) that read A and B from shared memory, where bulk copies put them", matrix.BFloat16,
		traffic(128, 256, 2), traffic(64, 256, 2), warpgroupTensor, hopper{rows: 128, columns: 256, stages: 4, cluster: 1, band: 16}},
	{"clusters", "two blocks share their part of B: each copies half of it, to both (multicast)", matrix.BFloat16,
		traffic(256, 256, 2), traffic(64, 256, 2), warpgroupTensor, hopper{rows: 128, columns: 256, stages: 4, cluster: 2, band: 8}},
}

// sector is the bytes that memory transfers at least.
const sector = 32

// traffic returns the bytes for a multiplication if a tile of C is computed from rows of A
// and columns of B that are each read once.
func traffic(rows, columns, size int) float64 {
	return float64((rows+columns)*size) / float64(rows*columns)
}

// PerClock returns how many multiplications and additions a multiprocessor of the card can
// make in a clock with the instructions of the rung. Sources: CUDA C++ Programming Guide,
// "Throughput of Native Arithmetic Instructions"; for tensor cores, what NVIDIA publishes
// for V100 (125 TFLOP/s at 1530 MHz and 80 multiprocessors), A100 (312, 1410, 108), and
// H100 (989, 1830, 132) with warpgroups.
func (r Rung) PerClock(c Card) float64 {
	switch {
	case r.cores == warpgroupTensor:
		return 2048
	case r.cores == warpTensor && (c.CC == 80 || c.CC >= 90):
		return 1024
	case r.cores == warpTensor:
		return 512
	case c.CC == 60 || c.CC >= 70 && c.CC <= 80:
		return 64
	}
	return 128
}

// Kernels returns the rung's kernel for a square product. The error, fault.Unsupported,
// says that the card does not have what the rung is about.
func (r Rung) Kernels(c Card, p Problem) ([]Kernel, error) {
	if _, isa := r.design.needs(c, p); isa > c.ISA || !r.design.fits(c, p) {
		return nil, fault.Errorf(fault.Unsupported, "%s: not on a card of compute capability %d.%d with n = %d", r.Name, c.CC/10, c.CC%10, p.N)
	}
	return []Kernel{generate(r.design, c, p)}, nil
}

// A textbook kernel has a thread for each element of C, in blocks of 32×32. It computes
// products of float32 that are transposed neither way.
type textbook struct {
	title string
	write func(t *text)
}

func (d textbook) name() string                      { return d.title }
func (d textbook) needs(Card, Problem) (string, int) { return "sm_50", 60 }

func (d textbook) fits(_ Card, p Problem) bool {
	return p.In == matrix.Float32 && p.Acc == matrix.Float32 && !p.TransA && !p.TransB
}

// square is the side of the square of C that a block of textbook kernels computes.
const square = 32

func (d textbook) module(t *text, _ Card, _ Problem) {
	t.begin(entry{name: "gemm", threads: square * square, params: []string{".u64 pA", ".u64 pB", ".u64 pC", ".u32 pM", ".u32 pN", ".u32 pK"}})
	t.pointers(map[string]string{"pA": "aBase", "pB": "bBase", "pC": "cBase"})
	t.words(map[string]string{"pM": "rows", "pN": "columns", "pK": "depth"})
	t.line(`	.reg .u32 tile, thread, lane, warp, row, column, k;
	.reg .u64 aAt, bAt, cAt, bPitch, offset;
	.reg .f32 a, b, sum;
	.reg .pred inside, rowInside, more;
	mov.u32 tile, %%ctaid.x;
	mov.u32 thread, %%tid.x;
	and.b32 lane, thread, 31;
	shr.u32 warp, thread, 5;
	mov.f32 sum, 0f00000000;`)
	t.count(square, square, 16)
	t.locate(square, square, 16)
	d.write(t)
	t.line(`	setp.lt.u32 rowInside, row, rows;
	setp.lt.and.u32 inside, column, columns, rowInside;
	mul.wide.u32 cAt, row, columns;
	cvt.u64.u32 offset, column;
	add.u64 cAt, cAt, offset;
	mad.lo.u64 cAt, cAt, 4, cBase;
	@inside st.global.f32 [cAt], sum;`)
	t.end()
}

func (d textbook) tiling(Problem) tiling { return tiling{rows: square, columns: square, depth: 1} }

func (d textbook) launches(c Card, p Problem) ([]Launch, int) {
	l := Launch{
		Entry: "gemm", Block: [3]int{square * square, 1, 1},
		Params: []Param{{Kind: A}, {Kind: B}, {Kind: C}, word(p.M), word(p.N), word(p.K)},
	}
	return splitLaunches(c, p, d.tiling(p), l, 2, 0)
}

// naive is the definition, with a thread for each row and column:
//
//	row, column := tile row + lane, tile column + warp
//	for k := range K {
//		sum += A[row][k] * B[k][column]
//	}
//
// The lanes of a warp read A in 32 rows, 4 bytes of each 32-byte sector.
func naive(t *text) {
	t.line("\tadd.u32 row, tileRow, lane;\n\tadd.u32 column, tileColumn, warp;")
	dot(t)
}

// coalesced is naive with lanes and warps exchanged:
//
//	row, column := tile row + warp, tile column + lane
//
// Now a warp reads 32 neighbours of B at once, and one number of A.
func coalesced(t *text) {
	t.line("\tadd.u32 row, tileRow, warp;\n\tadd.u32 column, tileColumn, lane;")
	dot(t)
}

// dot adds up the products of a row of A and a column of B. Threads outside of C read
// the first row or column instead, and write nothing.
func dot(t *text) {
	t.line(`	setp.lt.u32 inside, row, rows;
	selp.u32 warp, row, 0, inside;
	mul.wide.u32 aAt, warp, depth;
	mad.lo.u64 aAt, aAt, 4, aBase;
	setp.lt.u32 inside, column, columns;
	selp.u32 warp, column, 0, inside;
	mul.wide.u32 bAt, warp, 4;
	add.u64 bAt, bAt, bBase;
	mul.wide.u32 bPitch, columns, 4;
	mov.u32 k, 0;
STEP:
	ld.global.f32 a, [aAt];
	ld.global.f32 b, [bAt];
	fma.rn.f32 sum, a, b, sum;
	add.u64 aAt, aAt, 4;
	add.u64 bAt, bAt, bPitch;
	add.u32 k, k, 1;
	setp.lt.u32 more, k, depth;
	@more bra STEP;`)
}

// tiled is coalesced with tiles in shared memory:
//
//	for k0 := 0; k0 < K; k0 += 32 {
//		a[warp][lane], b[warp][lane] = A[row][k0+lane], B[k0+warp][column]
//		wait for all threads
//		for k := range 32 {
//			sum += a[warp][k] * b[k][lane]
//		}
//		wait for all threads
//	}
//
// Each number is fetched from memory once for 32 multiplications. Each multiplication still
// reads both of its factors from shared memory.
func tiled(t *text) {
	t.line(`	.shared .align 16 .b8 aTile[4096];
	.shared .align 16 .b8 bTile[4096];
	.reg .u32 aTo, bTo, aRow, bColumn, kLane, kWarp;
	add.u32 row, tileRow, warp;
	add.u32 column, tileColumn, lane;
	mul.lo.u32 aTo, thread, 4;
	mov.u32 bTo, bTile;
	add.u32 bTo, bTo, aTo;
	mov.u32 aRow, aTile;
	add.u32 aTo, aTo, aRow;
	mad.lo.u32 aRow, warp, 128, aRow;
	mov.u32 bColumn, bTile;
	mad.lo.u32 bColumn, lane, 4, bColumn;
	mul.wide.u32 aAt, row, depth;
	cvt.u64.u32 offset, lane;
	add.u64 aAt, aAt, offset;
	mad.lo.u64 aAt, aAt, 4, aBase;
	mul.wide.u32 bAt, warp, columns;
	cvt.u64.u32 offset, column;
	add.u64 bAt, bAt, offset;
	mad.lo.u64 bAt, bAt, 4, bBase;
	mul.wide.u32 bPitch, columns, 128;
	mov.u32 k, 0;
STEP:
	add.u32 kLane, k, lane;
	add.u32 kWarp, k, warp;
	mov.f32 a, 0f00000000;
	mov.f32 b, 0f00000000;
	setp.lt.u32 inside, row, rows;
	setp.lt.and.u32 inside, kLane, depth, inside;
	@inside ld.global.f32 a, [aAt];
	setp.lt.u32 inside, column, columns;
	setp.lt.and.u32 inside, kWarp, depth, inside;
	@inside ld.global.f32 b, [bAt];
	st.shared.f32 [aTo], a;
	st.shared.f32 [bTo], b;
	bar.sync 0;`)
	for k := range square {
		t.line("\tld.shared.f32 a, [aRow+%d];\n\tld.shared.f32 b, [bColumn+%d];\n\tfma.rn.f32 sum, a, b, sum;", 4*k, 128*k)
	}
	t.line(`	bar.sync 0;
	add.u64 aAt, aAt, 128;
	add.u64 bAt, bAt, bPitch;
	add.u32 k, k, 32;
	setp.lt.u32 more, k, depth;
	@more bra STEP;`)
}
