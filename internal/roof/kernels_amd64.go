//go:build !noasm

package roof

import "github.com/klauspost/cpuid/v2"

var kernels = func() kernelSet {
	switch {
	case cpuid.CPU.Supports(cpuid.AVX512F):
		return avx512
	case cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3):
		return avx2
	}
	return portable
}()

var (
	avx512 = kernelSet{"AVX-512", triadAVX512, total(sumAVX512)}
	avx2   = kernelSet{"AVX2", triadAVX2, total(sumAVX2)}
)

// chain runs the given number of rounds of 64 additions, each of which depends on
// the one before.
var chain = chainADD

func chainADD(rounds int)

//go:noescape
func triadAVX512(a, b, c *float64, n int, s float64, passes int)

//go:noescape
func triadAVX2(a, b, c *float64, n int, s float64, passes int)

//go:noescape
func sumAVX512(x *float64, n, passes int, sums *[8]float64)

//go:noescape
func sumAVX2(x *float64, n, passes int, sums *[8]float64)
