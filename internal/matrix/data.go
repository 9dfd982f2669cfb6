package matrix

import (
	"fmt"
	"math"
	"slices"
)

// Data is a kind of inputs: what the elements of A and B are. The time that a product takes
// can depend on it, since a bit that changes takes energy, and a device at its power limit
// lowers its clock: on an A100, a product of zeros was 15 % faster than one of normally
// distributed numbers (Horace He, https://www.thonking.ai/p/strangely-matrix-multiplications).
type Data string

const (
	// Random numbers are uniform in [-1, 1) and use all bits of their mantissas; those of
	// Int8 are uniform among all values.
	Random Data = ""
	// Normal numbers are nearly normally distributed with standard deviation 1, by the sum of
	// four uniform ones: none is beyond 3.47. Those of Int8 have a standard deviation of 37.
	Normal Data = "normal"
	Zeros  Data = "zeros"
	Ones   Data = "ones"
	// Ramp rises in 16 steps, again and again: -8, -7, … 7 eighths, and -8 … 7 for Int8. It
	// falls in the A of the second set of operands, which has the opposite sign.
	Ramp Data = "ramp"
)

// Kinds lists the kinds of inputs.
var Kinds = []Data{Random, Normal, Zeros, Ones, Ramp}

// String returns the name of the kind.
func (d Data) String() string {
	if d == Random {
		return "random"
	}
	return string(d)
}

// ParseData returns the kind of a name.
func ParseData(name string) (Data, error) {
	for _, d := range Kinds {
		if name == d.String() {
			return d, nil
		}
	}
	return Random, fmt.Errorf("unknown data %q", name)
}

// Known reports whether d is one of Kinds.
func (d Data) Known() bool { return slices.Contains(Kinds, d) }

// Patterned reports whether the elements follow a pattern instead of a seed. The products of
// such operands are known exactly, and say little about what computed them: zeros are also
// the product of a library that computes nothing.
func (d Data) Patterned() bool { return d == Zeros || d == Ones || d == Ramp }

// period is after how many elements a pattern repeats.
const period = 16

// MaxK returns the largest k of a product of such operands. Up to there all sums are within
// the range of the types of C, and those of a pattern are exact in the types in which sums
// are kept, in any order: they are multiples of 1/64, of which a float32 counts 2²⁴. Sums of
// random operands stay far below.
func (d Data) MaxK(in DType) int {
	switch {
	case d != Ones && d != Ramp:
		return math.MaxInt
	case in == Float16:
		return 65504 // its largest number
	}
	return 1 << 18
}

// normalUnit scales the sum of four uniform numbers of 16 bits, less its mean, to a standard
// deviation of 1. It is √3·2⁻¹⁶.
const normalUnit = 0x1.bb67ae8584caap-16

// at returns element i of the inputs of a kind, in the type in which they are made: all but
// Float64 and Int8 are float32 numbers.
func (s Stream) at(i int) float64 {
	switch s.data {
	case Zeros:
		return 0
	case Ones:
		return 1
	case Ramp:
		x := float64(i%period - period/2)
		if s.falls {
			x = -x
		}
		if s.dtype == Int8 {
			return x
		}
		return x / (period / 2)
	}
	z := mix(s.key + uint64(i+1)*golden)
	if s.data == Normal {
		sum := int32(z&0xffff+z>>16&0xffff+z>>32&0xffff+z>>48) - 2*0xffff
		switch s.dtype {
		case Int8:
			return float64(sum >> 10) // -128 to 127
		case Float64:
			return float64(sum) * normalUnit
		}
		return float64(float32(sum) * float32(normalUnit))
	}
	switch s.dtype {
	case Float64:
		return float64(z>>11)*0x1p-52 - 1
	case Int8:
		return float64(z>>56) - 128
	}
	return float64(z>>40)*0x1p-23 - 1
}
