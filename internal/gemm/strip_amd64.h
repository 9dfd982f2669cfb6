// STRIP makes words of a strip of B: STEP of one row, or of a group of rows, stride
// bytes apart, after which DOWN goes to the next. There are so many groups, and their
// words are row bytes apart.
#define STRIP(PREPARE, STEP, DOWN) \
	MOVQ dst+0(FP), DI      \
	MOVQ src+8(FP), SI      \
	MOVQ stride+16(FP), DX  \
	MOVQ rows+24(FP), CX    \
	MOVQ row+32(FP), BX     \
	PREPARE                 \
next:                       \
	STEP                    \
	DOWN                    \
	PREFETCHT0 (SI)(DX*8)   \
	ADDQ       BX, DI       \
	DECQ       CX           \
	JNE        next         \
	VZEROUPPER              \
	RET

#define DOWN1 ADDQ DX, SI
#define DOWN2 LEAQ (SI)(DX*2), SI
#define DOWN4 LEAQ (SI)(DX*4), SI

// MASKED is for steps that take the columns of mask of their last vector, and all
// those before it: words of other columns are zeros. R8 is three rows.
#define MASKED \
	MOVQ  mask+40(FP), AX  \
	KMOVW AX, K1           \
	LEAQ  (DX)(DX*2), R8

// UNMASKED is for steps that take whole vectors.
#define UNMASKED
