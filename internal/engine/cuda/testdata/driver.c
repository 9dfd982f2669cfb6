// A stand-in for libcuda, for tests on machines without a GPU. It checks what it is given:
// that handles are of the right kind and alive, that memory is within what was allocated,
// that the context is current on the calling thread, and that a kernel gets the arguments
// which its text declares. What is wrong is printed to stderr, and the call fails with
// CUDA_ERROR_UNKNOWN (999).
//
// It runs no PTX. A module's first line says which product its first entry computes,
//
//	// gemm IN ACC OUT LAYOUT
//
// and the names of parameters which arguments are A, B, C, M, N and K. Where a kernel moves an
// operand into scratch memory first, or adds up parts of C from there, those launches have the
// address. Once all are known, the product is computed here by three loops.
//
// Of a module whose first line begins with "// train " nothing is computed: a test asks for the
// arguments of its last launch, and writes what the kernel would have written.
//
// A fault chooses what goes wrong: the one that the library is built with, or else that of
// standin_set.
enum { NONE, NO_DEVICE, HIDDEN, OLD, REFUSES_PTX, ABORTS, OVERWRITES_AFTER, OVERWRITES_BEFORE, SKIPS, HANGS, LAUNCH_FAILS, LAUNCH_ABORTS, LAUNCH_HANGS, REFUSES_TEXT, LOSES_COPIES, LOSES_UPLOADS, LOSES_DOWNLOADS,
	TWO_GPUS, LOSES_PEER_COPIES, NO_PEER_ACCESS }; // from here on, there are two GPUs
#ifndef FAULT
#define FAULT NONE
#endif

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "elements.h"

static int fault = FAULT;
static int cudaVersion = 13000;
static size_t memory = 256ul << 20;

typedef int CUresult;
enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_SUCH_DEVICE = 100, INVALID_PTX = 218, UNSUPPORTED_PTX = 222, NOT_FOUND = 500, LAUNCH_FAILED = 719, UNKNOWN = 999 };

#define WRONG(...) return (fprintf(stderr, "driver stand-in: %s: ", __func__), fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), UNKNOWN)

// Every object is kept until it is destroyed, with its kind.
typedef enum { MODULE = 1, FUNCTION, STREAM, EVENT, GRAPH, EXEC } Kind;
enum { PARAMS = 24, MANY = 4096 };
typedef struct { char name[24]; int size; } Param;
typedef struct Object {
	Kind kind;
	int alive;
	char *text;           // of a module
	int capturing;        // a stream
	struct Object *graph; // of a stream that captures, or of an executable graph
	struct timespec time; // of an event
	int recorded;
	struct Object *module; // of a function
	char name[24];         // of a function
	int product;           // it is the first entry
	uint64_t a, b, c;      // of a module: the product that its launches are about
	uint32_t m, n, k;
	int shared;            // dynamic bytes that it may use
	int count;             // of params, or of launches in a graph
	Param params[PARAMS];
	struct { struct Object *function; unsigned char values[PARAMS][128]; } *launches;
} Object;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int initialised;
enum { GPUS = 2 };
static _Thread_local int current; // 1 + the GPU whose context is current on this thread
static int retained[GPUS];         // a GPU's context is the address of its counter
static int access_[GPUS][GPUS];     // peer access from a GPU's context to another's
static struct { unsigned char *at; size_t size; int scratch, gpu; } blocks[MANY];
static int blockCount;
static size_t inUse;

// Starts anew, as another process would find it.
void standin_set(size_t newFault, size_t newVersion, size_t newMemory) {
	fault = newFault;
	cudaVersion = newVersion;
	memory = newMemory;
	initialised = blockCount = 0;
	memset(retained, 0, sizeof retained);
	memset(access_, 0, sizeof access_);
	inUse = 0;
}

// Goes wrong from now on.
void standin_break(size_t newFault) { fault = newFault; }

