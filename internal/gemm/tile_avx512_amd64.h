// The AVX-512 micro-kernels, for the element type that the including file defines:
//
//	BROADCAST, FMA, ADD  its instructions
//	LINE                 the bits of k that are 0 where a cache line of A begins: 15
//	                     for 16 elements, 7 for 8
//
// Every kernel is the loop of tileFunc for a fixed number of rows and vectors. The
// last vector is masked by K1, so that nothing is read from B or C, or written to
// C, beyond the columns in use. Sums are in Z0 to Z27: 9 rows of three vectors, 14
// of two, or up to 24 of one. Each step of k loads a row of B, whose registers end
// with Z29, and multiplies it by one element of each row of A. The steps are long
// enough to hide the loop overhead.
//
// AX is the tile; SI, BX and DI are the current addresses in A, B and C. R8 to R14
// are 1, 3, 5, 7, 9, 11 and 13 times the stride of A's rows; with scaled addressing
// these reach the first 14 rows. R15 points 14 rows below SI where there are more.
// DX is the stride of B's rows, and CX counts the steps.

// ROWSrxv applies a macro to each of r rows of v vectors, from the top. Its
// arguments are the number of the row, the element of A, the register that it may
// be broadcast to, and the sums.
#define ROWS1x1(DO) DO(0, (SI), Z31, Z0)
#define ROWS2x1(DO) ROWS1x1(DO) DO(1, (SI)(R8*1), Z30, Z1)
#define ROWS3x1(DO) ROWS2x1(DO) DO(2, (SI)(R8*2), Z31, Z2)
#define ROWS4x1(DO) ROWS3x1(DO) DO(3, (SI)(R9*1), Z30, Z3)
#define ROWS5x1(DO) ROWS4x1(DO) DO(4, (SI)(R8*4), Z31, Z4)
#define ROWS6x1(DO) ROWS5x1(DO) DO(5, (SI)(R10*1), Z30, Z5)
#define ROWS7x1(DO) ROWS6x1(DO) DO(6, (SI)(R9*2), Z31, Z6)
#define ROWS8x1(DO) ROWS7x1(DO) DO(7, (SI)(R11*1), Z30, Z7)
#define ROWS9x1(DO) ROWS8x1(DO) DO(8, (SI)(R8*8), Z31, Z8)
#define ROWS10x1(DO) ROWS9x1(DO) DO(9, (SI)(R12*1), Z30, Z9)
#define ROWS11x1(DO) ROWS10x1(DO) DO(10, (SI)(R10*2), Z31, Z10)
#define ROWS12x1(DO) ROWS11x1(DO) DO(11, (SI)(R13*1), Z30, Z11)
#define ROWS13x1(DO) ROWS12x1(DO) DO(12, (SI)(R9*4), Z31, Z12)
#define ROWS14x1(DO) ROWS13x1(DO) DO(13, (SI)(R14*1), Z30, Z13)
#define ROWS15x1(DO) ROWS14x1(DO) DO(14, (R15), Z31, Z14)
#define ROWS16x1(DO) ROWS15x1(DO) DO(15, (R15)(R8*1), Z30, Z15)
#define ROWS17x1(DO) ROWS16x1(DO) DO(16, (R15)(R8*2), Z31, Z16)
#define ROWS18x1(DO) ROWS17x1(DO) DO(17, (R15)(R9*1), Z30, Z17)
#define ROWS19x1(DO) ROWS18x1(DO) DO(18, (R15)(R8*4), Z31, Z18)
#define ROWS20x1(DO) ROWS19x1(DO) DO(19, (R15)(R10*1), Z30, Z19)
#define ROWS21x1(DO) ROWS20x1(DO) DO(20, (R15)(R9*2), Z31, Z20)
#define ROWS22x1(DO) ROWS21x1(DO) DO(21, (R15)(R11*1), Z30, Z21)
#define ROWS23x1(DO) ROWS22x1(DO) DO(22, (R15)(R8*8), Z31, Z22)
#define ROWS24x1(DO) ROWS23x1(DO) DO(23, (R15)(R12*1), Z30, Z23)

