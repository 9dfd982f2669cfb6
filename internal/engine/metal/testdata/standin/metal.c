// Metal: devices, buffers, command buffers and gpuplay's own kernel, which is known by its
// name. A command buffer is carried out when it is waited for; from its commit until then
// the CPU can neither read nor write what it writes.
#include "standin.h"

// --- devices ---

id MTLCreateSystemDefaultDevice(void) { return opt.no_default_device || opt.no_device ? 0 : make("StandinDevice", "MTLCreateSystemDefaultDevice"); }
id MTLCopyAllDevices(void) {
	id d = opt.no_device ? 0 : make("StandinDevice", "MTLCopyAllDevices"), a = array_make(&d, d != 0, "MTLCopyAllDevices");
	drop(d);
	return a;
}
static id dev_name(id o, SEL s) { return autoreleased(string(opt.paravirtual ? "Apple Paravirtual device" : "Apple S1")); }
static u64 dev_working_set(id o, SEL s) { return 1ull << 30; }
static u64 dev_max_buffer(id o, SEL s) { return 1ull << 29; }
static bool dev_family(id o, SEL s, long f) {
	long newest = opt.paravirtual ? 1005 : 1009;
	return f >= 1001 && f <= newest;
}
static id dev_queue(id o, SEL s) {
	id q = make("StandinQueue", s);
	q->held[0] = own(o);
	return q;
}

// --- buffers ---

enum { LENGTH, MAPPED, OPTIONS, PENDING }; // PENDING: command buffers that write it
static u64 in_use;
u64 standin_in_use(void) { return in_use; } // bytes of all buffers

static id dev_buffer(id o, SEL s, u64 length, u64 options) {
	if (length == 0) BAD(0, "-[MTLDevice %s]: length 0", s);
	if (length > dev_max_buffer(o, s)) return 0;
	if (options & ~0x3ffull) BAD(0, "-[MTLDevice %s]: options %#llx are no MTLResourceOptions", s, W(options));
	id b = make("StandinBuffer", s);
	b->n[LENGTH] = length;
	b->n[MAPPED] = (length + 4095) & ~4095ull;
	b->n[OPTIONS] = options;
	b->p = mmap(0, b->n[MAPPED], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	in_use += b->n[MAPPED];
	return b;
}
static void *buf_contents(id o, SEL s) {
	if ((o->n[OPTIONS] >> 4) & 2) BAD(0, "-[MTLBuffer contents] of %s with private storage", show(o));
	return o->p;
}

// --- command buffers ---

enum { STATUS, POLLS, FAIL_CODE, OPEN_ENCODERS };
enum { COMMITTED = 2, COMPLETED = 4, FAILED = 5 };

id commands_new(id queue, SEL s) {
	id c = make("StandinCommandBuffer", s);
	c->held[0] = own(queue);
	return autoreleased(c);
}
id root(id c) { return c && !strcmp(c->isa->name, "MPSCommandBuffer") ? c->held[0] : c; }
Op *op_add(id c, SEL s) {
	c = root(c);
	if (c->n[STATUS] >= COMMITTED) BAD(0, "%s: encoding into %s, which was already committed", s, show(c));
	c->ops = realloc(c->ops, (c->nops + 1) * sizeof(Op));
	return memset(&c->ops[c->nops++], 0, sizeof(Op));
}
id hold(Op *op, id o) { return op->held[op->nheld++] = own(o); }

static void protect(id b) { mprotect(b->p, b->n[MAPPED], b->n[PENDING] ? PROT_NONE : PROT_READ | PROT_WRITE); }
static void cb_commit(id c, SEL s) {
	c = root(c);
	if (c->n[STATUS] >= COMMITTED) BAD(, "-[MTLCommandBuffer commit]: %s was already committed", show(c));
	if (c->n[OPEN_ENCODERS]) BAD(, "-[MTLCommandBuffer commit]: an encoder of %s is open: endEncoding is missing", show(c));
	c->n[STATUS] = COMMITTED;
	c->n[FAIL_CODE] = opt.fail_code;
	opt.fail_code = 0;
	for (int i = 0; i < c->nops; i++) {
		c->ops[i].writes->n[PENDING]++;
		protect(c->ops[i].writes);
	}
}
static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}
static void drop_ops(id c) {
	for (int i = 0; i < c->nops; i++) {
		for (int k = 0; k < c->ops[i].nheld; k++) drop(c->ops[i].held[k]);
		free(c->ops[i].p);
	}
	c->nops = 0;
}
static void cb_finish(id c) {
	if (c->n[STATUS] != COMMITTED) return;
	c->f[0] = now();
	for (int i = 0; i < c->nops; i++) {
		id b = c->ops[i].writes;
		mprotect(b->p, b->n[MAPPED], PROT_READ | PROT_WRITE);
		if (!c->n[FAIL_CODE]) c->ops[i].run(&c->ops[i]);
	}
	c->f[1] = now() + 1e-9;
	for (int i = 0; i < c->nops; i++) {
		c->ops[i].writes->n[PENDING]--;
		protect(c->ops[i].writes);
	}
	drop_ops(c);
	c->n[STATUS] = c->n[FAIL_CODE] ? FAILED : COMPLETED;
	if (c->n[FAIL_CODE]) c->held[1] = error_make("MTLCommandBufferErrorDomain", c->n[FAIL_CODE], "injected by the stand-in");
}
static void cb_wait(id c, SEL s) {
	c = root(c);
	if (c->n[STATUS] < COMMITTED) BAD(, "-[MTLCommandBuffer %s]: %s was never committed: this would wait forever", s, show(c));
	cb_finish(c);
}
static u64 cb_status(id c, SEL s) {
	c = root(c);
	if (c->n[STATUS] == COMMITTED && ++c->n[POLLS] > 100) cb_finish(c); // a caller that polls
	return c->n[STATUS];
}
static id cb_error(id c, SEL s) { return root(c)->held[1]; }
static double cb_time(id c, SEL s) {
	c = root(c);
	if (c->n[STATUS] < COMPLETED) BAD(0, "-[MTLCommandBuffer %s] of %s before it completed: waitUntilCompleted is missing", s, show(c));
	return strstr(s, "Start") ? c->f[0] : c->f[1];
}

