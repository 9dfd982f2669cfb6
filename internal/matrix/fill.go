package matrix

// Operand names the two factors of a product; each has its own stream of numbers.
type Operand uint64

const (
	A Operand = iota
	B
)

// A Stream yields the elements of one operand: element i, counted row by row in
// memory, depends on the seed, the operand and i alone, so that any process can
// make the same matrix, or any part of it, without being sent it. The numbers
// are uniform in [-1, 1) and use all bits of the mantissa, or uniform among the
// integers of their type: zeros or few values would let a GPU draw less power and
// clock higher.
//
// The generator is splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom
// Number Generators, OOPSLA 2014): element i takes its top bits, 53 for Float64,
// 8 for Int8, as they are, and 24 for the others, which all fit a float32 and are
// rounded from there.
type Stream struct {
	key   uint64
	dtype DType
}

const golden = 0x9e3779b97f4a7c15

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// NewStream returns the elements of operand o of the problem with that seed.
func NewStream(seed uint64, o Operand, d DType) Stream {
	return Stream{mix(seed*2 + uint64(o)), d}
}

// At returns element i, rounded to the stream's type. What a lane calls TF32 is
// a full float32 in memory; its rounding belongs to the multiplication.
func (s Stream) At(i int) float64 {
	z := mix(s.key + uint64(i+1)*golden)
	switch s.dtype {
	case Float64:
		return float64(z>>11)*0x1p-52 - 1
	case Float32, TF32:
		return float64(z>>40)*0x1p-23 - 1
	case Int8:
		return float64(z>>56) - 128
	}
	return s.dtype.Round(float64(z>>40)*0x1p-23 - 1)
}

// Fill64 fills dst with the stream's elements from number from on.
func (s Stream) Fill64(dst []float64, from int) {
	for i := range dst {
		dst[i] = s.At(from + i)
	}
}

// Fill32 is Fill64 for float32 storage.
func (s Stream) Fill32(dst []float32, from int) {
	for i := range dst {
		dst[i] = float32(s.At(from + i))
	}
}

// Fill16 is Fill64 for storage as the bit patterns of Float16 or BFloat16.
func (s Stream) Fill16(dst []uint16, from int) {
	for i := range dst {
		dst[i] = s.dtype.Bits16(s.At(from + i))
	}
}

// Fill8 is Fill64 for Int8.
func (s Stream) Fill8(dst []int8, from int) {
	for i := range dst {
		dst[i] = int8(s.At(from + i))
	}
}
