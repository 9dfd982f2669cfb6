#version 450
// A kernel for matrix units by VK_KHR_cooperative_matrix. A workgroup computes BM×BN
// elements of C, a subgroup WM×WN of them as matrices of MM×NN. Slices of A and B that are
// BK deep are staged in shared memory as they lie in memory; the next slice may be read into
// registers meanwhile. C is made of whole blocks, K of whole slices.
//
// The type of the operands is chosen by F16 or I8.
#pragma use_vulkan_memory_model
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_8bit_storage : require
#include "common.glsl"

layout(constant_id = 6) const uint WM = 32;
layout(constant_id = 7) const uint WN = 32;
layout(constant_id = 8) const uint BUFFERS = 1;
layout(constant_id = 9) const uint MM = 16;
layout(constant_id = 10) const uint NN = 16;
layout(constant_id = 11) const uint KK = 16;
layout(constant_id = 12) const bool PREFETCH = true; // else registers are saved, and other workgroups hide the wait

#ifdef F16
#define T float16_t
#define S float
#define O float16_t
#define V8 uvec4 // 8 elements
const uint PAD = 1;
#else
#define T int8_t
#define S int
#define O int
#define V8 uvec2
const uint PAD = 2;
#endif
const uint V = 8; // elements that are moved at a time; every matrix unit takes whole ones

layout(set = 0, binding = 0) readonly buffer A { V8 a[]; };
layout(set = 0, binding = 1) readonly buffer B { V8 b[]; };
layout(set = 0, binding = 2) writeonly buffer C { O c[]; };

// Rows in shared memory, in eights: 16 bytes more than needed spread them over its banks.
const uint LA = (TA ? BM : BK) / V + PAD, LB = (TB ? BK : BN) / V + PAD;
const uint SA = LA * (TA ? BK : BM), SB = LB * (TB ? BN : BK);
shared V8 as[BUFFERS * SA];
shared V8 bs[BUFFERS * SB];

const uint NT = gl_WorkGroupSize.x;
const uint NA = BM * BK / V / NT, NB = BN * BK / V / NT;
V8 ra[NA];
V8 rb[NB];

void fetch(uint row0, uint col0, uint k0) {
    const uint wa = (TA ? BM : BK) / V, wb = (TB ? BK : BN) / V;
    const uint pa = (TA ? p.M : p.K) / V, pb = (TB ? p.K : p.N) / V; // pitches
    const uint oa = TA ? k0 * pa + row0 / V : row0 * pa + k0 / V;
    const uint ob = TB ? col0 * pb + k0 / V : k0 * pb + col0 / V;
    [[unroll]] for (uint i = 0; i < NA; i++) {
        const uint e = gl_LocalInvocationIndex + i * NT;
        ra[i] = a[oa + e / wa * pa + e % wa];
    }
    [[unroll]] for (uint i = 0; i < NB; i++) {
        const uint e = gl_LocalInvocationIndex + i * NT;
        rb[i] = b[ob + e / wb * pb + e % wb];
    }
}

void stage(uint buf) {
    const uint wa = (TA ? BM : BK) / V, wb = (TB ? BK : BN) / V;
    [[unroll]] for (uint i = 0; i < NA; i++) {
        const uint e = gl_LocalInvocationIndex + i * NT;
        as[buf * SA + e / wa * LA + e % wa] = ra[i];
    }
    [[unroll]] for (uint i = 0; i < NB; i++) {
        const uint e = gl_LocalInvocationIndex + i * NT;
        bs[buf * SB + e / wb * LB + e % wb] = rb[i];
    }
}

void main() {
    const uvec2 at = block();
    if (at.x * BM >= p.M)
        return;
    const uint row0 = at.x * BM, col0 = at.y * BN;
    const uint subM = gl_SubgroupID / (BN / WN) * WM, subN = gl_SubgroupID % (BN / WN) * WN;
    const uint CM = WM / MM, CN = WN / NN;

    coopmat<S, gl_ScopeSubgroup, MM, NN, gl_MatrixUseAccumulator> acc[CM * CN];
    [[unroll]] for (uint i = 0; i < CM * CN; i++)
        acc[i] = coopmat<S, gl_ScopeSubgroup, MM, NN, gl_MatrixUseAccumulator>(S(0));

    fetch(row0, col0, 0);
    stage(0);
    barrier();
    uint buf = 0;
    for (uint k0 = 0; k0 < p.K; k0 += BK) {
        const bool more = k0 + BK < p.K;
        if (more && PREFETCH)
            fetch(row0, col0, k0 + BK);
        [[unroll]] for (uint k = 0; k < BK; k += KK) {
            coopmat<T, gl_ScopeSubgroup, MM, KK, gl_MatrixUseA> ma[CM];
            [[unroll]] for (uint i = 0; i < CM; i++) {
                const uint m = subM + i * MM;
                if (TA)
                    coopMatLoad(ma[i], as, buf * SA + k * LA + m / V, LA, gl_CooperativeMatrixLayoutColumnMajor);
                else
                    coopMatLoad(ma[i], as, buf * SA + m * LA + k / V, LA, gl_CooperativeMatrixLayoutRowMajor);
            }
            [[unroll]] for (uint j = 0; j < CN; j++) {
                const uint n = subN + j * NN;
                coopmat<T, gl_ScopeSubgroup, KK, NN, gl_MatrixUseB> mb;
                if (TB)
                    coopMatLoad(mb, bs, buf * SB + n * LB + k / V, LB, gl_CooperativeMatrixLayoutColumnMajor);
                else
                    coopMatLoad(mb, bs, buf * SB + k * LB + n / V, LB, gl_CooperativeMatrixLayoutRowMajor);
                [[unroll]] for (uint i = 0; i < CM; i++)
                    acc[i * CN + j] = coopMatMulAdd(ma[i], mb, acc[i * CN + j]);
            }
        }
        if (BUFFERS == 2)
            buf ^= 1;
        else
            barrier();
        if (more && !PREFETCH)
            fetch(row0, col0, k0 + BK);
        if (more)
            stage(buf);
        barrier();
    }

    [[unroll]] for (uint i = 0; i < CM; i++)
        [[unroll]] for (uint j = 0; j < CN; j++)
            coopMatStore(coopmat<O, gl_ScopeSubgroup, MM, NN, gl_MatrixUseAccumulator>(acc[i * CN + j]), c,
                (row0 + subM + i * MM) * p.N + col0 + subN + j * NN, p.N, gl_CooperativeMatrixLayoutRowMajor);
}
