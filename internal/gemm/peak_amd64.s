//go:build !noasm

#include "textflag.h"

// Rounds of 24 multiply-adds on 12 independent sums, which is more than latency
// times units of any processor: sum = sum·½ + ½. All sums converge to 1, so none is
// ever zero, subnormal or infinite.

DATA half32<>+0(SB)/4, $0x3f000000
GLOBL half32<>(SB), RODATA, $4
DATA half64<>+0(SB)/8, $0x3fe0000000000000
GLOBL half64<>(SB), RODATA, $8

#define TWELVE(FMA, h, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11) \
	FMA h, h, s0  \
	FMA h, h, s1  \
	FMA h, h, s2  \
	FMA h, h, s3  \
	FMA h, h, s4  \
	FMA h, h, s5  \
	FMA h, h, s6  \
	FMA h, h, s7  \
	FMA h, h, s8  \
	FMA h, h, s9  \
	FMA h, h, s10 \
	FMA h, h, s11

#define ROUNDS(FMA, MOVE, h, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11) \
	MOVQ rounds+0(FP), CX                                              \
	MOVE h, s0                                                         \
	MOVE h, s1                                                         \
	MOVE h, s2                                                         \
	MOVE h, s3                                                         \
	MOVE h, s4                                                         \
	MOVE h, s5                                                         \
	MOVE h, s6                                                         \
	MOVE h, s7                                                         \
	MOVE h, s8                                                         \
	MOVE h, s9                                                         \
	MOVE h, s10                                                        \
	MOVE h, s11                                                        \
loop:                                                                  \
	TWELVE(FMA, h, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11)   \
	TWELVE(FMA, h, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11)   \
	DECQ CX                                                            \
	JNE  loop                                                          \
	VZEROUPPER                                                         \
	RET

// func peakFloat32AVX512(rounds int)
TEXT ·peakFloat32AVX512(SB), NOSPLIT, $0-8
	VBROADCASTSS half32<>(SB), Z12
	ROUNDS(VFMADD213PS, VMOVUPS, Z12, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11)

// func peakFloat64AVX512(rounds int)
TEXT ·peakFloat64AVX512(SB), NOSPLIT, $0-8
	VBROADCASTSD half64<>(SB), Z12
	ROUNDS(VFMADD213PD, VMOVUPS, Z12, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11)

// func peakFloat32AVX2(rounds int)
TEXT ·peakFloat32AVX2(SB), NOSPLIT, $0-8
	VBROADCASTSS half32<>(SB), Y12
	ROUNDS(VFMADD213PS, VMOVUPS, Y12, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11)

// func peakFloat64AVX2(rounds int)
TEXT ·peakFloat64AVX2(SB), NOSPLIT, $0-8
	VBROADCASTSD half64<>(SB), Y12
	ROUNDS(VFMADD213PD, VMOVUPS, Y12, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11)
