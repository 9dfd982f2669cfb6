// Products of matrices on the CPU, for the stand-ins.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static double f16(uint16_t b) {
	int e = b >> 10 & 31, m = b & 1023;
	double x = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
	return b >> 15 ? -x : x;
}
static uint16_t to16(float x) {
	uint16_t sign = signbit(x) ? 0x8000 : 0;
	double a = fabs(x);
	if (isnan(x)) return 0x7e00;
	if (a >= 65520) return sign | 0x7c00;
	if (a < 0x1p-14) return sign | (uint16_t)nearbyint(a * 0x1p24);
	int e;
	double m = frexp(a, &e);
	return sign | (uint16_t)(((e + 13) << 10) + (int)nearbyint(m * 2048));
}
static float bf16(uint16_t b) { uint32_t u = (uint32_t)b << 16; float f; memcpy(&f, &u, 4); return f; }
static uint16_t toB16(float x) { uint32_t u; memcpy(&u, &x, 4); if (isnan(x)) return 0x7fc0; return (u + 0x7fff + (u >> 16 & 1)) >> 16; }
static float tf32(float x) { uint32_t u; memcpy(&u, &x, 4); u = (u + 0xfff + (u >> 13 & 1)) & ~0x1fffu; memcpy(&x, &u, 4); return x; }

// The sums of a row of C in the type T, of elements that a and b read at an index; store rounds
// and writes element j of row i.
#define LOOPS(T, readA, readB, store) do { \
		T *wide = malloc(sizeof(T) * k * n), *sums = malloc(sizeof(T) * n); \
		for (int64_t l = 0; l < k; l++) for (int64_t j = 0; j < n; j++) { int64_t at = l * bl + j * bj; wide[l * n + j] = readB; } \
		for (int64_t i = 0; i < m; i++) { \
			memset(sums, 0, sizeof(T) * n); \
			for (int64_t l = 0; l < k; l++) { int64_t at = i * ai + l * al; T x = readA; for (int64_t j = 0; j < n; j++) sums[j] += x * wide[l * n + j]; } \
			for (int64_t j = 0; j < n; j++) { T sum = sums[j]; int64_t at = i * n + j; store; } \
		} \
		free(wide); \
		free(sums); \
	} while (0)

// multiply computes C, m rows of n elements, from element i of a row of A, ai apart, and l of its
// sums, al apart, and likewise B.
static void multiply(const char *in, const char *acc, int64_t m, int64_t n, int64_t k, const void *a, int64_t ai, int64_t al, const void *b, int64_t bl, int64_t bj, void *c) {
	if (!strcmp(in, "float64")) LOOPS(double, ((double *)a)[at], ((double *)b)[at], ((double *)c)[at] = sum);
	else if (!strcmp(in, "int8")) LOOPS(int32_t, ((int8_t *)a)[at], ((int8_t *)b)[at], ((int32_t *)c)[at] = sum);
	else if (!strcmp(in, "float16")) LOOPS(float, f16(((uint16_t *)a)[at]), f16(((uint16_t *)b)[at]), ((uint16_t *)c)[at] = to16(sum));
	else if (!strcmp(in, "bfloat16")) LOOPS(float, bf16(((uint16_t *)a)[at]), bf16(((uint16_t *)b)[at]), ((uint16_t *)c)[at] = toB16(sum));
	else if (!strcmp(acc, "tf32")) LOOPS(float, tf32(((float *)a)[at]), tf32(((float *)b)[at]), ((float *)c)[at] = sum);
	else LOOPS(float, ((float *)a)[at], ((float *)b)[at], ((float *)c)[at] = sum);
}
