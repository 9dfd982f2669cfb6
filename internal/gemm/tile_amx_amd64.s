//go:build !noasm

#include "go_asm.h"
#include "textflag.h"
#include "raw_amd64.h"

// Tiles of up to 32×32 sums, in four of AMX's registers, of which each holds 16 rows
// of 64 bytes. A block is 16 steps of k: a register of A holds 16 rows of a block, one
// of B its 16 steps for 16 columns.
//
//	0 1   sums      4   rows of A      6 7   columns of B
//	2 3             5
//
// The registers beyond the edges of C are not configured, so they must not be touched.

// HIGH and WIDE jump where C has no more than 16 rows or columns.
#define HIGH(low)    CMPQ high+24(FP), $0; JE low
#define WIDE(narrow) CMPQ wide+32(FP), $0; JE narrow

#define AMX(DOT)                                            \
	MOVQ  t+0(FP), R8;                                      \
	MOVQ  config+8(FP), SI;                                 \
	LDTILECFG()                                             \
	MOVQ  tile_a(R8), R9;                                   \
	MOVQ  tile_b(R8), R10;                                  \
	MOVQ  tile_c(R8), R11;                                  \
	MOVQ  tile_count(R8), R15;                              \
	MOVQ  tile_rowA(R8), DX;                                \
	MOVQ  tile_rowB(R8), CX;                                \
	MOVQ  tile_rowC(R8), AX;                                \
	MOVQ  DX, R12;                                          \
	SHLQ  $4, R12;                                          \
	MOVQ  CX, R13;                                          \
	SHLQ  $4, R13;                                          \
next:                                                       \
	MOVQ  R11, BX;                                          \
	CMPQ  add+40(FP), $0;                                   \
	JNE   load;                                             \
	TILEZERO(0)                                             \
	WIDE(zeroLow);                                          \
	TILEZERO(1)                                             \
zeroLow:                                                    \
	HIGH(start);                                            \
	TILEZERO(2)                                             \
	WIDE(start);                                            \
	TILEZERO(3)                                             \
	JMP   start;                                            \
load:                                                       \
	TILELOADC(0)                                            \
	WIDE(loadLow);                                          \
	ADDQ  $64, BX;                                          \
	TILELOADC(1)                                            \
loadLow:                                                    \
	HIGH(start);                                            \
	MOVQ  AX, BX;                                           \
	SHLQ  $4, BX;                                           \
	ADDQ  R11, BX;                                          \
	TILELOADC(2)                                            \
	WIDE(start);                                            \
	ADDQ  $64, BX;                                          \
	TILELOADC(3)                                            \
start:                                                      \
	MOVQ  R9, SI;                                           \
	MOVQ  R10, DI;                                          \
	MOVQ  blocks+16(FP), R14;                               \
block:                                                      \
	TILELOADA(4)                                            \
	TILELOADB(6)                                            \
	DOT(0, 4, 6)                                            \
	WIDE(narrow);                                           \
	ADDQ  $64, DI;                                          \
	TILELOADB(7)                                            \
	SUBQ  $64, DI;                                          \
	DOT(1, 4, 7)                                            \
narrow:                                                     \
	HIGH(low);                                              \
	ADDQ  R12, SI;                                          \
	TILELOADA(5)                                            \
	SUBQ  R12, SI;                                          \
	DOT(2, 5, 6)                                            \
	WIDE(low);                                              \
	DOT(3, 5, 7)                                            \
low:                                                        \
	ADDQ  $64, SI;                                          \
	ADDQ  R13, DI;                                          \
	DECQ  R14;                                              \
	JNE   block;                                            \
	MOVQ  R11, BX;                                          \
	TILESTOREC(0)                                           \
	WIDE(storeLow);                                         \
	ADDQ  $64, BX;                                          \
	TILESTOREC(1)                                           \
storeLow:                                                   \
	HIGH(stored);                                           \
	MOVQ  AX, BX;                                           \
	SHLQ  $4, BX;                                           \
	ADDQ  R11, BX;                                          \
	TILESTOREC(2)                                           \
	WIDE(stored);                                           \
	ADDQ  $64, BX;                                          \
	TILESTOREC(3)                                           \
stored:                                                     \
	ADDQ  tile_moveA(R8), R9;                               \
	ADDQ  tile_moveB(R8), R10;                              \
	ADDQ  tile_moveC(R8), R11;                              \
	DECQ  R15;                                              \
	JNE   next;                                             \
	TILERELEASE()                                           \
	RET

// Rounds of 8 dot products of tiles on 4 independent sums.
#define ROUNDS(DOT)        \
	MOVQ config+0(FP), SI; \
	LDTILECFG()            \
	MOVQ ones+8(FP), SI;   \
	MOVQ $64, DX;          \
	TILELOADA(4)           \
	TILELOADA(5)           \
	TILELOADA(6)           \
	TILELOADA(7)           \
	TILEZERO(0)            \
	TILEZERO(1)            \
	TILEZERO(2)            \
	TILEZERO(3)            \
	MOVQ rounds+16(FP), CX;\
loop:                      \
	DOT(0, 4, 6)           \
	DOT(1, 4, 7)           \
	DOT(2, 5, 6)           \
	DOT(3, 5, 7)           \
	DOT(0, 4, 6)           \
	DOT(1, 4, 7)           \
	DOT(2, 5, 6)           \
	DOT(3, 5, 7)           \
	DECQ CX;               \
	JNE  loop;             \
	TILERELEASE()          \
	RET

// func tilesBFloat16AMX(t *tile, config *tileConfig, blocks, high, wide, add int)
TEXT ·tilesBFloat16AMX(SB), NOSPLIT, $0-48
	AMX(TDPBF16PS)

// func tilesInt8AMX(t *tile, config *tileConfig, blocks, high, wide, add int)
TEXT ·tilesInt8AMX(SB), NOSPLIT, $0-48
	AMX(TDPBSSD)

// func roundsBFloat16AMX(config *tileConfig, ones *[1024]byte, rounds int)
TEXT ·roundsBFloat16AMX(SB), NOSPLIT, $0-24
	ROUNDS(TDPBF16PS)

// func roundsInt8AMX(config *tileConfig, ones *[1024]byte, rounds int)
TEXT ·roundsInt8AMX(SB), NOSPLIT, $0-24
	ROUNDS(TDPBSSD)
