//go:build !noasm

#include "textflag.h"
#include "raw_arm64.h"

// The NEON micro-kernels: 7 rows by three vectors, with 21 sums in V0 to V20. One
// vector of each of A's rows (V21 to V27) holds four steps of k in float32, two in
// float64; each step loads a row of B (V28 to V30) and multiplies it by one lane of
// every row's vector. A lane of four int8 or two bfloat16 is one step.

#define ROW(FMLA, lane, x, left, middle, right) \
	FMLA(lane, x, 28, left)   \
	FMLA(lane, x, 29, middle) \
	FMLA(lane, x, 30, right)

// STEP is one step of k. Vectors are loaded as S4 whatever the type of their lanes,
// which makes no difference in memory order.
#define STEP(FMLA, lane) \
	VLD1.P 48(R7), [V28.S4, V29.S4, V30.S4] \
	ROW(FMLA, lane, 21, 0, 1, 2)            \
	ROW(FMLA, lane, 22, 3, 4, 5)            \
	ROW(FMLA, lane, 23, 6, 7, 8)            \
	ROW(FMLA, lane, 24, 9, 10, 11)          \
	ROW(FMLA, lane, 25, 12, 13, 14)         \
	ROW(FMLA, lane, 26, 15, 16, 17)         \
	ROW(FMLA, lane, 27, 18, 19, 20)

#define LOADVECTORS \
	VLD1.P 16(R0), [V21.S4] \
	VLD1.P 16(R1), [V22.S4] \
	VLD1.P 16(R2), [V23.S4] \
	VLD1.P 16(R3), [V24.S4] \
	VLD1.P 16(R4), [V25.S4] \
	VLD1.P 16(R5), [V26.S4] \
	VLD1.P 16(R6), [V27.S4]

#define LOADELEMENTS(LOAD, size) \
	LOAD size(R0), F21 \
	LOAD size(R1), F22 \
	LOAD size(R2), F23 \
	LOAD size(R3), F24 \
	LOAD size(R4), F25 \
	LOAD size(R5), F26 \
	LOAD size(R6), F27

// EACH applies a macro to the sums of every row, from the top.
#define EACH(DO) \
	DO(V0, V1, V2)    \
	DO(V3, V4, V5)    \
	DO(V6, V7, V8)    \
	DO(V9, V10, V11)  \
	DO(V12, V13, V14) \
	DO(V15, V16, V17) \
	DO(V18, V19, V20)

#define ZERO(left, middle, right) \
	VEOR left.B16, left.B16, left.B16       \
	VEOR middle.B16, middle.B16, middle.B16 \
	VEOR right.B16, right.B16, right.B16

#define STORE(left, middle, right) \
	VST1 [left.S4, middle.S4, right.S4], (R8) \
	ADD  R9, R8

// ADD32 adds C to the sums as a product with V31, whose lanes are all 1: Go's
// assembler does not know the addition of floating-point vectors.
#define ADD32(left, middle, right) \
	VLD1  (R8), [V28.S4, V29.S4, V30.S4] \
	VFMLA V28.S4, V31.S4, left.S4        \
	VFMLA V29.S4, V31.S4, middle.S4      \
	VFMLA V30.S4, V31.S4, right.S4       \
	STORE(left, middle, right)

#define ADD64(left, middle, right) \
	VLD1  (R8), [V28.D2, V29.D2, V30.D2] \
	VFMLA V28.D2, V31.D2, left.D2        \
	VFMLA V29.D2, V31.D2, middle.D2      \
	VFMLA V30.D2, V31.D2, right.D2       \
	STORE(left, middle, right)

#define ADDINT32(left, middle, right) \
	VLD1 (R8), [V28.S4, V29.S4, V30.S4] \
	VADD V28.S4, left.S4, left.S4       \
	VADD V29.S4, middle.S4, middle.S4   \
	VADD V30.S4, right.S4, right.S4     \
	STORE(left, middle, right)

// ARGUMENTS loads the arguments: R0 to R6 are the rows of A, R7 is B, R8 and R9 are
// C and its stride, R10 is k, and R11 is add.
#define ARGUMENTS(log) \
	MOVD  k+0(FP), R10    \
	MOVD  a+8(FP), R0     \
	MOVD  lda+16(FP), R12 \
	MOVD  b+24(FP), R7    \
	MOVD  c+32(FP), R8    \
	MOVD  ldc+40(FP), R9  \
	MOVBU add+48(FP), R11 \
	LSL   $log, R12       \
	LSL   $log, R9        \
	ADD   R12, R0, R1     \
	ADD   R12, R1, R2     \
	ADD   R12, R2, R3     \
	ADD   R12, R3, R4     \
	ADD   R12, R4, R5     \
	ADD   R12, R5, R6

// TILE32 is a kernel for 32-bit words.
#define TILE32(FMLA, ADD) \
	ARGUMENTS(2)             \
	EACH(ZERO)               \
	SUBS $4, R10             \
	BLT  rest                \
steps:                    \
	LOADVECTORS              \
	STEP(FMLA, 0)            \
	STEP(FMLA, 1)            \
	STEP(FMLA, 2)            \
	STEP(FMLA, 3)            \
	SUBS $4, R10             \
	BGE  steps               \
rest:                     \
	ADDS $4, R10             \
	BEQ  store               \
step:                     \
	LOADELEMENTS(FMOVS.P, 4) \
	STEP(FMLA, 0)            \
	SUBS $1, R10             \
	BNE  step                \
store:                    \
	CBNZ  R11, add           \
	EACH(STORE)              \
	RET                      \
add:                      \
	FMOVS $1.0, F31          \
	VDUP  V31.S[0], V31.S4   \
	EACH(ADD)                \
	RET

// func tileFloat32NEON(k int, a *float32, lda int, b *float32, c *float32, ldc int, add bool)
//
// The loop of tileFunc for 7 rows and 12 columns.
TEXT ·tileFloat32NEON(SB), NOSPLIT, $0-49
	TILE32(FMLA32, ADD32)

// func tileBFloat16NEON(k int, a *float32, lda int, b *float32, c *float32, ldc int, add bool)
//
// The same for words of two bfloat16.
TEXT ·tileBFloat16NEON(SB), NOSPLIT, $0-49
	TILE32(BFDOT, ADD32)

// func tileInt32NEON(k int, a *int32, lda int, b *int32, c *int32, ldc int, add bool)
//
// The same for int32.
TEXT ·tileInt32NEON(SB), NOSPLIT, $0-49
	TILE32(MLA32, ADDINT32)

// func tileInt8NEON(k int, a *int32, lda int, b *int32, c *int32, ldc int, add bool)
//
// The same for words of four int8.
TEXT ·tileInt8NEON(SB), NOSPLIT, $0-49
	TILE32(SDOT, ADDINT32)

// func tileFloat64NEON(k int, a *float64, lda int, b *float64, c *float64, ldc int, add bool)
//
// The loop of tileFunc for 7 rows and 6 columns.
TEXT ·tileFloat64NEON(SB), NOSPLIT, $0-49
	ARGUMENTS(3)
	EACH(ZERO)
	SUBS $2, R10
	BLT  rest

steps:
	LOADVECTORS
	STEP(FMLA64, 0)
	STEP(FMLA64, 1)
	SUBS $2, R10
	BGE  steps

rest:
	ADDS $2, R10
	BEQ  store
	LOADELEMENTS(FMOVD.P, 8)
	STEP(FMLA64, 0)

store:
	CBNZ R11, add
	EACH(STORE)
	RET

add:
	FMOVD $1.0, F31
	VDUP  V31.D[0], V31.D2
	EACH(ADD64)
	RET
