//go:build !noasm

package gemm

import "github.com/klauspost/cpuid/v2"

var instructionSets = func() []instructionSet {
	var sets []instructionSet
	if cpuid.CPU.Supports(cpuid.AVX512F) {
		sets = append(sets, avx512)
	}
	if cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C) {
		sets = append(sets, avx2)
	}
	return append(sets, portable)
}()

var avx512 = instructionSet{
	isa: AVX512,
	float64s: kernel[float64]{
		blocking: blocking{mr: 14, nr: 16, mc: 14 * 12, kc: 384, nc: 1024},
		tile:     tileFloat64AVX512, peak: peakFloat64AVX512, peakFLOP: 24 * 8 * 2,
	},
	float32s: kernel[float32]{
		blocking: blocking{mr: 14, nr: 32, mc: 14 * 16, kc: 384, nc: 2048},
		tile:     tileFloat32AVX512, peak: peakFloat32AVX512, peakFLOP: 24 * 16 * 2,
	},
	float16:  converter{widenFloat16AVX512, narrowFloat16AVX512},
	bfloat16: converter{widenBFloat16AVX512, narrowBFloat16AVX512},
}

var avx2 = instructionSet{
	isa: AVX2,
	float64s: kernel[float64]{
		blocking: blocking{mr: 6, nr: 8, mc: 6 * 24, kc: 384, nc: 1024},
		tile:     tileFloat64AVX2, peak: peakFloat64AVX2, peakFLOP: 24 * 4 * 2,
	},
	float32s: kernel[float32]{
		blocking: blocking{mr: 6, nr: 16, mc: 6 * 32, kc: 384, nc: 2048},
		tile:     tileFloat32AVX2, peak: peakFloat32AVX2, peakFLOP: 24 * 8 * 2,
	},
	float16:  converter{inEights(widenFloat16AVX2, widenFloat16), inEights(narrowFloat16AVX2, narrowFloat16)},
	bfloat16: converter{inEights(widenBFloat16AVX2, widenBFloat16), inEights(narrowBFloat16AVX2, narrowBFloat16)},
}

// pause tells the CPU that this is a waiting loop.
func pause()

//go:noescape
func tileFloat64AVX512(k int, a *float64, lda int, b *float64, c *float64, ldc int, add bool)

//go:noescape
func tileFloat32AVX512(k int, a *float32, lda int, b *float32, c *float32, ldc int, add bool)

//go:noescape
func tileFloat64AVX2(k int, a *float64, lda int, b *float64, c *float64, ldc int, add bool)

//go:noescape
func tileFloat32AVX2(k int, a *float32, lda int, b *float32, c *float32, ldc int, add bool)

func peakFloat64AVX512(rounds int)
func peakFloat32AVX512(rounds int)
func peakFloat64AVX2(rounds int)
func peakFloat32AVX2(rounds int)

//go:noescape
func widenFloat16AVX512(dst []float32, src []uint16)

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
