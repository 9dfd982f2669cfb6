// C = op(A)·op(B), row-major, in the way that libraries do it: a threadgroup computes a tile
// of C. It brings strips of A and B into threadgroup memory, where each element is read once
// for all of the tile's rows or columns, and multiplies blocks of 8×8 with the simdgroups'
// matrix instructions. Sums are in float. T, the elements' type, is defined before this:
// float, half or, in version 3.1 of the language, bfloat.
#include <metal_stdlib>
#include <metal_simdgroup_matrix>
using namespace metal;

constant constexpr uint tile = 32;     // rows and columns of C that a threadgroup computes
constant constexpr uint threads = 128; // four simdgroups, each of which computes 16×16

struct Product {
	uint m, n, k;
	uint transA, transB; // A is k×m in memory, B n×k
};

kernel void gemm(device const T *a [[buffer(0)]],
                 device const T *b [[buffer(1)]],
                 device T *c [[buffer(2)]],
                 constant Product &p [[buffer(3)]],
                 uint2 group [[threadgroup_position_in_grid]],
                 uint thread_index [[thread_index_in_threadgroup]],
                 uint simdgroup [[simdgroup_index_in_threadgroup]]) {
	threadgroup T left[tile * tile];
	threadgroup T right[tile * tile];
	threadgroup float result[tile * tile];

	uint row = group.y * tile, column = group.x * tile;                // of the tile in C
	uint top = simdgroup / 2 * 16, side = simdgroup % 2 * 16;          // of the simdgroup in the tile
	simdgroup_float8x8 sums[2][2];
	for (uint i = 0; i < 2; i++)
		for (uint j = 0; j < 2; j++)
			sums[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);

	for (uint depth = 0; depth < p.k; depth += tile) {
		// Neighbouring threads read neighbouring elements. What is beyond an edge is zero.
		for (uint e = thread_index; e < tile * tile; e += threads) {
			uint y = e / tile, x = e % tile;
			ulong i = row + y, l = depth + x;
			left[e] = i < p.m && l < p.k ? a[p.transA ? l * p.m + i : i * p.k + l] : T(0);
			l = depth + y;
			ulong j = column + x;
			right[e] = l < p.k && j < p.n ? b[p.transB ? j * p.k + l : l * p.n + j] : T(0);
		}
		threadgroup_barrier(mem_flags::mem_threadgroup);
		for (uint l = 0; l < tile; l += 8) {
			simdgroup_matrix<T, 8, 8> x[2], y[2];
			for (uint i = 0; i < 2; i++) {
				simdgroup_load(x[i], left + (top + 8 * i) * tile + l, tile);
				simdgroup_load(y[i], right + l * tile + side + 8 * i, tile);
			}
			for (uint i = 0; i < 2; i++)
				for (uint j = 0; j < 2; j++)
					simdgroup_multiply_accumulate(sums[i][j], x[i], y[j], sums[i][j]);
		}
		threadgroup_barrier(mem_flags::mem_threadgroup);
	}

	for (uint i = 0; i < 2; i++)
		for (uint j = 0; j < 2; j++)
			simdgroup_store(sums[i][j], result + (top + 8 * i) * tile + side + 8 * j, tile);
	threadgroup_barrier(mem_flags::mem_threadgroup);
	for (uint e = thread_index; e < tile * tile; e += threads) {
		ulong i = row + e / tile, j = column + e % tile;
		if (i < p.m && j < p.n)
			c[i * p.n + j] = T(result[e]);
	}
}
