package ptx

import (
	"fmt"

	"github.com/gpuplay/gpuplay/internal/matrix"
)

// An instruction is what one matrix instruction of a type is called and computes.
type instruction struct {
	types  string // of D, A and B in the name of the instruction
	depth  int    // k of an instruction, 32 bytes
	scales string // the immediate factors of A and B, which integers do not have
	either bool   // each operand can lie either way in shared memory
}

func wgmmaOf(p Problem) instruction {
	switch {
	case p.In == matrix.Int8:
		return instruction{"s32.s8.s8", 32, "", false}
	case p.Acc == matrix.TF32:
		return instruction{"f32.tf32.tf32", 8, ", 1, 1", false}
	case p.In == matrix.BFloat16:
		return instruction{"f32.bf16.bf16", 16, ", 1, 1", true}
	}
	return instruction{"f32.f16.f16", 16, ", 1, 1", true}
}

// multiplyWGMMA is the consumers' loop on tensor cores. A warpgroup computes half of
// the rows of the tile, 64 at a time, and all columns:
//
//	for k := 0; k < depth; k += instruction depth {
//		for i := range rows / 2 / 64 {
//			c[i] += A[64 rows][k…] · B[k…][columns] // one instruction, both read from shared memory
//		}
//	}
//
// PTX ISA, "Asynchronous warpgroup level matrix instructions": C is in the registers
// of the 128 threads; A and B are given by descriptors of how they lie in shared
// memory.
func (d hopper) multiplyWGMMA(t *text, p Problem) {
	n := wgmmaOf(p)
	l := d.layout(p)
	blocks := d.rows / 2 / 64
	registers := d.columns / 2 // of C in a thread, for each block of 64 rows
	for i := range blocks {
		t.line("\t.reg .%s c%d_<%d>;", accumulator(p), i, registers)
	}
	t.line(`	.reg .u64 aFirst, bFirst, aStage, bStage, stageOffset, aAt, bAt;
	.reg .u32 freed;`)
	// A shared address carries the rank of the block in its cluster from bit 24 on, which
	// would get into the leading offset.
	t.line(`	and.b32 scratch, ringStart, 0x3ffff;
	shr.u32 scratch, scratch, 4;
	mad.lo.u32 at, warpgroup, %d, scratch;
	cvt.u64.u32 aFirst, at;
	or.b64 aFirst, aFirst, %d;
	add.u32 scratch, scratch, %d;
	cvt.u64.u32 bFirst, scratch;
	or.b64 bFirst, bFirst, %d;
	mov.u32 freed, 0;`, d.bytesA()/2/16, descriptor(l.deepA), d.stages*d.bytesA()/16, descriptor(l.deepB))
	if d.staging() > 0 {
		d.prepareStaging(t)
	}
	transpose := ""
	if n.either {
		transpose = fmt.Sprintf(", %d, %d", bit(!l.deepA), bit(!l.deepB))
	}
	d.eachTile(t, "CONSUME", func() {
		t.line("\tsetp.ne.u32 notFirst, k, k;\nCONSUME_STEP:\n\tshl.b32 scratch, stage, 3;\n\tadd.u32 at, full, scratch;")
		t.wait("at", "phase")
		t.line("\tmul.wide.u32 stageOffset, stage, %d;\n\tadd.u64 aStage, aFirst, stageOffset;\n\tmul.wide.u32 stageOffset, stage, %d;\n\tadd.u64 bStage, bFirst, stageOffset;",
			d.bytesA()/16, d.bytesB()/16)
		t.line("\twgmma.fence.sync.aligned;")
		for k := range d.depth(p) / n.depth {
			for i := range blocks {
				add := "1"
				if k == 0 {
					add = "notFirst" // the first instruction of a tile sets C instead of adding to it
				}
				t.line("\tadd.u64 aAt, aStage, %d;\n\tadd.u64 bAt, bStage, %d;", k*advance(l.deepA)+i*64*rowBytes/16, k*advance(l.deepB))
				t.line("\twgmma.mma_async.sync.aligned.m64n%dk%d.%s {%s}, aAt, bAt, %s%s%s;", d.columns, n.depth, n.types,
					list(fmt.Sprint("c", i, "_"), 0, registers), add, n.scales, transpose)
			}
		}
		t.line("\twgmma.commit_group.sync.aligned;\n\twgmma.wait_group.sync.aligned 1;")
		// All but the instructions just issued are complete: the stage before is free.
		t.line("\tand.pred check, freeing, notFirst;")
		d.free(t, "check", "freed")
		t.line("\tsetp.eq.u32 notFirst, k, k;\n\tshl.b32 freed, stage, 3;")
		d.nextStage(t)
		t.line("\tadd.u32 k, k, %d;\n\tsetp.lt.u32 check, k, kEnd;\n\t@check bra CONSUME_STEP;", d.depth(p))
		t.line("\twgmma.wait_group.sync.aligned 0;")
		d.free(t, "freeing", "freed")
		if d.staging() > 0 {
			d.writeStaged(t, p, blocks)
		} else {
			d.writeDirect(t, p, blocks)
		}
	}, p)
	if d.staging() > 0 {
		t.line("\t@issuing cp.async.bulk.wait_group 0;")
	}
}