// --- encoders ---

enum { ENDED = 11, BYTES_INDEX = 8, BYTES_LENGTH = 9, PIPELINE = 1, FIRST_BUFFER = 2, BUFFERS = 7 };
static id encoder(id c, SEL s, const char *class) {
	c = root(c);
	if (c->n[STATUS] >= COMMITTED) BAD(0, "%s: %s was already committed", s, show(c));
	if (c->n[OPEN_ENCODERS]) BAD(0, "%s: %s still has an open encoder", s, show(c));
	c->n[OPEN_ENCODERS]++;
	id e = make(class, s);
	e->held[0] = own(c);
	return autoreleased(e);
}
static id cb_blit(id c, SEL s) { return encoder(c, s, "StandinBlitEncoder"); }
static id cb_compute(id c, SEL s) { return encoder(c, s, "StandinComputeEncoder"); }
static void enc_end(id e, SEL s) {
	if (e->n[ENDED]++) BAD(, "-[MTLCommandEncoder endEncoding] twice on %s", show(e));
	e->held[0]->n[OPEN_ENCODERS]--;
}
static void run_fill(Op *o) { memset((char *)o->held[0]->p + o->n[0], o->n[2], o->n[1]); }
static void blit_fill(id e, SEL s, id b, NSRange r, uint8_t v) {
	if (r.len == 0 || r.loc + r.len > b->n[LENGTH]) BAD(, "-[MTLBlitCommandEncoder %s]: range %llu+%llu of %llu bytes", s, W(r.loc), W(r.len), W(b->n[LENGTH]));
	Op *o = op_add(e->held[0], s);
	if (!o) return;
	o->run = run_fill;
	o->writes = hold(o, b);
	o->n[0] = r.loc, o->n[1] = r.len, o->n[2] = v;
}
static void enc_pipeline(id e, SEL s, id p) { drop(e->held[PIPELINE]); e->held[PIPELINE] = own(p); }
static void enc_buffer(id e, SEL s, id b, u64 offset, u64 i) {
	if (i >= BUFFERS) BAD(, "-[MTLComputeCommandEncoder %s]: index %llu", s, W(i));
	if (b && offset >= b->n[LENGTH]) BAD(, "-[MTLComputeCommandEncoder %s]: offset %llu in %llu bytes", s, W(offset), W(b->n[LENGTH]));
	drop(e->held[FIRST_BUFFER + i]);
	e->held[FIRST_BUFFER + i] = own(b);
	e->n[i] = offset;
}
static void enc_bytes(id e, SEL s, const void *p, u64 n, u64 i) {
	if (n > 4096 || n == 0) BAD(, "-[MTLComputeCommandEncoder %s]: %llu bytes (1 to 4096 are allowed)", s, W(n));
	free(e->q);
	e->q = memcpy(calloc(1, 4096), p, n);
	e->n[BYTES_INDEX] = i, e->n[BYTES_LENGTH] = n;
}

