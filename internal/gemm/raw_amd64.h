// Instructions that Go's assembler does not know, encoded byte by byte from the
// numbers of their registers. Above each macro is what objdump prints for it, with
// the macro's arguments in braces; a test assembles them for all registers and
// compares.

// vdpbf16ps zmm{s},zmm{x},zmm{b}
#define VDPBF16PS(b, x, s) \
	BYTE $0x62;                                                                                           \
	BYTE $(2 | (1^(((s)>>3)&1))<<7 | (1^(((b)>>4)&1))<<6 | (1^(((b)>>3)&1))<<5 | (1^(((s)>>4)&1))<<4); \
	BYTE $(6 | (15^((x)&15))<<3);                                                                        \
	BYTE $(0x40 | (1^(((x)>>4)&1))<<3);                                                                  \
	BYTE $0x52;                                                                                           \
	BYTE $(0xc0 | ((s)&7)<<3 | ((b)&7));

// VPDPBUSDY is the AVX-VNNI form of VPDPBUSD; the assembler knows only that of
// AVX-512.
// {vex} vpdpbusd ymm{s},ymm{x},ymm{b}
#define VPDPBUSDY(b, x, s) \
	BYTE $0xc4;                                                     \
	BYTE $(0x42 | (1^(((s)>>3)&1))<<7 | (1^(((b)>>3)&1))<<5);     \
	BYTE $(5 | (15^((x)&15))<<3);                                  \
	BYTE $0x50;                                                     \
	BYTE $(0xc0 | ((s)&7)<<3 | ((b)&7));

// AMX tiles: tmm0 to tmm7. A tile of a row-major matrix is read from an address and
// a distance between rows, which are in fixed registers: SI and DX for A, DI and CX
// for B, BX and AX for C.

// ldtilecfg [rsi]
#define LDTILECFG() BYTE $0xc4; BYTE $0xe2; BYTE $0x78; BYTE $0x49; BYTE $0x06;

// tilerelease
#define TILERELEASE() BYTE $0xc4; BYTE $0xe2; BYTE $0x78; BYTE $0x49; BYTE $0xc0;

// tilezero tmm{t}
#define TILEZERO(t) BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x49; BYTE $(0xc0 | (t)<<3);

// tileloadd tmm{t},[rsi+rdx*1]
#define TILELOADA(t) BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $(4 | (t)<<3); BYTE $0x16;

// tileloadd tmm{t},[rdi+rcx*1]
#define TILELOADB(t) BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $(4 | (t)<<3); BYTE $0x0f;

// tileloadd tmm{t},[rbx+rax*1]
#define TILELOADC(t) BYTE $0xc4; BYTE $0xe2; BYTE $0x7b; BYTE $0x4b; BYTE $(4 | (t)<<3); BYTE $0x03;

// tilestored [rbx+rax*1],tmm{t}
#define TILESTOREC(t) BYTE $0xc4; BYTE $0xe2; BYTE $0x7a; BYTE $0x4b; BYTE $(4 | (t)<<3); BYTE $0x03;

// tdpbf16ps tmm{c},tmm{a},tmm{b}
#define TDPBF16PS(c, a, b) BYTE $0xc4; BYTE $0xe2; BYTE $(2 | (15^(b))<<3); BYTE $0x5c; BYTE $(0xc0 | (c)<<3 | (a));

// tdpbssd tmm{c},tmm{a},tmm{b}
#define TDPBSSD(c, a, b) BYTE $0xc4; BYTE $0xe2; BYTE $(3 | (15^(b))<<3); BYTE $0x5e; BYTE $(0xc0 | (c)<<3 | (a));
