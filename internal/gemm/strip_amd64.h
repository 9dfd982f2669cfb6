// STRIP packs a strip of B. STEP makes words of one row, or of one group of rows,
// and DOWN advances to the next. rows is the number of rows or groups; the source
// rows are stride bytes apart and the packed ones row bytes apart.
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

// MASKED is for steps that mask their last vector: only the columns in mask are
// read, and the words of the others are zeros. R8 is three times the stride.
#define MASKED \
	MOVQ  mask+40(FP), AX  \
	KMOVW AX, K1           \
	LEAQ  (DX)(DX*2), R8

// UNMASKED is for steps that use full vectors only.
#define UNMASKED