static Object *make(Kind kind) {
	Object *o = calloc(1, sizeof *o);
	o->kind = kind;
	o->alive = 1;
	return o;
}
static int is(Object *o, Kind kind) { return o && o->kind == kind && o->alive; }

// What tests ask for: the bytes in use, the products computed, the modules compiled.
static size_t products, compiled;
size_t standin_in_use(void) { return inUse; }
size_t standin_products(void) { return products; }
size_t standin_compiled(void) { return compiled; }

#define STARTED if (!initialised) WRONG("before cuInit")
#define CURRENT STARTED; if (!current) WRONG("no context is current on this thread")
#define ALIVE(o, kind) if (!is(o, kind)) WRONG("%p is no living object of kind %d", (void *)(o), kind)
static int gpus(void) { return fault >= TWO_GPUS ? 2 : 1; }
#define DEVICE(d) STARTED; if ((d) < 0 || (d) >= gpus()) WRONG("there is no device %d", d)

// within returns whether bytes lie in one block of a GPU.
static int withinOf(int gpu, uint64_t p, size_t size) {
	for (int i = 0; i < blockCount; i++)
		if (blocks[i].at && blocks[i].gpu == gpu && p >= (uint64_t)blocks[i].at && p + size <= (uint64_t)blocks[i].at + blocks[i].size) return 1;
	return 0;
}
static int within(uint64_t p, size_t size) { return withinOf(current - 1, p, size); }
#define MEMORY_AT(p, size) if (!within(p, size)) WRONG("%zu bytes at %#lx are not within a block", (size_t)(size), (unsigned long)(p))

CUresult cuInit(unsigned flags) {
	if (flags) WRONG("flags %u", flags);
	if (fault == ABORTS) { fprintf(stderr, "NVRM: GPU has fallen off the bus\n"); abort(); }
	if (fault == HANGS) pause();
	if (fault == NO_DEVICE) return NO_SUCH_DEVICE;
	initialised = 1;
	return SUCCESS;
}
CUresult cuDriverGetVersion(int *version) { *version = fault == OLD ? 10020 : cudaVersion; return SUCCESS; }
CUresult cuGetErrorName(CUresult r, const char **name) {
	*name = r == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : r == UNKNOWN ? "CUDA_ERROR_UNKNOWN" : r == UNSUPPORTED_PTX ? "CUDA_ERROR_UNSUPPORTED_PTX_VERSION" : r == INVALID_PTX ? "CUDA_ERROR_INVALID_PTX" : r == LAUNCH_FAILED ? "CUDA_ERROR_LAUNCH_FAILED" : 0;
	return *name ? SUCCESS : INVALID_VALUE;
}
CUresult cuGetErrorString(CUresult r, const char **text) {
	*text = r == OUT_OF_MEMORY ? "out of memory" : r == UNKNOWN ? "unknown error" : r == UNSUPPORTED_PTX ? "the provided PTX was compiled with an unsupported toolchain." : r == INVALID_PTX ? "a PTX JIT compilation failed" : r == LAUNCH_FAILED ? "unspecified launch failure" : 0;
	return *text ? SUCCESS : INVALID_VALUE;
}
CUresult cuDeviceGetCount(int *count) { STARTED; *count = fault == HIDDEN ? 0 : gpus(); return SUCCESS; }
CUresult cuDeviceGet(int *device, int ordinal) { DEVICE(ordinal); *device = ordinal; return SUCCESS; }
CUresult cuDeviceGetName(char *name, int length, int device) { DEVICE(device); snprintf(name, length, "Stand-in for a GPU"); return SUCCESS; }
CUresult cuDeviceGetUuid_v2(unsigned char *uuid, int device) { DEVICE(device); for (int i = 0; i < 16; i++) uuid[i] = 16 * i + i + device; return SUCCESS; }
CUresult cuDeviceGetPCIBusId(char *id, int length, int device) { DEVICE(device); snprintf(id, length, "0000:7%X:00.0", 15 - device); return SUCCESS; }
CUresult cuDeviceTotalMem_v2(size_t *bytes, int device) { DEVICE(device); *bytes = memory; return SUCCESS; }
CUresult cuDeviceGetAttribute(int *value, int attribute, int device) {
	DEVICE(device);
	switch (attribute) {
	case 13: *value = 1980000; return SUCCESS;
	case 16: *value = 132; return SUCCESS;
	case 32: *value = 1; return SUCCESS;
	case 36: *value = 2619000; return SUCCESS;
	case 37: *value = 5120; return SUCCESS;
	case 38: *value = 50 << 20; return SUCCESS;
	case 75: *value = 9; return SUCCESS;
	case 76: *value = 0; return SUCCESS;
	case 97: *value = 232448; return SUCCESS;
	}
	WRONG("attribute %d is not known here", attribute);
}
CUresult cuDevicePrimaryCtxRetain(void **context, int device) { DEVICE(device); retained[device]++; *context = &retained[device]; return SUCCESS; }
// gpuOf returns the GPU of a context, -1 for what is none.
static int gpuOf(void *context) {
	for (int i = 0; i < gpus(); i++)
		if (context == &retained[i] && retained[i]) return i;
	return -1;
}
CUresult cuCtxSetCurrent(void *context) { STARTED; if (gpuOf(context) < 0) WRONG("%p is no context", context); current = 1 + gpuOf(context); return SUCCESS; }
CUresult cuCtxSynchronize(void) { CURRENT; return SUCCESS; }

