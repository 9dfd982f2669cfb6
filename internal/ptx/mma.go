package ptx

import (
	"fmt"

	"github.com/gpuplay/gpuplay/internal/matrix"
)

// An mma kernel uses the tensor cores through instructions of one warp, mma.sync, as
// compute capability 7.5 and everything newer has them. A block computes a tile of C:
//
//	for k0 := 0; k0 < K; k0 += depth {
//		start copying step k0 + (stages-1)·depth to the stage that was read last
//		wait until step k0 has arrived
//		for k := range depth / instruction depth {
//			for i := range warpRows/16 { for j := range warpColumns/8 {
//				c[i][j] += a[i] · b[j] // one instruction: 16×8
//			} }
//		}
//	}
//
// Copies go from global to shared memory 16 bytes at a time: asynchronously (cp.async)
// from 8.0 on, through registers before. Rows of A or columns of B with consecutive k
// lie as rows of 64 bytes in shared memory; a 16-bit operand that memory holds the other
// way lies as rows of its columns, and is transposed by ldmatrix.
type mma struct {
	rows, columns         int // of the tile of a block
	warpRows, warpColumns int // of the part of a warp
	stages                int
	async                 bool
	split                 bool
}

func (d mma) name() string {
	name := fmt.Sprintf("mma %dx%d", d.rows, d.columns)
	if d.async {
		name += fmt.Sprintf(" s%d", d.stages)
	}
	return name + splitName(d.split)
}

func (d mma) needs(c Card, p Problem) (string, int) {
	switch {
	case !d.async:
		return "sm_75", 65
	case p.In == matrix.Float64 && c.CC == 90: // which has a 16×8 of float64
		return "sm_90", 78
	}
	return "sm_80", 70
}

func (d mma) fits(c Card, p Problem) bool {
	if p.In == matrix.Float32 && p.Acc != matrix.TF32 || d.shared() > c.Shared {
		return false
	}
	if d.async {
		return c.CC >= 80
	}
	return c.CC >= 75 && c.CC < 80 && (p.In == matrix.Float16 || p.In == matrix.Int8)
}

func (d mma) layout(p Problem) layout {
	if p.In.Size() == 2 {
		return layout{!p.TransA, p.TransB}
	}
	return layout{true, true}
}

// stepBytes is how many bytes of k a step has.
const stepBytes = 64

func (d mma) depth(p Problem) int { return stepBytes / p.In.Size() }
func (d mma) warps() int          { return d.rows / d.warpRows * (d.columns / d.warpColumns) }
func (d mma) threads() int        { return 32 * d.warps() }
func (d mma) bytesA() int         { return d.rows * stepBytes }
func (d mma) bytesB() int         { return d.columns * stepBytes }
func (d mma) shared() int         { return d.stages * (d.bytesA() + d.bytesB()) }

// A side is A or B as an mma kernel handles it.
type side struct {
	name          string // "a" or "b"
	span          int    // rows of A or columns of B in a tile
	start, extent string // registers with the first of them, and their number in the whole matrix
	deep          bool   // rows in shared memory have consecutive k
	at            int    // offset of the first stage in shared memory
	size          int    // bytes of an element
}

func (d mma) sides(p Problem) [2]side {
	l := d.layout(p)
	return [2]side{
		{"a", d.rows, "tileRow", "rows", l.deepA, 0, p.In.Size()},
		{"b", d.columns, "tileColumn", "columns", l.deepB, d.stages * d.bytesA(), p.In.Size()},
	}
}

// chunks is the number of 16-byte columns of a row in shared memory.
func (s side) chunks() int {
	if s.deep {
		return stepBytes / 16
	}
	return s.span * s.size / 16
}

func (s side) bytes() int { return s.span * stepBytes }

// swizzle sets to to the offset of a 16-byte column in a row of shared memory, both in
// registers: columns are exclusive-ored with the row, so that the 8 rows that ldmatrix
// reads at once lie in different banks. Two rows of 64 bytes share the 128 bytes of the
// banks.
func (s side) swizzle(t *text, to, row, column string) {
	switch {
	case s.size == 8: // which is read 4 rows of 32 bytes at once
		t.line("\tbfe.u32 swizzled, %s, 1, 1;\n\tshl.b32 swizzled, swizzled, 1;", row)
	case s.deep:
		t.line("\tbfe.u32 swizzled, %s, 1, 2;", row)
	default:
		t.line("\tand.b32 swizzled, %s, 7;", row)
	}
	t.line("\txor.b32 swizzled, swizzled, %[3]s;\n\tshl.b32 swizzled, swizzled, 4;\n\tmad.lo.u32 %[1]s, %[2]s, %[4]d, swizzled;", to, row, column, 16*s.chunks())
}

