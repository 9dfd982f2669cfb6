//go:build !noasm

#include "textflag.h"

// The loops of kernelSet. Pointers are incremented instead of indexed: an addition
// with an indexed memory operand takes two slots in the front end of Intel CPUs.

#define TRIAD(MOVE, FMA, width, s, v0, v1, v2, v3) \
	MOVE 0*width(DX), v0     \
	MOVE 1*width(DX), v1     \
	MOVE 2*width(DX), v2     \
	MOVE 3*width(DX), v3     \
	FMA  0*width(SI), s, v0  \
	FMA  1*width(SI), s, v1  \
	FMA  2*width(SI), s, v2  \
	FMA  3*width(SI), s, v3  \
	MOVE v0, 0*width(DI)     \
	MOVE v1, 1*width(DI)     \
	MOVE v2, 2*width(DI)     \
	MOVE v3, 3*width(DI)     \
	ADDQ $(4*width), DX      \
	ADDQ $(4*width), SI      \
	ADDQ $(4*width), DI

// func triadAVX2(a, b, c *float64, n int, s float64, passes int)
TEXT ·triadAVX2(SB), NOSPLIT, $0-48
	VBROADCASTSD s+32(FP), Y15
	MOVQ         passes+40(FP), R8

pass:
	MOVQ a+0(FP), DI
	MOVQ b+8(FP), SI
	MOVQ c+16(FP), DX
	MOVQ n+24(FP), CX

loop:
	TRIAD(VMOVUPD, VFMADD213PD, 32, Y15, Y0, Y1, Y2, Y3)
	SUBQ $16, CX
	JNE  loop
	DECQ R8
	JNE  pass
	VZEROUPPER
	RET

// func triadAVX512(a, b, c *float64, n int, s float64, passes int)
TEXT ·triadAVX512(SB), NOSPLIT, $0-48
	VBROADCASTSD s+32(FP), Z15
	MOVQ         passes+40(FP), R8

pass:
	MOVQ a+0(FP), DI
	MOVQ b+8(FP), SI
	MOVQ c+16(FP), DX
	MOVQ n+24(FP), CX

loop:
	TRIAD(VMOVUPD, VFMADD213PD, 64, Z15, Z0, Z1, Z2, Z3)
	SUBQ $32, CX
	JNE  loop
	DECQ R8
	JNE  pass
	VZEROUPPER
	RET

// Eight sums: four cycles of latency times two loads per cycle.
#define SUM(width, v0, v1, v2, v3, v4, v5, v6, v7) \
	VADDPD 0*width(SI), v0, v0  \
	VADDPD 1*width(SI), v1, v1  \
	VADDPD 2*width(SI), v2, v2  \
	VADDPD 3*width(SI), v3, v3  \
	VADDPD 4*width(SI), v4, v4  \
	VADDPD 5*width(SI), v5, v5  \
	VADDPD 6*width(SI), v6, v6  \
	VADDPD 7*width(SI), v7, v7  \
	ADDQ   $(8*width), SI

#define ZERO(XOR, v0, v1, v2, v3, v4, v5, v6, v7) \
	XOR v0, v0, v0  \
	XOR v1, v1, v1  \
	XOR v2, v2, v2  \
	XOR v3, v3, v3  \
	XOR v4, v4, v4  \
	XOR v5, v5, v5  \
	XOR v6, v6, v6  \
	XOR v7, v7, v7

#define FOLD(v0, v1, v2, v3, v4, v5, v6, v7) \
	VADDPD v1, v0, v0  \
	VADDPD v3, v2, v2  \
	VADDPD v5, v4, v4  \
	VADDPD v7, v6, v6  \
	VADDPD v2, v0, v0  \
	VADDPD v6, v4, v4

// func sumAVX2(x *float64, n, passes int, sums *[8]float64)
TEXT ·sumAVX2(SB), NOSPLIT, $0-32
	MOVQ passes+16(FP), R8
	MOVQ sums+24(FP), DI
	ZERO(VXORPD, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7)

pass:
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX

loop:
	SUM(32, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7)
	SUBQ $32, CX
	JNE  loop
	DECQ R8
	JNE  pass
	FOLD(Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7)
	VMOVUPD Y0, 0(DI)
	VMOVUPD Y4, 32(DI)
	VZEROUPPER
	RET

// func sumAVX512(x *float64, n, passes int, sums *[8]float64)
TEXT ·sumAVX512(SB), NOSPLIT, $0-32
	MOVQ passes+16(FP), R8
	MOVQ sums+24(FP), DI
	ZERO(VPXORQ, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)

pass:
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX

loop:
	SUM(64, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)
	SUBQ $64, CX
	JNE  loop
	DECQ R8
	JNE  pass
	FOLD(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)
	VADDPD  Z4, Z0, Z0
	VMOVUPD Z0, 0(DI)
	VZEROUPPER
	RET

// The operand is a register because newer CPUs combine additions of constants
// before they execute them.
#define EIGHT \
	ADDQ BX, AX \
	ADDQ BX, AX \
	ADDQ BX, AX \
	ADDQ BX, AX \
	ADDQ BX, AX \
	ADDQ BX, AX \
	ADDQ BX, AX \
	ADDQ BX, AX

// func chainADD(rounds int)
TEXT ·chainADD(SB), NOSPLIT, $0-8
	MOVQ rounds+0(FP), CX

loop:
	EIGHT
	EIGHT
	EIGHT
	EIGHT
	EIGHT
	EIGHT
	EIGHT
	EIGHT
	DECQ CX
	JNE  loop
	RET
