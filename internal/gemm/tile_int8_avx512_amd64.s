//go:build !noasm

#include "go_asm.h"
#include "textflag.h"

// int8 with AVX-512-VNNI. A word is four int8 that follow each other along k.
// VPDPBUSD multiplies four unsigned bytes by four signed ones and adds the products
// to a sum, exactly. So packing adds 128 to A, and the row before a panel of B
// holds −128 times the sums of its columns, which are the initial values of a
// tile's sums.
//
//	sums[j] = start[j]
//	sums[j] += (a[p]+128)*b[p][j] + … + (a[p+3]+128)*b[p+3][j]

#define BROADCAST VPBROADCASTD
#define FMA       VPDPBUSD
#define ADD       VPADDD
#define MOVE      VMOVDQU32
#define MOVEZ     VMOVDQU32.Z
#define LINE      15
#include "tile_avx512_amd64.h"
#include "strip_amd64.h"

#undef ZERO1
#undef ZERO2
#undef ZERO3
#define ZERO1(r, a, x, s0)         VMOVDQU32 (BX), s0;
#define ZERO2(r, a, x, s0, s1)     VMOVDQU32 (BX), s0; VMOVDQU32 64(BX), s1;
#define ZERO3(r, a, x, s0, s1, s2) VMOVDQU32 (BX), s0; VMOVDQU32 64(BX), s1; VMOVDQU32 128(BX), s2;

#undef LOAD1
#undef LOAD2
#undef LOAD3
#define LOAD1 MOVEZ (BX)(DX*1), K1, Z29;
#define LOAD2 VMOVUPS (BX)(DX*1), Z28; MOVEZ 64(BX)(DX*1), K1, Z29;
#define LOAD3 VMOVUPS (BX)(DX*1), Z27; VMOVUPS 64(BX)(DX*1), Z28; MOVEZ 128(BX)(DX*1), K1, Z29;

// Broadcasting A from memory in the multiplication itself is not possible: VPDPBUSD
// takes the memory operand as the signed one.
#undef MUL1
#define MUL1(r, a, x, s0) BROADCAST a, x; FMA Z29, x, s0;

// QUAD makes words from four rows of B.
#define QUAD(first, second, third, fourth, LOAD, to) \
	LOAD(first, Z0) LOAD(second, Z1) LOAD(third, Z2) LOAD(fourth, Z3) \
	VPSLLD    $8, Z1, Z1  \
	VPSLLD    $16, Z2, Z2 \
	VPSLLD    $24, Z3, Z3 \
	VPORD     Z1, Z0, Z0  \
	VPORD     Z3, Z2, Z2  \
	VPORD     Z2, Z0, Z0  \
	VMOVDQU32 Z0, to

#define WHOLE(from, z) VPMOVZXBD from, z;
#define LAST(from, z)  VPMOVZXBD.Z from, K1, z;

#define QUAD1 QUAD((SI), (SI)(DX*1), (SI)(DX*2), (SI)(R8*1), LAST, (DI))
#define QUAD3 \
	QUAD((SI), (SI)(DX*1), (SI)(DX*2), (SI)(R8*1), WHOLE, (DI))                 \
	QUAD(16(SI), 16(SI)(DX*1), 16(SI)(DX*2), 16(SI)(R8*1), WHOLE, 64(DI))       \
	QUAD(32(SI), 32(SI)(DX*1), 32(SI)(DX*2), 32(SI)(R8*1), LAST, 128(DI))

// func int8AVX512x1x1(t *tile)
TEXT ·int8AVX512x1x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS1x1)

// func int8AVX512x2x1(t *tile)
TEXT ·int8AVX512x2x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS2x1)

// func int8AVX512x3x1(t *tile)
TEXT ·int8AVX512x3x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS3x1)

// func int8AVX512x4x1(t *tile)
TEXT ·int8AVX512x4x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS4x1)

// func int8AVX512x5x1(t *tile)
TEXT ·int8AVX512x5x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS5x1)

// func int8AVX512x6x1(t *tile)
TEXT ·int8AVX512x6x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS6x1)

// func int8AVX512x7x1(t *tile)
TEXT ·int8AVX512x7x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS7x1)

// func int8AVX512x8x1(t *tile)
TEXT ·int8AVX512x8x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS8x1)

// func int8AVX512x9x1(t *tile)
TEXT ·int8AVX512x9x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS9x1)

// func int8AVX512x10x1(t *tile)
TEXT ·int8AVX512x10x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS10x1)

// func int8AVX512x11x1(t *tile)
TEXT ·int8AVX512x11x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS11x1)

// func int8AVX512x12x1(t *tile)
TEXT ·int8AVX512x12x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS12x1)

// func int8AVX512x13x1(t *tile)
TEXT ·int8AVX512x13x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS13x1)

// func int8AVX512x14x1(t *tile)
TEXT ·int8AVX512x14x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS14x1)

// func int8AVX512x1x2(t *tile)
TEXT ·int8AVX512x1x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS1x2)

// func int8AVX512x2x2(t *tile)
TEXT ·int8AVX512x2x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS2x2)

// func int8AVX512x3x2(t *tile)
TEXT ·int8AVX512x3x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS3x2)

// func int8AVX512x4x2(t *tile)
TEXT ·int8AVX512x4x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS4x2)

// func int8AVX512x5x2(t *tile)
TEXT ·int8AVX512x5x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS5x2)

