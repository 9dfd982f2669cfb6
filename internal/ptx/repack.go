package ptx

import "fmt"

// Repacking. Bulk copies and copies of 16 bytes need rows that begin at multiples of
// 16 bytes, and some matrix instructions need consecutive k next to each other. Any
// other operand is first copied to the workspace, and transposed if need be. That takes
// two passes over it, which are a small part of a large product, and is timed as a part
// of it.

// repacking says how an operand gets into the workspace.
type repacking struct {
	entry      string
	needed     bool
	transposed bool
	rows, cols int // in memory, before
}

func repackings(p Problem, l layout) (a, b repacking) {
	a = repacking{entry: "repackA", rows: p.M, cols: p.K, transposed: l.deepA == p.TransA}
	if p.TransA {
		a.rows, a.cols = p.K, p.M
	}
	b = repacking{entry: "repackB", rows: p.K, cols: p.N, transposed: l.deepB != p.TransB}
	if p.TransB {
		b.rows, b.cols = p.N, p.K
	}
	a.needed = a.transposed || !aligned(a.cols*p.In.Size())
	b.needed = b.transposed || !aligned(b.cols*p.In.Size())
	return a, b
}

// repackTile is the side of the square that a block copies: at least 64 bytes of a
// row.
func repackTile(size int) int {
	if size <= 2 {
		return 64
	}
	return 32
}

const repackThreads = 256

// repackEntries writes the entries for the operands that need them. A block copies a
// square:
//
//	for i := range tile { for j := range tile { // in shared memory
//		square[i][j] = from[row+i][column+j]
//	} }
//	for i := range tile { for j := range tile {
//		to[column+i][row+j] = square[j][i] // transposed; else to[row+i][column+j] = square[i][j]
//	} }
//
// so that both sides are read and written along rows. Rows of square are padded by
// one element, so that the elements of a column lie in different banks. Rows in the
// workspace are multiples of the tile, and end in zeros.
func repackEntries(t *text, p Problem, l layout) {
	a, b := repackings(p, l)
	for _, r := range []repacking{a, b} {
		if r.needed {
			r.write(t, p.In.Size())
		}
	}
}

func (r repacking) write(t *text, size int) {
	tile := repackTile(size)
	memory := fmt.Sprintf("u%d", 8*size)
	register := "u32"
	if size == 8 {
		register = "u64"
	}
	t.begin(entry{name: r.entry, threads: repackThreads, params: []string{".u64 pFrom", ".u64 pTo", ".u32 pRows", ".u32 pColumns", ".u32 pPitch"}})
	t.line("\t.shared .align 16 .b8 square_%s[%d];", r.entry, tile*(tile+1)*size)
	t.pointers(map[string]string{"pFrom": "from", "pTo": "to"})
	t.words(map[string]string{"pRows": "rows", "pColumns": "columns", "pPitch": "pitch"})
	t.line(`	.reg .u32 block, thread, across, row, column, fromRow, fromColumn, at, x, y;
	.reg .u64 address, offset;
	.reg .%[4]s element;
	.reg .pred inside;
	mov.u32 block, %%ctaid.x;
	mov.u32 thread, %%tid.x;
	add.u32 across, columns, %[2]d;
	div.u32 across, across, %[1]d;
	div.u32 row, block, across;
	mul.lo.u32 column, row, across;
	sub.u32 column, block, column;
	mul.lo.u32 row, row, %[1]d;
	mul.lo.u32 column, column, %[1]d;
	rem.u32 x, thread, %[1]d;
	div.u32 y, thread, %[1]d;
	mov.u32 at, square_%[3]s;
	add.u32 fromColumn, column, x;
	setp.lt.u32 inside, fromColumn, columns;`, tile, tile-1, r.entry, register)
	step := repackThreads / tile
	t.line("\t.reg .pred rowInside;\n\t.reg .u32 squareTo, squareFrom;\n\tmad.lo.u32 squareTo, y, %d, x;\n\tmad.lo.u32 squareTo, squareTo, %d, at;", tile+1, size)
	for i := range tile / step {
		t.line(`	add.u32 fromRow, row, y;
	add.u32 fromRow, fromRow, %[1]d;
	setp.lt.and.u32 rowInside, fromRow, rows, inside;
	mul.wide.u32 address, fromRow, columns;
	cvt.u64.u32 offset, fromColumn;
	add.u64 address, address, offset;
	mad.lo.u64 address, address, %[2]d, from;
	mov.%[3]s element, 0;
	@rowInside ld.global.%[4]s element, [address];
	st.shared.%[4]s [squareTo+%[5]d], element;`, i*step, size, register, memory, i*step*(tile+1)*size)
	}
	t.line("\tbar.sync 0;")
	inRow, inColumn, extentRow := "row", "column", "rows"
	squareRow, squareColumn, apart := tile+1, 1, step*(tile+1)*size
	if r.transposed {
		inRow, inColumn, extentRow = inColumn, inRow, "columns"
		squareRow, squareColumn, apart = 1, tile+1, step*size
	}
	t.line(`	mul.lo.u32 squareFrom, y, %d;
	mad.lo.u32 squareFrom, x, %d, squareFrom;
	mad.lo.u32 squareFrom, squareFrom, %d, at;
	add.u32 fromColumn, %s, x;`, squareRow, squareColumn, size, inColumn)
	for i := range tile / step {
		t.line(`	add.u32 fromRow, %[1]s, y;
	add.u32 fromRow, fromRow, %[2]d;
	setp.lt.u32 rowInside, fromRow, %[3]s;
	mul.wide.u32 address, fromRow, pitch;
	shl.b64 address, address, 4;
	cvt.u64.u32 offset, fromColumn;
	mad.lo.u64 offset, offset, %[4]d, to;
	add.u64 address, address, offset;
	ld.shared.%[5]s element, [squareFrom+%[6]d];
	@rowInside st.global.%[5]s [address], element;`, inRow, i*step, extentRow, size, memory, i*apart)
	}
	t.end()
}

// repackLaunches returns where the operands of the product are, the launches that put
// them there, and the bytes of workspace that they take.
func repackLaunches(p Problem, l layout) (a, b TensorMap, launches []Launch, work int) {
	place := func(of ParamKind, r repacking) TensorMap {
		m := TensorMap{Of: of, DType: p.In, Rows: r.rows, Cols: r.cols, Stride: r.cols * p.In.Size()}
		if !r.needed {
			return m
		}
		if r.transposed {
			m.Rows, m.Cols = m.Cols, m.Rows
		}
		tile := repackTile(p.In.Size())
		m.Of, m.Offset, m.Stride = Work, work, ceil(m.Cols, tile)*tile*p.In.Size()
		work += ceil(m.Rows*m.Stride, 256) * 256
		launches = append(launches, Launch{
			Entry: r.entry, Grid: [3]int{ceil(r.rows, tile) * ceil(r.cols, tile), 1, 1}, Block: [3]int{repackThreads, 1, 1},
			Params: []Param{{Kind: of}, {Kind: Work, Offset: m.Offset}, word(r.rows), word(r.cols), word(m.Stride / 16)},
		})
		return m
	}
	ra, rb := repackings(p, l)
	a = place(A, ra)
	b = place(B, rb)
	return a, b, launches, work
}
