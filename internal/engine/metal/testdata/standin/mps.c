// Metal Performance Shaders: MPSMatrixMultiplication, and MPSGraph with one product.
#include "standin.h"

bool MPSSupportsMTLDevice(id d) { return !opt.paravirtual; }

u64 width(u64 type) { return type == F32 ? 4 : 2; }
float load(const void *p, u64 type, u64 i) {
	if (type == F32) return ((float *)p)[i];
	if (type == F16) return (float)((_Float16 *)p)[i];
	uint32_t bits = (uint32_t)((uint16_t *)p)[i] << 16;
	float v;
	memcpy(&v, &bits, sizeof v);
	return v;
}
void store(void *p, u64 type, u64 i, float v) {
	if (type == F32) ((float *)p)[i] = v;
	else if (type == F16) ((_Float16 *)p)[i] = (_Float16)v;
	else {
		uint32_t bits;
		memcpy(&bits, &v, sizeof v);
		((uint16_t *)p)[i] = (bits + 0x7fff + (bits >> 16 & 1)) >> 16; // to nearest, ties to even
	}
}
void multiply(u64 m, u64 n, u64 k, int ta, int tb, const char *a, u64 row_a, const char *b, u64 row_b, char *c, u64 row_c, u64 in, u64 out) {
	float *x = malloc(k * sizeof *x), *y = malloc(k * n * sizeof *y), *sum = malloc(n * sizeof *sum);
	for (u64 l = 0; l < k; l++)
		for (u64 j = 0; j < n; j++) y[l * n + j] = load(b + (tb ? j : l) * row_b, in, tb ? l : j);
	for (u64 i = 0; i < m; i++) {
		for (u64 l = 0; l < k; l++) x[l] = load(a + (ta ? l : i) * row_a, in, ta ? i : l);
		memset(sum, 0, n * sizeof *sum);
		for (u64 l = 0; l < k; l++)
			for (u64 j = 0; j < n; j++) sum[j] += x[l] * y[l * n + j];
		for (u64 j = 0; j < n; j++) store(c + i * row_c, out, j, sum[j]);
	}
	free(x), free(y), free(sum);
}

// --- matrices ---

enum { ROWS, COLUMNS, ROW_BYTES, TYPE, OFFSET };
static id desc_make(Class *c, SEL s, u64 rows, u64 columns, u64 row_bytes, uint32_t type) {
	if (!rows || !columns) BAD(0, "+[MPSMatrixDescriptor %s]: %llu x %llu", s, W(rows), W(columns));
	if (type != F32 && type != F16) BAD(0, "+[MPSMatrixDescriptor %s]: data type %#x (MPSMatrixMultiplication has no bfloat16)", s, type);
	if (row_bytes < columns * width(type) || row_bytes % width(type)) BAD(0, "+[MPSMatrixDescriptor %s]: rowBytes %llu for %llu columns of %llu bytes", s, W(row_bytes), W(columns), W(width(type)));
	id d = make("MPSMatrixDescriptor", s);
	d->n[ROWS] = rows, d->n[COLUMNS] = columns, d->n[ROW_BYTES] = row_bytes, d->n[TYPE] = type;
	return autoreleased(d);
}
static id mat_init(id o, SEL s, id b, u64 offset, id d) {
	u64 need = offset + (d->n[ROWS] - 1) * d->n[ROW_BYTES] + d->n[COLUMNS] * width(d->n[TYPE]);
	if (b->n[0] < need) BAD(0, "-[MPSMatrix %s]: buffer of %llu bytes, %llu needed", s, W(b->n[0]), W(need));
	memcpy(o->n, d->n, sizeof o->n);
	o->n[OFFSET] = offset;
	o->held[0] = own(b);
	o->inited = 1;
	o->born = s;
	return o;
}
static char *data(id matrix) { return (char *)matrix->held[0]->p + matrix->n[OFFSET]; }
static id mul_init(id o, SEL s, id device, bool ta, bool tb, u64 m, u64 n, u64 k, double alpha, double beta) {
	if (!m || !n || !k) BAD(0, "-[MPSMatrixMultiplication %s]: %llu x %llu x %llu", s, W(m), W(n), W(k));
	if (alpha != 1 || beta != 0) BAD(0, "-[MPSMatrixMultiplication %s]: the stand-in computes A·B, not %g·A·B + %g·C", s, alpha, beta);
	o->held[0] = own(device);
	o->n[0] = m, o->n[1] = n, o->n[2] = k, o->n[3] = ta, o->n[4] = tb;
	o->inited = 1;
	o->born = s;
	return o;
}
static void run_mul(Op *o) {
	id a = o->held[0], b = o->held[1], c = o->held[2];
	multiply(o->n[0], o->n[1], o->n[2], o->n[3], o->n[4], data(a), a->n[ROW_BYTES], data(b), b->n[ROW_BYTES], data(c), c->n[ROW_BYTES], a->n[TYPE], c->n[TYPE]);
}
static void mul_encode(id o, SEL s, id commands, id a, id b, id c) {
	u64 m = o->n[0], n = o->n[1], k = o->n[2];
	struct { id x; u64 rows, columns; const char *name; } w[] = {{a, o->n[3] ? k : m, o->n[3] ? m : k, "left"}, {b, o->n[4] ? n : k, o->n[4] ? k : n, "right"}, {c, m, n, "result"}};
	for (int i = 0; i < 3; i++)
		if (w[i].x->n[ROWS] < w[i].rows || w[i].x->n[COLUMNS] < w[i].columns)
			BAD(, "-[MPSMatrixMultiplication %s]: the %s matrix is %llu x %llu, %llu x %llu needed: Apple's assertion would end the process", s, w[i].name, W(w[i].x->n[ROWS]), W(w[i].x->n[COLUMNS]), W(w[i].rows), W(w[i].columns));
	if (a->n[TYPE] != b->n[TYPE] || (a->n[TYPE] == F32 && c->n[TYPE] != F32)) BAD(, "-[MPSMatrixMultiplication %s]: data types %#llx %#llx %#llx", s, W(a->n[TYPE]), W(b->n[TYPE]), W(c->n[TYPE]));
	Op *op = op_add(commands, s);
	if (!op) return;
	op->run = run_mul;
	hold(op, a), hold(op, b), hold(op, c);
	op->writes = c->held[0];
	memcpy(op->n, o->n, 5 * sizeof(u64));
}

