// The AVX2 micro-kernels, for the element type that the including file defines:
//
//	BROADCAST, FMA, ADD, MASKMOV  its instructions
//	LANES, SIZE                   elements in a vector, bytes of an element
//	LINE                          the bits of k, without the last two, that are 0 where a
//	                              cache line of A begins: 12 for 16 elements, 4 for 8
//
// Every kernel is the loop of tileFunc for a fixed number of rows and vectors.
// Twelve sums are in Y0 to Y11: 12 rows of one vector, 6 of two or 4 of three. Each
// step of k loads a row of B and multiplies it by one element of each row of A. The
// loop is unrolled four times, so that its overhead does not slow narrow processors
// down.
//
// AX is the tile; SI, BX and DI are the current addresses in A, B and C. R8 to R13
// are 1, 3, 5, 7, 9 and 11 times the stride of A's rows; with scaled addressing
// these reach all rows. R15 is the stride of A's steps, DX that of B's rows, and CX
// counts the steps.

// ROWSrxv applies a macro to each of r rows of v vectors, from the top. Its
// arguments are the number of the row, the element of A, the register that it may
// be broadcast to, and the sums.
#define ROWS1x1(DO)  DO(0, (SI), Y13, Y0)
#define ROWS2x1(DO)  ROWS1x1(DO)  DO(1, (SI)(R8*1), Y14, Y1)
#define ROWS3x1(DO)  ROWS2x1(DO)  DO(2, (SI)(R8*2), Y15, Y2)
#define ROWS4x1(DO)  ROWS3x1(DO)  DO(3, (SI)(R9*1), Y13, Y3)
#define ROWS5x1(DO)  ROWS4x1(DO)  DO(4, (SI)(R8*4), Y14, Y4)
#define ROWS6x1(DO)  ROWS5x1(DO)  DO(5, (SI)(R10*1), Y15, Y5)
#define ROWS7x1(DO)  ROWS6x1(DO)  DO(6, (SI)(R9*2), Y13, Y6)
#define ROWS8x1(DO)  ROWS7x1(DO)  DO(7, (SI)(R11*1), Y14, Y7)
#define ROWS9x1(DO)  ROWS8x1(DO)  DO(8, (SI)(R8*8), Y15, Y8)
#define ROWS10x1(DO) ROWS9x1(DO)  DO(9, (SI)(R12*1), Y13, Y9)
#define ROWS11x1(DO) ROWS10x1(DO) DO(10, (SI)(R10*2), Y14, Y10)
#define ROWS12x1(DO) ROWS11x1(DO) DO(11, (SI)(R13*1), Y15, Y11)

#define ROWS1x2(DO) DO(0, (SI), Y14, Y0, Y1)
#define ROWS2x2(DO) ROWS1x2(DO) DO(1, (SI)(R8*1), Y15, Y2, Y3)
#define ROWS3x2(DO) ROWS2x2(DO) DO(2, (SI)(R8*2), Y14, Y4, Y5)
#define ROWS4x2(DO) ROWS3x2(DO) DO(3, (SI)(R9*1), Y15, Y6, Y7)
#define ROWS5x2(DO) ROWS4x2(DO) DO(4, (SI)(R8*4), Y14, Y8, Y9)
#define ROWS6x2(DO) ROWS5x2(DO) DO(5, (SI)(R10*1), Y15, Y10, Y11)

#define ROWS1x3(DO) DO(0, (SI), Y15, Y0, Y1, Y2)
#define ROWS2x3(DO) ROWS1x3(DO) DO(1, (SI)(R8*1), Y15, Y3, Y4, Y5)
#define ROWS3x3(DO) ROWS2x3(DO) DO(2, (SI)(R8*2), Y15, Y6, Y7, Y8)
#define ROWS4x3(DO) ROWS3x3(DO) DO(3, (SI)(R9*1), Y15, Y9, Y10, Y11)

// Macros for one row. While multiplying, the registers from Y12 on hold the row of
// B; while storing, Y12 is the mask and Y13 a vector of C.

