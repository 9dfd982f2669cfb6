package gemm

import "math"

// NarrowFloat16 rounds float32 numbers to the bit patterns of float16, to
// nearest, ties to even. dst must be as long as src.
func NarrowFloat16(dst []uint16, src []float32) { instructionSets[0].float16.narrow(dst, src) }

// NarrowBFloat16 is NarrowFloat16 for bfloat16.
func NarrowBFloat16(dst []uint16, src []float32) { instructionSets[0].bfloat16.narrow(dst, src) }

func widenFloat16(dst []float32, src []uint16) {
	for i, h := range src[:len(dst)] {
		// The exponent biases differ by 112. Scaling by 2^112, rather than adding
		// to the exponent, is also right for subnormal numbers.
		magnitude := math.Float32bits(math.Float32frombits(uint32(h&0x7fff)<<13) * 0x1p112)
		if h&0x7c00 == 0x7c00 { // infinity or NaN
			magnitude |= 0x7f800000
		}
		dst[i] = math.Float32frombits(magnitude | uint32(h&0x8000)<<16)
	}
}

func narrowFloat16(dst []uint16, src []float32) {
	for i, x := range src[:len(dst)] {
		word := math.Float32bits(x)
		sign, magnitude := uint16(word>>16)&0x8000, word&0x7fffffff
		switch {
		case magnitude > 0x7f800000: // NaN: stays one, made quiet
			dst[i] = sign | 0x7e00 | uint16(magnitude>>13)&0x1ff
		case magnitude >= 0x477ff000: // 65520 is halfway between 65504, the largest number, and the next step
			dst[i] = sign | 0x7c00
		case magnitude < 0x38800000: // subnormal: in units of 2^-24, the last place of 0.5
			dst[i] = sign | uint16(math.Float32bits(math.Float32frombits(magnitude)+0.5)-math.Float32bits(0.5))
		default:
			dst[i] = sign | uint16((magnitude+0xfff+magnitude>>13&1)>>13-112<<10)
		}
	}
}

func widenBFloat16(dst []float32, src []uint16) {
	for i, h := range src[:len(dst)] {
		dst[i] = math.Float32frombits(uint32(h) << 16)
	}
}

func narrowBFloat16(dst []uint16, src []float32) {
	for i, x := range src[:len(dst)] {
		word := math.Float32bits(x)
		if x != x {
			dst[i] = uint16(word>>16) | 0x40 // quiet NaN
		} else {
			dst[i] = uint16((word + 0x7fff + word>>16&1) >> 16)
		}
	}
}
