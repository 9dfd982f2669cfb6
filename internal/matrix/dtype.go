// Package matrix holds what every engine must agree on about matrices: element
// types and how they round, inputs that each process generates for itself from a
// seed, and the check of a product against float64.
//
// It has no fast matrix product; that is package gemm.
package matrix

import (
	"fmt"
	"math"
)

// A DType is an element type or, for sums, the arithmetic of the accumulation.
type DType string

// The element types, with the names that frameworks use. TF32 is float32 in memory,
// multiplied with 10 bits of its mantissa. Int32 is only used for the sums and the
// result of Int8 operands.
const (
	Float64  DType = "float64"
	Float32  DType = "float32"
	TF32     DType = "tf32"
	Float16  DType = "float16"
	BFloat16 DType = "bfloat16"
	Int8     DType = "int8"
	Int32    DType = "int32"
)

// DTypes lists the types that a product can be requested with, the most precise
// first.
var DTypes = []DType{Float64, Float32, TF32, Float16, BFloat16, Int8}

var aliases = map[string]DType{
	"f64": Float64, "fp64": Float64, "double": Float64,
	"f32": Float32, "fp32": Float32, "float": Float32,
	"f16": Float16, "fp16": Float16, "half": Float16,
	"bf16": BFloat16, "i8": Int8, "s8": Int8,
}

// ParseDType accepts the full names and common abbreviations: f32, fp32, bf16,
// half.
func ParseDType(s string) (DType, error) {
	for _, d := range DTypes {
		if s == string(d) {
			return d, nil
		}
	}
	if d, ok := aliases[s]; ok {
		return d, nil
	}
	return "", fmt.Errorf("unknown dtype %q", s)
}

// Size returns the bytes that one element takes in memory.
func (d DType) Size() int {
	switch d {
	case Float64:
		return 8
	case Float32, TF32, Int32:
		return 4
	case Float16, BFloat16:
		return 2
	case Int8:
		return 1
	}
	panic("matrix: size of dtype " + string(d))
}

// Integer reports whether d is an integer type, whose arithmetic is exact.
func (d DType) Integer() bool { return d == Int8 || d == Int32 }

// mantissa returns the number of bits in d's significand, including the implicit
// one, and the exponents of its largest and smallest normal numbers.
func (d DType) mantissa() (bits, emax, emin int) {
	switch d {
	case Float64:
		return 53, 1023, -1022
	case Float32:
		return 24, 127, -126
	case TF32:
		return 11, 127, -126
	case Float16:
		return 11, 15, -14
	case BFloat16:
		return 8, 127, -126
	}
	panic("matrix: mantissa of dtype " + string(d))
}

// Unit returns d's unit roundoff: half the distance from 1 to the next number. It
// is 0 for integers, which are not rounded.
func (d DType) Unit() float64 {
	if d.Integer() {
		return 0
	}
	bits, _, _ := d.mantissa()
	return math.Ldexp(1, -bits)
}

// Round returns the number of type d that is nearest to x, ties to even, as IEEE
// 754 defines it: subnormal numbers are kept, and numbers that are too large become
// infinite, or the largest integer.
func (d DType) Round(x float64) float64 {
	if d.Integer() {
		most := math.Ldexp(1, 8*d.Size()-1)
		return max(-most, min(math.RoundToEven(x), most-1))
	}
	bits, emax, emin := d.mantissa()
	if d == Float64 || math.IsNaN(x) || math.IsInf(x, 0) {
		return x
	}
	if math.Abs(x) < math.Ldexp(1, emin) { // subnormal: a multiple of the smallest step
		step := math.Ldexp(1, emin+1-bits)
		return math.Copysign(math.RoundToEven(x/step)*step, x)
	}
	// Add just under half of the last place, and one more if that place is odd,
	// then truncate. A carry increments the exponent, as it should.
	drop := 53 - bits
	b := math.Float64bits(x)
	b += 1<<(drop-1) - 1 + b>>drop&1
	r := math.Float64frombits(b &^ (1<<drop - 1))
	if math.Abs(r) >= math.Ldexp(1, emax+1) {
		return math.Inf(int(math.Copysign(1, x)))
	}
	return r
}

// Bits16 returns the bit pattern of x rounded to Float16 or BFloat16.
func (d DType) Bits16(x float64) uint16 {
	x = d.Round(x)
	switch d {
	case BFloat16:
		if math.IsNaN(x) {
			return 0x7fc0
		}
		return uint16(math.Float32bits(float32(x)) >> 16)
	case Float16:
		sign := uint16(math.Float64bits(x)>>48) & 0x8000
		x = math.Abs(x)
		switch {
		case math.IsNaN(x):
			return 0x7e00
		case math.IsInf(x, 0):
			return sign | 0x7c00
		case x < 0x1p-14: // subnormal: in units of 2^-24
			return sign | uint16(x*0x1p24)
		}
		b := math.Float64bits(x)
		return sign | uint16(b>>52-1023+15)<<10 | uint16(b>>42)&0x3ff
	}
	panic("matrix: 16 bits of dtype " + string(d))
}

// From16 returns the number whose Float16 or BFloat16 bit pattern is b.
func (d DType) From16(b uint16) float64 {
	switch d {
	case BFloat16:
		return float64(math.Float32frombits(uint32(b) << 16))
	case Float16:
		mant, exp := float64(b&0x3ff), int(b>>10&31)
		var x float64
		switch {
		case exp == 31 && mant != 0:
			return math.NaN()
		case exp == 31:
			x = math.Inf(1)
		case exp == 0:
			x = mant * 0x1p-24
		default:
			x = math.Ldexp(1024+mant, exp-25)
		}
		if b&0x8000 != 0 {
			x = -x
		}
		return x
	}
	panic("matrix: 16 bits of dtype " + string(d))
}
