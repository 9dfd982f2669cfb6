package ptx

import (
	"fmt"

	"github.com/gpuplay/gpuplay/internal/matrix"
)

// A portable kernel computes with the ordinary arithmetic units: every type, every
// shape and every card. A block computes a tile of C:
//
//	for k0 := 0; k0 < K; k0 += depth {
//		a, b := columns k0… of A's tile rows, rows k0… of B's tile columns // in shared memory
//		for k := range depth {
//			for i := range threadRows { for j := range threadColumns { // in registers
//				c[i][j] += a[k][i] * b[k][j]
//			} }
//		}
//	}
//
// The numbers of the next step are on their way from memory to registers while a
// step is computed, and are stored into the other of two buffers. Elements outside
// of A and B are not read, and count as zero.
type portable struct {
	rows, columns             int  // of the tile of a block
	depth                     int  // k of a step
	threadRows, threadColumns int  // of the part of the tile that a thread computes
	wide                      bool // rows of A, B and C are multiples of 16 bytes: 16 bytes are copied at once
	split                     bool // K is divided among blocks, whose sums are added by another kernel
}

func (d portable) name() string {
	name := fmt.Sprintf("portable %dx%dx%d", d.rows, d.columns, d.depth)
	if d.wide {
		name += " wide"
	}
	return name + splitName(d.split)
}

// laneRows and laneColumns are how the threads of a warp are arranged over its tile.
const laneRows, laneColumns = 4, 8

func (d portable) threads() int { return d.rows / d.threadRows * (d.columns / d.threadColumns) }

// arithmetic describes the numbers that a portable kernel computes with.
type arithmetic struct {
	register string // type of a register
	size     int    // bytes in shared memory
	fma      string
	zero     string
	load     string // type of a load from global memory
	vector   int    // numbers in 16 bytes of shared memory
}

func arithmeticOf(p Problem) arithmetic {
	switch p.In {
	case matrix.Float64:
		return arithmetic{"f64", 8, "fma.rn.f64", "0d0000000000000000", "f64", 2}
	case matrix.Int8:
		return arithmetic{"s32", 4, "mad.lo.s32", "0", "s8", 4}
	case matrix.Float16, matrix.BFloat16:
		return arithmetic{"f32", 4, "fma.rn.f32", "0f00000000", "u16", 4}
	}
	return arithmetic{"f32", 4, "fma.rn.f32", "0f00000000", "f32", 4}
}

func (d portable) needs(c Card, p Problem) (string, int) {
	if c.CC >= 80 && (p.In == matrix.BFloat16 || p.Acc == matrix.TF32) {
		return "sm_80", 70 // the conversions to these types
	}
	return "sm_50", 60
}

func (d portable) fits(c Card, p Problem) bool {
	if !d.wide {
		return true
	}
	return p.In.Size() >= 4 && aligned(p.columnsOfA()*p.In.Size()) && aligned(p.columnsOfB()*p.In.Size()) && aligned(p.N*p.Out.Size())
}

// An operand is A or B as a portable kernel copies it.
type operand struct {
	name   string // "a" or "b"
	span   int    // rows of A or columns of B in a tile
	start  string // register with the first of them
	extent string // register with their number in the whole matrix
	deep   bool   // elements with consecutive k are next to each other in memory
	at     int    // offset of its two buffers in shared memory
	size   int    // bytes of an element in memory
}

func (d portable) operands(p Problem) [2]operand {
	a := operand{"a", d.rows, "tileRow", "rows", !p.TransA, 0, p.In.Size()}
	b := operand{"b", d.columns, "tileColumn", "columns", p.TransB, 0, p.In.Size()}
	b.at = 2 * d.buffer(a, arithmeticOf(p))
	return [2]operand{a, b}
}

// pitch is the distance of two values of k in shared memory in numbers. It is padded
// so that numbers with consecutive k lie in different banks.
func (d portable) pitch(o operand) int { return o.span + 4 }

func (d portable) buffer(o operand, n arithmetic) int { return d.depth * d.pitch(o) * n.size }

