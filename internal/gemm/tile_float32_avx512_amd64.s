//go:build !noasm

#include "go_asm.h"
#include "textflag.h"

#define BROADCAST VBROADCASTSS
#define FMA       VFMADD231PS
#define FMABCST   VFMADD231PS.BCST
#define ADD       VADDPS
#define MOVE      VMOVUPS
#define MOVEZ     VMOVUPS.Z
#define LINE      15
#include "tile_avx512_amd64.h"

// func float32AVX512x1x1(t *tile)
TEXT ·float32AVX512x1x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS1x1)

// func float32AVX512x2x1(t *tile)
TEXT ·float32AVX512x2x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS2x1)

// func float32AVX512x3x1(t *tile)
TEXT ·float32AVX512x3x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS3x1)

// func float32AVX512x4x1(t *tile)
TEXT ·float32AVX512x4x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS4x1)

// func float32AVX512x5x1(t *tile)
TEXT ·float32AVX512x5x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS5x1)

// func float32AVX512x6x1(t *tile)
TEXT ·float32AVX512x6x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS6x1)

// func float32AVX512x7x1(t *tile)
TEXT ·float32AVX512x7x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS7x1)

// func float32AVX512x8x1(t *tile)
TEXT ·float32AVX512x8x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS8x1)

// func float32AVX512x9x1(t *tile)
TEXT ·float32AVX512x9x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS9x1)

// func float32AVX512x10x1(t *tile)
TEXT ·float32AVX512x10x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS10x1)

// func float32AVX512x11x1(t *tile)
TEXT ·float32AVX512x11x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS11x1)

// func float32AVX512x12x1(t *tile)
TEXT ·float32AVX512x12x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS12x1)

// func float32AVX512x13x1(t *tile)
TEXT ·float32AVX512x13x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS13x1)

// func float32AVX512x14x1(t *tile)
TEXT ·float32AVX512x14x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS14x1)

// func float32AVX512x15x1(t *tile)
TEXT ·float32AVX512x15x1(SB), NOSPLIT, $0-8
	KERNELHIGH(ROWS15x1)

// func float32AVX512x16x1(t *tile)
TEXT ·float32AVX512x16x1(SB), NOSPLIT, $0-8
	KERNELHIGH(ROWS16x1)

// func float32AVX512x17x1(t *tile)
TEXT ·float32AVX512x17x1(SB), NOSPLIT, $0-8
	KERNELHIGH(ROWS17x1)

// func float32AVX512x18x1(t *tile)
TEXT ·float32AVX512x18x1(SB), NOSPLIT, $0-8
	KERNELHIGH(ROWS18x1)

// func float32AVX512x19x1(t *tile)
TEXT ·float32AVX512x19x1(SB), NOSPLIT, $0-8
	KERNELHIGH(ROWS19x1)

// func float32AVX512x20x1(t *tile)
TEXT ·float32AVX512x20x1(SB), NOSPLIT, $0-8
	KERNELHIGH(ROWS20x1)

// func float32AVX512x21x1(t *tile)
TEXT ·float32AVX512x21x1(SB), NOSPLIT, $0-8
	KERNELHIGH(ROWS21x1)

// func float32AVX512x22x1(t *tile)
TEXT ·float32AVX512x22x1(SB), NOSPLIT, $0-8
	KERNELHIGH(ROWS22x1)

// func float32AVX512x23x1(t *tile)
TEXT ·float32AVX512x23x1(SB), NOSPLIT, $0-8
	KERNELHIGH(ROWS23x1)

// func float32AVX512x24x1(t *tile)
TEXT ·float32AVX512x24x1(SB), NOSPLIT, $0-8
	KERNELHIGH(ROWS24x1)

// func float32AVX512x1x2(t *tile)
TEXT ·float32AVX512x1x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS1x2)

// func float32AVX512x2x2(t *tile)
TEXT ·float32AVX512x2x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS2x2)

// func float32AVX512x3x2(t *tile)
TEXT ·float32AVX512x3x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS3x2)

// func float32AVX512x4x2(t *tile)
TEXT ·float32AVX512x4x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS4x2)

// func float32AVX512x5x2(t *tile)
TEXT ·float32AVX512x5x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS5x2)

// func float32AVX512x6x2(t *tile)
TEXT ·float32AVX512x6x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS6x2)

// func float32AVX512x7x2(t *tile)
TEXT ·float32AVX512x7x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS7x2)

// func float32AVX512x8x2(t *tile)
TEXT ·float32AVX512x8x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS8x2)

// func float32AVX512x9x2(t *tile)
TEXT ·float32AVX512x9x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS9x2)

// func float32AVX512x10x2(t *tile)
TEXT ·float32AVX512x10x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS10x2)

// func float32AVX512x11x2(t *tile)
TEXT ·float32AVX512x11x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS11x2)

// func float32AVX512x12x2(t *tile)
TEXT ·float32AVX512x12x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS12x2)

// func float32AVX512x13x2(t *tile)
TEXT ·float32AVX512x13x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS13x2)

// func float32AVX512x14x2(t *tile)
TEXT ·float32AVX512x14x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS14x2)

// func float32AVX512x1x3(t *tile)
TEXT ·float32AVX512x1x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS1x3)

// func float32AVX512x2x3(t *tile)
TEXT ·float32AVX512x2x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS2x3)

// func float32AVX512x3x3(t *tile)
TEXT ·float32AVX512x3x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS3x3)

// func float32AVX512x4x3(t *tile)
TEXT ·float32AVX512x4x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS4x3)

// func float32AVX512x5x3(t *tile)
TEXT ·float32AVX512x5x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS5x3)

// func float32AVX512x6x3(t *tile)
TEXT ·float32AVX512x6x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS6x3)

// func float32AVX512x7x3(t *tile)
TEXT ·float32AVX512x7x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS7x3)

// func float32AVX512x8x3(t *tile)
TEXT ·float32AVX512x8x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS8x3)

// func float32AVX512x9x3(t *tile)
TEXT ·float32AVX512x9x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS9x3)
