//go:build !noasm

package gemm

import (
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

var hasBFloat16 = cpuid.CPU.Supports(cpuid.AVX512BF16, cpuid.AVX512BW)

var instructionSets = func() []instructionSet {
	var sets []instructionSet
	if cpuid.CPU.Supports(cpuid.AVX512F) {
		sets = append(sets, avx512())
	}
	if cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C) {
		sets = append(sets, avx2())
	}
	return append(sets, portable)
}()

// avx512 returns AVX-512F with those of its later extensions that the CPU has.
func avx512() instructionSet {
	set := avx512F
	set.int8s = int8AVX2
	if hasBFloat16 && cpuid.CPU.IsVendor(cpuid.AMD) {
		// Measured on one thread: twice the speed of float32 on Zen 4; on Sapphire
		// Rapids, whose AMX is faster than either, 80 to 84 GFLOP/s, which is its peak,
		// where float32's kernel with conversion reaches 100 to 150.
		set.bfloat16s = bfloat16AVX512
	}
	if cpuid.CPU.Supports(cpuid.AVX512VNNI, cpuid.AVX512BW) {
		set.int8s = int8AVX512
	}
	if hasAMX {
		set.bfloat16s, set.int8s = bfloat16AMX, int8AMX
	}
	return set.complete()
}

// Fastest reports whether the best kernels for an arithmetic use the fastest instructions
// that this CPU has for it, so that nothing can be faster than their peak. They do not use
// float16 arithmetic.
func Fastest(a Arithmetic) bool {
	switch a {
	case Float64, Float32:
		return true
	case BFloat16:
		return hasAMX || !cpuid.CPU.Supports(cpuid.AMXBF16)
	case Int8:
		return hasAMX || !cpuid.CPU.Supports(cpuid.AMXINT8)
	}
	return false
}

var avx512F = instructionSet{
	isa: AVX512,
	float64s: plain[float64](kernel{
		tiles: tiles{
			1: {nil, float64AVX512x1x1, float64AVX512x2x1, float64AVX512x3x1, float64AVX512x4x1, float64AVX512x5x1, float64AVX512x6x1, float64AVX512x7x1, float64AVX512x8x1, float64AVX512x9x1, float64AVX512x10x1, float64AVX512x11x1, float64AVX512x12x1, float64AVX512x13x1, float64AVX512x14x1, float64AVX512x15x1, float64AVX512x16x1, float64AVX512x17x1, float64AVX512x18x1, float64AVX512x19x1, float64AVX512x20x1, float64AVX512x21x1, float64AVX512x22x1, float64AVX512x23x1, float64AVX512x24x1},
			2: {nil, float64AVX512x1x2, float64AVX512x2x2, float64AVX512x3x2, float64AVX512x4x2, float64AVX512x5x2, float64AVX512x6x2, float64AVX512x7x2, float64AVX512x8x2, float64AVX512x9x2, float64AVX512x10x2, float64AVX512x11x2, float64AVX512x12x2, float64AVX512x13x2, float64AVX512x14x2},
			3: {nil, float64AVX512x1x3, float64AVX512x2x3, float64AVX512x3x3, float64AVX512x4x3, float64AVX512x5x3, float64AVX512x6x3, float64AVX512x7x3, float64AVX512x8x3, float64AVX512x9x3},
		},
		lanes: 8, masks: true, blocking: blocking{vecs: 3, mc: 72, kc: 768, nc: 2048, small: 4 << 20},
		vectors:  vectors{dot4Float64AVX2, axpy4Float64AVX2, axpy1Float64AVX2},
		copyRows: copyRowsAVX, peak: peakFloat64AVX512, peakOps: 24 * 8 * 2,
	}),
	float32s: plain[float32](kernel{
		tiles: tiles{
			1: {nil, float32AVX512x1x1, float32AVX512x2x1, float32AVX512x3x1, float32AVX512x4x1, float32AVX512x5x1, float32AVX512x6x1, float32AVX512x7x1, float32AVX512x8x1, float32AVX512x9x1, float32AVX512x10x1, float32AVX512x11x1, float32AVX512x12x1, float32AVX512x13x1, float32AVX512x14x1, float32AVX512x15x1, float32AVX512x16x1, float32AVX512x17x1, float32AVX512x18x1, float32AVX512x19x1, float32AVX512x20x1, float32AVX512x21x1, float32AVX512x22x1, float32AVX512x23x1, float32AVX512x24x1},
			2: {nil, float32AVX512x1x2, float32AVX512x2x2, float32AVX512x3x2, float32AVX512x4x2, float32AVX512x5x2, float32AVX512x6x2, float32AVX512x7x2, float32AVX512x8x2, float32AVX512x9x2, float32AVX512x10x2, float32AVX512x11x2, float32AVX512x12x2, float32AVX512x13x2, float32AVX512x14x2},
			3: {nil, float32AVX512x1x3, float32AVX512x2x3, float32AVX512x3x3, float32AVX512x4x3, float32AVX512x5x3, float32AVX512x6x3, float32AVX512x7x3, float32AVX512x8x3, float32AVX512x9x3},
		},
		lanes: 16, masks: true, blocking: blocking{vecs: 3, mc: 108, kc: 1024, nc: 2048, small: 4 << 20},
		vectors:  vectors{dot4Float32AVX2, axpy4Float32AVX2, axpy1Float32AVX2},
		copyRows: copyRowsAVX, peak: peakFloat32AVX512, peakOps: 24 * 16 * 2,
	}),
	float16:  converter{widenFloat16AVX512, narrowFloat16AVX512, inStrips(strip1Float16AVX512, strip3Float16AVX512, 2)},
	bfloat16: converter{widenBFloat16AVX512, narrowBFloat16AVX512, inStrips(strip1BFloat16AVX512, strip3BFloat16AVX512, 2)},
}