func (d mma) module(t *text, c Card, p Problem) {
	depth := d.depth(p)
	sides := d.sides(p)
	fragment, zero := "b32", "0" // of integers and floats alike
	if p.In == matrix.Float64 {
		fragment, zero = "f64", "0d0000000000000000"
	}
	t.line(".extern .shared .align 128 .b8 stages[];")
	t.begin(entry{name: "gemm", threads: d.threads(), blocks: 1,
		params: append([]string{".u64 pA", ".u64 pB", ".u64 pC", ".u32 pM", ".u32 pN", ".u32 pK", ".u32 pPitchA", ".u32 pPitchB"}, splitParams(d.split)...)})
	t.pointers(map[string]string{"pA": "aBase", "pB": "bBase", "pC": "cBase"})
	t.words(map[string]string{"pM": "rows", "pN": "columns", "pK": "depth", "pPitchA": "aPitch16", "pPitchB": "bPitch16"})
	t.line(`	.reg .u32 tile, thread, warp, lane, stagesAt, scratch, other, swizzled, k, kCopy, kEnd, fill, read, bytes;
	.reg .pred inside, more;
	.reg .%s sum<%d>;
	.reg .%s aNow<%d>, bNow<%d>;
	mov.u32 tile, %%ctaid.x;
	mov.u32 thread, %%tid.x;
	shr.u32 warp, thread, 5;
	and.b32 lane, thread, 31;
	mov.u32 stagesAt, stages;`, accumulator(p), d.warpRows*d.warpColumns/32, fragment, d.warpRows/16*4, d.warpColumns/8*2)
	t.share(d.split, d.rows, d.columns, sums(p).Size())
	t.count(d.rows, d.columns, 8)
	t.locate(d.rows, d.columns, 8)
	for _, s := range sides {
		d.prepareCopy(t, s)
	}
	d.prepareRead(t, sides)
	for i := range d.warpRows * d.warpColumns / 32 {
		t.line("\tmov.%s sum%d, %s;", fragment, i, zero)
	}

	t.line("\tmov.u32 kCopy, kStart;\n\tmov.u32 k, kStart;\n\tmov.u32 fill, 0;\n\tmov.u32 read, 0;")
	next := func() { // to the next stage to fill
		t.line("\tadd.u32 kCopy, kCopy, %d;\n\tadd.u32 fill, fill, 1;\n\tsetp.eq.u32 inside, fill, %d;\n\t@inside mov.u32 fill, 0;", depth, d.stages)
	}
	copyStep := func() {
		for _, s := range sides {
			d.load(t, s)
		}
		if d.async {
			t.line("\tcp.async.commit_group;")
			next()
		}
	}
	storeStep := func() {
		if d.async {
			return
		}
		for _, s := range sides {
			d.store(t, s)
		}
		next()
	}
	for range max(1, d.stages-1) {
		copyStep()
		storeStep()
	}
	t.line("STEP:")
	if d.async {
		t.line("\tcp.async.wait_group %d;", d.stages-2)
	}
	t.line("\tbar.sync 0;")
	copyStep()
	for k := range 2 { // 32 bytes of k each
		for i := range d.warpRows / 16 {
			d.fragment(t, sides[0], k, i)
		}
		for j := range d.warpColumns / 16 {
			d.fragment(t, sides[1], k, j)
		}
		for i := range d.warpRows / 16 {
			for j := range d.warpColumns / 8 {
				d.multiply(t, c, p, (i*d.warpColumns/8+j)*4, i, j)
			}
		}
	}
	storeStep()
	t.line("\tadd.u32 read, read, 1;\n\tsetp.eq.u32 inside, read, %d;\n\t@inside mov.u32 read, 0;", d.stages)
	t.line("\tadd.u32 k, k, %d;\n\tsetp.lt.u32 more, k, kEnd;\n\t@more bra STEP;", depth)
	if d.async {
		t.line("\tcp.async.wait_all;") // of steps after the last
	}
	t.line("\t.reg .u32 row, column;\n\tadd.u32 row, tileRow, warpRow;\n\tadd.u32 column, tileColumn, warpColumn;")
	groups := d.warpColumns / 8
	f := fragments{blocks: d.warpRows / 16, blockRows: 16, groups: groups, sum: func(i, j int) string { return fmt.Sprint("sum", i*groups*4+j) }}
	f.write(t, c, written(p, d.split), accumulator(p))
	t.end()
	if d.split {
		t.reduce(c, p)
	}
	repackEntries(t, p, d.layout(p))
}

