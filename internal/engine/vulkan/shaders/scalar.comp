#version 450
// A tiled kernel for any device. A workgroup computes BM×BN elements of C, an invocation
// TM×TN of them in squares of 4×4. Slices of A and B that are BK deep are staged in shared
// memory as [k][m] and [k][n]; the next slice is read into registers meanwhile.
//
// The type of the operands is chosen by one of F64, F32, F16, BF16 and I8.
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_8bit_storage : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
#include "common.glsl"

layout(constant_id = 6) const uint TM = 4;
layout(constant_id = 7) const uint TN = 4;
layout(constant_id = 8) const uint BUFFERS = 1; // 2: the next slice is stored while this one is read
layout(constant_id = 9) const uint EDGE = 2;    // 0: whole blocks, 1: sizes are multiples of 4, 2: any sizes

// T: an element in memory, O: of C, S: in shared memory and of sums; in: T to S, out: S to O.
#if defined(F64)
#define T double
#define T4 dvec4
#define S double
#define S4 dvec4
#define O double
#define O4 dvec4
#define IN4(v) (v)
#define OUT4(v) (v)
#elif defined(F32)
#define T float
#define T4 vec4
#define S float
#define S4 vec4
#define O float
#define O4 vec4
#define IN4(v) (v)
#define OUT4(v) (v)
#elif defined(F16)
#define T float16_t
#define T4 f16vec4
#define S float
#define S4 vec4
#define O float16_t
#define O4 f16vec4
#define IN4(v) vec4(v)
#define OUT4(v) f16vec4(v)
#elif defined(BF16)
#define T uint16_t
#define T4 u16vec4
#define S float
#define S4 vec4
#define O uint16_t
#define O4 u16vec4
#define IN4(v) uintBitsToFloat(uvec4(v) << 16)
#define OUT4(v) u16vec4(round_bfloat16(floatBitsToUint(v)))
uvec4 round_bfloat16(uvec4 u) { return (u + 0x7fff + (u >> 16 & 1)) >> 16; } // ties to even
#elif defined(I8)
#define T int8_t
#define T4 i8vec4
#define S int
#define S4 ivec4
#define O int
#define O4 ivec4
#define IN4(v) ivec4(v)
#define OUT4(v) (v)
#endif

layout(set = 0, binding = 0) readonly buffer A1 { T a1[]; };
layout(set = 0, binding = 0) readonly buffer A4 { T4 a4[]; };
layout(set = 0, binding = 1) readonly buffer B1 { T b1[]; };
layout(set = 0, binding = 1) readonly buffer B4 { T4 b4[]; };
layout(set = 0, binding = 2) writeonly buffer C1 { O c1[]; };
layout(set = 0, binding = 2) writeonly buffer C4 { O4 c4[]; };

// Rows in shared memory, in fours. The row of term k begins TURN(k) fours later, and there is
// one four more than that takes, so that what is written at the same time lies in different
// banks.
const uint LA = BM / 4 + 7, LB = BN / 4 + 7;
#define TURN(k) ((k) / 4 % 4 * 2)
shared S4 as[BUFFERS * BK * LA];
shared S4 bs[BUFFERS * BK * LB];

const uint NT = gl_WorkGroupSize.x;
const uint NA = BM * BK / 4 / NT, NB = BN * BK / 4 / NT; // fours that an invocation stages
S4 ra[NA];
S4 rb[NB];