#define ZERO1(r, a, x, s0)         VXORPS s0, s0, s0;
#define ZERO2(r, a, x, s0, s1)     VXORPS s0, s0, s0; VXORPS s1, s1, s1;
#define ZERO3(r, a, x, s0, s1, s2) VXORPS s0, s0, s0; VXORPS s1, s1, s1; VXORPS s2, s2, s2;

#define MUL1(r, a, x, s0)         BROADCAST a, x; FMA Y12, x, s0;
#define MUL2(r, a, x, s0, s1)     BROADCAST a, x; FMA Y12, x, s0; FMA Y13, x, s1;
#define MUL3(r, a, x, s0, s1, s2) BROADCAST a, x; FMA Y12, x, s0; FMA Y13, x, s1; FMA Y14, x, s2;

#define AHEAD1(r, a, x, s0)         PREFETCHT0 128 a;
#define AHEAD2(r, a, x, s0, s1)     PREFETCHT0 128 a;
#define AHEAD3(r, a, x, s0, s1, s2) PREFETCHT0 128 a;

#define SUM1(r, a, x, s0)         ADD (DI), s0, s0; ADDQ R11, DI;
#define SUM2(r, a, x, s0, s1)     ADD (DI), s0, s0; ADD 32(DI), s1, s1; ADDQ R11, DI;
#define SUM3(r, a, x, s0, s1, s2) ADD (DI), s0, s0; ADD 32(DI), s1, s1; ADD 64(DI), s2, s2; ADDQ R11, DI;

#define PUT1(r, a, x, s0)         VMOVUPS s0, (DI); ADDQ R11, DI;
#define PUT2(r, a, x, s0, s1)     VMOVUPS s0, (DI); VMOVUPS s1, 32(DI); ADDQ R11, DI;
#define PUT3(r, a, x, s0, s1, s2) VMOVUPS s0, (DI); VMOVUPS s1, 32(DI); VMOVUPS s2, 64(DI); ADDQ R11, DI;

#define SUMPART1(r, a, x, s0)         MASKMOV (DI), Y12, Y13; ADD Y13, s0, s0; ADDQ R11, DI;
#define SUMPART2(r, a, x, s0, s1)     ADD (DI), s0, s0; MASKMOV 32(DI), Y12, Y13; ADD Y13, s1, s1; ADDQ R11, DI;
#define SUMPART3(r, a, x, s0, s1, s2) ADD (DI), s0, s0; ADD 32(DI), s1, s1; MASKMOV 64(DI), Y12, Y13; ADD Y13, s2, s2; ADDQ R11, DI;

#define PUTPART1(r, a, x, s0)         MASKMOV s0, Y12, (DI); ADDQ R11, DI;
#define PUTPART2(r, a, x, s0, s1)     VMOVUPS s0, (DI); MASKMOV s1, Y12, 32(DI); ADDQ R11, DI;
#define PUTPART3(r, a, x, s0, s1, s2) VMOVUPS s0, (DI); VMOVUPS s1, 32(DI); MASKMOV s2, Y12, 64(DI); ADDQ R11, DI;

#define LOAD1 VMOVUPS (BX), Y12;
#define LOAD2 VMOVUPS (BX), Y12; VMOVUPS 32(BX), Y13;
#define LOAD3 VMOVUPS (BX), Y12; VMOVUPS 32(BX), Y13; VMOVUPS 64(BX), Y14;

#define STEP(ROWS, LOAD, MUL) \
	LOAD            \
	ADDQ DX, BX     \
	ROWS(MUL)       \
	ADDQ R15, SI

#define KERNEL(ROWS, ZERO, LOAD, MUL, AHEAD, SUM, PUT, SUMPART, PUTPART) \
	MOVQ t+0(FP), AX             \
	MOVQ tile_rowA(AX), R8       \
	MOVQ tile_stepA(AX), R15     \
	MOVQ tile_rowB(AX), DX       \
	MOVQ tile_nextB(AX), R14     \
	MOVQ tile_a(AX), SI          \
	MOVQ tile_b(AX), BX          \
	MOVQ tile_c(AX), DI          \
	LEAQ (R8)(R8*2), R9          \
	LEAQ (R8)(R8*4), R10         \
	LEAQ (R8)(R8*8), R12         \
	LEAQ (R9)(R8*8), R13         \