#define ROWS1x2(DO) DO(0, (SI), Z31, Z0, Z1)
#define ROWS2x2(DO) ROWS1x2(DO) DO(1, (SI)(R8*1), Z30, Z2, Z3)
#define ROWS3x2(DO) ROWS2x2(DO) DO(2, (SI)(R8*2), Z31, Z4, Z5)
#define ROWS4x2(DO) ROWS3x2(DO) DO(3, (SI)(R9*1), Z30, Z6, Z7)
#define ROWS5x2(DO) ROWS4x2(DO) DO(4, (SI)(R8*4), Z31, Z8, Z9)
#define ROWS6x2(DO) ROWS5x2(DO) DO(5, (SI)(R10*1), Z30, Z10, Z11)
#define ROWS7x2(DO) ROWS6x2(DO) DO(6, (SI)(R9*2), Z31, Z12, Z13)
#define ROWS8x2(DO) ROWS7x2(DO) DO(7, (SI)(R11*1), Z30, Z14, Z15)
#define ROWS9x2(DO) ROWS8x2(DO) DO(8, (SI)(R8*8), Z31, Z16, Z17)
#define ROWS10x2(DO) ROWS9x2(DO) DO(9, (SI)(R12*1), Z30, Z18, Z19)
#define ROWS11x2(DO) ROWS10x2(DO) DO(10, (SI)(R10*2), Z31, Z20, Z21)
#define ROWS12x2(DO) ROWS11x2(DO) DO(11, (SI)(R13*1), Z30, Z22, Z23)
#define ROWS13x2(DO) ROWS12x2(DO) DO(12, (SI)(R9*4), Z31, Z24, Z25)
#define ROWS14x2(DO) ROWS13x2(DO) DO(13, (SI)(R14*1), Z30, Z26, Z27)

#define ROWS1x3(DO) DO(0, (SI), Z31, Z0, Z1, Z2)
#define ROWS2x3(DO) ROWS1x3(DO) DO(1, (SI)(R8*1), Z30, Z3, Z4, Z5)
#define ROWS3x3(DO) ROWS2x3(DO) DO(2, (SI)(R8*2), Z31, Z6, Z7, Z8)
#define ROWS4x3(DO) ROWS3x3(DO) DO(3, (SI)(R9*1), Z30, Z9, Z10, Z11)
#define ROWS5x3(DO) ROWS4x3(DO) DO(4, (SI)(R8*4), Z31, Z12, Z13, Z14)
#define ROWS6x3(DO) ROWS5x3(DO) DO(5, (SI)(R10*1), Z30, Z15, Z16, Z17)
#define ROWS7x3(DO) ROWS6x3(DO) DO(6, (SI)(R9*2), Z31, Z18, Z19, Z20)
#define ROWS8x3(DO) ROWS7x3(DO) DO(7, (SI)(R11*1), Z30, Z21, Z22, Z23)
#define ROWS9x3(DO) ROWS8x3(DO) DO(8, (SI)(R8*8), Z31, Z24, Z25, Z26)

// Macros for one row.

#define ZERO1(r, a, x, s0)         VPXORQ s0, s0, s0;
#define ZERO2(r, a, x, s0, s1)     VPXORQ s0, s0, s0; VPXORQ s1, s1, s1;
#define ZERO3(r, a, x, s0, s1, s2) VPXORQ s0, s0, s0; VPXORQ s1, s1, s1; VPXORQ s2, s2, s2;

// MUL1 uses each element only once, so the multiplication broadcasts it from
// memory.
#define MUL1(r, a, x, s0)         FMABCST a, Z29, s0;
#define MUL2(r, a, x, s0, s1)     BROADCAST a, x; FMA Z28, x, s0; FMA Z29, x, s1;
#define MUL3(r, a, x, s0, s1, s2) BROADCAST a, x; FMA Z27, x, s0; FMA Z28, x, s1; FMA Z29, x, s2;

#define AHEAD1(r, a, x, s0)         PREFETCHT0 128 a;
#define AHEAD2(r, a, x, s0, s1)     PREFETCHT0 128 a;
#define AHEAD3(r, a, x, s0, s1, s2) PREFETCHT0 128 a;

#define SUM1(r, a, x, s0)         ADD (DI), s0, K1, s0; ADDQ CX, DI;
#define SUM2(r, a, x, s0, s1)     ADD (DI), s0, s0; ADD 64(DI), s1, K1, s1; ADDQ CX, DI;
#define SUM3(r, a, x, s0, s1, s2) ADD (DI), s0, s0; ADD 64(DI), s1, s1; ADD 128(DI), s2, K1, s2; ADDQ CX, DI;

#define PUT1(r, a, x, s0)         MOVE s0, K1, (DI); ADDQ CX, DI;
#define PUT2(r, a, x, s0, s1)     VMOVUPS s0, (DI); MOVE s1, K1, 64(DI); ADDQ CX, DI;
#define PUT3(r, a, x, s0, s1, s2) VMOVUPS s0, (DI); VMOVUPS s1, 64(DI); MOVE s2, K1, 128(DI); ADDQ CX, DI;

#define LOAD1 MOVEZ (BX), K1, Z29;
#define LOAD2 VMOVUPS (BX), Z28; MOVEZ 64(BX), K1, Z29;
#define LOAD3 VMOVUPS (BX), Z27; VMOVUPS 64(BX), Z28; MOVEZ 128(BX), K1, Z29;

