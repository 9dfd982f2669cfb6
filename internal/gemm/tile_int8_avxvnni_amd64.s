//go:build !noasm

#include "go_asm.h"
#include "textflag.h"
#include "raw_amd64.h"

// int8 with AVX-VNNI, on processors without AVX-512: see tile_int8_avx512_amd64.s,
// which does the same with AVX-512-VNNI.
//
//	sums[j] = start[j]
//	sums[j] += (a[p]+128)*b[p][j] + … + (a[p+3]+128)*b[p+3][j]

#define BROADCAST VPBROADCASTD
#define ADD       VPADDD
#define MASKMOV   VPMASKMOVD
#define LANES     8
#define SIZE      4
#define LINE      12
#include "tile_avx2_amd64.h"

#undef ZERO1
#undef ZERO2
#define ZERO1(r, a, x, s0)     VMOVDQU (BX), s0;
#define ZERO2(r, a, x, s0, s1) VMOVDQU (BX), s0; VMOVDQU 32(BX), s1;

#undef LOAD1
#undef LOAD2
#define LOAD1 VMOVDQU (BX)(DX*1), Y12;
#define LOAD2 VMOVDQU (BX)(DX*1), Y12; VMOVDQU 32(BX)(DX*1), Y13;

#undef MUL1
#undef MUL2
#define MUL1(r, a, x, s0)     BROADCAST a, x; VPDPBUSDY(12, 13+r%3, r)
#define MUL2(r, a, x, s0, s1) BROADCAST a, x; VPDPBUSDY(12, 14+(r&1), 2*r) VPDPBUSDY(13, 14+(r&1), 2*r+1)

// func int8AVXVNNIx1x1(t *tile)
TEXT ·int8AVXVNNIx1x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS1x1)

// func int8AVXVNNIx2x1(t *tile)
TEXT ·int8AVXVNNIx2x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS2x1)

// func int8AVXVNNIx3x1(t *tile)
TEXT ·int8AVXVNNIx3x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS3x1)

// func int8AVXVNNIx4x1(t *tile)
TEXT ·int8AVXVNNIx4x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS4x1)

// func int8AVXVNNIx5x1(t *tile)
TEXT ·int8AVXVNNIx5x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS5x1)

// func int8AVXVNNIx6x1(t *tile)
TEXT ·int8AVXVNNIx6x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS6x1)

// func int8AVXVNNIx7x1(t *tile)
TEXT ·int8AVXVNNIx7x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS7x1)

// func int8AVXVNNIx8x1(t *tile)
TEXT ·int8AVXVNNIx8x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS8x1)

// func int8AVXVNNIx9x1(t *tile)
TEXT ·int8AVXVNNIx9x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS9x1)

// func int8AVXVNNIx10x1(t *tile)
TEXT ·int8AVXVNNIx10x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS10x1)

// func int8AVXVNNIx11x1(t *tile)
TEXT ·int8AVXVNNIx11x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS11x1)

// func int8AVXVNNIx12x1(t *tile)
TEXT ·int8AVXVNNIx12x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS12x1)

// func int8AVXVNNIx1x2(t *tile)
TEXT ·int8AVXVNNIx1x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS1x2)

// func int8AVXVNNIx2x2(t *tile)
TEXT ·int8AVXVNNIx2x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS2x2)

// func int8AVXVNNIx3x2(t *tile)
TEXT ·int8AVXVNNIx3x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS3x2)

// func int8AVXVNNIx4x2(t *tile)
TEXT ·int8AVXVNNIx4x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS4x2)

// func int8AVXVNNIx5x2(t *tile)
TEXT ·int8AVXVNNIx5x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS5x2)

// func int8AVXVNNIx6x2(t *tile)
TEXT ·int8AVXVNNIx6x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS6x2)

