//go:build !noasm

package gemm

// Every arm64 processor that Go supports has NEON.
var instructionSets = []instructionSet{neon, portable}

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
	float16:  converter{inEights(widenFloat16NEON, widenFloat16), inEights(narrowFloat16NEON, narrowFloat16)},
	bfloat16: converter{inEights(widenBFloat16NEON, widenBFloat16), inEights(narrowBFloat16NEON, narrowBFloat16)},
}.complete()

// whole7 are the micro-kernels of 7 rows, of which whole ones are all there is.
func whole7(f tileFunc) tiles { return tiles{1: {7: f}} }

// pause tells the CPU that this is a waiting loop.
func pause()

//go:noescape
func tileFloat64NEON(k int, a *float64, lda int, b *float64, c *float64, ldc int, add bool)

//go:noescape
func tileFloat32NEON(k int, a *float32, lda int, b *float32, c *float32, ldc int, add bool)

func peakFloat64NEON(rounds int)
func peakFloat32NEON(rounds int)

//go:noescape
func widenFloat16NEON(dst []float32, src []uint16)

//go:noescape
func narrowFloat16NEON(dst []uint16, src []float32)

//go:noescape
func widenBFloat16NEON(dst []float32, src []uint16)

//go:noescape
func narrowBFloat16NEON(dst []uint16, src []float32)
