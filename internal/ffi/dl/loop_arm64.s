//go:build darwin || linux

#include "textflag.h"

// loop is a C function of the AArch64 procedure call standard, which purego calls
// with a *Loop in R0:
//
//	do {
//		l->results |= l->Func(l->Args..., l->Floats...);
//	} while (--l->times);
//
// The first eight arguments go into registers and seven onto the stack, where the
// callee may overwrite them; floating-point arguments go into F0 and F1. All are 8
// bytes long, so Apple's denser stack layout is the same.
TEXT loop(SB), NOSPLIT|NOFRAME, $0
	SUB  $112, RSP, RSP
	STP  (R29, R30), 64(RSP)
	STP  (R19, R20), 80(RSP)
	MOVD R21, 96(RSP)
	MOVD R0, R19
	MOVD 8(R19), R20
	MOVD ZR, R21

again:
	LDP   96(R19), (R9, R10)
	STP   (R9, R10), 0(RSP)
	LDP   112(R19), (R9, R10)
	STP   (R9, R10), 16(RSP)
	LDP   128(R19), (R9, R10)
	STP   (R9, R10), 32(RSP)
	MOVD  144(R19), R9
	MOVD  R9, 48(RSP)
	LDP   32(R19), (R0, R1)
	LDP   48(R19), (R2, R3)
	LDP   64(R19), (R4, R5)
	LDP   80(R19), (R6, R7)
	FMOVD 16(R19), F0
	FMOVD 24(R19), F1
	MOVD  0(R19), R9
	CALL  (R9)
	ORR   R0, R21, R21
	SUBS  $1, R20, R20
	BNE   again
	MOVD  R21, 152(R19)
	MOVD  96(RSP), R21
	LDP   80(RSP), (R19, R20)
	LDP   64(RSP), (R29, R30)
	ADD   $112, RSP, RSP
	RET

// func loopAddress() uintptr
TEXT ·loopAddress(SB), NOSPLIT, $0-8
	MOVD $loop(SB), R0
	MOVD R0, ret+0(FP)
	RET
