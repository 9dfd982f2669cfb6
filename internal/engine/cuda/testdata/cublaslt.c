// A stand-in for cuBLASLt, for tests with the stand-in for libcuda. It checks handles, sizes and
// attributes, proposes one algorithm, for int8 three of which the last does not work, and computes
// the product on the CPU. What is wrong is printed to stderr, and the call fails.
#include <stdio.h>

#include "elements.h"

typedef int Status;
enum { SUCCESS = 0, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };
typedef enum { HANDLE = 1, DESC, LAYOUT, PREFERENCE } Kind;
typedef struct { Kind kind; int compute, scale, transA, transB, type; uint64_t rows, columns, workspace; int64_t leading; } Object;
typedef struct { uint64_t algo[8]; size_t workspace; int state; float waves; int reserved[4]; } Result;

#define WRONG(...) return (fprintf(stderr, "cuBLASLt stand-in: %s: ", __func__), fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), INVALID_VALUE)
#define IS(o, k) if (!(o) || (o)->kind != (k)) WRONG("%p is no object of kind %d", (void *)(o), k)

static size_t objects;
size_t standin_objects(void) { return objects; }
static Status make(Object **o, Object value) { objects++; *o = malloc(sizeof value); **o = value; return SUCCESS; }
static Status destroy(Object *o) { objects--; o->kind = 0; return SUCCESS; }

size_t cublasLtGetVersion(void) { return 130102; }
const char *cublasLtGetStatusString(Status s) { return s == NOT_SUPPORTED ? "CUBLAS_STATUS_NOT_SUPPORTED" : "CUBLAS_STATUS_INVALID_VALUE"; }
Status cublasLtCreate(Object **h) { return make(h, (Object){.kind = HANDLE}); }
Status cublasLtMatmulDescCreate(Object **d, int compute, int scale) { return make(d, (Object){.kind = DESC, .compute = compute, .scale = scale}); }
Status cublasLtMatmulDescDestroy(Object *d) { IS(d, DESC); return destroy(d); }
Status cublasLtMatmulDescSetAttribute(Object *d, int attribute, const int *value, size_t size) {
	IS(d, DESC);
	if ((attribute != 3 && attribute != 4) || size != 4 || *value != 1) WRONG("attribute %d, %zu bytes, %d", attribute, size, *value);
	*(attribute == 3 ? &d->transA : &d->transB) = 1;
	return SUCCESS;
}
Status cublasLtMatrixLayoutCreate(Object **l, int type, uint64_t rows, uint64_t columns, int64_t leading) {
	if (!rows || !columns || leading < (int64_t)rows) WRONG("%lu×%lu, %ld", rows, columns, leading);
	return make(l, (Object){.kind = LAYOUT, .type = type, .rows = rows, .columns = columns, .leading = leading});
}
Status cublasLtMatrixLayoutDestroy(Object *l) { IS(l, LAYOUT); return destroy(l); }
Status cublasLtMatmulPreferenceCreate(Object **p) { return make(p, (Object){.kind = PREFERENCE}); }
Status cublasLtMatmulPreferenceDestroy(Object *p) { IS(p, PREFERENCE); return destroy(p); }
Status cublasLtMatmulPreferenceSetAttribute(Object *p, int attribute, const uint64_t *value, size_t size) {
	IS(p, PREFERENCE);
	if (attribute != 1 || size != 8) WRONG("attribute %d, %zu bytes", attribute, size);
	p->workspace = *value;
	return SUCCESS;
}

// types returns the names of a product's types by the codes of the library.
static Status types(Object *d, Object *a, Object *out, const char **in, const char **acc) {
	static const struct { int in, out, compute, scale; const char *names[2]; } known[] = {
		{1, 1, 70, 1, {"float64", "float64"}}, {0, 0, 68, 0, {"float32", "float32"}}, {0, 0, 77, 0, {"float32", "tf32"}},
		{2, 2, 68, 0, {"float16", "float32"}}, {14, 14, 68, 0, {"bfloat16", "float32"}}, {3, 10, 72, 10, {"int8", "int32"}},
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].in == a->type && known[i].out == out->type && known[i].compute == d->compute && known[i].scale == d->scale) {
			*in = known[i].names[0];
			*acc = known[i].names[1];
			return SUCCESS;
		}
	WRONG("types %d to %d, computed in %d, scaled in %d", a->type, out->type, d->compute, d->scale);
}
Status cublasLtMatmulAlgoGetHeuristic(Object *h, Object *d, Object *a, Object *b, Object *c, Object *out, Object *p, int most, Result *results, int *found) {
	IS(h, HANDLE);
	IS(d, DESC);
	IS(a, LAYOUT);
	IS(b, LAYOUT);
	IS(c, LAYOUT);
	IS(out, LAYOUT);
	IS(p, PREFERENCE);
	const char *in, *acc;
	Status s = types(d, a, out, &in, &acc);
	if (s) return s;
	if (b->type != a->type || c != out || most < 3) WRONG("types %d and %d, most %d", a->type, b->type, most);
	uint64_t m = d->transA ? a->columns : a->rows, k = d->transA ? a->rows : a->columns, kb = d->transB ? b->columns : b->rows, n = d->transB ? b->rows : b->columns;
	if (k != kb || m != out->rows || n != out->columns) WRONG("%lu×%lu times %lu×%lu to %lu×%lu", m, k, kb, n, out->rows, out->columns);
	if (d->compute == 72 && (!d->transA || d->transB || a->leading % 4 || b->leading % 4)) return NOT_SUPPORTED;
	*found = d->compute == 72 ? 3 : 1;
	for (int i = 0; i < *found; i++) results[i] = (Result){.algo = {i + 1}, .workspace = i == 1 ? 1024 : 0};
	return SUCCESS;
}
Status cublasLtMatmul(Object *h, Object *d, const void *alpha, const void *a, Object *la, const void *b, Object *lb, const void *beta, const void *c, Object *lc, void *out, Object *lout, const uint64_t *algo, void *work, size_t workBytes, void *stream) {
	IS(h, HANDLE);
	IS(d, DESC);
	IS(la, LAYOUT);
	IS(lb, LAYOUT);
	IS(lout, LAYOUT);
	const char *in, *acc;
	Status s = types(d, la, lout, &in, &acc);
	if (s) return s;
	double one = d->scale == 1 ? *(const double *)alpha : d->scale == 0 ? *(const float *)alpha : *(const int *)alpha;
	double zero = d->scale == 1 ? *(const double *)beta : d->scale == 0 ? *(const float *)beta : *(const int *)beta;
	if (one != 1 || zero != 0 || c != out || lc != lout || !stream || *algo < 1 || *algo > 3 || (*algo == 2 && (!work || workBytes != 1024))) WRONG("alpha %g, beta %g, algorithm %lu, %zu bytes at %p", one, zero, *algo, workBytes, work);
	if (*algo == 3) return NOT_SUPPORTED;
	// Columns of the result are rows of ours.
	int64_t m = lout->rows, n = lout->columns, k = d->transA ? la->rows : la->columns;
	if (lout->leading != m) WRONG("columns of %ld elements, %ld apart", m, lout->leading);
	multiply(in, acc, n, m, k, b, d->transB ? 1 : lb->leading, d->transB ? lb->leading : 1, a, d->transA ? 1 : la->leading, d->transA ? la->leading : 1, out);
	return SUCCESS;
}
