//go:build !noasm

#include "textflag.h"
#include "raw_arm64.h"

// Rounds of 48 multiply-adds on 24 independent sums, which is more than latency
// times units of any processor: ¼ is added and subtracted again, so that the sums
// stay within [½, ¾].

#define EACH(FMA, lanes) \
	FMA V31.lanes, V31.lanes, V0.lanes  \
	FMA V31.lanes, V31.lanes, V1.lanes  \
	FMA V31.lanes, V31.lanes, V2.lanes  \
	FMA V31.lanes, V31.lanes, V3.lanes  \
	FMA V31.lanes, V31.lanes, V4.lanes  \
	FMA V31.lanes, V31.lanes, V5.lanes  \
	FMA V31.lanes, V31.lanes, V6.lanes  \
	FMA V31.lanes, V31.lanes, V7.lanes  \
	FMA V31.lanes, V31.lanes, V8.lanes  \
	FMA V31.lanes, V31.lanes, V9.lanes  \
	FMA V31.lanes, V31.lanes, V10.lanes \
	FMA V31.lanes, V31.lanes, V11.lanes \
	FMA V31.lanes, V31.lanes, V12.lanes \
	FMA V31.lanes, V31.lanes, V13.lanes \
	FMA V31.lanes, V31.lanes, V14.lanes \
	FMA V31.lanes, V31.lanes, V15.lanes \
	FMA V31.lanes, V31.lanes, V16.lanes \
	FMA V31.lanes, V31.lanes, V17.lanes \
	FMA V31.lanes, V31.lanes, V18.lanes \
	FMA V31.lanes, V31.lanes, V19.lanes \
	FMA V31.lanes, V31.lanes, V20.lanes \
	FMA V31.lanes, V31.lanes, V21.lanes \
	FMA V31.lanes, V31.lanes, V22.lanes \
	FMA V31.lanes, V31.lanes, V23.lanes

#define START(half) \
	VMOV half, V0.B16  \
	VMOV half, V1.B16  \
	VMOV half, V2.B16  \
	VMOV half, V3.B16  \
	VMOV half, V4.B16  \
	VMOV half, V5.B16  \
	VMOV half, V6.B16  \
	VMOV half, V7.B16  \
	VMOV half, V8.B16  \
	VMOV half, V9.B16  \
	VMOV half, V10.B16 \
	VMOV half, V11.B16 \
	VMOV half, V12.B16 \
	VMOV half, V13.B16 \
	VMOV half, V14.B16 \
	VMOV half, V15.B16 \
	VMOV half, V16.B16 \
	VMOV half, V17.B16 \
	VMOV half, V18.B16 \
	VMOV half, V19.B16 \
	VMOV half, V20.B16 \
	VMOV half, V21.B16 \
	VMOV half, V22.B16 \
	VMOV half, V23.B16

// func peakFloat32NEON(rounds int)
TEXT ·peakFloat32NEON(SB), NOSPLIT, $0-8
	MOVD  rounds+0(FP), R0
	FMOVS $0.5, F31
	VDUP  V31.S[0], V31.S4
	START(V31.B16)

loop:
	EACH(VFMLA, S4)
	EACH(VFMLS, S4)
	SUBS $1, R0
	BNE  loop
	RET

// func peakFloat64NEON(rounds int)
TEXT ·peakFloat64NEON(SB), NOSPLIT, $0-8
	MOVD  rounds+0(FP), R0
	FMOVD $0.5, F31
	VDUP  V31.D[0], V31.D2
	START(V31.B16)

loop:
	EACH(VFMLA, D2)
	EACH(VFMLS, D2)
	SUBS $1, R0
	BNE  loop
	RET

#define EACHDOT(DOT, x) \
	DOT(0, x, 31, 0) \
	DOT(0, x, 31, 1) \
	DOT(0, x, 31, 2) \
	DOT(0, x, 31, 3) \
	DOT(0, x, 31, 4) \
	DOT(0, x, 31, 5) \
	DOT(0, x, 31, 6) \
	DOT(0, x, 31, 7) \
	DOT(0, x, 31, 8) \
	DOT(0, x, 31, 9) \
	DOT(0, x, 31, 10) \
	DOT(0, x, 31, 11) \
	DOT(0, x, 31, 12) \
	DOT(0, x, 31, 13) \
	DOT(0, x, 31, 14) \
	DOT(0, x, 31, 15) \
	DOT(0, x, 31, 16) \
	DOT(0, x, 31, 17) \
	DOT(0, x, 31, 18) \
	DOT(0, x, 31, 19) \
	DOT(0, x, 31, 20) \
	DOT(0, x, 31, 21) \
	DOT(0, x, 31, 22) \
	DOT(0, x, 31, 23)

// func peakBFloat16NEON(rounds int)
TEXT ·peakBFloat16NEON(SB), NOSPLIT, $0-8
	MOVD rounds+0(FP), R0
	MOVD $0x3f003f003f003f00, R1 // pairs of ½
	MOVD $0xbf00bf00bf00bf00, R2 // and of −½
	VDUP R1, V31.D2
	VDUP R2, V30.D2
	START(V31.B16)

loop:
	EACHDOT(BFDOT, 31)
	EACHDOT(BFDOT, 30)
	SUBS $1, R0
	BNE  loop
	RET

// func peakInt8NEON(rounds int)
TEXT ·peakInt8NEON(SB), NOSPLIT, $0-8
	MOVD  rounds+0(FP), R0
	FMOVD $0.5, F31
	VDUP  V31.D[0], V31.D2
	START(V31.B16)

loop:
	EACHDOT(SDOT, 31)
	EACHDOT(SDOT, 31)
	SUBS $1, R0
	BNE  loop
	RET
