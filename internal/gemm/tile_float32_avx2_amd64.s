//go:build !noasm

#include "go_asm.h"
#include "textflag.h"

#define BROADCAST VBROADCASTSS
#define FMA       VFMADD231PS
#define ADD       VADDPS
#define MASKMOV   VMASKMOVPS
#define LANES     8
#define SIZE      4
#define LINE      12
#include "tile_avx2_amd64.h"

// func float32AVX2x1x1(t *tile)
TEXT ·float32AVX2x1x1(SB), NOSPLIT, $0-8
	KERNEL1(1, ROWS1x1)

// func float32AVX2x2x1(t *tile)
TEXT ·float32AVX2x2x1(SB), NOSPLIT, $0-8
	KERNEL1(2, ROWS2x1)

// func float32AVX2x3x1(t *tile)
TEXT ·float32AVX2x3x1(SB), NOSPLIT, $0-8
	KERNEL1(3, ROWS3x1)

// func float32AVX2x4x1(t *tile)
TEXT ·float32AVX2x4x1(SB), NOSPLIT, $0-8
	KERNEL1(4, ROWS4x1)

// func float32AVX2x5x1(t *tile)
TEXT ·float32AVX2x5x1(SB), NOSPLIT, $0-8
	KERNEL1(5, ROWS5x1)

// func float32AVX2x6x1(t *tile)
TEXT ·float32AVX2x6x1(SB), NOSPLIT, $0-8
	KERNEL1(6, ROWS6x1)

// func float32AVX2x7x1(t *tile)
TEXT ·float32AVX2x7x1(SB), NOSPLIT, $0-8
	KERNEL1(7, ROWS7x1)

// func float32AVX2x8x1(t *tile)
TEXT ·float32AVX2x8x1(SB), NOSPLIT, $0-8
	KERNEL1(8, ROWS8x1)

// func float32AVX2x9x1(t *tile)
TEXT ·float32AVX2x9x1(SB), NOSPLIT, $0-8
	KERNEL1(9, ROWS9x1)

// func float32AVX2x10x1(t *tile)
TEXT ·float32AVX2x10x1(SB), NOSPLIT, $0-8
	KERNEL1(10, ROWS10x1)

// func float32AVX2x11x1(t *tile)
TEXT ·float32AVX2x11x1(SB), NOSPLIT, $0-8
	KERNEL1(11, ROWS11x1)

// func float32AVX2x12x1(t *tile)
TEXT ·float32AVX2x12x1(SB), NOSPLIT, $0-8
	KERNEL1(12, ROWS12x1)

// func float32AVX2x1x2(t *tile)
TEXT ·float32AVX2x1x2(SB), NOSPLIT, $0-8
	KERNEL2(1, ROWS1x2)

// func float32AVX2x2x2(t *tile)
TEXT ·float32AVX2x2x2(SB), NOSPLIT, $0-8
	KERNEL2(2, ROWS2x2)

// func float32AVX2x3x2(t *tile)
TEXT ·float32AVX2x3x2(SB), NOSPLIT, $0-8
	KERNEL2(3, ROWS3x2)

// func float32AVX2x4x2(t *tile)
TEXT ·float32AVX2x4x2(SB), NOSPLIT, $0-8
	KERNEL2(4, ROWS4x2)

// func float32AVX2x5x2(t *tile)
TEXT ·float32AVX2x5x2(SB), NOSPLIT, $0-8
	KERNEL2(5, ROWS5x2)

// func float32AVX2x6x2(t *tile)
TEXT ·float32AVX2x6x2(SB), NOSPLIT, $0-8
	KERNEL2(6, ROWS6x2)

// func float32AVX2x1x3(t *tile)
TEXT ·float32AVX2x1x3(SB), NOSPLIT, $0-8
	KERNEL3(1, ROWS1x3)

// func float32AVX2x2x3(t *tile)
TEXT ·float32AVX2x2x3(SB), NOSPLIT, $0-8
	KERNEL3(2, ROWS2x3)

// func float32AVX2x3x3(t *tile)
TEXT ·float32AVX2x3x3(SB), NOSPLIT, $0-8
	KERNEL3(3, ROWS3x3)

// func float32AVX2x4x3(t *tile)
TEXT ·float32AVX2x4x3(SB), NOSPLIT, $0-8
	KERNEL3(4, ROWS4x3)