// Memory.
CUresult cuMemAlloc_v2(uint64_t *p, size_t size) {
	CURRENT;
	if (!size) return INVALID_VALUE;
	pthread_mutex_lock(&lock);
	CUresult r = OUT_OF_MEMORY;
	if (inUse + size <= memory) {
		int i = 0;
		while (i < blockCount && blocks[i].at) i++;
		if (i < MANY && !posix_memalign((void **)&blocks[i].at, 512, size)) {
			memset(blocks[i].at, 0xcd, size);
			blocks[i].size = size;
			blocks[i].scratch = 0;
			blocks[i].gpu = current - 1;
			if (i == blockCount) blockCount++;
			inUse += size;
			*p = (uint64_t)blocks[i].at;
			r = SUCCESS;
		}
	}
	pthread_mutex_unlock(&lock);
	return r;
}
CUresult cuMemFree_v2(uint64_t p) {
	CURRENT;
	for (int i = 0; i < blockCount; i++)
		if (blocks[i].at && blocks[i].gpu == current - 1 && (uint64_t)blocks[i].at == p) {
			inUse -= blocks[i].size;
			free(blocks[i].at);
			blocks[i].at = 0;
			return SUCCESS;
		}
	WRONG("%#lx is no block", (unsigned long)p);
}
CUresult cuMemGetInfo_v2(size_t *free, size_t *total) { CURRENT; *free = memory - inUse; *total = memory; return SUCCESS; }
// Pinned memory is counted with the rest of what is in use.
static struct { void *at; size_t size; } pinned[MANY];
CUresult cuMemAllocHost_v2(void **p, size_t size) {
	CURRENT;
	for (int i = 0; i < MANY; i++)
		if (!pinned[i].at && size && (pinned[i].at = malloc(size))) {
			inUse += pinned[i].size = size;
			*p = pinned[i].at;
			return SUCCESS;
		}
	return OUT_OF_MEMORY;
}
CUresult cuMemFreeHost(void *p) {
	CURRENT;
	for (int i = 0; p && i < MANY; i++)
		if (pinned[i].at == p) {
			inUse -= pinned[i].size;
			free(p);
			pinned[i].at = 0;
			return SUCCESS;
		}
	WRONG("%p is no pinned memory", p);
}
CUresult cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t size) { CURRENT; MEMORY_AT(to, size); memcpy((void *)to, from, fault == LOSES_UPLOADS ? size / 2 : size); return SUCCESS; }
CUresult cuMemcpyDtoH_v2(void *to, uint64_t from, size_t size) { CURRENT; MEMORY_AT(from, size); memcpy(to, (void *)from, fault == LOSES_DOWNLOADS ? size / 2 : size); return SUCCESS; }
CUresult cuMemcpyDtoD_v2(uint64_t to, uint64_t from, size_t size) { CURRENT; MEMORY_AT(to, size); MEMORY_AT(from, size); memcpy((void *)to, (void *)from, fault == LOSES_COPIES ? size / 2 : size); return SUCCESS; }
CUresult cuDeviceCanAccessPeer(int *can, int device, int peer) { DEVICE(device); DEVICE(peer); if (device == peer) WRONG("%d is no other GPU", peer); *can = fault != NO_PEER_ACCESS; return SUCCESS; }
CUresult cuCtxEnablePeerAccess(void *peer, unsigned flags) {
	CURRENT;
	int other = gpuOf(peer);
	if (other < 0 || other == current - 1 || flags || fault == NO_PEER_ACCESS) WRONG("context %p of GPU %d from GPU %d, flags %u", peer, other, current - 1, flags);
	if (access_[current - 1][other]) return 704;
	access_[current - 1][other] = 1;
	return SUCCESS;
}
CUresult cuCtxDisablePeerAccess(void *peer) {
	CURRENT;
	int other = gpuOf(peer);
	if (other < 0 || !access_[current - 1][other]) WRONG("access to GPU %d is not enabled", other);
	access_[current - 1][other] = 0;
	return SUCCESS;
}
static size_t peerCopies, directCopies;
size_t standin_peer_copies(void) { return peerCopies; }
size_t standin_direct_copies(void) { return directCopies; }
CUresult cuMemcpyPeer(uint64_t to, void *toContext, uint64_t from, void *fromContext, size_t size) {
	CURRENT;
	int a = gpuOf(fromContext), b = gpuOf(toContext);
	if (a < 0 || b < 0 || a == b || !withinOf(a, from, size) || !withinOf(b, to, size)) WRONG("%zu bytes from %#lx of GPU %d to %#lx of GPU %d", size, (unsigned long)from, a, (unsigned long)to, b);
	peerCopies++;
	directCopies += access_[a][b];
	memcpy((void *)to, (void *)from, fault == LOSES_PEER_COPIES ? size / 2 : size);
	return SUCCESS;
}
// A block that begins to be filled with zeros is scratch memory: no matrix is.
CUresult cuMemsetD8_v2(uint64_t to, unsigned char value, size_t size) {
	CURRENT;
	MEMORY_AT(to, size);
	memset((void *)to, value, size);
	for (int i = 0; i < blockCount; i++)
		if (!value && (uint64_t)blocks[i].at == to) blocks[i].scratch = 1;
	return SUCCESS;
}
static int scratch(uint64_t p) {
	for (int i = 0; i < blockCount; i++)
		if (blocks[i].at && blocks[i].scratch && p >= (uint64_t)blocks[i].at && p < (uint64_t)blocks[i].at + blocks[i].size) return 1;
	return 0;
}

