// The kernels of matrix-vector products, for the element type that the including
// file defines: see tile_avx2_amd64.h. They run at the speed of memory.

// DOT4 computes, for r < 4 and n elements:
//
//	out[r] = sum over p of m[r*ld+p] * x[p]
#define DOT4 \
	MOVQ   out+0(FP), DI             \
	MOVQ   m+8(FP), SI               \
	MOVQ   ld+16(FP), R8             \
	MOVQ   x+24(FP), DX              \
	MOVQ   n+32(FP), CX              \
	LEAQ   (R8)(R8*2), R9            \
	VXORPS Y0, Y0, Y0                \
	VXORPS Y1, Y1, Y1                \
	VXORPS Y2, Y2, Y2                \
	VXORPS Y3, Y3, Y3                \
	SUBQ   $LANES, CX                \
	JLT    rest                      \
vector:                              \
	VMOVUPS    (DX), Y4              \
	FMA        (SI), Y4, Y0          \
	FMA        (SI)(R8*1), Y4, Y1    \
	FMA        (SI)(R8*2), Y4, Y2    \
	FMA        (SI)(R9*1), Y4, Y3    \
	ADDQ       $32, DX               \
	ADDQ       $32, SI               \
	SUBQ       $LANES, CX            \
	JGE        vector                \
rest:                                \
	ADDQ    $LANES, CX               \
	JEQ     done                     \
	NEGQ    CX                       \
	LEAQ    masks<>+32(SB), BX       \
	VMOVUPS (BX)(CX*SIZE), Y5        \
	MASKMOV (DX), Y5, Y4             \
	MASKMOV (SI), Y5, Y6             \
	FMA     Y6, Y4, Y0               \
	MASKMOV (SI)(R8*1), Y5, Y6       \
	FMA     Y6, Y4, Y1               \
	MASKMOV (SI)(R8*2), Y5, Y6       \
	FMA     Y6, Y4, Y2               \
	MASKMOV (SI)(R9*1), Y5, Y6       \
	FMA     Y6, Y4, Y3               \
done:                                \
	FOLD                             \
	VZEROUPPER                       \
	RET

// AXPY4 and AXPY1 compute, with four rows r or one, for columns j < n:
//
//	y[j] = sum over r of x[r] * m[r*ld+j], plus the old y[j] if add is set
#define AXPY(LOADX, MULTIPLY, MULTIPLYPART) \
	MOVQ    y+0(FP), DI              \
	MOVQ    x+8(FP), DX              \
	MOVQ    m+16(FP), SI             \
	MOVQ    ld+24(FP), R8            \
	MOVQ    n+32(FP), CX             \
	MOVBLZX add+40(FP), AX           \
	LEAQ    (R8)(R8*2), R9           \
	LOADX                            \
	SUBQ    $LANES, CX               \
	JLT     rest                     \
vector:                              \
	VXORPS Y4, Y4, Y4                \
	TESTL  AX, AX                    \
	JEQ    set                       \
	VMOVUPS (DI), Y4                 \
set:                                 \
	MULTIPLY                         \
	VMOVUPS Y4, (DI)                 \
	ADDQ    $32, DI                  \
	ADDQ    $32, SI                  \
	SUBQ    $LANES, CX               \
	JGE     vector                   \
rest:                                \
	ADDQ    $LANES, CX               \
	JEQ     done                     \
	NEGQ    CX                       \
	LEAQ    masks<>+32(SB), BX       \
	VMOVUPS (BX)(CX*SIZE), Y5        \
	VXORPS  Y4, Y4, Y4               \
	TESTL   AX, AX                   \
	JEQ     setpart                  \
	MASKMOV (DI), Y5, Y4             \
setpart:                             \
	MULTIPLYPART                     \
	MASKMOV Y4, Y5, (DI)             \
done:                                \
	VZEROUPPER                       \
	RET

#define LOADX1 BROADCAST (DX), Y0
#define LOADX4 BROADCAST (DX), Y0; BROADCAST SIZE(DX), Y1; BROADCAST 2*SIZE(DX), Y2; BROADCAST 3*SIZE(DX), Y3

#define MULTIPLY1 FMA (SI), Y0, Y4
#define MULTIPLY4 \
	FMA (SI), Y0, Y4           \
	FMA (SI)(R8*1), Y1, Y4     \
	FMA (SI)(R8*2), Y2, Y4     \
	FMA (SI)(R9*1), Y3, Y4

#define PART(row, x) MASKMOV row, Y5, Y6; FMA Y6, x, Y4
#define MULTIPLYPART1 PART((SI), Y0)
#define MULTIPLYPART4 PART((SI), Y0); PART((SI)(R8*1), Y1); PART((SI)(R8*2), Y2); PART((SI)(R9*1), Y3)