// func int8AVX512x6x2(t *tile)
TEXT ·int8AVX512x6x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS6x2)

// func int8AVX512x7x2(t *tile)
TEXT ·int8AVX512x7x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS7x2)

// func int8AVX512x8x2(t *tile)
TEXT ·int8AVX512x8x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS8x2)

// func int8AVX512x9x2(t *tile)
TEXT ·int8AVX512x9x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS9x2)

// func int8AVX512x10x2(t *tile)
TEXT ·int8AVX512x10x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS10x2)

// func int8AVX512x11x2(t *tile)
TEXT ·int8AVX512x11x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS11x2)

// func int8AVX512x12x2(t *tile)
TEXT ·int8AVX512x12x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS12x2)

// func int8AVX512x13x2(t *tile)
TEXT ·int8AVX512x13x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS13x2)

// func int8AVX512x14x2(t *tile)
TEXT ·int8AVX512x14x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS14x2)

// func int8AVX512x1x3(t *tile)
TEXT ·int8AVX512x1x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS1x3)

// func int8AVX512x2x3(t *tile)
TEXT ·int8AVX512x2x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS2x3)

// func int8AVX512x3x3(t *tile)
TEXT ·int8AVX512x3x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS3x3)

// func int8AVX512x4x3(t *tile)
TEXT ·int8AVX512x4x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS4x3)

// func int8AVX512x5x3(t *tile)
TEXT ·int8AVX512x5x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS5x3)

// func int8AVX512x6x3(t *tile)
TEXT ·int8AVX512x6x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS6x3)

// func int8AVX512x7x3(t *tile)
TEXT ·int8AVX512x7x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS7x3)

// func int8AVX512x8x3(t *tile)
TEXT ·int8AVX512x8x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS8x3)

// func int8AVX512x9x3(t *tile)
TEXT ·int8AVX512x9x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS9x3)

// func startInt8AVX512(panel unsafe.Pointer, k, row int)
//
// Writes the sums of the columns of a packed panel of k rows, times −128, to the
// row before it. Rows are row bytes apart.
TEXT ·startInt8AVX512(SB), NOSPLIT, $0-24
	MOVQ         panel+0(FP), DI
	MOVQ         row+16(FP), DX
	LEAQ         (DI)(DX*1), R8
	MOVL         $0x80808080, AX
	VPBROADCASTD AX, Z1

vector:
	MOVQ   k+8(FP), CX
	LEAQ   (DI)(DX*1), SI
	VPXORQ Z0, Z0, Z0

step:
	VPDPBUSD (SI), Z1, Z0
	ADDQ     DX, SI
	DECQ     CX
	JNE      step
	VPXORQ   Z2, Z2, Z2
	VPSUBD   Z0, Z2, Z0
	VMOVDQU32 Z0, (DI)
	ADDQ     $64, DI
	CMPQ     DI, R8
	JNE      vector
	VZEROUPPER
	RET

// func offsetInt8AVX512(dst, src unsafe.Pointer, whole int, load, store uint64)
//
// Adds 128 to every byte: of whole vectors of 64, and then of one that is loaded
// with the mask load and stored with the mask store.
TEXT ·offsetInt8AVX512(SB), NOSPLIT, $0-40
	MOVQ         dst+0(FP), DI
	MOVQ         src+8(FP), SI
	MOVQ         whole+16(FP), CX
	KMOVQ        load+24(FP), K1
	KMOVQ        store+32(FP), K2
	MOVL         $0x80808080, AX
	VPBROADCASTD AX, Z1
	TESTQ        CX, CX
	JEQ          rest

vector:
	VPXORD    (SI), Z1, Z0
	VMOVDQU32 Z0, (DI)
	ADDQ      $64, SI
	ADDQ      $64, DI
	DECQ      CX
	JNE       vector

rest:
	VMOVDQU8.Z (SI), K1, Z0
	VPXORD     Z0, Z1, Z0
	VMOVDQU8   Z0, K2, (DI)
	VZEROUPPER
	RET

// func quad1Int8AVX512(dst, src unsafe.Pointer, stride, rows, row int, mask uint64)
TEXT ·quad1Int8AVX512(SB), NOSPLIT, $0-48
	STRIP(MASKED, QUAD1, DOWN4)

// func quad3Int8AVX512(dst, src unsafe.Pointer, stride, rows, row int, mask uint64)
TEXT ·quad3Int8AVX512(SB), NOSPLIT, $0-48
	STRIP(MASKED, QUAD3, DOWN4)

#define PEAK(s) VPDPBUSD Z12, Z12, s;
#define TWELVE(DO) DO(Z0) DO(Z1) DO(Z2) DO(Z3) DO(Z4) DO(Z5) DO(Z6) DO(Z7) DO(Z8) DO(Z9) DO(Z10) DO(Z11)

// func peakInt8AVX512(rounds int)
//
// Rounds of 24 multiply-adds on 12 independent sums of arbitrary values: the speed
// of integer arithmetic does not depend on them.
TEXT ·peakInt8AVX512(SB), NOSPLIT, $0-8
	MOVQ       rounds+0(FP), CX
	VPTERNLOGD $0xff, Z12, Z12, Z12

loop:
	TWELVE(PEAK)
	TWELVE(PEAK)
	DECQ CX
	JNE  loop
	VZEROUPPER
	RET