var bfloat16AVX512 = dots[float32](kernel{
	tiles: tiles{
		1: {nil, bfloat16AVX512x1x1, bfloat16AVX512x2x1, bfloat16AVX512x3x1, bfloat16AVX512x4x1, bfloat16AVX512x5x1, bfloat16AVX512x6x1, bfloat16AVX512x7x1, bfloat16AVX512x8x1, bfloat16AVX512x9x1, bfloat16AVX512x10x1, bfloat16AVX512x11x1, bfloat16AVX512x12x1, bfloat16AVX512x13x1, bfloat16AVX512x14x1},
		2: {nil, bfloat16AVX512x1x2, bfloat16AVX512x2x2, bfloat16AVX512x3x2, bfloat16AVX512x4x2, bfloat16AVX512x5x2, bfloat16AVX512x6x2, bfloat16AVX512x7x2, bfloat16AVX512x8x2, bfloat16AVX512x9x2, bfloat16AVX512x10x2, bfloat16AVX512x11x2, bfloat16AVX512x12x2, bfloat16AVX512x13x2, bfloat16AVX512x14x2},
		3: {nil, bfloat16AVX512x1x3, bfloat16AVX512x2x3, bfloat16AVX512x3x3, bfloat16AVX512x4x3, bfloat16AVX512x5x3, bfloat16AVX512x6x3, bfloat16AVX512x7x3, bfloat16AVX512x8x3, bfloat16AVX512x9x3},
	},
	elem: 2, out: 2, group: 2, lanes: 16, masks: true, blocking: blocking{vecs: 3, mc: 108, kc: 384, nc: 1024},
	interleave: interleavePairs, narrow: converter{narrow: narrowBFloat16AVX512}.narrowWords,
	peak: peakBFloat16AVX512, peakOps: 24 * 32 * 2,
})

var int8AVX512 = dots[int32](kernel{
	tiles: tiles{
		1: {nil, int8AVX512x1x1, int8AVX512x2x1, int8AVX512x3x1, int8AVX512x4x1, int8AVX512x5x1, int8AVX512x6x1, int8AVX512x7x1, int8AVX512x8x1, int8AVX512x9x1, int8AVX512x10x1, int8AVX512x11x1, int8AVX512x12x1, int8AVX512x13x1, int8AVX512x14x1},
		2: {nil, int8AVX512x1x2, int8AVX512x2x2, int8AVX512x3x2, int8AVX512x4x2, int8AVX512x5x2, int8AVX512x6x2, int8AVX512x7x2, int8AVX512x8x2, int8AVX512x9x2, int8AVX512x10x2, int8AVX512x11x2, int8AVX512x12x2, int8AVX512x13x2, int8AVX512x14x2},
		3: {nil, int8AVX512x1x3, int8AVX512x2x3, int8AVX512x3x3, int8AVX512x4x3, int8AVX512x5x3, int8AVX512x6x3, int8AVX512x7x3, int8AVX512x8x3, int8AVX512x9x3},
	},
	elem: 1, group: 4, lanes: 16, masks: true, blocking: blocking{vecs: 3, mc: 108, kc: 384, nc: 1024},
	widenA: offsetInt8, interleave: interleaveQuads,
	start: func(panel unsafe.Pointer, k, lanes int) { startInt8AVX512(panel, k, lanes*4) },
	peak:  peakInt8AVX512, peakOps: 24 * 64 * 2,
})

