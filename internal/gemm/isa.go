package gemm

import (
	"fmt"
	"strings"
)

// An ISA is an instruction set that there is a micro-kernel for.
type ISA string

// The instruction sets. Portable is Go code that runs anywhere.
const (
	AVX512   ISA = "avx512" // AVX-512F
	AVX2     ISA = "avx2"   // with FMA and F16C
	NEON     ISA = "neon"
	Portable ISA = "portable"
)

// String returns the name as people write it.
func (i ISA) String() string {
	switch i {
	case AVX512:
		return "AVX-512"
	case AVX2:
		return "AVX2"
	case NEON:
		return "NEON"
	case Portable:
		return "portable Go"
	}
	return string(i)
}

// ISAs returns what this CPU can run, the best first.
func ISAs() []ISA {
	var isas []ISA
	for _, set := range instructionSets {
		isas = append(isas, set.isa)
	}
	return isas
}

// ParseISA returns the instruction set of that name: avx512, avx2, neon or
// portable. An empty name is the best that this CPU can run; one that it cannot
// run is an error.
func ParseISA(name string) (ISA, error) {
	set, err := findSet(ISA(strings.ToLower(name)))
	if err != nil {
		return "", err
	}
	return set.isa, nil
}

func findSet(isa ISA) (*instructionSet, error) {
	for i := range instructionSets {
		if set := &instructionSets[i]; isa == "" || set.isa == isa {
			return set, nil
		}
	}
	var have []string
	for _, isa := range ISAs() {
		have = append(have, string(isa))
	}
	return nil, fmt.Errorf("gemm: instruction set %q is not known or not one of this CPU's: use %s", string(isa), strings.Join(have, " or "))
}

type number interface{ float32 | float64 }

// An instructionSet is everything that depends on the instruction set.
type instructionSet struct {
	isa      ISA
	float64s kernel[float64]
	float32s kernel[float32]
	float16  converter
	bfloat16 converter
}

// A kernel is a micro-kernel with the constants that suit it.
type kernel[T number] struct {
	blocking
	tile tileFunc[T]
	// peak makes so many rounds of nothing but multiply-adds, of peakFLOP
	// operations each. It is nil where that would measure the compiler.
	peak     func(rounds int)
	peakFLOP int
}

// A blocking says how a product is cut up, in BLIS's letters: tiles of mr×nr;
// mc rows of A, kc long, that stay in the second-level cache; kc rows of B, nc
// wide, that all threads share. A panel of B, kc·nr elements, is to stay in the
// first-level cache.
type blocking struct{ mr, nr, mc, kc, nc int }

// A tileFunc computes one tile of C from mr rows of A and a packed panel of B:
//
//	for i := range mr {
//		for j := range nr {
//			sum := 0
//			for p := range k {
//				sum += a[i*lda+p] * b[p*nr+j]
//			}
//			if add {
//				sum += c[i*ldc+j]
//			}
//			c[i*ldc+j] = sum
//		}
//	}
//
// A's rows are not transposed: a kernel broadcasts one element of a row at a
// time and may as well read it from any address.
type tileFunc[T number] func(k int, a *T, lda int, b *T, c *T, ldc int, add bool)

// A converter goes between a 16-bit type and float32. Both slices are equally long.
type converter struct {
	widen  func(dst []float32, src []uint16)
	narrow func(dst []uint16, src []float32)
}

var portable = instructionSet{
	isa:      Portable,
	float64s: kernel[float64]{blocking: blocking{mr: 4, nr: 4, mc: 128, kc: 256, nc: 2048}, tile: portableTile[float64]},
	float32s: kernel[float32]{blocking: blocking{mr: 4, nr: 4, mc: 128, kc: 256, nc: 2048}, tile: portableTile[float32]},
	float16:  converter{widenFloat16, narrowFloat16},
	bfloat16: converter{widenBFloat16, narrowBFloat16},
}