func (d portable) module(t *text, c Card, p Problem) {
	n := arithmeticOf(p)
	operands := d.operands(p)
	t.begin(entry{name: "gemm", threads: d.threads(), blocks: 1, params: append([]string{".u64 pA", ".u64 pB", ".u64 pC", ".u32 pM", ".u32 pN", ".u32 pK"}, splitParams(d.split)...)})
	t.line("\t.shared .align 16 .b8 tiles[%d];", operands[1].at+2*d.buffer(operands[1], n))
	t.pointers(map[string]string{"pA": "aBase", "pB": "bBase", "pC": "cBase"})
	t.words(map[string]string{"pM": "rows", "pN": "columns", "pK": "depth"})
	t.line("\t.reg .u32 tile, thread, scratch, k, kEnd, buffer;\n\t.reg .pred inside, more;")
	t.line("\tmov.u32 tile, %%ctaid.x;\n\tmov.u32 thread, %%tid.x;")
	t.share(d.split, d.rows, d.columns, n.size)
	t.count(d.rows, d.columns, 16)
	t.locate(d.rows, d.columns, 16)

	for _, o := range operands {
		d.prepareCopy(t, o, n)
	}
	// Where the sums of this thread are in the tile, and where it reads A and B.
	warpRows := d.rows / (laneRows * d.threadRows)
	t.line(`	.reg .u32 warp, lane, myRow, myColumn, aRead, bRead, aFrom, bFrom;
	shr.u32 warp, thread, 5;
	and.b32 lane, thread, 31;
	rem.u32 scratch, warp, %[1]d;
	mul.lo.u32 myRow, scratch, %[2]d;
	shr.u32 scratch, lane, 3;
	mad.lo.u32 myRow, scratch, %[4]d, myRow;
	div.u32 scratch, warp, %[1]d;
	mul.lo.u32 myColumn, scratch, %[3]d;
	and.b32 scratch, lane, 7;
	mad.lo.u32 myColumn, scratch, %[4]d, myColumn;
	mov.u32 aRead, tiles;
	add.u32 bRead, aRead, %[5]d;
	mad.lo.u32 aRead, myRow, %[6]d, aRead;
	mad.lo.u32 bRead, myColumn, %[6]d, bRead;`,
		warpRows, laneRows*d.threadRows, laneColumns*d.threadColumns, n.vector, operands[1].at, n.size)
	t.line("\t.reg .%s sum<%d>, aNow<%d>, bNow<%d>;", n.register, d.threadRows*d.threadColumns, d.threadRows, d.threadColumns)
	for i := range d.threadRows * d.threadColumns {
		t.line("\tmov.%s sum%d, %s;", n.register, i, n.zero)
	}

	t.line("\tmov.u32 buffer, 0;\n\tmov.u32 k, kStart;")
	for _, o := range operands {
		d.load(t, o, n, p)
		d.store(t, o, n, p)
	}
	t.line("\tbar.sync 0;\nSTEP:")
	t.line("\tadd.u32 k, k, %d;\n\tmad.lo.u32 aFrom, buffer, %d, aRead;\n\tmad.lo.u32 bFrom, buffer, %d, bRead;",
		d.depth, d.buffer(operands[0], n), d.buffer(operands[1], n))
	for _, o := range operands {
		d.load(t, o, n, p)
	}
	for k := range d.depth {
		d.read(t, "a", d.threadRows, k*d.pitch(operands[0]), laneRows, n)
		d.read(t, "b", d.threadColumns, k*d.pitch(operands[1]), laneColumns, n)
		for i := range d.threadRows {
			for j := range d.threadColumns {
				sum := i*d.threadColumns + j
				t.line("\t%s sum%d, aNow%d, bNow%d, sum%d;", n.fma, sum, i, j, sum)
			}
		}
	}
	t.line("\txor.b32 buffer, buffer, 1;")
	for _, o := range operands {
		d.store(t, o, n, p)
	}
	t.line("\tbar.sync 0;\n\tsetp.lt.u32 more, k, kEnd;\n\t@more bra STEP;")
	d.finish(t, c, p, n)
	t.end()
	if d.split {
		t.reduce(c, p)
	}
}