// avx2 returns AVX2, with int8 dot products where the CPU has AVX-VNNI.
func avx2() instructionSet {
	set := avx2F
	set.int8s = int8AVX2
	if cpuid.CPU.Supports(cpuid.AVXVNNI) {
		set.int8s = int8AVXVNNI
	}
	return set.complete()
}

var int8AVX2 = dots[int32](kernel{
	tiles: tiles{
		1: {nil, int8AVX2x1x1, int8AVX2x2x1, int8AVX2x3x1, int8AVX2x4x1, int8AVX2x5x1, int8AVX2x6x1, int8AVX2x7x1, int8AVX2x8x1, int8AVX2x9x1, int8AVX2x10x1, int8AVX2x11x1, int8AVX2x12x1},
		2: {nil, int8AVX2x1x2, int8AVX2x2x2, int8AVX2x3x2, int8AVX2x4x2, int8AVX2x5x2, int8AVX2x6x2},
	},
	elem: 1, group: 2, lanes: 8, blocking: blocking{vecs: 2, mc: 192, kc: 256, nc: 2048},
	widenA: widenToInt16, widenB: widenToInt16, interleave: interleaveInt16,
	note: "converted to int16 while packing",
	peak: peakInt8AVX2, peakOps: 24 * 16 * 2,
})

var int8AVXVNNI = dots[int32](kernel{
	tiles: tiles{
		1: {nil, int8AVXVNNIx1x1, int8AVXVNNIx2x1, int8AVXVNNIx3x1, int8AVXVNNIx4x1, int8AVXVNNIx5x1, int8AVXVNNIx6x1, int8AVXVNNIx7x1, int8AVXVNNIx8x1, int8AVXVNNIx9x1, int8AVXVNNIx10x1, int8AVXVNNIx11x1, int8AVXVNNIx12x1},
		2: {nil, int8AVXVNNIx1x2, int8AVXVNNIx2x2, int8AVXVNNIx3x2, int8AVXVNNIx4x2, int8AVXVNNIx5x2, int8AVXVNNIx6x2},
	},
	elem: 1, group: 4, lanes: 8, blocking: blocking{vecs: 2, mc: 192, kc: 256, nc: 2048},
	widenA: offsetInt8Narrow, interleave: interleaveQuadsNarrow,
	start: func(panel unsafe.Pointer, k, lanes int) { startInt8AVXVNNI(panel, k, lanes*4) },
	peak:  peakInt8AVXVNNI, peakOps: 24 * 32 * 2,
})

var avx2F = instructionSet{
	isa: AVX2,
	float64s: plain[float64](kernel{
		tiles: tiles{
			1: {nil, float64AVX2x1x1, float64AVX2x2x1, float64AVX2x3x1, float64AVX2x4x1, float64AVX2x5x1, float64AVX2x6x1, float64AVX2x7x1, float64AVX2x8x1, float64AVX2x9x1, float64AVX2x10x1, float64AVX2x11x1, float64AVX2x12x1},
			2: {nil, float64AVX2x1x2, float64AVX2x2x2, float64AVX2x3x2, float64AVX2x4x2, float64AVX2x5x2, float64AVX2x6x2},
			3: {nil, float64AVX2x1x3, float64AVX2x2x3, float64AVX2x3x3, float64AVX2x4x3},
		},
		lanes: 4, blocking: blocking{vecs: 2, mc: 96, kc: 256, nc: 1024, small: 224 << 10},
		vectors:  vectors{dot4Float64AVX2, axpy4Float64AVX2, axpy1Float64AVX2},
		copyRows: copyRowsAVX, peak: peakFloat64AVX2, peakOps: 24 * 4 * 2,
	}),
	float32s: plain[float32](kernel{
		tiles: tiles{
			1: {nil, float32AVX2x1x1, float32AVX2x2x1, float32AVX2x3x1, float32AVX2x4x1, float32AVX2x5x1, float32AVX2x6x1, float32AVX2x7x1, float32AVX2x8x1, float32AVX2x9x1, float32AVX2x10x1, float32AVX2x11x1, float32AVX2x12x1},
			2: {nil, float32AVX2x1x2, float32AVX2x2x2, float32AVX2x3x2, float32AVX2x4x2, float32AVX2x5x2, float32AVX2x6x2},
			3: {nil, float32AVX2x1x3, float32AVX2x2x3, float32AVX2x3x3, float32AVX2x4x3},
		},
		lanes: 8, blocking: blocking{vecs: 2, mc: 120, kc: 384, nc: 1024, small: 224 << 10},
		vectors:  vectors{dot4Float32AVX2, axpy4Float32AVX2, axpy1Float32AVX2},
		copyRows: copyRowsAVX, peak: peakFloat32AVX2, peakOps: 24 * 8 * 2,
	}),
	float16:  converter{inEights(widenFloat16AVX2, widenFloat16), inEights(narrowFloat16AVX2, narrowFloat16), inStripsOf8(stripFloat16AVX2, widenFloat16)},
	bfloat16: converter{inEights(widenBFloat16AVX2, widenBFloat16), inEights(narrowBFloat16AVX2, narrowBFloat16), inStripsOf8(stripBFloat16AVX2, widenBFloat16)},
}