// Modules.
CUresult cuModuleLoadDataEx(Object **module, const char *text, unsigned count, int *keys, void **values) {
	CURRENT;
	if (count != 2 || keys[0] != 5 || keys[1] != 6 || (size_t)values[1] < 1024) WRONG("options");
	memset(values[0], 0, (size_t)values[1]);
	const char *v = strstr(text, ".version ");
	if ((strncmp(text, "// gemm ", 8) && strncmp(text, "// train ", 9)) || !v) WRONG("a module without its first line or its version");
	if (fault == REFUSES_PTX) return UNSUPPORTED_PTX;
	if (fault == REFUSES_TEXT) {
		snprintf(values[0], (size_t)values[1], "ptxas application ptx input, line 7; error : Unknown symbol 'x'");
		return INVALID_PTX;
	}
	compiled++;
	*module = make(MODULE);
	(*module)->text = strdup(text);
	return SUCCESS;
}

// declared reads the parameters of an entry from the text.
static CUresult declared(Object *f, const char *text) {
	const char *end = strchr(text, ')');
	for (const char *p = strchr(text, '('); p && p < end; p = strpbrk(p + 1, ",)")) {
		const char *at = strstr(p, ".param");
		if (!at || at > end) break;
		Param *param = &f->params[f->count++];
		if (f->count > PARAMS) WRONG("too many parameters");
		char kind[8];
		int align, bytes;
		if (sscanf(at, ".param .align %d .b8 %23[a-zA-Z0-9_][%d]", &align, param->name, &bytes) == 3 && align >= 64 && bytes == 128) param->size = 128;
		else if (sscanf(at, ".param .%7[a-z0-9] %23[a-zA-Z0-9_]", kind, param->name) == 2 && (!strcmp(kind, "u64") || !strcmp(kind, "u32"))) param->size = kind[1] == '6' ? 8 : 4;
		else WRONG("parameter %d is not understood: %.60s", f->count, at);
	}
	return SUCCESS;
}
CUresult cuModuleGetFunction(Object **function, Object *module, const char *name) {
	CURRENT;
	ALIVE(module, MODULE);
	int nth = 0;
	for (char *p = module->text; (p = strstr(p, ".entry ")); nth++) {
		p += strlen(".entry ");
		size_t n = strcspn(p, " (\n");
		if (n == strlen(name) && !strncmp(p, name, n)) {
			*function = make(FUNCTION);
			(*function)->module = module;
			(*function)->product = nth == 0;
			snprintf((*function)->name, sizeof (*function)->name, "%s", name);
			(*function)->shared = 48 << 10;
			return declared(*function, p);
		}
	}
	return NOT_FOUND;
}
CUresult cuFuncSetAttribute(Object *f, int attribute, int value) {
	CURRENT;
	ALIVE(f, FUNCTION);
	if (attribute != 8 || value <= 0 || value > 232448) WRONG("attribute %d = %d", attribute, value);
	f->shared = value;
	return SUCCESS;
}

