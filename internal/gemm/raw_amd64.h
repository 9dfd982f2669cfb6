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