#define NOTHING

#define FETCHC1 PREFETCHT0 (DI);
#define FETCHC2 PREFETCHT0 (DI); PREFETCHT0 64(DI);
#define FETCHC3 PREFETCHT0 (DI); PREFETCHT0 64(DI); PREFETCHT0 128(DI);

// Rows after the fourteenth need a second pointer.
#define MANY LEAQ (SI)(R11*2), R15;
#define DOWN ADDQ tile_stepA(AX), R15;

// KERNEL prefetches once per cache line of A's rows. It fetches the line after next
// of each row of A, since the hardware prefetcher does not follow so many streams;
// one row of C, since fetching all of C at once would delay A and B; and a piece of
// the next panel of B into the second-level cache. Prefetching every row of B costs
// more than it saves.
#define KERNEL(ROWS, ZERO, LOAD, MUL, AHEAD, FETCHC, SUM, PUT, START, DOWN) \
	MOVQ  t+0(FP), AX           \
	MOVQ  tile_last(AX), CX     \
	MOVQ  $1, DI                \
	SHLQ  CX, DI                \
	DECQ  DI                    \
	KMOVW DI, K1                \
	MOVQ  tile_rowA(AX), R8     \
	MOVQ  tile_rowB(AX), DX     \
	LEAQ  (R8)(R8*2), R9        \
	LEAQ  (R8)(R8*4), R10       \
	LEAQ  (R9)(R8*4), R11       \
	LEAQ  (R8)(R8*8), R12       \
	LEAQ  (R9)(R8*8), R13       \
	LEAQ  (R10)(R8*8), R14      \
	MOVQ  tile_a(AX), SI        \
	MOVQ  tile_b(AX), BX        \
	MOVQ  tile_c(AX), DI        \
tile:                           \
	MOVQ  SI, tile_nowA(AX)     \
	MOVQ  DI, tile_nowC(AX)     \
	MOVQ  BX, tile_nowB(AX)     \
	MOVQ  tile_k(AX), CX        \
	START                       \
	ROWS(ZERO)                  \
line:                           \
	ROWS(AHEAD)                 \
	FETCHC                      \
	ADDQ  tile_rowC(AX), DI     \
	MOVQ  DI, tile_soon(AX)     \
	MOVQ  tile_nextB(AX), DI    \
	PREFETCHT1 (DI)             \
	PREFETCHT1 64(DI)           \
	PREFETCHT1 128(DI)          \
	PREFETCHT1 192(DI)          \
	ADDQ  tile_nextRow(AX), DI  \
	MOVQ  DI, tile_nextB(AX)    \
	MOVQ  tile_soon(AX), DI     \
	PCALIGN $32                 \
step:                           \
	LOAD                        \
	ADDQ  DX, BX                \
	ROWS(MUL)                   \
	ADDQ  tile_stepA(AX), SI    \
	DOWN                        \
	DECQ  CX                    \
	JEQ   store                 \
	TESTQ $LINE, CX             \
	JNE   step                  \
	JMP   line                  \
store:                          \
	MOVQ  tile_nowC(AX), DI     \
	MOVQ  tile_rowC(AX), CX     \
	CMPQ  tile_add(AX), $0      \
	JEQ   put                   \
	ROWS(SUM)                   \
	MOVQ  tile_nowC(AX), DI     \
put:                            \
	ROWS(PUT)                   \
	MOVQ  tile_nowA(AX), SI     \
	MOVQ  tile_nowB(AX), BX     \
	MOVQ  tile_nowC(AX), DI     \
	ADDQ  tile_moveA(AX), SI    \
	ADDQ  tile_moveB(AX), BX    \
	ADDQ  tile_moveC(AX), DI    \
	DECQ  tile_count(AX)        \
	JNE   tile                  \
	VZEROUPPER                  \
	RET

#define KERNEL1(ROWS) KERNEL(ROWS, ZERO1, LOAD1, MUL1, AHEAD1, FETCHC1, SUM1, PUT1, NOTHING, NOTHING)
#define KERNEL2(ROWS) KERNEL(ROWS, ZERO2, LOAD2, MUL2, AHEAD2, FETCHC2, SUM2, PUT2, NOTHING, NOTHING)
#define KERNEL3(ROWS) KERNEL(ROWS, ZERO3, LOAD3, MUL3, AHEAD3, FETCHC3, SUM3, PUT3, NOTHING, NOTHING)
#define KERNELHIGH(ROWS) KERNEL(ROWS, ZERO1, LOAD1, MUL1, AHEAD1, FETCHC1, SUM1, PUT1, MANY, DOWN)