// group is how many elements a thread copies at once.
func (d portable) group(o operand) int {
	if d.wide {
		return 16 / o.size
	}
	return 1
}

// copies returns how a tile of an operand is divided among the threads: groups in a
// row of memory, rows from one copy of a thread to its next, and copies of a thread.
func (d portable) copies(o operand) (perRow, step, count int) {
	perRow = o.span / d.group(o)
	rows := d.depth
	if o.deep {
		perRow = d.depth / d.group(o)
		rows = o.span
	}
	step = d.threads() / perRow
	return perRow, step, rows / step
}

// prepareCopy sets the address in global memory from which a thread copies, the
// distance to its next row, and where it stores in shared memory.
func (d portable) prepareCopy(t *text, o operand, n arithmetic) {
	perRow, step, count := d.copies(o)
	t.line("\t.reg .u64 %[1]sFrom64, %[1]sStep, %[1]sNext, %[1]sAdvance;\n\t.reg .u32 %[1]sInner, %[1]sOuter, %[1]sTo;\n\t.reg .%[2]s %[1]sNew<%[3]d>;",
		o.name, n.register, count*d.group(o))
	t.line("\t.reg .b32 %[1]sBits;\n\t.reg .b16 %[1]sHalf;\n\t.reg .pred %[1]sInside, %[1]sIn<%[2]d>;", o.name, count)
	t.line("\trem.u32 %[1]sInner, thread, %[2]d;\n\tmul.lo.u32 %[1]sInner, %[1]sInner, %[3]d;\n\tdiv.u32 %[1]sOuter, thread, %[2]d;", o.name, perRow, d.group(o))
	pitch := d.pitch(o) * n.size
	t.line("\tmov.u32 %sTo, tiles;", o.name)
	if o.deep {
		// A row of memory has consecutive k: row Outer of the tile, k Inner.
		t.line(`	mad.lo.u32 %[1]sTo, %[1]sInner, %[2]d, %[1]sTo;
	mad.lo.u32 %[1]sTo, %[1]sOuter, %[3]d, %[1]sTo;
	add.u32 scratch, %[4]s, %[1]sOuter;
	mul.wide.u32 %[1]sFrom64, scratch, depth;
	mul.wide.u32 %[1]sStep, depth, %[5]d;
	mov.u64 %[1]sAdvance, %[6]d;
	add.u32 scratch, kStart, %[1]sInner;`, o.name, pitch, n.size, o.start, step*o.size, d.depth*o.size)
		for i := range count {
			t.line("\t.reg .u32 %[1]sRow%[2]d;\n\tadd.u32 %[1]sRow%[2]d, %[3]s, %[1]sOuter;\n\tadd.u32 %[1]sRow%[2]d, %[1]sRow%[2]d, %[4]d;\n\tsetp.lt.u32 %[1]sIn%[2]d, %[1]sRow%[2]d, %[5]s;",
				o.name, i, o.start, i*step, o.extent)
		}
	} else {
		// A row of memory has one k: k Outer, column Inner of the tile.
		t.line(`	mad.lo.u32 %[1]sTo, %[1]sOuter, %[2]d, %[1]sTo;
	mad.lo.u32 %[1]sTo, %[1]sInner, %[3]d, %[1]sTo;
	add.u32 scratch, kStart, %[1]sOuter;
	mul.wide.u32 %[1]sFrom64, scratch, %[4]s;
	mul.wide.u32 %[1]sStep, %[4]s, %[5]d;
	mul.wide.u32 %[1]sAdvance, %[4]s, %[6]d;
	add.u32 scratch, %[7]s, %[1]sInner;
	setp.lt.u32 %[1]sInside, scratch, %[4]s;`, o.name, pitch, n.size, o.extent, step*o.size, d.depth*o.size, o.start)
	}
	t.line(`	cvt.u64.u32 %[1]sNext, scratch;
	add.u64 %[1]sFrom64, %[1]sFrom64, %[1]sNext;
	mul.lo.u64 %[1]sFrom64, %[1]sFrom64, %[2]d;
	add.u64 %[1]sFrom64, %[1]sFrom64, %[1]sBase;
	add.u32 %[1]sTo, %[1]sTo, %[3]d;`, o.name, o.size, o.at)
}

