#version 450
// The first steps of the ladder: an invocation computes one element of C, in float32, of
// operands that are transposed neither way. A workgroup's block of C is BM×BN.
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 6) const uint STEP = 0; // 0: naive, 1: coalesced, 2: tiled

layout(set = 0, binding = 0) readonly buffer A { float a[]; };
layout(set = 0, binding = 1) readonly buffer B { float b[]; };
layout(set = 0, binding = 2) writeonly buffer C { float c[]; };

const uint SIDE = 16; // of a tile; BM and BN are as large
shared float as[SIDE][SIDE];
shared float bs[SIDE][SIDE];

void main() {
    const uvec2 at = block();
    if (at.x * BM >= p.M)
        return;
    // Neighbouring invocations compute elements of a column, or of a row.
    const uint id = gl_LocalInvocationIndex;
    const uint y = STEP == 0 ? id % BM : id / BN, x = STEP == 0 ? id / BM : id % BN;
    const uint m = at.x * BM + y, n = at.y * BN + x;
    const bool inside = m < p.M && n < p.N;
    float sum = 0;
    if (STEP < 2) {
        if (inside)
            for (uint k = 0; k < p.K; k++)
                sum = fma(a[m * p.K + k], b[k * p.N + n], sum);
    } else {
        for (uint k0 = 0; k0 < p.K; k0 += SIDE) {
            as[y][x] = m < p.M && k0 + x < p.K ? a[m * p.K + k0 + x] : 0;
            bs[y][x] = k0 + y < p.K && n < p.N ? b[(k0 + y) * p.N + n] : 0;
            barrier();
            [[unroll]] for (uint k = 0; k < SIDE; k++)
                sum = fma(as[y][k], bs[k][x], sum);
            barrier();
        }
    }
    if (inside)
        c[m * p.N + n] = sum;
}