// copies returns how many rows are between two copies of a thread, and how many copies
// of 16 bytes it makes.
func (d mma) copies(s side) (step, count int) {
	step = d.threads() / s.chunks()
	return step, s.bytes() / 16 / d.threads()
}

// prepareCopy finds what a thread copies: row Outer of the tile, 16-byte column Inner,
// and every step-th row after it.
func (d mma) prepareCopy(t *text, s side) {
	step, count := d.copies(s)
	t.line(`	.reg .u64 %[1]sFrom, %[1]sPitch, %[1]sStep, %[1]sAt, %[1]sOffset, %[1]sAdvance;
	.reg .u32 %[1]sInner, %[1]sOuter, %[1]sTo<%[3]d>;
	.reg .b32 %[1]sNew<%[4]d>;
	.reg .pred %[1]sInside, %[1]sIn<%[3]d>;
	rem.u32 %[1]sInner, thread, %[2]d;
	div.u32 %[1]sOuter, thread, %[2]d;
	mul.wide.u32 %[1]sPitch, %[1]sPitch16, 16;
	mul.lo.u64 %[1]sStep, %[1]sPitch, %[5]d;`, s.name, s.chunks(), count, 4*count, step)
	for i := range count {
		t.line("\tadd.u32 scratch, %sOuter, %d;", s.name, i*step)
		s.swizzle(t, fmt.Sprintf("%sTo%d", s.name, i), "scratch", s.name+"Inner")
		t.line("\tadd.u32 %[1]sTo%[2]d, %[1]sTo%[2]d, stagesAt;\n\tadd.u32 %[1]sTo%[2]d, %[1]sTo%[2]d, %[3]d;", s.name, i, s.at)
		if s.deep {
			t.line("\tadd.u32 scratch, scratch, %[3]s;\n\tsetp.lt.u32 %[1]sIn%[2]d, scratch, %[4]s;", s.name, i, s.start, s.extent)
		}
	}
	perChunk := 16 / s.size
	t.line("\tmul.lo.u32 %[1]sInner, %[1]sInner, %[2]d;", s.name, perChunk) // in elements
	if s.deep {
		t.line("\tadd.u32 scratch, %[2]s, %[1]sOuter;\n\tadd.u32 other, kStart, %[1]sInner;\n\tmov.u64 %[1]sAdvance, %[3]d;", s.name, s.start, stepBytes)
	} else {
		t.line("\tadd.u32 scratch, kStart, %[1]sOuter;\n\tadd.u32 other, %[2]s, %[1]sInner;\n\tmul.lo.u64 %[1]sAdvance, %[1]sPitch, %[3]d;\n\tsetp.lt.u32 %[1]sInside, other, %[4]s;",
			s.name, s.start, stepBytes/s.size, s.extent)
	}
	t.line(`	cvt.u64.u32 %[1]sFrom, scratch;
	mad.lo.u64 %[1]sFrom, %[1]sFrom, %[1]sPitch, %[1]sBase;
	mul.wide.u32 %[1]sOffset, other, %[2]d;
	add.u64 %[1]sFrom, %[1]sFrom, %[1]sOffset;`, s.name, s.size)
}