// A tensor map keeps what it was made of.
typedef struct { uint64_t magic, address, rows, columns, stride; uint32_t type, box[2], swizzle; } Map;
CUresult cuTensorMapEncodeTiled(Map *m, int type, unsigned rank, uint64_t address, const uint64_t *dims, const uint64_t *strides, const unsigned *box, const unsigned *elementStrides, int interleave, int swizzle, int l2, int fill) {
	STARTED;
	static const int sizes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2};
	if ((uint64_t)m % 64 || type < 0 || type > 9 || rank != 2 || elementStrides[0] != 1 || elementStrides[1] != 1 || interleave || swizzle < 0 || swizzle > 3 || l2 != 3 || fill) WRONG("arguments");
	int size = sizes[type];
	if (address % 16 || strides[0] % 16 || strides[0] < dims[0] * size || box[0] > 256 || box[1] > 256 || !box[0] || !box[1] || box[0] * size % 16 || (swizzle && box[0] * size > (16u << swizzle)))
		WRONG("type %d, %lu×%lu at %#lx, rows of %lu bytes, box %u×%u, swizzle %d", type, dims[1], dims[0], address, strides[0], box[1], box[0], swizzle);
	MEMORY_AT(address, strides[0] * (dims[1] - 1) + dims[0] * size);
	memset(m, 0, 128);
	*m = (Map){0x6d6170, address, dims[1], dims[0], strides[0], type, {box[0], box[1]}, swizzle};
	return SUCCESS;
}

static int sizeOf(const char *type) { return strstr(type, "64") ? 8 : strstr(type, "32") ? 4 : strstr(type, "16") ? 2 : 1; }