// A strip512 packs rows of B, or groups of rows, as words; its strip is one vector
// or three wide. See STRIP.
type strip512 func(dst, src unsafe.Pointer, stride, rows, row int, mask uint64)

// inStrips returns a packFunc that uses them, for elements of size bytes.
func inStrips(one, three strip512, size int) packFunc {
	return func(dst, src unsafe.Pointer, stride, rows, cols, lanes int) {
		if cols > 32 {
			three(dst, src, stride, rows, lanes*4, 1<<(cols-32)-1)
			return
		}
		for j := 0; j < lanes; j += 16 {
			one(unsafe.Add(dst, j*4), unsafe.Add(src, j*size), stride, rows, lanes*4, 1<<min(16, cols-j)-1)
		}
	}
}

// inStripsOf8 returns a packFunc that converts 8 columns at a time, and the
// remaining ones in Go.
func inStripsOf8(strip func(dst, src unsafe.Pointer, stride, rows, row int), rest func([]float32, []uint16)) packFunc {
	return func(dst, src unsafe.Pointer, stride, k, cols, lanes int) {
		for j := 0; j < lanes; j += 8 {
			some := min(8, cols-j)
			if some == 8 {
				strip(unsafe.Add(dst, j*4), unsafe.Add(src, j*2), stride, k, lanes*4)
				continue
			}
			for p := range k {
				to := (*[8]float32)(unsafe.Add(dst, (p*lanes+j)*4))
				rest(to[:some], unsafe.Slice((*uint16)(unsafe.Add(src, p*stride+j*2)), some))
				clear(to[some:])
			}
		}
	}
}

// pause tells the CPU that the code is spinning.
func pause()

//go:noescape
func copyRowsAVX(dst, src unsafe.Pointer, ld, stride, rows, bytes, ahead int)

//go:noescape
func dot4Float64AVX2(out, m unsafe.Pointer, ld int, x unsafe.Pointer, n int)

//go:noescape
func axpy4Float64AVX2(y, x, m unsafe.Pointer, ld, n int, add bool)

//go:noescape
func axpy1Float64AVX2(y, x, m unsafe.Pointer, ld, n int, add bool)

//go:noescape
func dot4Float32AVX2(out, m unsafe.Pointer, ld int, x unsafe.Pointer, n int)

//go:noescape
func axpy4Float32AVX2(y, x, m unsafe.Pointer, ld, n int, add bool)

//go:noescape
func axpy1Float32AVX2(y, x, m unsafe.Pointer, ld, n int, add bool)

func peakFloat64AVX512(rounds int)
func peakFloat32AVX512(rounds int)
func peakFloat64AVX2(rounds int)
func peakFloat32AVX2(rounds int)

//go:noescape
func widenFloat16AVX512(dst []float32, src []uint16)

func strip1Float16AVX512(dst, src unsafe.Pointer, stride, rows, row int, mask uint64)
func strip3Float16AVX512(dst, src unsafe.Pointer, stride, rows, row int, mask uint64)
func strip1BFloat16AVX512(dst, src unsafe.Pointer, stride, rows, row int, mask uint64)
func strip3BFloat16AVX512(dst, src unsafe.Pointer, stride, rows, row int, mask uint64)
func stripFloat16AVX2(dst, src unsafe.Pointer, stride, rows, row int)
func stripBFloat16AVX2(dst, src unsafe.Pointer, stride, rows, row int)

//go:noescape
func narrowFloat16AVX512(dst []uint16, src []float32)

//go:noescape
func widenBFloat16AVX512(dst []float32, src []uint16)

//go:noescape
func narrowBFloat16AVX512(dst []uint16, src []float32)

//go:noescape
func widenFloat16AVX2(dst []float32, src []uint16)

//go:noescape
func narrowFloat16AVX2(dst []uint16, src []float32)

//go:noescape
func widenBFloat16AVX2(dst []float32, src []uint16)

//go:noescape
func narrowBFloat16AVX2(dst []uint16, src []float32)
