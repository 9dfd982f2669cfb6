//go:build !noasm

#include "textflag.h"

// The loops of kernelSet.

// func triadNEON(a, b, c *float64, n int, s float64, passes int)
TEXT ·triadNEON(SB), NOSPLIT, $0-48
	FMOVD s+32(FP), F31
	VDUP  V31.D[0], V31.D2
	MOVD  passes+40(FP), R4

pass:
	MOVD a+0(FP), R0
	MOVD b+8(FP), R1
	MOVD c+16(FP), R2
	MOVD n+24(FP), R3

loop:
	VLD1.P 64(R2), [V0.D2, V1.D2, V2.D2, V3.D2]
	VLD1.P 64(R1), [V4.D2, V5.D2, V6.D2, V7.D2]
	VFMLA  V31.D2, V0.D2, V4.D2
	VFMLA  V31.D2, V1.D2, V5.D2
	VFMLA  V31.D2, V2.D2, V6.D2
	VFMLA  V31.D2, V3.D2, V7.D2
	VST1.P [V4.D2, V5.D2, V6.D2, V7.D2], 64(R0)
	SUBS   $8, R3, R3
	BNE    loop
	SUBS   $1, R4, R4
	BNE    pass
	RET

// FOUR adds four vectors to four sums, as products with 1, since Go's assembler
// does not know the addition of floating-point vectors. Sixteen sums hide four
// cycles of latency on four units.
#define FOUR(s0, s1, s2, s3) \
	VLD1.P 64(R0), [V16.D2, V17.D2, V18.D2, V19.D2] \
	VFMLA  V31.D2, V16.D2, s0.D2                    \
	VFMLA  V31.D2, V17.D2, s1.D2                    \
	VFMLA  V31.D2, V18.D2, s2.D2                    \
	VFMLA  V31.D2, V19.D2, s3.D2

// func sumNEON(x *float64, n, passes int, sums *[8]float64)
TEXT ·sumNEON(SB), NOSPLIT, $0-32
	FMOVD $1.0, F31
	VDUP  V31.D[0], V31.D2
	MOVD  passes+16(FP), R4
	MOVD  sums+24(FP), R5
	VEOR  V0.B16, V0.B16, V0.B16
	VEOR  V1.B16, V1.B16, V1.B16
	VEOR  V2.B16, V2.B16, V2.B16
	VEOR  V3.B16, V3.B16, V3.B16
	VEOR  V4.B16, V4.B16, V4.B16
	VEOR  V5.B16, V5.B16, V5.B16
	VEOR  V6.B16, V6.B16, V6.B16
	VEOR  V7.B16, V7.B16, V7.B16
	VEOR  V8.B16, V8.B16, V8.B16
	VEOR  V9.B16, V9.B16, V9.B16
	VEOR  V10.B16, V10.B16, V10.B16
	VEOR  V11.B16, V11.B16, V11.B16
	VEOR  V12.B16, V12.B16, V12.B16
	VEOR  V13.B16, V13.B16, V13.B16
	VEOR  V14.B16, V14.B16, V14.B16
	VEOR  V15.B16, V15.B16, V15.B16

pass:
	MOVD x+0(FP), R0
	MOVD n+8(FP), R3

loop:
	FOUR(V0, V1, V2, V3)
	FOUR(V4, V5, V6, V7)
	FOUR(V8, V9, V10, V11)
	FOUR(V12, V13, V14, V15)
	SUBS $32, R3, R3
	BNE  loop
	SUBS $1, R4, R4
	BNE  pass
	VFMLA V31.D2, V4.D2, V0.D2
	VFMLA V31.D2, V5.D2, V1.D2
	VFMLA V31.D2, V6.D2, V2.D2
	VFMLA V31.D2, V7.D2, V3.D2
	VFMLA V31.D2, V8.D2, V0.D2
	VFMLA V31.D2, V9.D2, V1.D2
	VFMLA V31.D2, V10.D2, V2.D2
	VFMLA V31.D2, V11.D2, V3.D2
	VFMLA V31.D2, V12.D2, V0.D2
	VFMLA V31.D2, V13.D2, V1.D2
	VFMLA V31.D2, V14.D2, V2.D2
	VFMLA V31.D2, V15.D2, V3.D2
	VST1  [V0.D2, V1.D2, V2.D2, V3.D2], (R5)
	RET

#define EIGHT \
	ADD R1, R0, R0 \
	ADD R1, R0, R0 \
	ADD R1, R0, R0 \
	ADD R1, R0, R0 \
	ADD R1, R0, R0 \
	ADD R1, R0, R0 \
	ADD R1, R0, R0 \
	ADD R1, R0, R0

// func chainADD(rounds int)
TEXT ·chainADD(SB), NOSPLIT, $0-8
	MOVD rounds+0(FP), R2

loop:
	EIGHT
	EIGHT
	EIGHT
	EIGHT
	EIGHT
	EIGHT
	EIGHT
	EIGHT
	SUBS $1, R2, R2
	BNE  loop
	RET
