/* A BLAS library that has one fault, built by tests: cc -shared -fPIC -O2 -DFAULT=SKIP.
 * It looks like OpenBLAS with Fortran's interface and computes right but for the
 * fault. It uses one thread and is not meant to be fast. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	NONE,
	/* work left out */
	SKIP,     /* every call after the fourth does nothing */
	SKIP2,    /* every second call does nothing */
	LATE,     /* right 50 times, then without the last k */
	DROPK,    /* the last k is left out */
	DROPROW,  /* the last row of C is not computed */
	STALE,    /* always the first C again */
	MEMOISE,  /* the C of the first call with these addresses */
	/* other numbers */
	ZERO1,      /* one element of C is 0 */
	TRANSPOSE,  /* C transposed */
	NANS,       /* one element is NaN */
	BF16,       /* operands cut to bfloat16 */
	SIGN,       /* one column has the wrong sign */
	SCALE,      /* C is larger by a thousandth */
	ACCUMULATE, /* added to what C held */
	HALF2,      /* every second call does the upper half of C alone */
	/* memory that is not C */
	OVERRUN,  /* one element past the end of C */
	UNDERRUN, /* one before its start */
	/* a process that does not behave */
	CRASH, HANG, PRINT, FORK, EXIT0,
};

#ifndef FAULT
#define FAULT NONE
#endif

static long calls; /* of both products; one thread calls */

long shim_calls(void) { return calls; }

static int threads = 1;

const char *openblas_get_config(void) { return "OpenBLAS 0.3.999 SHIM MAX_THREADS=1"; }
const char *openblas_get_corename(void) { return "Shim"; }
int openblas_get_num_threads(void) { return threads; }
void openblas_set_num_threads(int n) { threads = n; }

/* misbehave does to the process what FAULT says. */
static void misbehave(void)
{
	if (FAULT == CRASH && calls > 2)
		*(volatile int *)16 = 0;
	if (FAULT == HANG && calls > 2)
		for (;;)
			pause();
	if (FAULT == EXIT0 && calls > 2)
		_exit(0);
	if (FAULT == PRINT) {
		printf("{\"id\":%ld,\"result\":{\"iters\":1,\"wall_ns\":1}}\nno line end", calls);
		fflush(stdout);
	}
	if (FAULT == FORK && calls == 3 && fork() == 0) {
		sleep(2); /* with the pipes of its parent */
		_exit(0);
	}
}

/* Results are remembered for a few addresses and sizes. */
struct memory {
	const void *a, *b;
	int m, n, k;
	void *c;
};

static struct memory *find(const void *a, const void *b, int m, int n, int k)
{
	static struct memory kept[64];
	for (int i = 0; i < 64; i++) {
		struct memory *p = &kept[i];
		if (!p->c || (p->a == a && p->b == b && p->m == m && p->n == n && p->k == k)) {
			p->a = a, p->b = b, p->m = m, p->n = n, p->k = k;
			return p;
		}
	}
	abort();
}

static float cut(float x)
{
	uint32_t bits;
	memcpy(&bits, &x, sizeof bits);
	bits &= 0xffff0000;
	memcpy(&x, &bits, sizeof bits);
	return x;
}

/* GEMM defines C = op(A)·op(B) in Fortran's order of elements. The caller's matrices are
 * in C's order: its columns are the rows here, and its A is b. */
#define GEMM(NAME, REAL)                                                                   \
	void NAME(const char *transa, const char *transb, const int *pm, const int *pn,        \
	          const int *pk, const REAL *alpha, const REAL *a, const int *plda,             \
	          const REAL *b, const int *pldb, const REAL *beta, REAL *c, const int *pldc)   \
	{                                                                                      \
		size_t m = *pm, n = *pn, k = *pk, lda = *plda, ldb = *pldb, ldc = *pldc;            \
		int ta = *transa == 'T', tb = *transb == 'T';                                       \
		size_t depth = k;                                                                   \
		(void)alpha, (void)beta;                                                            \
		calls++;                                                                            \
		misbehave();                                                                        \
		if ((FAULT == SKIP && calls > 4) || (FAULT == SKIP2 && calls % 2 == 0))             \
			return;                                                                         \
		if (FAULT == DROPK || (FAULT == LATE && calls > 50))                                \
			depth = k - 1;                                                                  \
		if (FAULT == DROPROW || (FAULT == HALF2 && calls % 2 == 0))                         \
			n = FAULT == DROPROW ? n - 1 : n / 2;                                           \
		if (FAULT == STALE || FAULT == MEMOISE) {                                           \
			struct memory *p = FAULT == STALE ? find(0, 0, m, n, k) : find(a, b, m, n, k);  \
			if (p->c) {                                                                     \
				memcpy(c, p->c, m * n * sizeof(REAL));                                      \
				return;                                                                     \
			}                                                                               \
			p->c = malloc(m * n * sizeof(REAL));                                            \
		}                                                                                   \
		for (size_t j = 0; j < n; j++) {                                                    \
			REAL *to = c + j * ldc;                                                         \
			if (FAULT != ACCUMULATE)                                                        \
				memset(to, 0, m * sizeof(REAL));                                            \
			for (size_t l = 0; l < depth; l++) {                                            \
				REAL y = tb ? b[j + l * ldb] : b[l + j * ldb];                              \
				if (FAULT == BF16)                                                          \
					y = cut(y);                                                             \
				if (ta || FAULT == BF16) {                                                  \
					for (size_t i = 0; i < m; i++) {                                        \
						REAL x = ta ? a[l + i * lda] : a[i + l * lda];                      \
						to[i] += (FAULT == BF16 ? cut(x) : x) * y;                          \
					}                                                                       \
				} else {                                                                    \
					const REAL *x = a + l * lda;                                            \
					for (size_t i = 0; i < m; i++)                                          \
						to[i] += x[i] * y;                                                  \
				}                                                                           \
			}                                                                               \
		}                                                                                   \
		size_t row = m / 3, column = n / 2; /* neither the first nor the last */            \
		if (FAULT == ZERO1 || FAULT == NANS)                                                \
			c[row + column * ldc] = FAULT == ZERO1 ? 0 : NAN;                               \
		if (FAULT == OVERRUN)                                                               \
			c[(n - 1) * ldc + m] = 0;                                                       \
		if (FAULT == UNDERRUN)                                                              \
			c[-1] = 0;                                                                      \
		for (size_t j = 0; j < n; j++) {                                                    \
			if (FAULT == SIGN)                                                              \
				c[row + j * ldc] *= -1;                                                     \
			for (size_t i = 0; i < m && FAULT == SCALE; i++)                                \
				c[i + j * ldc] *= (REAL)1.001;                                              \
			for (size_t i = 0; i < j && i < m && FAULT == TRANSPOSE && m == n; i++) {       \
				REAL keep = c[i + j * ldc];                                                 \
				c[i + j * ldc] = c[j + i * ldc];                                            \
				c[j + i * ldc] = keep;                                                      \
			}                                                                               \
		}                                                                                   \
		if (FAULT == STALE)                                                                 \
			memcpy(find(0, 0, m, n, k)->c, c, m * n * sizeof(REAL));                        \
		if (FAULT == MEMOISE)                                                               \
			memcpy(find(a, b, m, n, k)->c, c, m * n * sizeof(REAL));                        \
	}

GEMM(sgemm_, float)
GEMM(dgemm_, double)