// --- MPSGraph: placeholders, transposes and one product ---

enum { RANK = 4, KIND = 5, DATA = 6 };
enum { PLACEHOLDER, PRODUCT, TRANSPOSED };
static id mcb_from(Class *c, SEL s, id queue) {
	id m = make("MPSCommandBuffer", s);
	m->held[0] = own(commands_new(queue, s));
	return autoreleased(m);
}
static id mcb_root(id m, SEL s) { return root(m); }
static int shape_of(id o, id shape, SEL s) {
	if (shape->n[0] == 0 || shape->n[0] > 4) BAD(0, "%s: a shape of rank %llu", s, W(shape->n[0]));
	for (u64 i = 0; i < shape->n[0]; i++) {
		id x = ((id *)shape->p)[i];
		if (!is_kind(x, "NSNumber")) BAD(0, "%s: the shape holds %s, not an NSNumber", s, show(x));
		o->n[i] = x->n[0];
	}
	o->n[RANK] = shape->n[0];
	return 1;
}
static id graph_keep(id g, id t) { // the graph owns its tensors
	id *v = g->p = realloc(g->p, (g->n[0] + 1) * sizeof(id));
	return v[g->n[0]++] = t;
}
static id graph_placeholder(id g, SEL s, id shape, uint32_t type, id name) {
	id t = make("MPSGraphTensor", s);
	if (!shape || !shape_of(t, shape, s)) BAD(0, "-[MPSGraph %s]: the stand-in wants a shape", s);
	if (type != F32 && type != F16 && !(type == BF16 && !opt.old)) BAD(0, "-[MPSGraph %s]: data type %#x", s, type);
	t->n[DATA] = type;
	return graph_keep(g, t);
}
static id graph_transpose(id g, SEL s, id a, u64 i, u64 j, id name) {
	if (a->n[KIND] != PLACEHOLDER || a->n[RANK] != 2 || i + j != 1) BAD(0, "-[MPSGraph %s]: the stand-in exchanges the two dimensions of a placeholder", s);
	id t = make("MPSGraphTensor", s);
	t->n[0] = a->n[1], t->n[1] = a->n[0], t->n[RANK] = 2, t->n[KIND] = TRANSPOSED, t->n[DATA] = a->n[DATA];
	t->held[0] = own(a);
	return graph_keep(g, t);
}
static id graph_matmul(id g, SEL s, id a, id b, id name) {
	if (a->n[RANK] != 2 || b->n[RANK] != 2 || a->n[1] != b->n[0]) BAD(0, "-[MPSGraph %s]: %llu x %llu by %llu x %llu", s, W(a->n[0]), W(a->n[1]), W(b->n[0]), W(b->n[1]));
	if (a->n[DATA] != b->n[DATA]) BAD(0, "-[MPSGraph %s]: data types %#llx and %#llx", s, W(a->n[DATA]), W(b->n[DATA]));
	id t = make("MPSGraphTensor", s);
	t->n[0] = a->n[0], t->n[1] = b->n[1], t->n[RANK] = 2, t->n[KIND] = PRODUCT, t->n[DATA] = a->n[DATA];
	t->held[0] = own(a), t->held[1] = own(b);
	return graph_keep(g, t);
}
static id td_init(id o, SEL s, id b, id shape, uint32_t type) {
	if (!shape_of(o, shape, s)) return 0;
	u64 need = width(type);
	for (u64 i = 0; i < o->n[RANK]; i++) need *= o->n[i];
	if (b->n[0] < need) BAD(0, "-[MPSGraphTensorData %s]: buffer of %llu bytes, %llu needed", s, W(b->n[0]), W(need));
	o->n[DATA] = type;
	o->held[0] = own(b);
	o->inited = 1;
	o->born = s;
	return o;
}
static void comp_level(id o, SEL s, u64 v) { o->n[0] = v; }
static void exec_comp(id o, SEL s, id c) { // the property is copied: what is set in c later does not count
	drop(o->held[0]);
	o->held[0] = make("MPSGraphCompilationDescriptor", s);
	o->held[0]->n[0] = c->n[0];
}
static void run_graph(Op *o) {
	id a = o->held[0], b = o->held[1], c = o->held[2], result = o->held[3];
	multiply(c->n[0], c->n[1], result->held[0]->n[1], result->held[0]->n[KIND] == TRANSPOSED, result->held[1]->n[KIND] == TRANSPOSED,
		a->held[0]->p, a->n[1] * width(a->n[DATA]), b->held[0]->p, b->n[1] * width(b->n[DATA]), c->held[0]->p, c->n[1] * width(c->n[DATA]), a->n[DATA], c->n[DATA]);
}
static id fed(id t) { return t->n[KIND] == TRANSPOSED ? t->held[0] : t; }
static void graph_encode(id g, SEL s, id commands, id feeds, id ops, id results, id exec) {
	id t = dict_only_key(results);
	if (!t || !is_kind(t, "MPSGraphTensor") || t->n[KIND] != PRODUCT) BAD(, "-[MPSGraph %s]: the stand-in computes one matrix product", s);
	if (!exec || !exec->held[0] || exec->held[0]->n[0] != 0) BAD(, "-[MPSGraph %s]: optimization level %llu may run on the Neural Engine; set MPSGraphOptimizationLevel0", s, W(exec && exec->held[0] ? exec->held[0]->n[0] : 1));
	id k[3] = {fed(t->held[0]), fed(t->held[1]), t}, d[3] = {dict_get(feeds, s, k[0]), dict_get(feeds, s, k[1]), dict_get(results, s, t)};
	for (int i = 0; i < 3; i++) {
		if (!is_kind(d[i], "MPSGraphTensorData")) BAD(, "-[MPSGraph %s]: no data for %s", s, show(k[i]));
		if (d[i]->n[0] != k[i]->n[0] || d[i]->n[1] != k[i]->n[1] || d[i]->n[DATA] != k[i]->n[DATA]) BAD(, "-[MPSGraph %s]: %s does not have the shape and type of %s", s, show(d[i]), show(k[i]));
	}
	Op *o = op_add(commands, s);
	if (!o) return;
	o->run = run_graph;
	for (int i = 0; i < 3; i++) hold(o, d[i]);
	hold(o, t);
	o->writes = d[2]->held[0];
}