// load starts the copies of step kCopy. What is outside of the matrix is not read, and
// arrives as zeros.
func (d mma) load(t *text, s side) {
	step, count := d.copies(s)
	t.line("\tmov.u64 %[1]sAt, %[1]sFrom;\n\tmul.lo.u32 other, fill, %[2]d;", s.name, s.bytes())
	if s.deep {
		t.line("\tadd.u32 scratch, kCopy, %[1]sInner;\n\tsetp.lt.u32 %[1]sInside, scratch, kEnd;", s.name)
	}
	for i := range count {
		if s.deep {
			t.line("\tand.pred inside, %[1]sInside, %[1]sIn%[2]d;", s.name, i)
		} else {
			t.line("\tadd.u32 scratch, kCopy, %[1]sOuter;\n\tadd.u32 scratch, scratch, %[2]d;\n\tsetp.lt.and.u32 inside, scratch, kEnd, %[1]sInside;", s.name, i*step)
		}
		if d.async {
			t.line("\tselp.u32 bytes, 16, 0, inside;\n\tadd.u32 scratch, %[1]sTo%[2]d, other;\n\tcp.async.cg.shared.global [scratch], [%[1]sAt], 16, bytes;", s.name, i)
		} else {
			for q := range 4 {
				t.line("\tmov.b32 %sNew%d, 0;", s.name, 4*i+q)
			}
			t.line("\t@inside ld.global.v4.b32 {%s}, [%sAt];", list(s.name+"New", 4*i, 4), s.name)
		}
		if i+1 < count {
			t.line("\tadd.u64 %[1]sAt, %[1]sAt, %[1]sStep;", s.name)
		}
	}
	t.line("\tadd.u64 %[1]sFrom, %[1]sFrom, %[1]sAdvance;", s.name)
}

// store puts what load has read into the stage, where there is no cp.async.
func (d mma) store(t *text, s side) {
	_, count := d.copies(s)
	t.line("\tmul.lo.u32 other, fill, %d;", s.bytes())
	for i := range count {
		t.line("\tadd.u32 scratch, %sTo%d, other;\n\tst.shared.v4.b32 [scratch], {%s};", s.name, i, list(s.name+"New", 4*i, 4))
	}
}

// prepareRead finds the addresses that a lane gives to ldmatrix, which reads four
// matrices of 8 rows of 16 bytes: lane 8m+r gives the address of row r of matrix m. The
// order of the matrices is that of the registers of mma.sync: of A, rows 0–7, rows 8–15,
// and the same for the second half of k; of B, both halves of k for 8 columns, then for the
// next 8.
func (d mma) prepareRead(t *text, sides [2]side) {
	t.line(`	.reg .u32 warpRow, warpColumn, low, high, across;
	rem.u32 warpRow, warp, %[1]d;
	div.u32 warpColumn, warp, %[1]d;
	mul.lo.u32 warpRow, warpRow, %[2]d;
	mul.lo.u32 warpColumn, warpColumn, %[3]d;`, d.rows/d.warpRows, d.warpRows, d.warpColumns)
	for _, s := range sides {
		warpStart, spanHalf, kHalf := "warpColumn", "high", "low"
		if s.name == "a" {
			warpStart, spanHalf, kHalf = "warpRow", "low", "high"
		}
		if s.size == 8 {
			// No ldmatrix: a lane reads the number of row lane/4 and k lane%4 itself.
			for k := range 2 {
				to := fmt.Sprintf("%sRead%d", s.name, k)
				t.line("\t.reg .u32 %s;\n\tshr.u32 other, lane, 2;\n\tadd.u32 other, other, %s;\n\tbfe.u32 across, lane, 1, 1;\n\tadd.u32 across, across, %d;", to, warpStart, 2*k)
				s.swizzle(t, to, "other", "across")
				t.line("\tand.b32 scratch, lane, 1;\n\tmad.lo.u32 %[1]s, scratch, 8, %[1]s;\n\tadd.u32 %[1]s, %[1]s, stagesAt;\n\tadd.u32 %[1]s, %[1]s, %[2]d;", to, s.at)
			}
			continue
		}
		t.line("\tbfe.u32 low, lane, 3, 1;\n\tshr.u32 high, lane, 4;\n\tand.b32 scratch, lane, 7;")
		for k := range 2 {
			t.line("\t.reg .u32 %[1]sRead%[2]d;", s.name, k)
			if s.deep {
				// A row is one of the span: its number, and the 16-byte column of k.
				t.line("\tmad.lo.u32 other, %s, 8, scratch;\n\tadd.u32 other, other, %s;\n\tadd.u32 across, %s, %d;", spanHalf, warpStart, kHalf, 2*k)
			} else {
				// A row is one of k: its number, and the 16-byte column of the span.
				t.line("\tmad.lo.u32 other, %s, 8, scratch;\n\tadd.u32 other, other, %d;\n\tshr.u32 across, %s, 3;\n\tadd.u32 across, across, %s;", kHalf, 16*k, warpStart, spanHalf)
			}
			to := fmt.Sprintf("%sRead%d", s.name, k)
			s.swizzle(t, to, "other", "across")
			t.line("\tadd.u32 %[1]s, %[1]s, stagesAt;\n\tadd.u32 %[1]s, %[1]s, %[2]d;", to, s.at)
		}
	}
}

