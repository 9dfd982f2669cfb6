//go:build !noasm

#include "textflag.h"
#include "strip_amd64.h"

// Conversions between 16-bit types and float32: the loops of widenFloat16,
// narrowFloat16, widenBFloat16 and narrowBFloat16, either 16 elements at a time
// with a mask for the last ones (AVX-512), or 8 at a time and full vectors only
// (AVX2).

// LOOP512 loops over n elements; K1 masks the last vector if it is not full.
#define LOOP512(STEP, dstStep, srcStep) \
	MOVQ  dst_base+0(FP), DI  \
	MOVQ  dst_len+8(FP), CX   \
	MOVQ  src_base+24(FP), SI \
	KXNORW K1, K1, K1         \
	SUBQ  $16, CX             \
	JLT   rest                \
whole:                        \
	STEP                      \
	ADDQ  $srcStep, SI        \
	ADDQ  $dstStep, DI        \
	SUBQ  $16, CX             \
	JGE   whole               \
rest:                         \
	ADDQ  $16, CX             \
	JEQ   done                \
	MOVL  $1, AX              \
	SHLL  CX, AX              \
	DECL  AX                  \
	KMOVW AX, K1              \
	STEP                      \
done:                         \
	VZEROUPPER                \
	RET

#define WIDEN_F16_512 \
	VCVTPH2PS.Z (SI), K1, Z0  \
	VMOVUPS     Z0, K1, (DI)

// func widenFloat16AVX512(dst []float32, src []uint16)
TEXT ·widenFloat16AVX512(SB), NOSPLIT, $0-48
	LOOP512(WIDEN_F16_512, 64, 32)

#define NARROW_F16_512 \
	VMOVUPS.Z (SI), K1, Z0     \
	VCVTPS2PH $0, Z0, K1, (DI)

// func narrowFloat16AVX512(dst []uint16, src []float32)
TEXT ·narrowFloat16AVX512(SB), NOSPLIT, $0-48
	LOOP512(NARROW_F16_512, 32, 64)

#define WIDEN_BF16_512 \
	VPMOVZXWD.Z (SI), K1, Z0   \
	VPSLLD      $16, Z0, Z0    \
	VMOVUPS     Z0, K1, (DI)

// func widenBFloat16AVX512(dst []float32, src []uint16)
TEXT ·widenBFloat16AVX512(SB), NOSPLIT, $0-48
	LOOP512(WIDEN_BF16_512, 64, 32)

// The result is x + 0x7fff + (x>>16 & 1), or x with the quiet bit set if it is NaN.
#define NARROW_BF16_512 \
	VMOVUPS.Z (SI), K1, Z0      \
	VCMPPS    $3, Z0, Z0, K2    \
	VPSRLD    $16, Z0, Z1       \
	VPANDD    Z29, Z1, Z1       \
	VPADDD    Z30, Z1, Z1       \
	VPADDD    Z0, Z1, Z1        \
	VPORD     Z31, Z0, K2, Z1   \
	VPSRLD    $16, Z1, Z1       \
	VPMOVDW   Z1, K1, (DI)

// func narrowBFloat16AVX512(dst []uint16, src []float32)
TEXT ·narrowBFloat16AVX512(SB), NOSPLIT, $0-48
	MOVL         $1, AX
	VPBROADCASTD AX, Z29
	MOVL         $0x7fff, AX
	VPBROADCASTD AX, Z30
	MOVL         $0x400000, AX
	VPBROADCASTD AX, Z31
	LOOP512(NARROW_BF16_512, 32, 64)

// LOOP256 loops over n elements; n is a positive multiple of 8.
#define LOOP256(STEP, dstStep, srcStep) \
	MOVQ dst_base+0(FP), DI  \
	MOVQ dst_len+8(FP), CX   \
	MOVQ src_base+24(FP), SI \
whole:                       \
	STEP                     \
	ADDQ $srcStep, SI        \
	ADDQ $dstStep, DI        \
	SUBQ $8, CX              \
	JNE  whole               \
	VZEROUPPER               \
	RET

#define WIDEN_F16_256 \
	VCVTPH2PS (SI), Y0 \
	VMOVUPS   Y0, (DI)

// func widenFloat16AVX2(dst []float32, src []uint16)
TEXT ·widenFloat16AVX2(SB), NOSPLIT, $0-48
	LOOP256(WIDEN_F16_256, 32, 16)

#define NARROW_F16_256 \
	VMOVUPS   (SI), Y0     \
	VCVTPS2PH $0, Y0, (DI)

// func narrowFloat16AVX2(dst []uint16, src []float32)
TEXT ·narrowFloat16AVX2(SB), NOSPLIT, $0-48
	LOOP256(NARROW_F16_256, 16, 32)

