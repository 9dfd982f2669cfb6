//go:build !noasm

#include "textflag.h"

// The AVX-512 micro-kernels: 14 rows by two vectors, 28 sums in Z0 to Z27. Each
// step of k loads a row of B (Z28, Z29) and multiplies it by one element of each
// of A's rows, broadcast to Z30 and Z31 in turns.

// EACH does something to the two sums of every row, from the top.
#define EACH(DO) \
	DO(Z0, Z1)   \
	DO(Z2, Z3)   \
	DO(Z4, Z5)   \
	DO(Z6, Z7)   \
	DO(Z8, Z9)   \
	DO(Z10, Z11) \
	DO(Z12, Z13) \
	DO(Z14, Z15) \
	DO(Z16, Z17) \
	DO(Z18, Z19) \
	DO(Z20, Z21) \
	DO(Z22, Z23) \
	DO(Z24, Z25) \
	DO(Z26, Z27)

#define ZERO(left, right) \
	VPXORQ left, left, left    \
	VPXORQ right, right, right

#define STORE(left, right) \
	VMOVUPS left, (DI)    \
	VMOVUPS right, 64(DI) \
	ADDQ    DX, DI

#define ADD32(left, right) \
	VADDPS (DI), left, left     \
	VADDPS 64(DI), right, right \
	STORE(left, right)

#define ADD64(left, right) \
	VADDPD (DI), left, left     \
	VADDPD 64(DI), right, right \
	STORE(left, right)

// ARGUMENTS loads them and the multiples of A's stride that address 14 rows.
#define ARGUMENTS(log) \
	MOVQ    k+0(FP), CX       \
	MOVQ    a+8(FP), SI       \
	MOVQ    lda+16(FP), R8    \
	MOVQ    b+24(FP), BX      \
	MOVQ    c+32(FP), DI      \
	MOVQ    ldc+40(FP), DX    \
	MOVBLZX add+48(FP), AX    \
	SHLQ    $log, R8          \
	SHLQ    $log, DX          \
	LEAQ    (R8)(R8*2), R9    \
	LEAQ    (R8)(R8*4), R10   \
	LEAQ    (R9)(R8*4), R11   \
	LEAQ    (R8)(R8*8), R12   \
	LEAQ    (R9)(R8*8), R13   \
	LEAQ    (R10)(R8*8), R14  \
	MOVQ    DI, R15

#define ROW(BROADCAST, FMA, element, x, left, right) \
	BROADCAST element, x  \
	FMA Z28, x, left      \
	FMA Z29, x, right

#define STEP(BROADCAST, FMA, size) \
	VMOVUPS    (BX), Z28                                    \
	VMOVUPS    64(BX), Z29                                  \
	PREFETCHT0 1536(BX)                                     \
	PREFETCHT0 1600(BX)                                     \
	ADDQ       $128, BX                                     \
	ROW(BROADCAST, FMA, (SI), Z30, Z0, Z1)                  \
	ROW(BROADCAST, FMA, (SI)(R8*1), Z31, Z2, Z3)            \
	ROW(BROADCAST, FMA, (SI)(R8*2), Z30, Z4, Z5)            \
	ROW(BROADCAST, FMA, (SI)(R9*1), Z31, Z6, Z7)            \
	ROW(BROADCAST, FMA, (SI)(R8*4), Z30, Z8, Z9)            \
	ROW(BROADCAST, FMA, (SI)(R10*1), Z31, Z10, Z11)         \
	ROW(BROADCAST, FMA, (SI)(R9*2), Z30, Z12, Z13)          \
	ROW(BROADCAST, FMA, (SI)(R11*1), Z31, Z14, Z15)         \
	ROW(BROADCAST, FMA, (SI)(R8*8), Z30, Z16, Z17)          \
	ROW(BROADCAST, FMA, (SI)(R12*1), Z31, Z18, Z19)         \
	ROW(BROADCAST, FMA, (SI)(R10*2), Z30, Z20, Z21)         \
	ROW(BROADCAST, FMA, (SI)(R13*1), Z31, Z22, Z23)         \
	ROW(BROADCAST, FMA, (SI)(R9*4), Z30, Z24, Z25)          \
	ROW(BROADCAST, FMA, (SI)(R14*1), Z31, Z26, Z27)         \
	ADDQ       $size, SI

// AHEAD is done once for every cache line of A's rows: it fetches the line after
// next of each row, since the hardware does not follow so many streams, and one
// row of C. All of C at once would hold up A and B.
#define AHEAD \
	PREFETCHT0 128(SI)         \
	PREFETCHT0 128(SI)(R8*1)   \
	PREFETCHT0 128(SI)(R8*2)   \
	PREFETCHT0 128(SI)(R9*1)   \
	PREFETCHT0 128(SI)(R8*4)   \
	PREFETCHT0 128(SI)(R10*1)  \
	PREFETCHT0 128(SI)(R9*2)   \
	PREFETCHT0 128(SI)(R11*1)  \
	PREFETCHT0 128(SI)(R8*8)   \
	PREFETCHT0 128(SI)(R12*1)  \
	PREFETCHT0 128(SI)(R10*2)  \
	PREFETCHT0 128(SI)(R13*1)  \
	PREFETCHT0 128(SI)(R9*4)   \
	PREFETCHT0 128(SI)(R14*1)  \
	PREFETCHT0 (R15)           \
	PREFETCHT0 64(R15)         \
	ADDQ       DX, R15

// func tileFloat32AVX512(k int, a *float32, lda int, b *float32, c *float32, ldc int, add bool)
//
// tileFunc's loop with mr 14 and nr 32.
TEXT ·tileFloat32AVX512(SB), NOSPLIT, $0-49
	ARGUMENTS(2)
	EACH(ZERO)

line:
	AHEAD
	PCALIGN $32

step:
	STEP(VBROADCASTSS, VFMADD231PS, 4)
	DECQ  CX
	JEQ   store
	TESTQ $63, SI
	JNE   step
	JMP   line

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

// func tileFloat64AVX512(k int, a *float64, lda int, b *float64, c *float64, ldc int, add bool)
//
// tileFunc's loop with mr 14 and nr 16.
TEXT ·tileFloat64AVX512(SB), NOSPLIT, $0-49
	ARGUMENTS(3)
	EACH(ZERO)

line:
	AHEAD
	PCALIGN $32

step:
	STEP(VBROADCASTSD, VFMADD231PD, 8)
	DECQ  CX
	JEQ   store
	TESTQ $63, SI
	JNE   step
	JMP   line

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