// load copies the elements of step k to registers as numbers of the arithmetic.
func (d portable) load(t *text, o operand, n arithmetic, p Problem) {
	_, step, count := d.copies(o)
	t.line("\tmov.u64 %[1]sNext, %[1]sFrom64;", o.name)
	if o.deep {
		t.line("\tadd.u32 scratch, k, %[1]sInner;\n\tsetp.lt.u32 %[1]sInside, scratch, kEnd;", o.name)
	}
	for i := range count {
		if o.deep {
			t.line("\tand.pred inside, %[1]sInside, %[1]sIn%[2]d;", o.name, i)
		} else {
			t.line("\tadd.u32 scratch, k, %[1]sOuter;\n\tadd.u32 scratch, scratch, %[2]d;\n\tsetp.lt.and.u32 inside, scratch, kEnd, %[1]sInside;", o.name, i*step)
		}
		first := i * d.group(o)
		for q := range d.group(o) {
			t.line("\tmov.%s %sNew%d, %s;", n.register, o.name, first+q, n.zero)
		}
		switch {
		case d.wide:
			t.line("\t@inside ld.global.v%d.%s {%s}, [%sNext];", d.group(o), n.load, list(o.name+"New", first, d.group(o)), o.name)
		case p.In == matrix.Float16:
			t.line("\tmov.b16 %[1]sHalf, 0;\n\t@inside ld.global.b16 %[1]sHalf, [%[1]sNext];\n\tcvt.f32.f16 %[1]sNew%[2]d, %[1]sHalf;", o.name, first)
		case p.In == matrix.BFloat16: // the upper half of a float32
			t.line("\tmov.b32 %[1]sBits, 0;\n\t@inside ld.global.u16 %[1]sBits, [%[1]sNext];\n\tshl.b32 %[1]sBits, %[1]sBits, 16;\n\tmov.b32 %[1]sNew%[2]d, %[1]sBits;", o.name, first)
		default:
			t.line("\t@inside ld.global.%s %sNew%d, [%sNext];", n.load, o.name, first, o.name)
		}
		t.line("\tadd.u64 %[1]sNext, %[1]sNext, %[1]sStep;", o.name)
	}
	t.line("\tadd.u64 %[1]sFrom64, %[1]sFrom64, %[1]sAdvance;", o.name)
}

// store puts the numbers that load has read into a buffer in shared memory. It is
// called after the sums of a step, so that the loads have had that long to arrive.
func (d portable) store(t *text, o operand, n arithmetic, p Problem) {
	_, step, count := d.copies(o)
	pitch := d.pitch(o) * n.size
	t.line("\tmad.lo.u32 scratch, buffer, %d, %sTo;", d.buffer(o, n), o.name)
	for i := range count {
		first := i * d.group(o)
		if p.Acc == matrix.TF32 {
			for q := range d.group(o) {
				t.line("\tcvt.rna.tf32.f32 %[1]sBits, %[1]sNew%[2]d;\n\tmov.b32 %[1]sNew%[2]d, %[1]sBits;", o.name, first+q)
			}
		}
		switch {
		case o.deep:
			for q := range d.group(o) {
				t.line("\tst.shared.%s [scratch+%d], %sNew%d;", n.register, q*pitch+i*step*n.size, o.name, first+q)
			}
		case d.wide:
			t.line("\tst.shared.v%d.%s [scratch+%d], {%s};", d.group(o), n.register, i*step*pitch, list(o.name+"New", first, d.group(o)))
		default:
			t.line("\tst.shared.%s [scratch+%d], %sNew%d;", n.register, i*step*pitch, o.name, first)
		}
	}
}

// read fetches the numbers of one k from shared memory, 16 bytes at a time: groups
// of a vector, which are a vector for each lane apart.
func (d portable) read(t *text, name string, count, at, lanes int, n arithmetic) {
	for g := range count / n.vector {
		t.line("\tld.shared.v%d.%s {%s}, [%sFrom+%d];", n.vector, n.register, list(name+"Now", g*n.vector, n.vector), name,
			(at+g*lanes*n.vector)*n.size)
	}
}

