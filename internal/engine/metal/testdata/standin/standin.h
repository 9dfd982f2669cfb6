// What the parts of the stand-in share. It is a stand-in for Apple's Objective-C runtime
// and the classes of Foundation, Metal, MPS and MPSGraph that the engine uses: it checks
// every message and computes the products on the CPU. messages.h is made from messages.tsv
// by the test that compiles it.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

typedef uint64_t u64;
typedef struct Class Class;
typedef struct Obj *id;
typedef const char *SEL; // interned
typedef struct { u64 w, h, d; } MTLSize;
typedef struct { u64 loc, len; } NSRange;

struct Class {
	Class *isa; // the metaclass
	const char *name, *super, *protocols;
	int meta, hidden; // hidden: implements a protocol, objc_getClass does not know it
};

enum { MAXARG = 10 };
typedef struct {
	const char *cls;
	char kind;
	const char *sel, *ret;
	const char *args[MAXARG];
} Fact;

typedef struct {
	const char *cls;
	char kind;
	const char *sel;
	void *imp;
} Method;

// One operation of a command buffer, run when it completes.
typedef struct Op {
	void (*run)(struct Op *);
	id held[12];
	int nheld;
	id writes;
	u64 n[12];
	double f[2];
	void *p;
} Op;

struct Obj {
	Class *isa;
	int rc, dead, inited, pools;
	u64 serial;
	const char *born;
	id held[12]; // released on dealloc
	u64 n[12];
	double f[4];
	void *p, *q;
	Op *ops;
	int nops;
};

extern const Method foundation_methods[], metal_methods[], mps_methods[];
extern const Class all_classes[];
extern const Fact facts[];
extern struct Options { int marked, fail_code, no_default_device, no_device, paravirtual, old, other; } opt;

void violation(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
id make(const char *cls, const char *born);    // +1, initialised
id own(id o);                                   // retain
void drop(id o);                                // release
id autoreleased(id o);                          // hands a +1 to the pool
int is_kind(id o, const char *name);
id string(const char *s);                       // +1
const char *show(id o);                         // for messages
void on_dealloc(id o);

// What Metal's part has for that of MPS.
Op *op_add(id commands, SEL s);                 // 0 if nothing can be encoded any more
id hold(Op *op, id o);                          // keeps o alive until the operation has run
id root(id commands);                           // the command buffer in an MPSCommandBuffer
id commands_new(id queue, SEL s);
id array_make(const id *v, u64 n, SEL born);    // +1
id error_make(const char *domain, long code, const char *text); // +1
id dict_get(id dict, SEL s, id key);
id dict_only_key(id dict);

enum { F32 = 0x10000020, F16 = 0x10000010, BF16 = 0x90000010 }; // MPSDataType
u64 width(u64 type);
float load(const void *p, u64 type, u64 i);
void store(void *p, u64 type, u64 i, float v);
void multiply(u64 m, u64 n, u64 k, int ta, int tb, const char *a, u64 row_a, const char *b, u64 row_b, char *c, u64 row_c, u64 in, u64 out);

#define BAD(ret, ...) do { violation(__VA_ARGS__); return ret; } while (0)
#define W(x) ((unsigned long long)(x))