// --- gpuplay's kernel: its source is not compiled ---

static void options_language(id o, SEL s, u64 version) {
	if (opt.old && version > 0x30000) BAD(, "-[MTLCompileOptions %s]: macOS 13 has no version %llu.%llu", s, W(version >> 16), W(version & 0xffff));
	o->n[0] = version;
}
static id dev_library(id d, SEL s, id source, id options, id *err) {
	if (strstr(source->p, "typedef bfloat T;") && !(options && options->n[0] >= 0x30001)) {
		if (err) *err = autoreleased(error_make("MTLLibraryErrorDomain", 3, "program_source: unknown type name 'bfloat'"));
		return 0;
	}
	if (!strstr(source->p, "kernel void ")) {
		if (err) *err = autoreleased(error_make("MTLLibraryErrorDomain", 3, "program_source: no kernel function"));
		return 0;
	}
	id l = make("StandinLibrary", s);
	l->held[0] = own(source);
	return l;
}
static id lib_function(id l, SEL s, id name) {
	char want[128];
	snprintf(want, sizeof want, "kernel void %s(", (char *)name->p);
	if (!strstr(l->held[0]->p, want)) return 0;
	id f = make("StandinFunction", s);
	f->held[0] = own(name);
	f->held[1] = own(l->held[0]);
	return f;
}
static id dev_pipeline(id d, SEL s, id f, id *err) {
	const char *source = f->held[1]->p;
	u64 type = strstr(source, "typedef float T;") ? F32 : strstr(source, "typedef half T;") ? F16 : strstr(source, "typedef bfloat T;") ? BF16 : 0;
	if (strcmp(f->held[0]->p, "gemm") || !type) {
		violation("-[MTLDevice %s]: the stand-in knows no kernel \"%s\" of this type", s, (char *)f->held[0]->p);
		if (err) *err = autoreleased(error_make("CompilerError", 2, "unknown kernel"));
		return 0;
	}
	id p = make("StandinPipeline", s);
	p->n[0] = type;
	return p;
}
static u64 pipe_threads(id p, SEL s) { return 1024; }

enum { TILE = 32, THREADS = 128 };
static void run_gemm(Op *o) {
	uint32_t *d = o->p;
	u64 m = d[0], n = d[1], k = d[2], w = width(o->n[2]);
	u64 rows = o->n[1] * TILE < m ? o->n[1] * TILE : m, columns = o->n[0] * TILE < n ? o->n[0] * TILE : n;
	char *p[3];
	for (int i = 0; i < 3; i++) p[i] = (char *)o->held[i]->p + o->n[3 + i];
	// A grid that is too small leaves elements out, as on a GPU.
	multiply(rows, columns, k, d[3], d[4], p[0], (d[3] ? m : k) * w, p[1], (d[4] ? k : n) * w, p[2], n * w, o->n[2], o->n[2]);
}
static void enc_dispatch(id e, SEL s, MTLSize g, MTLSize t) {
	if (e->n[ENDED]) BAD(, "-[%s] after endEncoding", s);
	if (!e->held[PIPELINE]) BAD(, "-[MTLComputeCommandEncoder %s] without a pipeline", s);
	if (t.w * t.h * t.d > 1024) BAD(, "-[MTLComputeCommandEncoder %s]: %llu threads per threadgroup", s, W(t.w * t.h * t.d));
	if (t.w != THREADS || t.h != 1 || t.d != 1) BAD(, "-[MTLComputeCommandEncoder %s]: gemm wants %d threads, not %llu x %llu x %llu", s, THREADS, W(t.w), W(t.h), W(t.d));
	for (int i = 0; i < 3; i++)
		if (!e->held[FIRST_BUFFER + i]) BAD(, "-[MTLComputeCommandEncoder %s]: no buffer at index %d", s, i);
	if (!e->q || e->n[BYTES_INDEX] != 3 || e->n[BYTES_LENGTH] != 20) BAD(, "-[MTLComputeCommandEncoder %s]: gemm wants 20 bytes at index 3", s);
	uint32_t *d = e->q;
	u64 type = e->held[PIPELINE]->n[0], w = width(type);
	u64 need[3] = {(u64)d[0] * d[2] * w, (u64)d[2] * d[1] * w, (u64)d[0] * d[1] * w};
	for (int i = 0; i < 3; i++)
		if (e->held[FIRST_BUFFER + i]->n[LENGTH] < need[i] + e->n[i]) BAD(, "-[MTLComputeCommandEncoder %s]: buffer %d has %llu bytes, %llu needed", s, i, W(e->held[FIRST_BUFFER + i]->n[LENGTH]), W(need[i] + e->n[i]));
	Op *o = op_add(e->held[0], s);
	if (!o) return;
	o->run = run_gemm;
	for (int i = 0; i < 3; i++) {
		hold(o, e->held[FIRST_BUFFER + i]);
		o->n[3 + i] = e->n[i];
	}
	o->writes = o->held[2];
	o->p = memcpy(malloc(20), d, 20);
	o->n[0] = g.w, o->n[1] = g.h, o->n[2] = type;
}

