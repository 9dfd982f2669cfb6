//go:build !noasm

#include "go_asm.h"
#include "textflag.h"

// int8 on processors without an int8 dot product. A word is two int16, to which
// packing has widened the elements: VPMADDWD multiplies pairs of them and adds the
// two products, exactly, in 32 bits.
//
//	sums[j] += a[p]*b[p][j] + a[p+1]*b[p+1][j]

#define BROADCAST VPBROADCASTD
#define ADD       VPADDD
#define MASKMOV   VPMASKMOVD
#define LANES     8
#define SIZE      4
#define LINE      12
#include "tile_avx2_amd64.h"

// A product needs a register before it is added to a sum: that of the element of A,
// which is not needed any more, and Y15.
#undef MUL1
#undef MUL2
#define MUL1(r, a, x, s0)     BROADCAST a, x; VPMADDWD Y12, x, x; VPADDD x, s0, s0;
#define MUL2(r, a, x, s0, s1) BROADCAST a, Y14; VPMADDWD Y12, Y14, Y15; VPMADDWD Y13, Y14, Y14; VPADDD Y15, s0, s0; VPADDD Y14, s1, s1;

// func int8AVX2x1x1(t *tile)
TEXT ·int8AVX2x1x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS1x1)

// func int8AVX2x2x1(t *tile)
TEXT ·int8AVX2x2x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS2x1)

// func int8AVX2x3x1(t *tile)
TEXT ·int8AVX2x3x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS3x1)

// func int8AVX2x4x1(t *tile)
TEXT ·int8AVX2x4x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS4x1)

// func int8AVX2x5x1(t *tile)
TEXT ·int8AVX2x5x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS5x1)

// func int8AVX2x6x1(t *tile)
TEXT ·int8AVX2x6x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS6x1)

// func int8AVX2x7x1(t *tile)
TEXT ·int8AVX2x7x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS7x1)

// func int8AVX2x8x1(t *tile)
TEXT ·int8AVX2x8x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS8x1)

// func int8AVX2x9x1(t *tile)
TEXT ·int8AVX2x9x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS9x1)

// func int8AVX2x10x1(t *tile)
TEXT ·int8AVX2x10x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS10x1)

// func int8AVX2x11x1(t *tile)
TEXT ·int8AVX2x11x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS11x1)

// func int8AVX2x12x1(t *tile)
TEXT ·int8AVX2x12x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS12x1)

// func int8AVX2x1x2(t *tile)
TEXT ·int8AVX2x1x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS1x2)

// func int8AVX2x2x2(t *tile)
TEXT ·int8AVX2x2x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS2x2)

// func int8AVX2x3x2(t *tile)
TEXT ·int8AVX2x3x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS3x2)

// func int8AVX2x4x2(t *tile)
TEXT ·int8AVX2x4x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS4x2)

// func int8AVX2x5x2(t *tile)
TEXT ·int8AVX2x5x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS5x2)

// func int8AVX2x6x2(t *tile)
TEXT ·int8AVX2x6x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS6x2)

// func pairInt8AVX2(dst, src unsafe.Pointer, stride, pairs int)
//
//	for p := range pairs {
//		for j := range 16 {
//			dst[p][j] = word of int16: src[2*p][j] and src[2*p+1][j]
//		}
//	}
TEXT ·pairInt8AVX2(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ stride+16(FP), DX
	MOVQ pairs+24(FP), CX

pair:
	VPMOVSXBW  (SI), Y0
	VPMOVSXBW  (SI)(DX*1), Y1
	LEAQ       (SI)(DX*2), SI
	PREFETCHT0 (SI)(DX*8)
	VPUNPCKLWD Y1, Y0, Y2
	VPUNPCKHWD Y1, Y0, Y3
	VPERM2I128 $0x20, Y3, Y2, Y0
	VPERM2I128 $0x31, Y3, Y2, Y1
	VMOVDQU    Y0, (DI)
	VMOVDQU    Y1, 32(DI)
	ADDQ       $64, DI
	DECQ       CX
	JNE        pair
	VZEROUPPER
	RET

// func widenInt8AVX2(dst, src unsafe.Pointer, sixteens int)
//
// Converts sixteens times 16 int8 to int16.
TEXT ·widenInt8AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ sixteens+16(FP), CX

sixteen:
	VPMOVSXBW (SI), Y0
	VMOVDQU   Y0, (DI)
	ADDQ      $16, SI
	ADDQ      $32, DI
	DECQ      CX
	JNE       sixteen
	VZEROUPPER
	RET

#define PEAK(s) VPMADDWD Y12, Y12, Y13; VPADDD Y13, s, s;
#define TWELVE(DO) DO(Y0) DO(Y1) DO(Y2) DO(Y3) DO(Y4) DO(Y5) DO(Y6) DO(Y7) DO(Y8) DO(Y9) DO(Y10) DO(Y11)

// func peakInt8AVX2(rounds int)
//
// Rounds of 24 multiply-adds on 12 independent sums of arbitrary values: the speed
// of integer arithmetic does not depend on them.
TEXT ·peakInt8AVX2(SB), NOSPLIT, $0-8
	MOVQ     rounds+0(FP), CX
	VPCMPEQD Y12, Y12, Y12

loop:
	TWELVE(PEAK)
	TWELVE(PEAK)
	DECQ CX
	JNE  loop
	VZEROUPPER
	RET