const Method mps_methods[] = {
	{"MPSMatrixDescriptor", '+', "matrixDescriptorWithRows:columns:rowBytes:dataType:", desc_make}, {"MPSMatrix", '-', "initWithBuffer:offset:descriptor:", mat_init},
	{"MPSMatrixMultiplication", '-', "initWithDevice:transposeLeft:transposeRight:resultRows:resultColumns:interiorColumns:alpha:beta:", mul_init},
	{"MPSMatrixMultiplication", '-', "encodeToCommandBuffer:leftMatrix:rightMatrix:resultMatrix:", mul_encode},
	{"MPSCommandBuffer", '+', "commandBufferFromCommandQueue:", mcb_from}, {"MPSCommandBuffer", '-', "commandBuffer", mcb_root},
	{"MPSGraph", '-', "placeholderWithShape:dataType:name:", graph_placeholder}, {"MPSGraph", '-', "transposeTensor:dimension:withDimension:name:", graph_transpose},
	{"MPSGraph", '-', "matrixMultiplicationWithPrimaryTensor:secondaryTensor:name:", graph_matmul},
	{"MPSGraph", '-', "encodeToCommandBuffer:feeds:targetOperations:resultsDictionary:executionDescriptor:", graph_encode},
	{"MPSGraphTensorData", '-', "initWithMTLBuffer:shape:dataType:", td_init},
	{"MPSGraphCompilationDescriptor", '-', "setOptimizationLevel:", comp_level}, {"MPSGraphExecutionDescriptor", '-', "setCompilationDescriptor:", exec_comp}, {0}};
