package cuda

import (
	"context"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// A layout says how elements of a type lie in memory, on the GPU as in main memory.
type layout struct {
	stream matrix.DType // of the streams that fill reads
	fill   func(ctx context.Context, dst []byte, s matrix.Stream, from int) error
	mulVec func(ctx context.Context, rows []byte, x []float64) ([]float64, error)
	poison byte // repeated, an element that no product has
}

// notNumber makes a NaN of every type of floating-point numbers. Repeated, noSum is an int32
// that takes more than 100,000 products of two int8, all of one sign and near the largest.
const (
	notNumber = 0xff
	noSum     = 0x80
)

var layouts = map[matrix.DType]layout{
	matrix.Float64: layoutOf(matrix.Float64, notNumber, matrix.Stream.Fill64, func(x float64) float64 { return x }),
	matrix.Float32: layoutOf(matrix.Float32, notNumber, matrix.Stream.Fill32, func(x float32) float64 { return float64(x) }),
	matrix.Int8:    layoutOf(matrix.Int8, noSum, matrix.Stream.Fill8, func(x int8) float64 { return float64(x) }),
	matrix.Int32:   layoutOf(matrix.Int32, noSum, nil, func(x int32) float64 { return float64(x) }),
	// Streams of 16-bit types are float32 numbers, which gemm rounds: Fill16's numbers, many
	// times faster.
	matrix.Float16:  layoutOf(matrix.Float32, notNumber, narrow(gemm.NarrowFloat16), matrix.Float16.From16),
	matrix.BFloat16: layoutOf(matrix.Float32, notNumber, narrow(gemm.NarrowBFloat16), matrix.BFloat16.From16),
}

func narrow(round func([]uint16, []float32)) func(matrix.Stream, []uint16, int) {
	return func(s matrix.Stream, dst []uint16, from int) {
		var wide [512]float32
		for len(dst) > 0 {
			some := min(len(wide), len(dst))
			s.Fill32(wide[:some], from)
			round(dst[:some], wide[:some])
			dst, from = dst[some:], from+some
		}
	}
}

func layoutOf[S any](stream matrix.DType, poison byte, fill func(matrix.Stream, []S, int), value func(S) float64) layout {
	return layout{
		stream: stream,
		poison: poison,
		fill: func(ctx context.Context, dst []byte, s matrix.Stream, from int) error {
			return matrix.Fill(ctx, elements[S](dst), func(part []S, at int) { fill(s, part, from+at) })
		},
		mulVec: func(ctx context.Context, rows []byte, x []float64) ([]float64, error) {
			return matrix.MulVec(ctx, elements[S](rows), x, value)
		},
	}
}

// elements reads memory, which begins where any element may, as elements.
func elements[S any](memory []byte) []S {
	return unsafe.Slice((*S)(unsafe.Pointer(&memory[0])), len(memory)/int(unsafe.Sizeof(*new(S))))
}

// aligned returns n bytes that begin where any element may.
func aligned(n int) []byte {
	words := make([]uint64, (n+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n)
}
