// Instructions that Go's assembler does not know, encoded from the numbers of their
// registers. Above each macro is what objdump prints for it, with the macro's
// arguments in braces; a test assembles them for all registers and compares.

// fmla v{sum}.4s, v{b}.4s, v{x}.s[{lane}]
#define FMLA32(lane, x, b, sum) \
	WORD $(0x4f801000 | (lane&1)<<21 | (lane>>1)<<11 | x<<16 | b<<5 | sum)

// fmla v{sum}.2d, v{b}.2d, v{x}.d[{lane}]
#define FMLA64(lane, x, b, sum) \
	WORD $(0x4fc01000 | lane<<11 | x<<16 | b<<5 | sum)

// mla v{sum}.4s, v{b}.4s, v{x}.s[{lane}]
#define MLA32(lane, x, b, sum) \
	WORD $(0x6f800000 | (lane&1)<<21 | (lane>>1)<<11 | x<<16 | b<<5 | sum)

// sdot v{sum}.4s, v{b}.16b, v{x}.4b[{lane}]
#define SDOT(lane, x, b, sum) \
	WORD $(0x4f80e000 | (lane&1)<<21 | (lane>>1)<<11 | x<<16 | b<<5 | sum)

// bfdot v{sum}.4s, v{b}.8h, v{x}.2h[{lane}]
#define BFDOT(lane, x, b, sum) \
	WORD $(0x4f40f000 | (lane&1)<<21 | (lane>>1)<<11 | x<<16 | b<<5 | sum)
