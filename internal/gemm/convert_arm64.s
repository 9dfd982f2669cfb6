//go:build !noasm

#include "textflag.h"

// Conversions between 16-bit types and float32, 8 elements at a time: the loops of
// widenFloat16, narrowFloat16, widenBFloat16 and narrowBFloat16. Lengths are
// positive multiples of 8. The following instructions are not known to Go's
// assembler.

// FCVTL and FCVTL2 are FCVTL Vdst.4S, Vsrc.4H and FCVTL2 Vdst.4S, Vsrc.8H.
#define FCVTL(src, dst)  WORD $(0x0e217800 | src<<5 | dst)
#define FCVTL2(src, dst) WORD $(0x4e217800 | src<<5 | dst)

// FCVTN and FCVTN2 are FCVTN Vdst.4H, Vsrc.4S and FCVTN2 Vdst.8H, Vsrc.4S.
#define FCVTN(src, dst)  WORD $(0x0e216800 | src<<5 | dst)
#define FCVTN2(src, dst) WORD $(0x4e216800 | src<<5 | dst)

// ISNUMBER is FCMEQ Vdst.4S, Vsrc.4S, Vsrc.4S: all ones where src is not NaN.
#define ISNUMBER(src, dst) WORD $(0x4e20e400 | src<<16 | src<<5 | dst)

#define ARGUMENTS \
	MOVD dst_base+0(FP), R0  \
	MOVD dst_len+8(FP), R2   \
	MOVD src_base+24(FP), R1

// func widenFloat16NEON(dst []float32, src []uint16)
TEXT ·widenFloat16NEON(SB), NOSPLIT, $0-48
	ARGUMENTS

loop:
	VLD1.P 16(R1), [V0.H8]
	FCVTL(0, 1)
	FCVTL2(0, 2)
	VST1.P [V1.S4, V2.S4], 32(R0)
	SUBS   $8, R2
	BNE    loop
	RET

// func narrowFloat16NEON(dst []uint16, src []float32)
TEXT ·narrowFloat16NEON(SB), NOSPLIT, $0-48
	ARGUMENTS

loop:
	VLD1.P 32(R1), [V0.S4, V1.S4]
	FCVTN(0, 2)
	FCVTN2(1, 2)
	VST1.P [V2.H8], 16(R0)
	SUBS   $8, R2
	BNE    loop
	RET

// func widenBFloat16NEON(dst []float32, src []uint16)
TEXT ·widenBFloat16NEON(SB), NOSPLIT, $0-48
	ARGUMENTS
	VEOR V3.B16, V3.B16, V3.B16

loop:
	VLD1.P 16(R1), [V0.H8]
	VZIP1  V0.H8, V3.H8, V1.H8
	VZIP2  V0.H8, V3.H8, V2.H8
	VST1.P [V1.S4, V2.S4], 32(R0)
	SUBS   $8, R2
	BNE    loop
	RET

// ROUND leaves x + 0x7fff + (x>>16 & 1) in sum, or x with the quiet bit set if it
// is NaN.
#define ROUND(n, x, sum) \
	VUSHR $16, x.S4, sum.S4          \
	VAND  V29.B16, sum.B16, sum.B16  \
	VADD  V30.S4, sum.S4, sum.S4     \
	VADD  x.S4, sum.S4, sum.S4       \
	ISNUMBER(n, 4)                   \
	VORR  V31.B16, x.B16, x.B16      \
	VBIF  V4.B16, x.B16, sum.B16

// func narrowBFloat16NEON(dst []uint16, src []float32)
TEXT ·narrowBFloat16NEON(SB), NOSPLIT, $0-48
	ARGUMENTS
	MOVD $1, R3
	VDUP R3, V29.S4
	MOVD $0x7fff, R3
	VDUP R3, V30.S4
	MOVD $0x400000, R3
	VDUP R3, V31.S4

loop:
	VLD1.P 32(R1), [V0.S4, V1.S4]
	ROUND(0, V0, V2)
	ROUND(1, V1, V3)
	VUZP2  V3.H8, V2.H8, V2.H8
	VST1.P [V2.H8], 16(R0)
	SUBS   $8, R2
	BNE    loop
	RET

// func pause()
TEXT ·pause(SB), NOSPLIT, $0
	YIELD
	RET