// accumulator is the type of a register of C.
func accumulator(p Problem) string {
	switch p.In {
	case matrix.Int8:
		return "s32"
	case matrix.Float64:
		return "f64"
	}
	return "f32"
}

// descriptor returns the fields of a matrix descriptor other than the address: PTX
// ISA, "Matrix-descriptor format". Lengths are in units of 16 bytes: the leading
// offset in bits 16–29, the stride offset in bits 32–45; bit 62 is the swizzle of 128
// bytes.
//
// With consecutive k in a row, 8 rows take 1024 bytes, the stride, and the leading
// offset is not used. Otherwise a group of 64 rows or columns by 8 k takes 1024
// bytes; the next 8 k are the stride away, the next 64 the leading offset.
func descriptor(deep bool) uint64 {
	const swizzled, stride = 1 << 62, 1024 / 16
	if deep {
		return swizzled | stride<<32 | 1<<16
	}
	return swizzled | stride<<32 | 64*rowBytes/16<<16
}

// advance is the distance of the k of one instruction from those of the next, in units
// of 16 bytes.
func advance(deep bool) int {
	if deep {
		return 32 / 16
	}
	return 2 * 1024 / 16
}

// prepareStaging finds the addresses of a warp's two buffers, and the one at which a
// lane stores: stmatrix takes the address of row i of matrix j from lane 8j+i. The
// lane's row is lane%16; its column of 16 bytes is lane/16, exclusive-ored with the
// row as TMA's swizzle wants it.
func (d hopper) prepareStaging(t *text) {
	t.line(`	.reg .u32 buffers, laneTo, row, column;
	.reg .b32 pair0, pair1, pair2, pair3;
	.reg .pred issuing;
	mad.lo.u32 buffers, warp, %d, ringStart;
	add.u32 buffers, buffers, %d;
	and.b32 scratch, lane, 15;
	shl.b32 at, scratch, 7;
	and.b32 scratch, lane, 7;
	shr.u32 laneTo, lane, 4;
	xor.b32 scratch, scratch, laneTo;
	shl.b32 scratch, scratch, 4;
	add.u32 at, at, scratch;
	add.u32 laneTo, buffers, at;
	setp.eq.u32 issuing, lane, 0;`, 2*stagingBytes, d.ring())
}

// writeStaged writes a warp's part of C: 16 rows of 64 columns at a time are rounded,
// stored to shared memory, and copied from there by TMA. While one buffer is copied,
// the other is filled.
func (d hopper) writeStaged(t *text, p Problem, blocks int) {
	chunks := d.columns / 64
	pending := 1
	if blocks*chunks%2 == 1 {
		pending = 0 // the next tile begins with the same buffer
	}
	t.line("\tand.b32 scratch, warp, 3;\n\tshl.b32 scratch, scratch, 4;\n\tmad.lo.u32 scratch, warpgroup, %d, scratch;\n\tadd.u32 tileRow, tileRow, scratch;", d.rows/2)
	for i := range blocks {
		for chunk := range chunks {
			buffer := (i*chunks + chunk) % 2 * stagingBytes
			t.line("\t@issuing cp.async.bulk.wait_group.read %d;\n\tbar.warp.sync -1;", pending)
			for quarter := range 4 {
				for h := range 4 {
					r := (chunk*8+2*quarter)*4 + 2*h
					t.line("\tcvt.rn.%sx2.f32 pair%d, c%d_%d, c%d_%d;", short(p.Out), h, i, r+1, i, r)
				}
				t.line("\txor.b32 scratch, laneTo, %d;", quarter<<5)
				t.line("\tstmatrix.sync.aligned.m8n8.x4.shared.b16 [scratch+%d], {pair0, pair1, pair2, pair3};", buffer)
			}
			t.line("\tfence.proxy.async.shared::cta;\n\tbar.warp.sync -1;\n\tadd.u32 column, tileColumn, %d;\n\tadd.u32 row, tileRow, %d;", 64*chunk, 64*i)
			t.line("\t@issuing cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [mapAt_C, {column, row}], [buffers+%d];\n\t@issuing cp.async.bulk.commit_group;", buffer)
		}
	}
}

// writeDirect writes C from registers.
func (d hopper) writeDirect(t *text, p Problem, blocks int) {
	t.line(`	{
	.reg .u32 row, column;
	and.b32 scratch, warp, 3;
	shl.b32 scratch, scratch, 4;
	mad.lo.u32 scratch, warpgroup, %d, scratch;
	add.u32 row, tileRow, scratch;
	mov.u32 column, tileColumn;`, d.rows/2)
	f := fragments{blocks: blocks, blockRows: 64, groups: d.columns / 8, sum: func(i, j int) string { return fmt.Sprintf("c%d_%d", i, j) }}
	f.write(t, Card{CC: 90}, written(p, d.split), accumulator(p))
	t.line("\t}")
}

// short is the name of a 16-bit type in PTX.
func short(d matrix.DType) string {
	if d == matrix.BFloat16 {
		return "bf16"
	}
	return "f16"
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
