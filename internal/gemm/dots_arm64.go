//go:build !noasm

package gemm

import "unsafe"

// interleaveQuads is a packFunc for words of four int8.
func interleaveQuads(dst, src unsafe.Pointer, stride, k, cols, lanes int) {
	for p := range k / 4 {
		to := unsafe.Slice((*uint32)(unsafe.Add(dst, p*lanes*4)), lanes)
		row := func(i int) []uint8 { return unsafe.Slice((*uint8)(unsafe.Add(src, (4*p+i)*stride)), cols) }
		r0, r1, r2, r3 := row(0), row(1), row(2), row(3)
		for j := range r0 {
			to[j] = uint32(r0[j]) | uint32(r1[j])<<8 | uint32(r2[j])<<16 | uint32(r3[j])<<24
		}
		clear(to[cols:])
	}
	interleaveLast[uint8](dst, src, stride, k, 4, cols, lanes)
}

// interleavePairs is a packFunc for words of two bfloat16.
func interleavePairs(dst, src unsafe.Pointer, stride, k, cols, lanes int) {
	for p := range k / 2 {
		to := unsafe.Slice((*uint32)(unsafe.Add(dst, p*lanes*4)), lanes)
		row := func(i int) []uint16 { return unsafe.Slice((*uint16)(unsafe.Add(src, (2*p+i)*stride)), cols) }
		r0, r1 := row(0), row(1)
		for j := range r0 {
			to[j] = uint32(r0[j]) | uint32(r1[j])<<16
		}
		clear(to[cols:])
	}
	interleaveLast[uint16](dst, src, stride, k, 2, cols, lanes)
}
