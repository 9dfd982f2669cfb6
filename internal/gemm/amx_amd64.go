//go:build !noasm

package gemm

import (
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

// hasAMX reports whether the CPU has AMX with bfloat16 and int8, and the system lets
// this process use its registers.
var hasAMX = cpuid.CPU.Supports(cpuid.AMXTILE, cpuid.AMXBF16, cpuid.AMXINT8) && permitAMX()

// Limits of AMX's tile registers.
const (
	amxRows  = 16 // rows of a register
	amxBytes = 64 // bytes of a row: 16 words or sums
)

// A tileConfig says how many rows and bytes of each tile register are in use: the
// operand of LDTILECFG (Intel SDM, volume 1, section 18.3, table 18-1).
type tileConfig struct {
	palette  uint8 // 1: eight registers of 16 rows of 64 bytes
	startRow uint8
	_        [14]byte
	bytes    [16]uint16
	rows     [16]uint8
}

// set prepares it for sums of rows×cols, each at most 32, over blocks of the given number
// of steps of k, at most 16. Registers beyond the edges of C are left out.
func (c *tileConfig) set(rows, cols, steps int) {
	*c = tileConfig{palette: 1}
	use := func(register, rows, words int) {
		if rows > 0 && words > 0 {
			c.rows[register], c.bytes[register] = uint8(rows), uint16(words*4)
		}
	}
	for i := range 2 {
		high := min(amxRows, rows-i*amxRows)
		for j := range 2 {
			wide := min(amxRows, cols-j*amxRows)
			use(2*i+j, high, wide)
			use(6+j, steps, wide)
		}
		use(4+i, high, steps)
	}
}

// amxTiles makes the micro-kernels of up to 32 rows, indexed as tiles are, of one that
// computes whole blocks of steps.
func amxTiles(f func(t *tile, config *tileConfig, blocks, high, wide, add int)) tiles {
	var all tiles
	for vecs := 1; vecs <= 2; vecs++ {
		all[vecs] = make([]tileFunc, 2*amxRows+1)
		for rows := 1; rows < len(all[vecs]); rows++ {
			all[vecs][rows] = func(t *tile) { amxTile(t, (vecs-1)*amxRows+t.last, f) }
		}
	}
	return all
}

// amxTile computes the blocks of 16 steps first, then the remaining steps, which need
// another configuration of the registers. That is kept in the tile: on the stack it would
// escape to the heap, through f.
func amxTile(t *tile, cols int, f func(t *tile, config *tileConfig, blocks, high, wide, add int)) {
	config := (*tileConfig)(unsafe.Pointer(&t.edge))
	high, wide := max(0, t.rows-amxRows), max(0, cols-amxRows)
	blocks, rest := t.k/amxRows, t.k%amxRows
	add := t.add
	if blocks > 0 {
		config.set(t.rows, cols, amxRows)
		f(t, config, blocks, high, wide, add)
		add = 1
	}
	if rest > 0 {
		config.set(t.rows, cols, rest)
		a, b := t.a, t.b
		t.a, t.b = unsafe.Add(a, blocks*amxBytes), unsafe.Add(b, blocks*amxRows*t.rowB)
		f(t, config, 1, high, wide, add)
		t.a, t.b = a, b
	}
}

var bfloat16AMX = dots[float32](kernel{
	tiles: amxTiles(tilesBFloat16AMX),
	elem:  2, out: 2, group: 2, steps: amxRows, dense: 9, lanes: amxRows, masks: true, blocking: blocking{vecs: 2, mc: 128, kc: 1024, nc: 2048},
	interleave: interleavePairs, narrow: converter{narrow: narrowBFloat16AVX512}.narrowWords,
	peak: func(rounds int) { amxPeak(roundsBFloat16AMX, bfloat16Halves, rounds) }, peakOps: 8 * amxRows * amxRows * 32 * 2,
	note: "with AMX",
})

var int8AMX = dots[int32](kernel{
	tiles: amxTiles(tilesInt8AMX),
	elem:  1, group: 4, steps: amxRows, dense: 9, lanes: amxRows, masks: true, blocking: blocking{vecs: 2, mc: 128, kc: 1024, nc: 2048},
	interleave: interleaveQuads,
	peak:       func(rounds int) { amxPeak(roundsInt8AMX, int8Ones, rounds) }, peakOps: 8 * amxRows * amxRows * 64 * 2,
	note: "with AMX",
})

// amxPeak computes rounds of 8 products of full registers.
func amxPeak(f func(config *tileConfig, ones *[1024]byte, rounds int), ones *[1024]byte, rounds int) {
	var config tileConfig
	config.set(2*amxRows, 2*amxRows, amxRows)
	f(&config, ones, rounds)
}

// Registers full of numbers for peaks: ½ in bfloat16, 1 in int8.
var bfloat16Halves, int8Ones = func() (halves, ones *[1024]byte) {
	halves, ones = new([1024]byte), new([1024]byte)
	for i := range ones {
		ones[i] = 1
		if i%2 == 1 {
			halves[i] = 0x3f
		}
	}
	return halves, ones
}()

//go:noescape
func tilesBFloat16AMX(t *tile, config *tileConfig, blocks, high, wide, add int)

//go:noescape
func tilesInt8AMX(t *tile, config *tileConfig, blocks, high, wide, add int)

//go:noescape
func roundsBFloat16AMX(config *tileConfig, ones *[1024]byte, rounds int)

//go:noescape
func roundsInt8AMX(config *tileConfig, ones *[1024]byte, rounds int)