// argue notes what the arguments of a launch say of the product.
static CUresult argue(Object *f, unsigned char values[][128]) {
	Object *o = f->module;
	for (int i = 0; i < f->count; i++) {
		const char *name = f->params[i].name;
		uint64_t wide;
		uint32_t word;
		Map map;
		memcpy(&wide, values[i], 8);
		memcpy(&word, values[i], 4);
		memcpy(&map, values[i], sizeof map);
		if (f->params[i].size == 128) {
			if (map.magic != 0x6d6170) WRONG("%s is no tensor map", name);
			wide = map.address;
		}
		if (f->params[i].size >= 8) {
			if (!within(wide, 1)) WRONG("%s, %#lx, is not within a block", name, wide);
			if (scratch(wide)) continue;
		}
		if (!strcmp(name, "pA") || !strcmp(name, "mapA") || (!strcmp(name, "pFrom") && !strcmp(f->name, "repackA"))) o->a = wide;
		if (!strcmp(name, "pB") || !strcmp(name, "mapB") || (!strcmp(name, "pFrom") && !strcmp(f->name, "repackB"))) o->b = wide;
		if (!strcmp(name, "pC") || !strcmp(name, "mapC")) o->c = wide;
		if (f->product && !strcmp(name, "pM")) o->m = word;
		if (f->product && !strcmp(name, "pN")) o->n = word;
		if (f->product && !strcmp(name, "pK")) o->k = word;
	}
	return SUCCESS;
}

// product computes C.
static CUresult product(Object *o) {
	char in[16], acc[16], out[16], layout[4];
	if (sscanf(o->text, "// gemm %15s %15s %15s %3s", in, acc, out, layout) != 4) WRONG("first line");
	uint64_t a = o->a, b = o->b, c = o->c;
	int64_t m = o->m, n = o->n, k = o->k;
	products++;
	o->a = o->b = o->c = 0;
	o->m = o->n = o->k = 0;
	MEMORY_AT(a, (size_t)m * k * sizeOf(in));
	MEMORY_AT(b, (size_t)k * n * sizeOf(in));
	MEMORY_AT(c, (size_t)m * n * sizeOf(out));
	if (fault == SKIPS) return SUCCESS;
	int64_t ai = layout[0] == 'T' ? 1 : k, al = layout[0] == 'T' ? m : 1, bl = layout[1] == 'T' ? 1 : n, bj = layout[1] == 'T' ? k : 1;
	multiply(in, acc, m, n, k, (void *)a, ai, al, (void *)b, bl, bj, (void *)c);
	if (fault == OVERWRITES_AFTER) ((char *)c)[(size_t)m * n * sizeOf(out)] ^= 1;
	if (fault == OVERWRITES_BEFORE) ((char *)c)[-1] ^= 1;
	return SUCCESS;
}

