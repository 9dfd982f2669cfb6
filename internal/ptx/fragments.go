package ptx

import (
	"fmt"

	"github.com/gpuplay/gpuplay/internal/matrix"
)

// fragments are the sums that a matrix instruction leaves in the registers of a warp:
// groups of 8 columns, of which lane l holds the columns 2·(l%4) and the next, in the
// rows l/4 and l/4+8. PTX ISA, "Matrix fragments for mma.m16n8k16" and "Register
// fragments for wgmma.mma_async.m64nNk16".
type fragments struct {
	blocks    int                   // of 16 rows
	blockRows int                   // from one block to the next
	groups    int                   // of 8 columns
	sum       func(i, j int) string // register j of block i
}

// write writes them to C as type out, two elements at once where rows have an even
// number of columns. It needs the registers row and column with the first element of
// the warp, which it changes, and rows, columns and cBase.
func (f fragments) write(t *text, c Card, out matrix.DType, accumulator string) {
	odd, written := t.label("ODD_COLUMNS"), t.label("WRITTEN")
	t.line(`	{
	.reg .u32 columnAt;
	.reg .u64 cRow, cPitch, offset;
	.reg .pred rowInside, inside, even;
	.reg .b16 half;
	.reg .b32 bits, odd, pair;
	shr.u32 scratch, lane, 2;
	add.u32 row, row, scratch;
	and.b32 scratch, lane, 3;
	shl.b32 scratch, scratch, 1;
	add.u32 column, column, scratch;
	mul.wide.u32 cPitch, columns, %[1]d;
	mul.wide.u32 cRow, row, columns;
	cvt.u64.u32 offset, column;
	add.u64 cRow, cRow, offset;
	mad.lo.u64 cRow, cRow, %[2]d, cBase;
	and.b32 scratch, columns, 1;
	setp.eq.u32 even, scratch, 0;
	@!even bra %[3]s;`, 8*out.Size(), out.Size(), odd)
	f.writeRows(t, c, out, accumulator, true)
	t.line("\tbra %s;\n%s:", written, odd)
	f.writeRows(t, c, out, accumulator, false)
	t.line("%s:\n\t}", written)
}

func (f fragments) writeRows(t *text, c Card, out matrix.DType, accumulator string, pairs bool) {
	for i := range f.blocks {
		for lower := range 2 {
			t.line("\tsetp.lt.u32 rowInside, row, rows;")
			for j := range f.groups {
				first, second := f.sum(i, 4*j+2*lower), f.sum(i, 4*j+2*lower+1)
				t.line("\tadd.u32 columnAt, column, %d;\n\tsetp.lt.and.u32 inside, columnAt, columns, rowInside;", 8*j)
				at := fmt.Sprintf("cRow+%d", 8*j*out.Size())
				switch {
				case pairs && out.Size() == 2 && c.CC >= 80:
					t.line("\tcvt.rn.%sx2.f32 pair, %s, %s;\n\t@inside st.global.b32 [%s], pair;", short(out), second, first, at)
				case pairs && out.Size() > 2:
					t.line("\t@inside st.global.v2.%s [%s], {%s, %s};", accumulator, at, first, second)
				default:
					t.storeRounded(c, out, "inside", at, first)
					t.line("\tadd.u32 columnAt, columnAt, 1;\n\tsetp.lt.and.u32 inside, columnAt, columns, rowInside;")
					t.storeRounded(c, out, "inside", fmt.Sprintf("cRow+%d", (8*j+1)*out.Size()), second)
				}
			}
			eights := 1
			if lower == 1 {
				eights = f.blockRows/8 - 1
			}
			t.line("\tadd.u32 row, row, %d;\n\tmad.lo.u64 cRow, cPitch, %d, cRow;", 8*eights, eights)
		}
	}
}
