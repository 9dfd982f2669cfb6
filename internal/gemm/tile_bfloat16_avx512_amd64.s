//go:build !noasm

#include "go_asm.h"
#include "textflag.h"
#include "raw_amd64.h"

// bfloat16 with AVX-512-BF16. A word is two bfloat16 that follow each other along
// k, as in a row of A. VDPBF16PS adds their products to a float32 sum, rounding to
// nearest; it treats subnormal numbers as zeros, whatever MXCSR says.
//
//	sums[j] += a[p]*b[p][j] + a[p+1]*b[p+1][j]

#define BROADCAST VPBROADCASTD
#define ADD       VADDPS
#define MOVE      VMOVUPS
#define MOVEZ     VMOVUPS.Z
#define LINE      15
#include "tile_avx512_amd64.h"
#include "strip_amd64.h"

#undef MUL1
#undef MUL2
#undef MUL3
#define MUL1(r, a, x, s0)         BROADCAST a, x; VDPBF16PS(29, 31-(r&1), r)
#define MUL2(r, a, x, s0, s1)     BROADCAST a, x; VDPBF16PS(28, 31-(r&1), 2*r) VDPBF16PS(29, 31-(r&1), 2*r+1)
#define MUL3(r, a, x, s0, s1, s2) BROADCAST a, x; VDPBF16PS(27, 31-(r&1), 3*r) VDPBF16PS(28, 31-(r&1), 3*r+1) VDPBF16PS(29, 31-(r&1), 3*r+2)

// PAIR makes words from two rows of B.
#define PAIR(first, second, LOAD, to) \
	LOAD(first, Z0) LOAD(second, Z1) \
	VPSLLD    $16, Z1, Z1 \
	VPORD     Z1, Z0, Z0  \
	VMOVDQU32 Z0, to

#define WHOLE(from, z) VPMOVZXWD from, z;
#define LAST(from, z)  VPMOVZXWD.Z from, K1, z;

#define PAIR1 PAIR((SI), (SI)(DX*1), LAST, (DI))
#define PAIR3 \
	PAIR((SI), (SI)(DX*1), WHOLE, (DI))          \
	PAIR(32(SI), 32(SI)(DX*1), WHOLE, 64(DI))    \
	PAIR(64(SI), 64(SI)(DX*1), LAST, 128(DI))

// func bfloat16AVX512x1x1(t *tile)
TEXT ·bfloat16AVX512x1x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS1x1)

// func bfloat16AVX512x2x1(t *tile)
TEXT ·bfloat16AVX512x2x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS2x1)

// func bfloat16AVX512x3x1(t *tile)
TEXT ·bfloat16AVX512x3x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS3x1)

// func bfloat16AVX512x4x1(t *tile)
TEXT ·bfloat16AVX512x4x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS4x1)

// func bfloat16AVX512x5x1(t *tile)
TEXT ·bfloat16AVX512x5x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS5x1)

// func bfloat16AVX512x6x1(t *tile)
TEXT ·bfloat16AVX512x6x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS6x1)

// func bfloat16AVX512x7x1(t *tile)
TEXT ·bfloat16AVX512x7x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS7x1)

// func bfloat16AVX512x8x1(t *tile)
TEXT ·bfloat16AVX512x8x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS8x1)

// func bfloat16AVX512x9x1(t *tile)
TEXT ·bfloat16AVX512x9x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS9x1)

// func bfloat16AVX512x10x1(t *tile)
TEXT ·bfloat16AVX512x10x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS10x1)

// func bfloat16AVX512x11x1(t *tile)
TEXT ·bfloat16AVX512x11x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS11x1)

// func bfloat16AVX512x12x1(t *tile)
TEXT ·bfloat16AVX512x12x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS12x1)

// func bfloat16AVX512x13x1(t *tile)
TEXT ·bfloat16AVX512x13x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS13x1)

// func bfloat16AVX512x14x1(t *tile)
TEXT ·bfloat16AVX512x14x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS14x1)

// func bfloat16AVX512x1x2(t *tile)
TEXT ·bfloat16AVX512x1x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS1x2)

// func bfloat16AVX512x2x2(t *tile)
TEXT ·bfloat16AVX512x2x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS2x2)

// func bfloat16AVX512x3x2(t *tile)
TEXT ·bfloat16AVX512x3x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS3x2)

// func bfloat16AVX512x4x2(t *tile)
TEXT ·bfloat16AVX512x4x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS4x2)

// func bfloat16AVX512x5x2(t *tile)
TEXT ·bfloat16AVX512x5x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS5x2)

