#version 450
// A kernel for matrix units by VK_NV_cooperative_matrix2: the matrices belong to a whole
// workgroup, and the driver stages their parts. Tensor layouts clamp at the edges, so that
// any size is right.
//
// The type of the operands is chosen by F16 or I8.
#pragma use_vulkan_memory_model
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_NV_cooperative_matrix2 : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_8bit_storage : require
#include "common.glsl"

layout(constant_id = 6) const bool WHOLE = false; // C is made of whole blocks, K of whole slices

#ifdef F16
#define T float16_t
#define S float
#define O float16_t
const uint V = 8; // elements in 16 bytes
#else
#define T int8_t
#define S int
#define O int
const uint V = 16;
#endif

layout(set = 0, binding = 0) readonly buffer A { T a[]; };
layout(set = 0, binding = 1) readonly buffer B { T b[]; };
layout(set = 0, binding = 2) writeonly buffer C { O c[]; };

#define TENSOR(clamp) tensorLayoutNV<2, clamp>

// PRODUCT computes a block with tensor layouts that clamp in one of the ways.
#define PRODUCT(clamp)                                                                                             \
    TENSOR(clamp) la = createTensorLayoutNV(2, clamp);                                                             \
    TENSOR(clamp) lb = createTensorLayoutNV(2, clamp);                                                             \
    TENSOR(clamp) lc = createTensorLayoutNV(2, clamp);                                                             \
    la = setTensorLayoutDimensionNV(la, TA ? p.K : p.M, pa);                                                       \
    lb = setTensorLayoutDimensionNV(lb, TB ? p.N : p.K, pb);                                                       \
    lc = setTensorLayoutDimensionNV(lc, p.M, pc);                                                                  \
    la = setTensorLayoutStrideNV(la, pa, 1);                                                                       \
    lb = setTensorLayoutStrideNV(lb, pb, 1);                                                                       \
    lc = setTensorLayoutStrideNV(lc, pc, 1);                                                                       \
    for (uint k = 0; k < p.K; k += BK) {                                                                           \
        coopmat<T, gl_ScopeWorkgroup, BM, BK, gl_MatrixUseA> ma;                                                   \
        coopmat<T, gl_ScopeWorkgroup, BK, BN, gl_MatrixUseB> mb;                                                   \
        if (TA)                                                                                                    \
            coopMatLoadTensorNV(ma, a, 0, sliceTensorLayoutNV(la, k, BK, row0, BM), turned);                       \
        else                                                                                                       \
            coopMatLoadTensorNV(ma, a, 0, sliceTensorLayoutNV(la, row0, BM, k, BK));                               \
        if (TB)                                                                                                    \
            coopMatLoadTensorNV(mb, b, 0, sliceTensorLayoutNV(lb, col0, BN, k, BK), turned);                       \
        else                                                                                                       \
            coopMatLoadTensorNV(mb, b, 0, sliceTensorLayoutNV(lb, k, BK, col0, BN));                               \
        acc = coopMatMulAdd(ma, mb, acc);                                                                          \
    }                                                                                                              \
    coopMatStoreTensorNV(coopmat<O, gl_ScopeWorkgroup, BM, BN, gl_MatrixUseAccumulator>(acc), c, 0,                \
        sliceTensorLayoutNV(lc, row0, BM, col0, BN));

void main() {
    const uvec2 at = block();
    if (at.x * BM >= p.M)
        return;
    const uint row0 = at.x * BM, col0 = at.y * BN;
    tensorViewNV<2, false, 1, 0> turned = createTensorViewNV(2, false, 1, 0);
    coopmat<S, gl_ScopeWorkgroup, BM, BN, gl_MatrixUseAccumulator> acc =
        coopmat<S, gl_ScopeWorkgroup, BM, BN, gl_MatrixUseAccumulator>(S(0));
    if (WHOLE) { // pitches are multiples of 16 bytes, and the compiler is told
        const uint pa = (TA ? p.M : p.K) / V * V, pb = (TB ? p.K : p.N) / V * V, pc = p.N / V * V;
        PRODUCT(gl_CooperativeMatrixClampModeUndefinedNV)
    } else {
        const uint pa = TA ? p.M : p.K, pb = TB ? p.K : p.N, pc = p.N;
        PRODUCT(gl_CooperativeMatrixClampModeConstantNV)
    }
}
