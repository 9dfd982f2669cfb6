//go:build !noasm

package gemm

import "unsafe"

// widenToInt16 converts int8 to words of two int16 and pads the last word with
// zeros.
func widenToInt16(dst, src unsafe.Pointer, n int) {
	whole := n &^ 15
	if whole > 0 {
		widenInt8AVX2(dst, src, whole/16)
	}
	to := unsafe.Slice((*int16)(dst), up(n, 2))
	for i, x := range unsafe.Slice((*int8)(src), n)[whole:] {
		to[whole+i] = int16(x)
	}
	clear(to[n:])
}

// interleaveInt16 is a packFunc for words of two int16.
func interleaveInt16(dst, src unsafe.Pointer, stride, k, cols, lanes int) {
	pairs, from := (k+1)/2, 0
	if cols == 16 && k > 1 {
		pairInt8AVX2(dst, src, stride, k/2)
		from = k / 2
	}
	for p := from; p < pairs; p++ {
		to := unsafe.Slice((*[2]int16)(unsafe.Add(dst, p*lanes*4)), lanes)
		clear(to)
		for i := range min(2, k-2*p) {
			for j, x := range unsafe.Slice((*int8)(unsafe.Add(src, (2*p+i)*stride)), cols) {
				to[j][i] = int16(x)
			}
		}
	}
}

// offsetInt8 makes words of four int8, adding 128 to each.
func offsetInt8(dst, src unsafe.Pointer, n int) {
	var load, store uint64
	if rest := n & 63; rest > 0 {
		load, store = 1<<rest-1, ^uint64(0)>>(64-up(rest, 4))
	}
	offsetInt8AVX512(dst, src, n/64, load, store)
}

// interleaveQuads is a packFunc for words of four int8.
func interleaveQuads(dst, src unsafe.Pointer, stride, k, cols, lanes int) {
	if k >= 4 {
		inStrips(quad1Int8AVX512, quad3Int8AVX512, 1)(dst, src, stride, k/4, cols, lanes)
	}
	interleaveLast[uint8](dst, src, stride, k, 4, cols, lanes)
}

// offsetInt8Narrow is offsetInt8 without AVX-512.
func offsetInt8Narrow(dst, src unsafe.Pointer, n int) {
	whole := n &^ 31
	if whole > 0 {
		offsetInt8AVX2(dst, src, whole/32)
	}
	to := unsafe.Slice((*uint8)(dst), up(n, 4))
	clear(to[whole:])
	for i, x := range unsafe.Slice((*uint8)(src), n)[whole:] {
		to[whole+i] = x + 128
	}
}

// interleaveQuadsNarrow is interleaveQuads without AVX-512.
func interleaveQuadsNarrow(dst, src unsafe.Pointer, stride, k, cols, lanes int) {
	quads := k / 4
	for j := 0; j < lanes && quads > 0; j += 8 {
		if j+8 <= cols {
			quadInt8AVX2(unsafe.Add(dst, j*4), unsafe.Add(src, j), stride, quads, lanes*4)
			continue
		}
		for p := range quads {
			to := unsafe.Add(dst, (p*lanes+j)*4)
			clear(unsafe.Slice((*uint32)(to), 8))
			transposeElements[uint8](to, 4, unsafe.Add(src, 4*p*stride+j), stride, 4, cols-j)
		}
	}
	interleaveLast[uint8](dst, src, stride, k, 4, cols, lanes)
}

// interleavePairs is a packFunc for words of two bfloat16.
func interleavePairs(dst, src unsafe.Pointer, stride, k, cols, lanes int) {
	if k >= 2 {
		inStrips(pair1BFloat16AVX512, pair3BFloat16AVX512, 2)(dst, src, stride, k/2, cols, lanes)
	}
	interleaveLast[uint16](dst, src, stride, k, 2, cols, lanes)
}

//go:noescape
func pairInt8AVX2(dst, src unsafe.Pointer, stride, pairs int)

//go:noescape
func widenInt8AVX2(dst, src unsafe.Pointer, sixteens int)

//go:noescape
func startInt8AVX512(panel unsafe.Pointer, k, row int)

//go:noescape
func offsetInt8AVX512(dst, src unsafe.Pointer, whole int, load, store uint64)

func quad1Int8AVX512(dst, src unsafe.Pointer, stride, rows, row int, mask uint64)
func quad3Int8AVX512(dst, src unsafe.Pointer, stride, rows, row int, mask uint64)

func pair1BFloat16AVX512(dst, src unsafe.Pointer, stride, rows, row int, mask uint64)
func pair3BFloat16AVX512(dst, src unsafe.Pointer, stride, rows, row int, mask uint64)

//go:noescape
func startInt8AVXVNNI(panel unsafe.Pointer, k, row int)

//go:noescape
func offsetInt8AVX2(dst, src unsafe.Pointer, whole int)

//go:noescape
func quadInt8AVX2(dst, src unsafe.Pointer, stride, quads, row int)

func peakInt8AVXVNNI(rounds int)
func peakInt8AVX2(rounds int)
func peakInt8AVX512(rounds int)
func peakBFloat16AVX512(rounds int)