// func bfloat16AVX512x6x2(t *tile)
TEXT ·bfloat16AVX512x6x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS6x2)

// func bfloat16AVX512x7x2(t *tile)
TEXT ·bfloat16AVX512x7x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS7x2)

// func bfloat16AVX512x8x2(t *tile)
TEXT ·bfloat16AVX512x8x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS8x2)

// func bfloat16AVX512x9x2(t *tile)
TEXT ·bfloat16AVX512x9x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS9x2)

// func bfloat16AVX512x10x2(t *tile)
TEXT ·bfloat16AVX512x10x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS10x2)

// func bfloat16AVX512x11x2(t *tile)
TEXT ·bfloat16AVX512x11x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS11x2)

// func bfloat16AVX512x12x2(t *tile)
TEXT ·bfloat16AVX512x12x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS12x2)

// func bfloat16AVX512x13x2(t *tile)
TEXT ·bfloat16AVX512x13x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS13x2)

// func bfloat16AVX512x14x2(t *tile)
TEXT ·bfloat16AVX512x14x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS14x2)

// func bfloat16AVX512x1x3(t *tile)
TEXT ·bfloat16AVX512x1x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS1x3)

// func bfloat16AVX512x2x3(t *tile)
TEXT ·bfloat16AVX512x2x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS2x3)

// func bfloat16AVX512x3x3(t *tile)
TEXT ·bfloat16AVX512x3x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS3x3)

// func bfloat16AVX512x4x3(t *tile)
TEXT ·bfloat16AVX512x4x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS4x3)

// func bfloat16AVX512x5x3(t *tile)
TEXT ·bfloat16AVX512x5x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS5x3)

// func bfloat16AVX512x6x3(t *tile)
TEXT ·bfloat16AVX512x6x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS6x3)

// func bfloat16AVX512x7x3(t *tile)
TEXT ·bfloat16AVX512x7x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS7x3)

// func bfloat16AVX512x8x3(t *tile)
TEXT ·bfloat16AVX512x8x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS8x3)

// func bfloat16AVX512x9x3(t *tile)
TEXT ·bfloat16AVX512x9x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS9x3)

// func pair1BFloat16AVX512(dst, src unsafe.Pointer, stride, rows, row int, mask uint64)
TEXT ·pair1BFloat16AVX512(SB), NOSPLIT, $0-48
	STRIP(MASKED, PAIR1, DOWN2)

// func pair3BFloat16AVX512(dst, src unsafe.Pointer, stride, rows, row int, mask uint64)
TEXT ·pair3BFloat16AVX512(SB), NOSPLIT, $0-48
	STRIP(MASKED, PAIR3, DOWN2)

#define TWELVE(x)                                              \
	VDPBF16PS(12, x, 0) VDPBF16PS(12, x, 1) VDPBF16PS(12, x, 2)   \
	VDPBF16PS(12, x, 3) VDPBF16PS(12, x, 4) VDPBF16PS(12, x, 5)   \
	VDPBF16PS(12, x, 6) VDPBF16PS(12, x, 7) VDPBF16PS(12, x, 8)   \
	VDPBF16PS(12, x, 9) VDPBF16PS(12, x, 10) VDPBF16PS(12, x, 11)

// func peakBFloat16AVX512(rounds int)
//
// Rounds of 24 multiply-adds on 12 independent sums: ½ is added and subtracted
// again, so that the sums stay within [½, 1].
TEXT ·peakBFloat16AVX512(SB), NOSPLIT, $0-8
	MOVQ         rounds+0(FP), CX
	MOVL         $0x3f003f00, AX
	VPBROADCASTD AX, Z12 // pairs of ½
	VMOVDQU32    Z12, Z13
	MOVL         $0xbf00bf00, AX
	VPBROADCASTD AX, Z14 // pairs of −½
	VMOVDQU32    Z12, Z0
	VMOVDQU32    Z12, Z1
	VMOVDQU32    Z12, Z2
	VMOVDQU32    Z12, Z3
	VMOVDQU32    Z12, Z4
	VMOVDQU32    Z12, Z5
	VMOVDQU32    Z12, Z6
	VMOVDQU32    Z12, Z7
	VMOVDQU32    Z12, Z8
	VMOVDQU32    Z12, Z9
	VMOVDQU32    Z12, Z10
	VMOVDQU32    Z12, Z11

loop:
	TWELVE(13)
	TWELVE(14)
	DECQ CX
	JNE  loop
	VZEROUPPER
	RET
