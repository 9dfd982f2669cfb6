package ptx

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A text gathers the PTX of one module.
//
// Registers are declared where they are first used: PTX scopes a name to the block
// in braces that declares it, and ptxas assigns the real registers. Names are
// words, without the % that compilers put in front of theirs.
type text struct {
	strings.Builder
	labels int
}

// line writes lines of PTX. Special registers are written %%tid.x.
func (t *text) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }

// label returns a label that no other call returns.
func (t *text) label(name string) string {
	t.labels++
	return fmt.Sprintf("%s_%d", name, t.labels)
}

// list returns "name<first>, name<first+1>, …", count names.
func list(name string, first, count int) string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprint(name, first+i)
	}
	return strings.Join(names, ", ")
}

// An entry is the head of a kernel.
type entry struct {
	name    string
	params  []string // such as ".u64 pA"
	threads int      // of a block, exactly
	blocks  int      // resident on a multiprocessor at least; it bounds the registers of a thread
	cluster int      // blocks of a cluster
}

// begin opens an entry and declares what every kernel uses.
func (t *text) begin(e entry) {
	for i, p := range e.params {
		if !strings.Contains(p, ".align") {
			e.params[i] = ".param " + p
		}
	}
	t.line(".visible .entry %s(\n\t%s)", e.name, strings.Join(e.params, ",\n\t"))
	t.line(".maxntid %d, 1, 1", e.threads)
	if e.blocks > 0 {
		t.line(".minnctapersm %d", e.blocks)
	}
	if e.cluster > 1 {
		// The module says the size of a cluster, so that an ordinary launch suffices.
		t.line(".explicitcluster\n.reqnctapercluster %d, 1, 1", e.cluster)
	}
	t.line("{")
}

func (t *text) end() { t.line("\tret;\n}") }

// pointers loads parameters that are addresses in global memory into registers.
func (t *text) pointers(of map[string]string) {
	for _, param := range slices.Sorted(maps.Keys(of)) {
		t.line("\t.reg .u64 %[1]s;\n\tld.param.u64 %[1]s, [%[2]s];\n\tcvta.to.global.u64 %[1]s, %[1]s;", of[param], param)
	}
}

// words loads parameters of 32 bits into registers.
func (t *text) words(of map[string]string) {
	for _, param := range slices.Sorted(maps.Keys(of)) {
		t.line("\t.reg .u32 %[1]s;\n\tld.param.u32 %[1]s, [%[2]s];", of[param], param)
	}
}

// count declares the registers with which locate finds a tile of C, and counts the
// tiles in both directions. It needs the registers rows and columns, the size of C.
func (t *text) count(tileRows, tileColumns, band int) {
	t.line(`	.reg .u32 tilesM, tilesN, bandTiles, bandNumber, bandStart, bandHeight, inBand, tileRow, tileColumn;
	add.u32 tilesM, rows, %[1]d;
	div.u32 tilesM, tilesM, %[2]d;
	add.u32 tilesN, columns, %[3]d;
	div.u32 tilesN, tilesN, %[4]d;
	mul.lo.u32 bandTiles, tilesN, %[5]d;`, tileRows-1, tileRows, tileColumns-1, tileColumns, band)
}

// locate sets tileRow and tileColumn, the first row and column of a tile, from its
// number in the register tile.
//
// Tiles are numbered in bands of band tiles in M, column by column within a band, so
// that the blocks that run together share rows of A and columns of B in the second
// level cache.
func (t *text) locate(tileRows, tileColumns, band int) {
	t.line(`	div.u32 bandNumber, tile, bandTiles;
	mul.lo.u32 inBand, bandNumber, bandTiles;
	sub.u32 inBand, tile, inBand;
	mul.lo.u32 bandStart, bandNumber, %[1]d;
	sub.u32 bandHeight, tilesM, bandStart;
	min.u32 bandHeight, bandHeight, %[1]d;
	div.u32 tileColumn, inBand, bandHeight;
	mul.lo.u32 tileRow, tileColumn, bandHeight;
	sub.u32 tileRow, inBand, tileRow;
	add.u32 tileRow, tileRow, bandStart;
	mul.lo.u32 tileRow, tileRow, %[2]d;
	mul.lo.u32 tileColumn, tileColumn, %[3]d;`, band, tileRows, tileColumns)
}