// func startInt8AVXVNNI(panel unsafe.Pointer, k, row int)
//
// Writes the sums of the columns of a packed panel of k rows, times −128, to the
// row before it. Rows are row bytes apart.
TEXT ·startInt8AVXVNNI(SB), NOSPLIT, $0-24
	MOVQ         panel+0(FP), DI
	MOVQ         row+16(FP), DX
	LEAQ         (DI)(DX*1), R8
	VPCMPEQD     Y1, Y1, Y1
	VPSLLW       $15, Y1, Y1
	VPSRLW       $8, Y1, Y3
	VPOR         Y3, Y1, Y1 // bytes of 128

vector:
	MOVQ  k+8(FP), CX
	LEAQ  (DI)(DX*1), SI
	VPXOR Y0, Y0, Y0

step:
	VMOVDQU (SI), Y2
	VPDPBUSDY(2, 1, 0)
	ADDQ    DX, SI
	DECQ    CX
	JNE     step
	VPXOR   Y2, Y2, Y2
	VPSUBD  Y0, Y2, Y0
	VMOVDQU Y0, (DI)
	ADDQ    $32, DI
	CMPQ    DI, R8
	JNE     vector
	VZEROUPPER
	RET

// func offsetInt8AVX2(dst, src unsafe.Pointer, whole int)
//
// Adds 128 to whole times 32 bytes.
TEXT ·offsetInt8AVX2(SB), NOSPLIT, $0-24
	MOVQ     dst+0(FP), DI
	MOVQ     src+8(FP), SI
	MOVQ     whole+16(FP), CX
	VPCMPEQD Y1, Y1, Y1
	VPSLLW   $15, Y1, Y1
	VPSRLW   $8, Y1, Y3
	VPOR     Y3, Y1, Y1

vector:
	VPXOR   (SI), Y1, Y0
	VMOVDQU Y0, (DI)
	ADDQ    $32, SI
	ADDQ    $32, DI
	DECQ    CX
	JNE     vector
	VZEROUPPER
	RET

// func quadInt8AVX2(dst, src unsafe.Pointer, stride, quads, row int)
//
// Turns eight columns of four rows at a time into words.
TEXT ·quadInt8AVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ stride+16(FP), DX
	MOVQ quads+24(FP), CX
	MOVQ row+32(FP), BX
	LEAQ (DX)(DX*2), R8

quad:
	VPMOVZXBD  (SI), Y0
	VPMOVZXBD  (SI)(DX*1), Y1
	VPMOVZXBD  (SI)(DX*2), Y2
	VPMOVZXBD  (SI)(R8*1), Y3
	LEAQ       (SI)(DX*4), SI
	PREFETCHT0 (SI)(DX*8)
	VPSLLD     $8, Y1, Y1
	VPSLLD     $16, Y2, Y2
	VPSLLD     $24, Y3, Y3
	VPOR       Y1, Y0, Y0
	VPOR       Y3, Y2, Y2
	VPOR       Y2, Y0, Y0
	VMOVDQU    Y0, (DI)
	ADDQ       BX, DI
	DECQ       CX
	JNE        quad
	VZEROUPPER
	RET

#define TWELVE                                                      \
	VPDPBUSDY(12, 12, 0) VPDPBUSDY(12, 12, 1) VPDPBUSDY(12, 12, 2)  \
	VPDPBUSDY(12, 12, 3) VPDPBUSDY(12, 12, 4) VPDPBUSDY(12, 12, 5)  \
	VPDPBUSDY(12, 12, 6) VPDPBUSDY(12, 12, 7) VPDPBUSDY(12, 12, 8)  \
	VPDPBUSDY(12, 12, 9) VPDPBUSDY(12, 12, 10) VPDPBUSDY(12, 12, 11)

// func peakInt8AVXVNNI(rounds int)
TEXT ·peakInt8AVXVNNI(SB), NOSPLIT, $0-8
	MOVQ     rounds+0(FP), CX
	VPCMPEQD Y12, Y12, Y12

loop:
	TWELVE
	TWELVE
	DECQ CX
	JNE  loop
	VZEROUPPER
	RET
