//go:build darwin || linux

#include "textflag.h"

// loop is a C function of the System V ABI, which purego calls with a *Loop in DI:
//
//	do {
//		l->results |= l->Func(l->Args..., l->Floats...);
//	} while (--l->times);
//
// The first six arguments go into registers and nine onto the stack, where the
// callee may overwrite them; floating-point arguments go into X0 and X1. AL tells
// variadic functions how many of the latter there are.
TEXT loop(SB), NOSPLIT|NOFRAME, $0
	PUSHQ BX
	PUSHQ BP
	PUSHQ R12
	PUSHQ R13
	PUSHQ R14
	PUSHQ R15
	SUBQ  $88, SP     // 9 arguments, and alignment of the stack
	MOVQ  DI, BX
	MOVQ  8(BX), R12
	XORL  R13, R13

again:
	MOVUPS 80(BX), X0
	MOVUPS X0, 0(SP)
	MOVUPS 96(BX), X0
	MOVUPS X0, 16(SP)
	MOVUPS 112(BX), X0
	MOVUPS X0, 32(SP)
	MOVUPS 128(BX), X0
	MOVUPS X0, 48(SP)
	MOVQ   144(BX), AX
	MOVQ   AX, 64(SP)
	MOVQ   32(BX), DI
	MOVQ   40(BX), SI
	MOVQ   48(BX), DX
	MOVQ   56(BX), CX
	MOVQ   64(BX), R8
	MOVQ   72(BX), R9
	MOVSD  16(BX), X0
	MOVSD  24(BX), X1
	MOVQ   0(BX), R11
	MOVL   $2, AX
	CALL   R11
	ORQ    AX, R13
	DECQ   R12
	JNE    again
	MOVQ   R13, 152(BX)
	ADDQ   $88, SP
	POPQ   R15
	POPQ   R14
	POPQ   R13
	POPQ   R12
	POPQ   BP
	POPQ   BX
	RET

// func loopAddress() uintptr
TEXT ·loopAddress(SB), NOSPLIT, $0-8
	LEAQ loop(SB), AX
	MOVQ AX, ret+0(FP)
	RET