// finish writes the sums to C.
func (d portable) finish(t *text, c Card, p Problem, n arithmetic) {
	t.line("\t.reg .u64 cRow, cAt;\n\t.reg .u32 row, column;\n\t.reg .pred rowInside;\n\t.reg .b16 half;\n\t.reg .b32 bits, odd;")
	out := written(p, d.split)
	for i := range d.threadRows {
		offset := i/n.vector*laneRows*n.vector + i%n.vector
		t.line("\tadd.u32 row, tileRow, myRow;\n\tadd.u32 row, row, %d;\n\tsetp.lt.u32 rowInside, row, rows;", offset)
		t.line("\tadd.u32 column, tileColumn, myColumn;\n\tmul.wide.u32 cRow, row, columns;\n\tcvt.u64.u32 cAt, column;\n\tadd.u64 cRow, cRow, cAt;")
		t.line("\tmul.lo.u64 cRow, cRow, %d;\n\tadd.u64 cRow, cRow, cBase;", out.Size())
		for g := range d.threadColumns / n.vector {
			apart := g * laneColumns * n.vector
			first := i*d.threadColumns + g*n.vector
			if d.wide {
				t.line("\tadd.u32 scratch, column, %d;\n\tsetp.lt.and.u32 inside, scratch, columns, rowInside;", apart)
				t.line("\t@inside st.global.v%d.%s [cRow+%d], {%s};", n.vector, n.register, apart*out.Size(), list("sum", first, n.vector))
				continue
			}
			for q := range n.vector {
				t.line("\tadd.u32 scratch, column, %d;\n\tsetp.lt.and.u32 inside, scratch, columns, rowInside;", apart+q)
				t.storeRounded(c, out, "inside", fmt.Sprintf("cRow+%d", (apart+q)*out.Size()), fmt.Sprintf("sum%d", first+q))
			}
		}
	}
}

// storeRounded stores a sum to C as its type, if predicate holds. It needs the
// registers half, bits and odd.
func (t *text) storeRounded(c Card, out matrix.DType, predicate, address, sum string) {
	switch {
	case out == matrix.Float16:
		t.line("\tcvt.rn.f16.f32 half, %s;\n\t@%s st.global.b16 [%s], half;", sum, predicate, address)
	case out == matrix.BFloat16 && c.CC >= 80:
		t.line("\tcvt.rn.bf16.f32 half, %s;\n\t@%s st.global.b16 [%s], half;", sum, predicate, address)
	case out == matrix.BFloat16:
		// Cards before 8.0 have no such conversion. To nearest, ties to even: add just
		// under half of the last place that is kept, and one more if that is odd. A NaN
		// would overflow, so it is replaced by one that is all ones.
		t.line(`	.reg .pred %[4]s;
	mov.b32 bits, %[1]s;
	bfe.u32 odd, bits, 16, 1;
	add.u32 bits, bits, odd;
	add.u32 bits, bits, 0x7fff;
	setp.nan.f32 %[4]s, %[1]s, %[1]s;
	@%[4]s mov.b32 bits, -1;
	shr.u32 bits, bits, 16;
	@%[2]s st.global.u16 [%[3]s], bits;`, sum, predicate, address, t.label("nan"))
	default:
		t.line("\t@%s st.global.b%d [%s], %s;", predicate, 8*out.Size(), address, sum)
	}
}

func (d portable) tiling(Problem) tiling { return tiling{d.rows, d.columns, d.depth, d.split} }

func (d portable) launches(c Card, p Problem) ([]Launch, int) {
	l := Launch{
		Entry: "gemm", Block: [3]int{d.threads(), 1, 1},
		Params: []Param{{Kind: A}, {Kind: B}, {Kind: C}, word(p.M), word(p.N), word(p.K)},
	}
	return splitLaunches(c, p, d.tiling(p), l, 2, 0)
}