#define WIDEN_BF16_256 \
	VPMOVZXWD (SI), Y0    \
	VPSLLD    $16, Y0, Y0 \
	VMOVUPS   Y0, (DI)

// func widenBFloat16AVX2(dst []float32, src []uint16)
TEXT ·widenBFloat16AVX2(SB), NOSPLIT, $0-48
	LOOP256(WIDEN_BF16_256, 32, 16)

// As NARROW_BF16_512. VPACKUSDW leaves the two halves of the result in quarters 0
// and 2.
#define NARROW_BF16_256 \
	VMOVUPS   (SI), Y0           \
	VCMPPS    $3, Y0, Y0, Y2     \
	VPSRLD    $16, Y0, Y1        \
	VPAND     Y13, Y1, Y1        \
	VPADDD    Y14, Y1, Y1        \
	VPADDD    Y0, Y1, Y1         \
	VPOR      Y15, Y0, Y0        \
	VPBLENDVB Y2, Y0, Y1, Y1     \
	VPSRLD    $16, Y1, Y1        \
	VPACKUSDW Y1, Y1, Y1         \
	VPERMQ    $0x08, Y1, Y1      \
	VMOVUPS   X1, (DI)

// func narrowBFloat16AVX2(dst []uint16, src []float32)
TEXT ·narrowBFloat16AVX2(SB), NOSPLIT, $0-48
	MOVL         $1, AX
	MOVQ         AX, X13
	VPBROADCASTD X13, Y13
	MOVL         $0x7fff, AX
	MOVQ         AX, X14
	VPBROADCASTD X14, Y14
	MOVL         $0x400000, AX
	MOVQ         AX, X15
	VPBROADCASTD X15, Y15
	LOOP256(NARROW_BF16_256, 16, 32)

#define STRIP1_F16 \
	VCVTPH2PS.Z (SI), K1, Z0  \
	VMOVUPS     Z0, (DI)

#define STRIP3_F16 \
	VCVTPH2PS   (SI), Z0        \
	VCVTPH2PS   32(SI), Z1      \
	VCVTPH2PS.Z 64(SI), K1, Z2  \
	VMOVUPS     Z0, (DI)        \
	VMOVUPS     Z1, 64(DI)      \
	VMOVUPS     Z2, 128(DI)

#define STRIP1_BF16 \
	VPMOVZXWD.Z (SI), K1, Z0   \
	VPSLLD      $16, Z0, Z0    \
	VMOVUPS     Z0, (DI)

#define STRIP3_BF16 \
	VPMOVZXWD   (SI), Z0        \
	VPMOVZXWD   32(SI), Z1      \
	VPMOVZXWD.Z 64(SI), K1, Z2  \
	VPSLLD      $16, Z0, Z0     \
	VPSLLD      $16, Z1, Z1     \
	VPSLLD      $16, Z2, Z2     \
	VMOVUPS     Z0, (DI)        \
	VMOVUPS     Z1, 64(DI)      \
	VMOVUPS     Z2, 128(DI)

// func strip1Float16AVX512(dst, src unsafe.Pointer, stride, rows, row int, mask uint64)
TEXT ·strip1Float16AVX512(SB), NOSPLIT, $0-48
	STRIP(MASKED, STRIP1_F16, DOWN1)

// func strip3Float16AVX512(dst, src unsafe.Pointer, stride, rows, row int, mask uint64)
TEXT ·strip3Float16AVX512(SB), NOSPLIT, $0-48
	STRIP(MASKED, STRIP3_F16, DOWN1)

// func strip1BFloat16AVX512(dst, src unsafe.Pointer, stride, rows, row int, mask uint64)
TEXT ·strip1BFloat16AVX512(SB), NOSPLIT, $0-48
	STRIP(MASKED, STRIP1_BF16, DOWN1)

// func strip3BFloat16AVX512(dst, src unsafe.Pointer, stride, rows, row int, mask uint64)
TEXT ·strip3BFloat16AVX512(SB), NOSPLIT, $0-48
	STRIP(MASKED, STRIP3_BF16, DOWN1)

// func stripFloat16AVX2(dst, src unsafe.Pointer, stride, rows, row int)
TEXT ·stripFloat16AVX2(SB), NOSPLIT, $0-40
	STRIP(UNMASKED, WIDEN_F16_256, DOWN1)

// func stripBFloat16AVX2(dst, src unsafe.Pointer, stride, rows, row int)
TEXT ·stripBFloat16AVX2(SB), NOSPLIT, $0-40
	STRIP(UNMASKED, WIDEN_BF16_256, DOWN1)

// func pause()
TEXT ·pause(SB), NOSPLIT, $0
	PAUSE
	RET
