//go:build !noasm

package gemm

import (
	"context"
	"testing"
	"unsafe"

	"github.com/gpuplay/gpuplay/internal/matrix"
)

// TestOffset tests what packing does for VPDPBUSD, with the products computed in
// Go. It needs only AVX2, so that machines without VPDPBUSD test everything else.
func TestOffset(t *testing.T) {
	p := newPool(t, "", 2, true)
	k := int8AVXVNNI
	k.start = func(panel unsafe.Pointer, k, lanes int) {
		for j := range lanes {
			sum := int32(0)
			for p := range k {
				for _, b := range *(*[4]int8)(unsafe.Add(panel, ((1+p)*lanes+j)*4)) {
					sum += int32(b)
				}
			}
			*(*int32)(unsafe.Add(panel, j*4)) = -128 * sum
		}
	}
	k.tiles = tiles{}
	for vecs, most := range []int{1: 12, 2: 6} {
		for range min(most, 1) + most {
			k.tiles[vecs] = append(k.tiles[vecs], func(t *tile) { dpbusd(t, (vecs-1)*k.lanes+t.last) })
		}
	}
	k.kc, k.mc, k.nc = 3, 12, 32
	p.set.int8s = k
	s := newSmall()
	st := storing[int8, int32]{
		func(x float64) int8 { return int8(x) }, func(x float64) int32 { return int32(x) }, 117, 0x7654321, -0x12345678,
		func(p *Pool, g Problem, a, b []int8, c []int32) error {
			return p.Int8(context.Background(), 1, g, a, b, c)
		}}
	smallShapesOf(t, p, p, s, st, 29)
	for _, g := range []Problem{{M: 37, N: 81, K: 131}, {M: 40, N: 64, K: 128, TransA: true, TransB: true}} {
		verify(t, matrix.Int8, g, matrix.Stream.Fill8, func(x int32) float64 { return float64(x) }, func(a, b []int8, c []int32) error { return p.Int8(t.Context(), 1, g, a, b, c) })
	}
}

// TestBFloat16AVX512 tests the kernel even where another one is faster and is used
// instead.
func TestBFloat16AVX512(t *testing.T) {
	if !hasBFloat16 {
		t.Skip("this CPU has no VDPBF16PS")
	}
	p := newPool(t, AVX512, 2, false)
	p.set.bfloat16s = bfloat16AVX512
	st := storing[uint16, uint16]{toBFloat16, toBFloat16, 0x7fc1, 0x7fc1, 0xabcd, func(p *Pool, g Problem, a, b, c []uint16) error { return p.BFloat16(t.Context(), 1, g, a, b, c) }}
	smallShapesOf(t, p, p, newSmall(), st, 29)
	g := Problem{M: 37, N: 181, K: 531}
	verify(t, matrix.BFloat16, g, matrix.Stream.Fill16, fromBFloat16, func(a, b, c []uint16) error { return p.BFloat16(t.Context(), 1, g, a, b, c) })
}

// dpbusd is a micro-kernel for VPDPBUSD, in Go.
func dpbusd(t *tile, columns int) {
	a, b, c := t.a, t.b, t.c
	for n := range t.count {
		if n > 0 {
			a, b, c = unsafe.Add(a, t.moveA), unsafe.Add(b, t.moveB), unsafe.Add(c, t.moveC)
		}
		for i := range t.rows {
			for j := range columns {
				sum := *(*int32)(unsafe.Add(b, j*4))
				for p := range t.k {
					x := *(*[4]uint8)(unsafe.Add(a, i*t.rowA+p*t.stepA))
					y := *(*[4]int8)(unsafe.Add(b, (1+p)*t.rowB+j*4))
					for e := range x {
						sum += int32(x[e]) * int32(y[e])
					}
				}
				to := (*int32)(unsafe.Add(c, i*t.rowC+j*4))
				if t.add != 0 {
					sum += *to
				}
				*to = sum
			}
		}
	}
}
