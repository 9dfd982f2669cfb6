//go:build !noasm

package gemm

import "unsafe"

// widenToInt16 makes words of two int16 of int8, and fills up the last one.
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

// interleaveInt16 is a packFunc of words of two int16.
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

//go:noescape
func pairInt8AVX2(dst, src unsafe.Pointer, stride, pairs int)

//go:noescape
func widenInt8AVX2(dst, src unsafe.Pointer, sixteens int)

func peakInt8AVX2(rounds int)

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
