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
	KERNEL1(ROWS1x1)

// func float32AVX2x2x1(t *tile)
TEXT ·float32AVX2x2x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS2x1)

// func float32AVX2x3x1(t *tile)
TEXT ·float32AVX2x3x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS3x1)

// func float32AVX2x4x1(t *tile)
TEXT ·float32AVX2x4x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS4x1)

// func float32AVX2x5x1(t *tile)
TEXT ·float32AVX2x5x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS5x1)

// func float32AVX2x6x1(t *tile)
TEXT ·float32AVX2x6x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS6x1)

// func float32AVX2x7x1(t *tile)
TEXT ·float32AVX2x7x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS7x1)

// func float32AVX2x8x1(t *tile)
TEXT ·float32AVX2x8x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS8x1)

// func float32AVX2x9x1(t *tile)
TEXT ·float32AVX2x9x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS9x1)

// func float32AVX2x10x1(t *tile)
TEXT ·float32AVX2x10x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS10x1)

// func float32AVX2x11x1(t *tile)
TEXT ·float32AVX2x11x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS11x1)

// func float32AVX2x12x1(t *tile)
TEXT ·float32AVX2x12x1(SB), NOSPLIT, $0-8
	KERNEL1(ROWS12x1)

// func float32AVX2x1x2(t *tile)
TEXT ·float32AVX2x1x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS1x2)

// func float32AVX2x2x2(t *tile)
TEXT ·float32AVX2x2x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS2x2)

// func float32AVX2x3x2(t *tile)
TEXT ·float32AVX2x3x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS3x2)

// func float32AVX2x4x2(t *tile)
TEXT ·float32AVX2x4x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS4x2)

// func float32AVX2x5x2(t *tile)
TEXT ·float32AVX2x5x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS5x2)

// func float32AVX2x6x2(t *tile)
TEXT ·float32AVX2x6x2(SB), NOSPLIT, $0-8
	KERNEL2(ROWS6x2)

// func float32AVX2x1x3(t *tile)
TEXT ·float32AVX2x1x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS1x3)

// func float32AVX2x2x3(t *tile)
TEXT ·float32AVX2x2x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS2x3)

// func float32AVX2x3x3(t *tile)
TEXT ·float32AVX2x3x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS3x3)

// func float32AVX2x4x3(t *tile)
TEXT ·float32AVX2x4x3(SB), NOSPLIT, $0-8
	KERNEL3(ROWS4x3)

#include "vector_avx2_amd64.h"

// FOLD adds up the lanes of Y0 to Y3.
#define FOLD \
	VHADDPS      Y1, Y0, Y0  \
	VHADDPS      Y3, Y2, Y2  \
	VHADDPS      Y2, Y0, Y0  \
	VEXTRACTF128 $1, Y0, X1  \
	VADDPS       X1, X0, X0  \
	VMOVUPS      X0, (DI)

// func dot4Float32AVX2(out, m unsafe.Pointer, ld int, x unsafe.Pointer, n int)
TEXT ·dot4Float32AVX2(SB), NOSPLIT, $0-40
	DOT4

// func axpy4Float32AVX2(y, x, m unsafe.Pointer, ld, n int, add bool)
TEXT ·axpy4Float32AVX2(SB), NOSPLIT, $0-41
	AXPY(LOADX4, MULTIPLY4, MULTIPLYPART4)

// func axpy1Float32AVX2(y, x, m unsafe.Pointer, ld, n int, add bool)
TEXT ·axpy1Float32AVX2(SB), NOSPLIT, $0-41
	AXPY(LOADX1, MULTIPLY1, MULTIPLYPART1)
