//go:build !noasm

#include "textflag.h"

// func copyRowsAVX(dst, src unsafe.Pointer, ld, stride, rows, bytes, ahead int)
//
//	for i := range rows {
//		copy(dst[i*ld:][:bytes], src[i*stride:])
//	}
//
// bytes is a positive multiple of 32. While it copies a row, the function
// prefetches the memory ahead bytes further on: rows are short and may be pages
// apart, so the hardware prefetcher would start over with each.
TEXT ·copyRowsAVX(SB), NOSPLIT, $0-56
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ ld+16(FP), R8
	MOVQ stride+24(FP), R9
	MOVQ rows+32(FP), R10
	MOVQ bytes+40(FP), R11
	MOVQ ahead+48(FP), R12
	SUBQ $32, R11

row:
	XORQ BX, BX
	LEAQ (SI)(R12*1), DX

	CMPQ BX, R11
	JGE  last

line:
	PREFETCHT0 (DX)(BX*1)
	VMOVUPS    (SI)(BX*1), Y0
	VMOVUPS    32(SI)(BX*1), Y1
	VMOVUPS    Y0, (DI)(BX*1)
	VMOVUPS    Y1, 32(DI)(BX*1)
	ADDQ       $64, BX
	CMPQ       BX, R11
	JLT        line
	JGT        next

last:
	PREFETCHT0 (DX)(BX*1)
	VMOVUPS    (SI)(BX*1), Y0
	VMOVUPS    Y0, (DI)(BX*1)

next:
	ADDQ R8, DI
	ADDQ R9, SI
	DECQ R10
	JNE  row
	VZEROUPPER
	RET