tile:                            \
	MOVQ SI, tile_nowA(AX)       \
	MOVQ BX, tile_nowB(AX)       \
	MOVQ DI, tile_nowC(AX)       \
	LEAQ (R9)(R8*4), R11         \
	MOVQ tile_k(AX), CX          \
	ROWS(ZERO)                   \
	SUBQ $4, CX                  \
	JLT  rest                    \
line:                            \
	ROWS(AHEAD)                  \
	PREFETCHT0 (DI)              \
	ADDQ tile_rowC(AX), DI       \
	PREFETCHT1 (R14)             \
	ADDQ DX, R14                 \
	PCALIGN $32                  \
steps:                           \
	STEP(ROWS, LOAD, MUL)        \
	STEP(ROWS, LOAD, MUL)        \
	STEP(ROWS, LOAD, MUL)        \
	STEP(ROWS, LOAD, MUL)        \
	SUBQ $4, CX                  \
	JLT  rest                    \
	TESTQ $LINE, CX              \
	JNE  steps                   \
	JMP  line                    \
rest:                            \
	ADDQ $4, CX                  \
	JEQ  store                   \
step:                            \
	STEP(ROWS, LOAD, MUL)        \
	DECQ CX                      \
	JNE  step                    \
store:                           \
	MOVQ tile_nowC(AX), DI       \
	MOVQ tile_rowC(AX), R11      \
	CMPQ tile_last(AX), $LANES   \
	JNE  part                    \
	CMPQ tile_add(AX), $0        \
	JEQ  put                     \
	ROWS(SUM)                    \
	MOVQ tile_nowC(AX), DI       \
put:                             \
	ROWS(PUT)                    \
next:                            \
	MOVQ tile_nowA(AX), SI       \
	MOVQ tile_nowB(AX), BX       \
	MOVQ tile_nowC(AX), DI       \
	ADDQ tile_moveA(AX), SI      \
	ADDQ tile_moveB(AX), BX      \
	ADDQ tile_moveC(AX), DI      \
	DECQ tile_count(AX)          \
	JNE  tile                    \
	MOVQ R14, tile_nextB(AX)     \
	VZEROUPPER                   \
	RET                          \
part:                            \
	MOVQ tile_last(AX), CX       \
	NEGQ CX                      \
	LEAQ masks<>+32(SB), BX      \
	VMOVUPS (BX)(CX*SIZE), Y12   \
	CMPQ tile_add(AX), $0        \
	JEQ  putpart                 \
	ROWS(SUMPART)                \
	MOVQ tile_nowC(AX), DI       \
putpart:                         \
	ROWS(PUTPART)                \
	JMP  next

#define KERNEL1(ROWS) KERNEL(ROWS, ZERO1, LOAD1, MUL1, AHEAD1, SUM1, PUT1, SUMPART1, PUTPART1)
#define KERNEL2(ROWS) KERNEL(ROWS, ZERO2, LOAD2, MUL2, AHEAD2, SUM2, PUT2, SUMPART2, PUTPART2)
#define KERNEL3(ROWS) KERNEL(ROWS, ZERO3, LOAD3, MUL3, AHEAD3, SUM3, PUT3, SUMPART3, PUTPART3)

// masks is a vector of ones followed by a vector of zeros: a vector loaded from
// between them has as many ones as columns are in use in the last vector of a row.
DATA masks<>+0(SB)/8, $-1
DATA masks<>+8(SB)/8, $-1
DATA masks<>+16(SB)/8, $-1
DATA masks<>+24(SB)/8, $-1
DATA masks<>+32(SB)/8, $0
DATA masks<>+40(SB)/8, $0
DATA masks<>+48(SB)/8, $0
DATA masks<>+56(SB)/8, $0
GLOBL masks<>(SB), RODATA|NOPTR, $64
