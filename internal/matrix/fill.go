package matrix

// Operand names the two factors of a product. Each has its own stream of numbers.
type Operand uint64

const (
	A Operand = iota
	B
	// OtherA is A of the second set of operands, which shares B with the first: two
	// products of the same shapes with nothing in common show a C that is stale.
	OtherA
)

// Sets is how many sets of operands there are.
const Sets = 2

// OfA returns which operand is A in a set.
func OfA(set int) Operand {
	if set == 0 {
		return A
	}
	return OtherA
}

// A Stream yields the elements of one operand. Element i, counted row by row in
// memory, depends only on the kind of inputs, the seed, the operand and i, so that any
// process can generate the same matrix, or a part of it, instead of receiving it. Random
// numbers use all bits of the mantissa: with zeros or few distinct values, a GPU would draw
// less power and clock higher.
//
// The generator is splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom
// Number Generators, OOPSLA 2014). A random element takes its top bits: 53 for Float64, 8
// for Int8, and 24 for the other types, which all fit into a float32 and are
// rounded from there.
type Stream struct {
	key   uint64
	dtype DType
	data  Data
	falls bool // a ramp that falls
}

const golden = 0x9e3779b97f4a7c15

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// NewStream returns the stream of random numbers of operand o for a seed.
func NewStream(seed uint64, o Operand, d DType) Stream { return Random.Stream(seed, o, d) }

// Stream returns the stream of operand o for a kind of inputs, which must be known, and a
// seed, which a pattern ignores.
func (d Data) Stream(seed uint64, o Operand, t DType) Stream {
	if !d.Known() {
		panic("matrix: stream of " + string(d))
	}
	return Stream{mix(seed*2 + uint64(o)), t, d, o == OtherA}
}

// At returns element i, rounded to the stream's type. For TF32 it is a full
// float32; the rounding is part of the multiplication.
func (s Stream) At(i int) float64 {
	switch x := s.at(i); s.dtype {
	case Float16, BFloat16:
		return s.dtype.Round(x)
	default:
		return x
	}
}

// Fill64 fills dst with the elements of the stream, starting with element from.
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

// Fill16 is Fill64 for bit patterns of Float16 or BFloat16.
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
