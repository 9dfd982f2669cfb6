//go:build !noasm

#include "textflag.h"

// The AVX2 micro-kernels: 6 rows by two vectors, 12 sums in Y0 to Y11. Each step
// of k loads a row of B (Y12, Y13) and multiplies it by one element of each of
// A's rows, broadcast to Y14 and Y15 in turns. Four steps a round, so that
// narrow processors are not kept busy with the loop.

// EACH does something to the two sums of every row, from the top.
#define EACH(DO) \
	DO(Y0, Y1) \
	DO(Y2, Y3) \
	DO(Y4, Y5) \
	DO(Y6, Y7) \
	DO(Y8, Y9) \
	DO(Y10, Y11)

#define ZERO(left, right) \
	VXORPS left, left, left    \
	VXORPS right, right, right

#define STORE(left, right) \
	VMOVUPS left, (DI)    \
	VMOVUPS right, 32(DI) \
	ADDQ    DX, DI

#define ADD32(left, right) \
	VADDPS (DI), left, left     \
	VADDPS 32(DI), right, right \
	STORE(left, right)

#define ADD64(left, right) \
	VADDPD (DI), left, left     \
	VADDPD 32(DI), right, right \
	STORE(left, right)

// ARGUMENTS loads them and the multiples of A's stride that address 6 rows.
#define ARGUMENTS(log) \
	MOVQ    k+0(FP), CX      \
	MOVQ    a+8(FP), SI      \
	MOVQ    lda+16(FP), R8   \
	MOVQ    b+24(FP), BX     \
	MOVQ    c+32(FP), DI     \
	MOVQ    ldc+40(FP), DX   \
	MOVBLZX add+48(FP), AX   \
	SHLQ    $log, R8         \
	SHLQ    $log, DX         \
	LEAQ    (R8)(R8*2), R9   \
	LEAQ    (R8)(R8*4), R10  \
	MOVQ    DI, R11

#define ROW(BROADCAST, FMA, element, x, left, right) \
	BROADCAST element, x \
	FMA Y12, x, left     \
	FMA Y13, x, right

// STEP is the step at byte offset at of A's rows and row of B's panel.
#define STEP(BROADCAST, FMA, at, row) \
	VMOVUPS    row(BX), Y12                            \
	VMOVUPS    row+32(BX), Y13                         \
	PREFETCHT0 row+768(BX)                             \
	ROW(BROADCAST, FMA, at(SI), Y14, Y0, Y1)           \
	ROW(BROADCAST, FMA, at(SI)(R8*1), Y15, Y2, Y3)     \
	ROW(BROADCAST, FMA, at(SI)(R8*2), Y14, Y4, Y5)     \
	ROW(BROADCAST, FMA, at(SI)(R9*1), Y15, Y6, Y7)     \
	ROW(BROADCAST, FMA, at(SI)(R8*4), Y14, Y8, Y9)     \
	ROW(BROADCAST, FMA, at(SI)(R10*1), Y15, Y10, Y11)

// AHEAD fetches each row's line after next and one row of C: see the AVX-512 kernel.
#define AHEAD \
	PREFETCHT0 128(SI)        \
	PREFETCHT0 128(SI)(R8*1)  \
	PREFETCHT0 128(SI)(R8*2)  \
	PREFETCHT0 128(SI)(R9*1)  \
	PREFETCHT0 128(SI)(R8*4)  \
	PREFETCHT0 128(SI)(R10*1) \
	PREFETCHT0 (R11)          \
	ADDQ       DX, R11

// func tileFloat32AVX2(k int, a *float32, lda int, b *float32, c *float32, ldc int, add bool)
//
// tileFunc's loop with mr 6 and nr 16.
TEXT ·tileFloat32AVX2(SB), NOSPLIT, $0-49
	ARGUMENTS(2)
	EACH(ZERO)
	SUBQ $4, CX
	JLT  rest

line:
	AHEAD
	PCALIGN $32

steps:
	STEP(VBROADCASTSS, VFMADD231PS, 0, 0)
	STEP(VBROADCASTSS, VFMADD231PS, 4, 64)
	STEP(VBROADCASTSS, VFMADD231PS, 8, 128)
	STEP(VBROADCASTSS, VFMADD231PS, 12, 192)
	ADDQ  $16, SI
	ADDQ  $256, BX
	SUBQ  $4, CX
	JLT   rest
	TESTQ $63, SI
	JNE   steps
	JMP   line

rest:
	ADDQ $4, CX
	JEQ  store

step:
	STEP(VBROADCASTSS, VFMADD231PS, 0, 0)
	ADDQ $4, SI
	ADDQ $64, BX
	DECQ CX
	JNE  step

store:
	TESTL AX, AX
	JNE   add
	EACH(STORE)
	VZEROUPPER
	RET

add:
	EACH(ADD32)
	VZEROUPPER
	RET

// func tileFloat64AVX2(k int, a *float64, lda int, b *float64, c *float64, ldc int, add bool)
//
// tileFunc's loop with mr 6 and nr 8.
TEXT ·tileFloat64AVX2(SB), NOSPLIT, $0-49
	ARGUMENTS(3)
	EACH(ZERO)
	SUBQ $4, CX
	JLT  rest

line:
	AHEAD
	PCALIGN $32

steps:
	STEP(VBROADCASTSD, VFMADD231PD, 0, 0)
	STEP(VBROADCASTSD, VFMADD231PD, 8, 64)
	STEP(VBROADCASTSD, VFMADD231PD, 16, 128)
	STEP(VBROADCASTSD, VFMADD231PD, 24, 192)
	ADDQ  $32, SI
	ADDQ  $256, BX
	SUBQ  $4, CX
	JLT   rest
	TESTQ $63, SI
	JNE   steps
	JMP   line

rest:
	ADDQ $4, CX
	JEQ  store

step:
	STEP(VBROADCASTSD, VFMADD231PD, 0, 0)
	ADDQ $8, SI
	ADDQ $64, BX
	DECQ CX
	JNE  step

store:
	TESTL AX, AX
	JNE   add
	EACH(STORE)
	VZEROUPPER
	RET

add:
	EACH(ADD64)
	VZEROUPPER
	RET