// FOUR returns elements at, at+1, … of a row with as many elements left; others are 0.
#define FOUR(x1, x4, at, inside, left)                                         \
    (EDGE == 0 ? IN4(x4[(at) / 4])                                             \
     : EDGE == 1 ? ((inside) && (left) > 0 ? IN4(x4[(at) / 4]) : S4(0))        \
                 : odd_##x1(at, (inside) ? (left) : 0))

S4 odd_a1(uint at, int left) {
    S4 v = S4(0);
    [[unroll]] for (uint j = 0; j < 4; j++)
        if (int(j) < left) v[j] = IN4(T4(a1[at + j])).x;
    return v;
}

S4 odd_b1(uint at, int left) {
    S4 v = S4(0);
    [[unroll]] for (uint j = 0; j < 4; j++)
        if (int(j) < left) v[j] = IN4(T4(b1[at + j])).x;
    return v;
}

// An operand whose rows in memory are those in shared memory is copied four by four. The
// other one is read along its terms: where an invocation has enough of it, as squares of 4×4,
// which are written turned round.
uint square(uint i, uint four) { return (gl_LocalInvocationIndex + i / 4 * NT) / (BK / 4) * 4 + four; }
uint terms(uint i) { return (gl_LocalInvocationIndex + i / 4 * NT) % (BK / 4) * 4; }

// fetch reads an invocation's part of a slice into registers.
void fetch(uint row0, uint col0, uint k0) {
    [[unroll]] for (uint i = 0; i < NA; i++) {
        const uint e = gl_LocalInvocationIndex + i * NT;
        if (TA) {
            const uint k = k0 + e / (BM / 4), m = row0 + e % (BM / 4) * 4;
            ra[i] = FOUR(a1, a4, k * p.M + m, k < p.K, int(p.M - m));
        } else {
            const bool squares = NA % 4 == 0;
            const uint m = row0 + (squares ? square(i, i % 4) : e / (BK / 4)), k = k0 + (squares ? terms(i) : e % (BK / 4) * 4);
            ra[i] = FOUR(a1, a4, m * p.K + k, m < p.M, int(p.K - k));
        }
    }
    [[unroll]] for (uint i = 0; i < NB; i++) {
        const uint e = gl_LocalInvocationIndex + i * NT;
        if (TB) {
            const bool squares = NB % 4 == 0;
            const uint n = col0 + (squares ? square(i, i % 4) : e / (BK / 4)), k = k0 + (squares ? terms(i) : e % (BK / 4) * 4);
            rb[i] = FOUR(b1, b4, n * p.K + k, n < p.N, int(p.K - k));
        } else {
            const uint k = k0 + e / (BN / 4), n = col0 + e % (BN / 4) * 4;
            rb[i] = FOUR(b1, b4, k * p.N + n, k < p.K, int(p.N - n));
        }
    }
}

// STAGE writes one operand's part to a buffer in shared memory.
#define STAGE(x, r, L, n, B, turned)                                                               \
    if (!(turned)) {                                                                               \
        [[unroll]] for (uint i = 0; i < n; i++) {                                                  \
            const uint e = gl_LocalInvocationIndex + i * NT, k = e / (B / 4);                      \
            x[(buf * BK + k) * L + TURN(k) + e % (B / 4)] = r[i];                                  \
        }                                                                                          \
    } else if (n % 4 == 0) {                                                                       \
        [[unroll]] for (uint i = 0; i < n / 4; i++)                                                \
            [[unroll]] for (uint j = 0; j < 4; j++)                                                \
                x[(buf * BK + terms(4 * i) + j) * L + TURN(terms(4 * i)) + square(4 * i, 0) / 4] = \
                    S4(r[4 * i][j], r[4 * i + 1][j], r[4 * i + 2][j], r[4 * i + 3][j]);            \
    } else {                                                                                       \
        [[unroll]] for (uint i = 0; i < n; i++) {                                                  \
            const uint e = gl_LocalInvocationIndex + i * NT, o = e / (BK / 4), k = e % (BK / 4) * 4; \
            [[unroll]] for (uint j = 0; j < 4; j++)                                                \
                x[(buf * BK + k + j) * L + TURN(k) + o / 4][o % 4] = r[i][j];                      \
        }                                                                                          \
    }

void stage(uint buf) {
    STAGE(as, ra, LA, NA, BM, !TA)
    STAGE(bs, rb, LB, NB, BN, TB)
}

void main() {
    const uvec2 at = block();
    if (at.x * BM >= p.M)
        return;
    const uint row0 = at.x * BM, col0 = at.y * BN;
    // Of each 32 invocations, 8 lie side by side and 4 below one another, so that they
    // read few different elements of shared memory at a time.
    const uint lane = gl_LocalInvocationIndex % 32, part = gl_LocalInvocationIndex / 32;
    const uint across = BN / TN / 8;
    const uint tn = lane % 8 + part % across * 8, tm = lane / 8 + part / across * 4;
    const uint stepM = BM / TM, stepN = BN / TN; // fours between an invocation's squares

    S acc[TM * TN];
    [[unroll]] for (uint i = 0; i < TM * TN; i++)
        acc[i] = S(0);

    fetch(row0, col0, 0);
    stage(0);
    barrier();
    uint buf = 0;
    for (uint k0 = 0; k0 < p.K; k0 += BK) {
        const bool more = k0 + BK < p.K;
        if (more)
            fetch(row0, col0, k0 + BK);
        [[unroll]] for (uint k = 0; k < BK; k++) {
            S4 a[TM / 4], b[TN / 4];
            [[unroll]] for (uint i = 0; i < TM / 4; i++)
                a[i] = as[(buf * BK + k) * LA + TURN(k) + i * stepM + tm];
            [[unroll]] for (uint j = 0; j < TN / 4; j++)
                b[j] = bs[(buf * BK + k) * LB + TURN(k) + j * stepN + tn];
            [[unroll]] for (uint i = 0; i < TM; i++)
                [[unroll]] for (uint j = 0; j < TN; j++)
#ifdef I8
                    acc[i * TN + j] += a[i / 4][i % 4] * b[j / 4][j % 4];
#else
                    acc[i * TN + j] = fma(a[i / 4][i % 4], b[j / 4][j % 4], acc[i * TN + j]);
#endif
        }
        if (BUFFERS == 2)
            buf ^= 1;
        else
            barrier();
        if (more)
            stage(buf);
        barrier();
    }

    [[unroll]] for (uint i = 0; i < TM; i++) {
        const uint m = row0 + (i / 4 * stepM + tm) * 4 + i % 4;
        [[unroll]] for (uint j = 0; j < TN; j += 4) {
            const uint n = col0 + (j / 4 * stepN + tn) * 4;
            const O4 v = OUT4(S4(acc[i * TN + j], acc[i * TN + j + 1], acc[i * TN + j + 2], acc[i * TN + j + 3]));
            if (EDGE < 2) {
                if (EDGE == 0 || m < p.M && n < p.N)
                    c4[(m * p.N + n) / 4] = v;
            } else if (m < p.M) {
                [[unroll]] for (uint l = 0; l < 4; l++)
                    if (n + l < p.N) c1[m * p.N + n + l] = v[l];
            }
        }
    }
}