func int8AVX2x1x1(t *tile)
func int8AVX2x2x1(t *tile)
func int8AVX2x3x1(t *tile)
func int8AVX2x4x1(t *tile)
func int8AVX2x5x1(t *tile)
func int8AVX2x6x1(t *tile)
func int8AVX2x7x1(t *tile)
func int8AVX2x8x1(t *tile)
func int8AVX2x9x1(t *tile)
func int8AVX2x10x1(t *tile)
func int8AVX2x11x1(t *tile)
func int8AVX2x12x1(t *tile)
func int8AVX2x1x2(t *tile)
func int8AVX2x2x2(t *tile)
func int8AVX2x3x2(t *tile)
func int8AVX2x4x2(t *tile)
func int8AVX2x5x2(t *tile)
func int8AVX2x6x2(t *tile)

func int8AVXVNNIx1x1(t *tile)
func int8AVXVNNIx2x1(t *tile)
func int8AVXVNNIx3x1(t *tile)
func int8AVXVNNIx4x1(t *tile)
func int8AVXVNNIx5x1(t *tile)
func int8AVXVNNIx6x1(t *tile)
func int8AVXVNNIx7x1(t *tile)
func int8AVXVNNIx8x1(t *tile)
func int8AVXVNNIx9x1(t *tile)
func int8AVXVNNIx10x1(t *tile)
func int8AVXVNNIx11x1(t *tile)
func int8AVXVNNIx12x1(t *tile)
func int8AVXVNNIx1x2(t *tile)
func int8AVXVNNIx2x2(t *tile)
func int8AVXVNNIx3x2(t *tile)
func int8AVXVNNIx4x2(t *tile)
func int8AVXVNNIx5x2(t *tile)
func int8AVXVNNIx6x2(t *tile)

func int8AVX512x1x1(t *tile)
func int8AVX512x2x1(t *tile)
func int8AVX512x3x1(t *tile)
func int8AVX512x4x1(t *tile)
func int8AVX512x5x1(t *tile)
func int8AVX512x6x1(t *tile)
func int8AVX512x7x1(t *tile)
func int8AVX512x8x1(t *tile)
func int8AVX512x9x1(t *tile)
func int8AVX512x10x1(t *tile)
func int8AVX512x11x1(t *tile)
func int8AVX512x12x1(t *tile)
func int8AVX512x13x1(t *tile)
func int8AVX512x14x1(t *tile)
func int8AVX512x1x2(t *tile)
func int8AVX512x2x2(t *tile)
func int8AVX512x3x2(t *tile)
func int8AVX512x4x2(t *tile)
func int8AVX512x5x2(t *tile)
func int8AVX512x6x2(t *tile)
func int8AVX512x7x2(t *tile)
func int8AVX512x8x2(t *tile)
func int8AVX512x9x2(t *tile)
func int8AVX512x10x2(t *tile)
func int8AVX512x11x2(t *tile)
func int8AVX512x12x2(t *tile)
func int8AVX512x13x2(t *tile)
func int8AVX512x14x2(t *tile)
func int8AVX512x1x3(t *tile)
func int8AVX512x2x3(t *tile)
func int8AVX512x3x3(t *tile)
func int8AVX512x4x3(t *tile)
func int8AVX512x5x3(t *tile)
func int8AVX512x6x3(t *tile)
func int8AVX512x7x3(t *tile)
func int8AVX512x8x3(t *tile)
func int8AVX512x9x3(t *tile)

func bfloat16AVX512x1x1(t *tile)
func bfloat16AVX512x2x1(t *tile)
func bfloat16AVX512x3x1(t *tile)
func bfloat16AVX512x4x1(t *tile)
func bfloat16AVX512x5x1(t *tile)
func bfloat16AVX512x6x1(t *tile)
func bfloat16AVX512x7x1(t *tile)
func bfloat16AVX512x8x1(t *tile)
func bfloat16AVX512x9x1(t *tile)
func bfloat16AVX512x10x1(t *tile)
func bfloat16AVX512x11x1(t *tile)
func bfloat16AVX512x12x1(t *tile)
func bfloat16AVX512x13x1(t *tile)
func bfloat16AVX512x14x1(t *tile)
func bfloat16AVX512x1x2(t *tile)
func bfloat16AVX512x2x2(t *tile)
func bfloat16AVX512x3x2(t *tile)
func bfloat16AVX512x4x2(t *tile)
func bfloat16AVX512x5x2(t *tile)
func bfloat16AVX512x6x2(t *tile)
func bfloat16AVX512x7x2(t *tile)
func bfloat16AVX512x8x2(t *tile)
func bfloat16AVX512x9x2(t *tile)
func bfloat16AVX512x10x2(t *tile)
func bfloat16AVX512x11x2(t *tile)
func bfloat16AVX512x12x2(t *tile)
func bfloat16AVX512x13x2(t *tile)
func bfloat16AVX512x14x2(t *tile)
func bfloat16AVX512x1x3(t *tile)
func bfloat16AVX512x2x3(t *tile)
func bfloat16AVX512x3x3(t *tile)
func bfloat16AVX512x4x3(t *tile)
func bfloat16AVX512x5x3(t *tile)
func bfloat16AVX512x6x3(t *tile)
func bfloat16AVX512x7x3(t *tile)
func bfloat16AVX512x8x3(t *tile)
func bfloat16AVX512x9x3(t *tile)