// Streams, events, launches and graphs. Everything is done at once.
CUresult cuStreamCreate(Object **s, unsigned flags) { CURRENT; if (flags != 1) WRONG("flags %u", flags); *s = make(STREAM); return SUCCESS; }
CUresult cuStreamSynchronize(Object *s) { CURRENT; ALIVE(s, STREAM); if (s->capturing) WRONG("while it captures"); return SUCCESS; }
CUresult cuEventCreate(Object **e, unsigned flags) { CURRENT; if (flags) WRONG("flags %u", flags); *e = make(EVENT); return SUCCESS; }
CUresult cuEventDestroy_v2(Object *e) { CURRENT; ALIVE(e, EVENT); e->alive = 0; return SUCCESS; }
CUresult cuEventRecord(Object *e, Object *s) { CURRENT; ALIVE(e, EVENT); ALIVE(s, STREAM); if (s->capturing) WRONG("into a capture"); clock_gettime(CLOCK_MONOTONIC, &e->time); e->recorded = 1; return SUCCESS; }
CUresult cuEventSynchronize(Object *e) { CURRENT; ALIVE(e, EVENT); if (!e->recorded) WRONG("before it was recorded"); return SUCCESS; }
CUresult cuEventElapsedTime(float *ms, Object *a, Object *b) {
	CURRENT;
	ALIVE(a, EVENT);
	ALIVE(b, EVENT);
	if (!a->recorded || !b->recorded) WRONG("before both were recorded");
	*ms = (b->time.tv_sec - a->time.tv_sec) * 1e3 + (b->time.tv_nsec - a->time.tv_nsec) / 1e6;
	if (*ms < 0) WRONG("the end is before the start");
	return SUCCESS;
}
static uint64_t trained[4];
uint64_t standin_trained(size_t i) { return trained[i]; }
static CUresult run(Object *f, unsigned char values[][128]) {
	if (fault == LAUNCH_FAILS) return LAUNCH_FAILED;
	if (fault == LAUNCH_ABORTS) abort();
	if (fault == LAUNCH_HANGS) pause();
	Object *o = f->module;
	if (!strncmp(o->text, "// train ", 9)) {
		for (int i = 0; i < 4; i++) memcpy(&trained[i], values[i], 8);
		return SUCCESS;
	}
	CUresult r = argue(f, values);
	return r || !o->a || !o->b || !o->c || !o->m ? r : product(o);
}
CUresult cuLaunchKernel(Object *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, Object *s, void **params, void **extra) {
	CURRENT;
	ALIVE(f, FUNCTION);
	ALIVE(f->module, MODULE);
	ALIVE(s, STREAM);
	if (!gx || !gy || !gz || gy > 65535 || gz > 65535 || !bx || !by || !bz || bx * by * bz > 1024 || extra || (int)shared > f->shared)
		WRONG("grid %u×%u×%u, block %u×%u×%u, %u of %d bytes of shared memory, extra %p", gx, gy, gz, bx, by, bz, shared, f->shared, (void *)extra);
	unsigned char values[PARAMS][128] = {0};
	for (int i = 0; i < f->count; i++) memcpy(values[i], params[i], f->params[i].size);
	if (!s->capturing) return run(f, values);
	Object *g = s->graph;
	g->launches = realloc(g->launches, (g->count + 1) * sizeof *g->launches);
	g->launches[g->count].function = f;
	memcpy(g->launches[g->count++].values, values, sizeof values);
	return SUCCESS;
}
CUresult cuStreamBeginCapture_v2(Object *s, int mode) {
	CURRENT;
	ALIVE(s, STREAM);
	if (s->capturing || mode != 1) WRONG("mode %d, capturing %d", mode, s->capturing);
	s->capturing = 1;
	s->graph = make(GRAPH);
	return SUCCESS;
}
CUresult cuStreamEndCapture(Object *s, Object **graph) { CURRENT; ALIVE(s, STREAM); if (!s->capturing) WRONG("without a capture"); s->capturing = 0; *graph = s->graph; return SUCCESS; }
CUresult cuGraphInstantiateWithFlags(Object **exec, Object *graph, unsigned long long flags) { CURRENT; ALIVE(graph, GRAPH); if (flags) WRONG("flags"); *exec = make(EXEC); (*exec)->graph = graph; return SUCCESS; }
CUresult cuGraphLaunch(Object *exec, Object *s) {
	CURRENT;
	ALIVE(exec, EXEC);
	ALIVE(s, STREAM);
	for (int i = 0; i < exec->graph->count; i++) {
		CUresult r = run(exec->graph->launches[i].function, exec->graph->launches[i].values);
		if (r) return r;
	}
	return SUCCESS;
}
CUresult cuGraphExecDestroy(Object *e) { CURRENT; ALIVE(e, EXEC); e->alive = 0; return SUCCESS; }
CUresult cuGraphDestroy(Object *g) { CURRENT; ALIVE(g, GRAPH); g->alive = 0; return SUCCESS; }
