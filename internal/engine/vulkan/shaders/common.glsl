// What all kernels share: C = op(A)·op(B), row-major and without padding.

layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;
layout(constant_id = 1) const uint BM = 32; // rows of C of a workgroup
layout(constant_id = 2) const uint BN = 32; // columns
layout(constant_id = 3) const uint BK = 8;  // terms of each sum that are staged at a time
layout(constant_id = 4) const bool TA = false; // A is K×M in memory
layout(constant_id = 5) const bool TB = false; // B is N×K in memory

layout(push_constant) uniform Push {
    uint M, N, K;
    uint first; // block of C of the first workgroup: long work is split
} p;

const uint GROUP = 8; // rows of blocks that are computed together, so that they share what is cached

// block returns the row and the column of this workgroup's block, in blocks. Workgroups
// beyond the last block have one that lies outside of C.
uvec2 block() {
    const uint rows = (p.M + BM - 1) / BM, columns = (p.N + BN - 1) / BN;
    const uint id = p.first + gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    const uint band = id / (GROUP * columns), within = id % (GROUP * columns);
    const uint height = min(GROUP, rows - min(rows, band * GROUP));
    if (height == 0)
        return uvec2(rows, 0);
    return uvec2(band * GROUP + within % height, within / height);
}
