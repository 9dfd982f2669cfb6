//go:build !noasm

package gemm

import "github.com/klauspost/cpuid/v2"

// Every arm64 processor that Go supports has NEON.
var instructionSets = []instructionSet{neonHere(), portable}

// neonHere returns NEON with those of its later extensions that the CPU has.
// float16 uses float32's multiply-adds: FMLAL, which takes float16 operands
// directly, has no higher throughput.
func neonHere() instructionSet {
	set := neon
	if cpuid.CPU.Supports(cpuid.BF16) {
		set.bfloat16s = bfloat16NEON
	}
	if cpuid.CPU.Supports(cpuid.ASIMDDP) {
		set.int8s = int8NEON
	}
	return set.complete()
}

var bfloat16NEON = dots[float32](kernel{
	tiles: whole7(wholeTiles(7, 12, tileBFloat16NEON)), lanes: 12, whole: true,
	elem: 2, out: 2, group: 2, blocking: blocking{vecs: 1, mc: 7 * 16, kc: 512, nc: 2040},
	interleave: interleavePairs, narrow: converter{narrow: inEights(narrowBFloat16NEON, narrowBFloat16)}.narrowWords,
	peak: peakBFloat16NEON, peakOps: 48 * 8 * 2,
})

var int8NEON = dots[int32](kernel{
	tiles: whole7(wholeTiles(7, 12, tileInt8NEON)), lanes: 12, whole: true,
	elem: 1, group: 4, blocking: blocking{vecs: 1, mc: 7 * 16, kc: 512, nc: 2040},
	interleave: interleaveQuads,
	peak:       peakInt8NEON, peakOps: 48 * 16 * 2,
})

var neon = instructionSet{
	isa: NEON,
	float64s: plain[float64](kernel{
		tiles: whole7(wholeTiles(7, 6, tileFloat64NEON)), lanes: 6, whole: true,
		blocking: blocking{vecs: 1, mc: 7 * 16, kc: 256, nc: 2046},
		peak:     peakFloat64NEON, peakOps: 48 * 2 * 2,
	}),
	float32s: plain[float32](kernel{
		tiles: whole7(wholeTiles(7, 12, tileFloat32NEON)), lanes: 12, whole: true,
		blocking: blocking{vecs: 1, mc: 7 * 16, kc: 512, nc: 2040},
		peak:     peakFloat32NEON, peakOps: 48 * 4 * 2,
	}),
	int8s: plain[int32](kernel{
		tiles: whole7(wholeTiles(7, 12, tileInt32NEON)), lanes: 12, whole: true,
		blocking: blocking{vecs: 1, mc: 7 * 16, kc: 512, nc: 2040},
	}).widened(),
	float16:  converter{inEights(widenFloat16NEON, widenFloat16), inEights(narrowFloat16NEON, narrowFloat16), nil},
	bfloat16: converter{inEights(widenBFloat16NEON, widenBFloat16), inEights(narrowBFloat16NEON, narrowBFloat16), nil},
}

// whole7 returns tiles for a micro-kernel that computes only full tiles of 7 rows.
func whole7(f tileFunc) tiles { return tiles{1: {7: f}} }

// Fastest reports whether the best kernels for an arithmetic use the fastest instructions
// that this CPU has for it. None are known to: Apple's CPUs have matrix units, others SVE.
func Fastest(Arithmetic) bool { return false }

// pause tells the CPU that the code is spinning.
func pause()

//go:noescape
func tileFloat64NEON(k int, a *float64, lda int, b *float64, c *float64, ldc int, add bool)

//go:noescape
func tileFloat32NEON(k int, a *float32, lda int, b *float32, c *float32, ldc int, add bool)

//go:noescape
func tileBFloat16NEON(k int, a *float32, lda int, b *float32, c *float32, ldc int, add bool)

//go:noescape
func tileInt32NEON(k int, a *int32, lda int, b *int32, c *int32, ldc int, add bool)

//go:noescape
func tileInt8NEON(k int, a *int32, lda int, b *int32, c *int32, ldc int, add bool)

func peakFloat64NEON(rounds int)
func peakFloat32NEON(rounds int)
func peakBFloat16NEON(rounds int)
func peakInt8NEON(rounds int)

//go:noescape
func widenFloat16NEON(dst []float32, src []uint16)

//go:noescape
func narrowFloat16NEON(dst []uint16, src []float32)

//go:noescape
func widenBFloat16NEON(dst []float32, src []uint16)

//go:noescape
func narrowBFloat16NEON(dst []uint16, src []float32)