void on_dealloc(id o) {
	if (!strcmp(o->isa->name, "StandinCommandBuffer")) {
		if (o->n[STATUS] == COMMITTED) violation("%s was committed but never waited for: waitUntilCompleted is missing", show(o));
		else if (o->n[STATUS] == 0 && o->nops) violation("%s has encoded work but was never committed", show(o));
		cb_finish(o);
		drop_ops(o);
		free(o->ops);
	}
	if (strstr(o->isa->name, "Encoder") && !o->n[ENDED]) violation("%s was released without endEncoding: Metal's assertion would end the process", show(o));
	if (!strcmp(o->isa->name, "StandinBuffer")) { // the memory is given back, its addresses are never used again
		mmap(o->p, o->n[MAPPED], PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
		in_use -= o->n[MAPPED];
	}
	if (!strcmp(o->isa->name, "NSArray") || !strcmp(o->isa->name, "MPSGraph"))
		for (u64 i = 0; i < o->n[0]; i++) drop(((id *)o->p)[i]);
}

const Method metal_methods[] = {
	{"MTLDevice", '-', "name", dev_name}, {"MTLDevice", '-', "supportsFamily:", dev_family},
	{"MTLDevice", '-', "recommendedMaxWorkingSetSize", dev_working_set}, {"MTLDevice", '-', "maxBufferLength", dev_max_buffer},
	{"MTLDevice", '-', "newCommandQueue", dev_queue}, {"MTLDevice", '-', "newBufferWithLength:options:", dev_buffer},
	{"MTLCompileOptions", '-', "setLanguageVersion:", options_language},
	{"MTLDevice", '-', "newLibraryWithSource:options:error:", dev_library}, {"MTLDevice", '-', "newComputePipelineStateWithFunction:error:", dev_pipeline},
	{"MTLLibrary", '-', "newFunctionWithName:", lib_function}, {"MTLComputePipelineState", '-', "maxTotalThreadsPerThreadgroup", pipe_threads},
	{"MTLBuffer", '-', "contents", buf_contents}, {"MTLCommandQueue", '-', "commandBuffer", commands_new},
	{"MTLCommandBuffer", '-', "commit", cb_commit}, {"MTLCommandBuffer", '-', "waitUntilCompleted", cb_wait}, {"MTLCommandBuffer", '-', "status", cb_status},
	{"MTLCommandBuffer", '-', "error", cb_error}, {"MTLCommandBuffer", '-', "GPUStartTime", cb_time}, {"MTLCommandBuffer", '-', "GPUEndTime", cb_time},
	{"MTLCommandBuffer", '-', "blitCommandEncoder", cb_blit}, {"MTLCommandBuffer", '-', "computeCommandEncoder", cb_compute},
	{"MTLCommandEncoder", '-', "endEncoding", enc_end}, {"MTLBlitCommandEncoder", '-', "fillBuffer:range:value:", blit_fill},
	{"MTLComputeCommandEncoder", '-', "setComputePipelineState:", enc_pipeline}, {"MTLComputeCommandEncoder", '-', "setBuffer:offset:atIndex:", enc_buffer},
	{"MTLComputeCommandEncoder", '-', "setBytes:length:atIndex:", enc_bytes},
	{"MTLComputeCommandEncoder", '-', "dispatchThreadgroups:threadsPerThreadgroup:", enc_dispatch}, {0}};