// fragment loads the i-th 16 rows of A or 16 columns of B for the k-th 32 bytes of k.
func (d mma) fragment(t *text, s side, k, i int) {
	transposed := ""
	t.line("\tmad.lo.u32 scratch, read, %d, %sRead%d;", s.bytes(), s.name, k)
	if s.size == 8 {
		for half := range 2 {
			t.line("\tld.shared.f64 %sNow%d, [scratch+%d];", s.name, 2*i+half, (2*i+half)*8*stepBytes)
		}
		return
	}
	offset := i * 16 * stepBytes // 16 rows are a multiple of the 8 after which the swizzle repeats
	if !s.deep {
		transposed = ".trans"
		offset = 0
		if i > 0 { // two 16-byte columns: a change of the bits that are swizzled
			t.line("\txor.b32 scratch, scratch, %d;", 2*i*16)
		}
	}
	t.line("\tldmatrix.sync.aligned.m8n8.x4%s.shared.b16 {%s}, [scratch+%d];", transposed, list(s.name+"Now", 4*i, 4), offset)
}

// multiply adds the product of the i-th rows of A and the j-th columns of B to sums: 16×8,
// over 32 bytes of k.
func (d mma) multiply(t *text, c Card, p Problem, sum, i, j int) {
	sums := list("sum", sum, 4)
	half := func(q int) string { return list("sum", sum+2*q, 2) } // of 8 rows
	a, b := 4*i, 2*j
	switch {
	case p.In == matrix.Float64 && c.CC == 90:
		t.line("\tmma.sync.aligned.m16n8k4.row.col.f64.f64.f64.f64 {%s}, {%s}, {bNow%d}, {%s};", sums, list("aNow", 2*i, 2), j, sums)
	case p.In == matrix.Float64:
		for q := range 2 {
			t.line("\tmma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%s}, {aNow%d}, {bNow%d}, {%s};", half(q), 2*i+q, j, half(q))
		}
	case !d.async && p.In == matrix.Int8: // 7.5 has an 8×8 of 16 bytes
		for q := range 4 {
			t.line("\tmma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%s}, {aNow%d}, {bNow%d}, {%s};", half(q%2), a+q, b+q/2, half(q%2))
		}
	case !d.async: // and a 16×8 of 16 bytes
		for q := range 2 {
			t.line("\tmma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%s}, {%s}, {bNow%d}, {%s};", sums, list("aNow", a+2*q, 2), b+q, sums)
		}
	default:
		shape := map[matrix.DType]string{
			matrix.Float16: "m16n8k16.row.col.f32.f16.f16.f32", matrix.BFloat16: "m16n8k16.row.col.f32.bf16.bf16.f32",
			matrix.Float32: "m16n8k8.row.col.f32.tf32.tf32.f32", matrix.Int8: "m16n8k32.row.col.s32.s8.s8.s32",
		}[p.In]
		t.line("\tmma.sync.aligned.%s {%s}, {%s}, {%s}, {%s};", shape, sums, list("aNow", a, 4), list("bNow", b, 2), sums)
	}
}

func (d mma) tiling(p Problem) tiling { return tiling{d.rows, d.columns, d.depth(p), d.split} }

func (d mma) launches(c Card, p Problem) ([]Launch, int) {
	a, b, before, work := repackLaunches(p, d.layout(p))
	product := Launch{Entry: "gemm", Block: [3]int{d.threads(), 1, 1}, Shared: d.shared(), Params: []Param{
		{Kind: a.Of, Offset: a.Offset}, {Kind: b.Of, Offset: b.Offset}, {Kind: C}, word(p.M), word(p.N), word(p.K), word(a.Stride / 16), word(b.Stride / 16)}}
	launches, work := splitLaunches(c, p, d.tiling(p), product, 2, work)
	return append(before, launches...), work
}
