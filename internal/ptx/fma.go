package ptx

import (
	"fmt"
	"math/rand/v2"
)

// largeFMA is for products that keep every multiprocessor busy with such tiles.
var largeFMA = hopper{rows: 128, columns: 256, stages: 4, cluster: 1, band: 16, threadRows: 16, threadColumns: 8, deepA: 2, unroll: 2, order: 35}

// multiplyFMA is the consumers' loop for float32, which has no tensor cores of its
// precision. A thread computes threadRows rows, 8 apart, of threadColumns columns, in
// groups of 4 that are 16 apart:
//
//	for k := range depth {
//		a := A[rows of this thread][k] // deepA values of k at once
//		b := B[k][columns of this thread]
//		for i := range threadRows { for j := range threadColumns { c[i][j] += a[i] * b[j] } }
//	}
//
// What is needed for the next k is read from shared memory while this one is computed,
// across the end of a stage too.
func (d hopper) multiplyFMA(t *text, p Problem) {
	warpRows := d.rows / (8 * d.threadRows) // warps in M
	rowsOfA := d.threadRows * d.deepA
	t.line("\t.reg .f32 c<%d>, a0_<%d>, a1_<%d>, b0_<%d>, b1_<%d>;", d.threadRows*d.threadColumns, rowsOfA, rowsOfA, d.threadColumns, d.threadColumns)
	t.line(`	.reg .u32 freed, aThread, bThread, aStage, bStage, kBytes, swizzle, myRow, myColumn, row, column;
	.reg .u64 cRow, cPitch, offset;
	.reg .pred inside, rowInside;
	and.b32 scratch, lane, 7;
	shl.b32 swizzle, scratch, 4;
	rem.u32 at, warp, %[1]d;
	mad.lo.u32 myRow, at, %[2]d, scratch;
	shr.u32 scratch, lane, 3;
	shl.b32 scratch, scratch, 2;
	div.u32 at, warp, %[1]d;
	mad.lo.u32 myColumn, at, %[3]d, scratch;
	shl.b32 scratch, myRow, 7;
	add.u32 aThread, ringStart, scratch;
	shl.b32 scratch, myColumn, 2;
	add.u32 bThread, ringStart, scratch;
	add.u32 bThread, bThread, %[4]d;`, warpRows, 8*d.threadRows, 4*d.threadColumns, d.stages*d.bytesA())
	readA := func(chunk int) { // deepA values of k, from the chunk-th in the body of the loop
		k := chunk * d.deepA
		// TMA has swizzled the rows: the 16-byte columns are exclusive-ored with the row.
		t.line("\txor.b32 scratch, swizzle, %d;\n\txor.b32 scratch, scratch, kBytes;\n\tadd.u32 scratch, scratch, aStage;", k/4<<4)
		for i := range d.threadRows {
			t.line("\tld.shared.v%d.f32 {%s}, [scratch+%d];", d.deepA, list(fmt.Sprint("a", chunk%2, "_"), d.deepA*i, d.deepA), i*8*rowBytes+k%4*4)
		}
	}
	readB := func(buffer, k int) {
		for j := range d.threadColumns / 4 {
			t.line("\tld.shared.v4.f32 {%s}, [bStage+%d];", list(fmt.Sprint("b", buffer, "_"), 4*j, 4), k*d.columns*4+64*j)
		}
	}
	enter := func() {
		t.line("\tmad.lo.u32 aStage, stage, %d, aThread;\n\tmad.lo.u32 bStage, stage, %d, bThread;\n\tmov.u32 kBytes, 0;", d.bytesA(), d.bytesB())
	}
	waitFull := func() {
		t.line("\tshl.b32 scratch, stage, 3;\n\tadd.u32 at, full, scratch;")
		t.wait("at", "phase")
	}
	d.eachTile(t, "CONSUME", func() {
		for i := range d.threadRows * d.threadColumns {
			t.line("\tmov.f32 c%d, 0f00000000;", i)
		}
		t.line("\tsetp.ne.u32 notFirst, k, k;") // false: there is no stage yet to free
		waitFull()
		enter()
		readA(0)
		readB(0, 0)
		t.line("CONSUME_STEP:")
		steps := 4 * d.unroll
		for k := range steps {
			if k+1 < steps {
				readB((k+1)%2, k+1)
				if k%d.deepA == d.deepA-2 && k/d.deepA+1 < steps/d.deepA {
					readA(k/d.deepA + 1)
				}
			} else {
				// The stage before is freed when the next is entered, a step late: ptxas
				// does not wait for reads of shared memory in flight before an arrival, so
				// the next bulk copy could overtake them.
				t.line("\tadd.u32 bStage, bStage, %d;\n\tadd.u32 kBytes, kBytes, %d;\n\tsetp.lt.u32 check, kBytes, %d;\n\t@check bra SAME_STAGE;",
					steps*d.columns*4, d.unroll*16, rowBytes)
				t.line("\tand.pred notFirst, notFirst, freeing;\n\tbar.warp.sync -1;")
				d.free(t, "notFirst", "freed")
				t.line("\tsetp.eq.u32 notFirst, k, k;\n\tshl.b32 freed, stage, 3;")
				d.nextStage(t)
				t.line("\tadd.u32 k, k, %d;\n\tsetp.ge.u32 check, k, kEnd;\n\t@check bra LAST_STAGE;", d.depth(p))
				waitFull()
				t.line("LAST_STAGE:")
				enter()
				t.line("SAME_STAGE:")
				readB(0, 0)
				readA(0)
			}
			d.inOrder(func(i, j int) {
				sum := i*d.threadColumns + j
				t.line("\tfma.rn.f32 c%d, a%d_%d, b%d_%d, c%d;", sum, k/d.deepA%2, d.deepA*i+k%d.deepA, k%2, j, sum)
			})
		}
		t.line("\tsetp.lt.u32 check, k, kEnd;\n\t@check bra CONSUME_STEP;\n\tbar.warp.sync -1;")
		d.free(t, "freeing", "freed")
		t.line(`	add.u32 row, tileRow, myRow;
	add.u32 column, tileColumn, myColumn;
	mul.wide.u32 cPitch, columns, 32;
	mul.wide.u32 cRow, row, columns;
	cvt.u64.u32 offset, column;
	add.u64 cRow, cRow, offset;
	mad.lo.u64 cRow, cRow, 4, cBase;`)
		for i := range d.threadRows {
			t.line("\tsetp.lt.u32 rowInside, row, rows;")
			for j := range d.threadColumns / 4 {
				first := i*d.threadColumns + 4*j
				if d.wide {
					t.line("\tadd.u32 scratch, column, %d;\n\tsetp.lt.and.u32 inside, scratch, columns, rowInside;", 16*j)
					t.line("\t@inside st.global.v4.f32 [cRow+%d], {%s};", 64*j, list("c", first, 4))
					continue
				}
				// One by one, also where rows are multiples of 16 bytes: a vector would tie
				// the registers of C to the banks of those of B.
				for q := range 4 {
					t.line("\tadd.u32 scratch, column, %d;\n\tsetp.lt.and.u32 inside, scratch, columns, rowInside;", 16*j+q)
					t.line("\t@inside st.global.f32 [cRow+%d], c%d;", 64*j+4*q, first+q)
				}
			}
			t.line("\tadd.u32 row, row, 8;\n\tadd.u64 cRow, cRow, cPitch;")
		}
	}, p)
}

// inOrder lists the multiplications of one k: row by row, there and back, with rows
// and columns shuffled by the seed.
//
// ptxas assigns registers by this order, and two of the three operands of a
// multiplication in the same register bank cost a cycle. The seeds were chosen by
// counting such conflicts in its output, and confirmed by timing.
func (d hopper) inOrder(multiply func(i, j int)) {
	r := rand.New(rand.NewPCG(uint64(d.order), 1))
	rows, columns := r.Perm(d.threadRows), r.Perm(d.threadColumns)
	for i := range d.threadRows {
		for j := range d.threadColumns {
			if i%2 == 1 {
				j = d.threadColumns - 1 - j
			}
			multiply(rows[i], columns[j])
		}
	}
}
