package gpt

import (
	"math"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/network"
)

// exp returns eˣ.
func exp[T network.Real](x T) T {
	if unsafe.Sizeof(x) == 4 { // known when the code is compiled
		return T(exp32(float32(x)))
	}
	return T(math.Exp(float64(x)))
}

var inf = float32(math.Inf(1))

// exp32 returns eˣ to within 2 units of the last place, several times as fast as math.Exp: a step
// computes a million of them. x is n·ln 2 + r with an integer n, so that eˣ is 2ⁿ·eʳ, and eʳ is a
// polynomial; its coefficients and the two parts of ln 2 are those of expf in Stephen Moshier's
// Cephes library (netlib.org/cephes). Below −87, where the result is no normal number, it is 0, and above 88 infinity.
func exp32(x float32) float32 {
	switch {
	case x < -87:
		return 0
	case x > 88:
		return inf
	}
	const round = 3 << 22 // at this size the last bit of a float32 is 1
	k := x*math.Log2E + round
	n := k - round
	r := x - n*0.693359375
	r += n * 2.12194440e-4
	p := float32(1.9875691500e-4)
	p = p*r + 1.3981999507e-3
	p = p*r + 8.3334519073e-3
	p = p*r + 4.1665795894e-2
	p = p*r + 1.6666665459e-1
	p = p*r + 5.0000001201e-1
	p = p*r*r + r + 1
	return p * math.Float32frombits((math.Float32bits(k)+127)<<23) // NaN stays NaN
}
