// The Objective-C runtime of the stand-in: classes, selectors, message
// checking, reference counts, autorelease pools.
#include "standin.h"

struct Options opt;
const Fact facts[] = {
#include "messages.h"
	{0}};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static char log_text[1 << 16];
static int log_len, log_count;

void violation(const char *fmt, ...) {
	char line[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&mu);
	log_count++;
	int n = snprintf(log_text + log_len, sizeof log_text - log_len, "%s\n", line);
	if (log_len + n < (int)sizeof log_text) log_len += n;
	pthread_mutex_unlock(&mu);
}

int standin_report(char *buf, int size) { // returns the number of violations and forgets them
	pthread_mutex_lock(&mu);
	snprintf(buf, size, "%.*s", log_len, log_text);
	int n = log_count;
	log_len = log_count = 0;
	pthread_mutex_unlock(&mu);
	return n;
}

int standin_option(const char *name, int v) {
	struct { const char *n; int *p; } o[] = {{"marked", &opt.marked}, {"fail_code", &opt.fail_code}, {"no_default_device", &opt.no_default_device},
		{"no_device", &opt.no_device}, {"paravirtual", &opt.paravirtual}, {"old", &opt.old}, {"other", &opt.other}};
	for (unsigned i = 0; i < sizeof o / sizeof *o; i++)
		if (!strcmp(o[i].n, name)) return *o[i].p = v, 1;
	return 0;
}

// --- classes and selectors ---

enum { MAXCLASS = 64, MAXSEL = 1024, MAXOBJ = 1 << 22 };
static Class classes[MAXCLASS], metas[MAXCLASS];
static int nclasses;
static const char *sels[MAXSEL];
static int nsels;
static struct Obj *arena;
static u64 narena;

__attribute__((constructor)) static void setup(void) {
	arena = mmap(0, MAXOBJ * sizeof(struct Obj), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	for (const Class *c = all_classes; c->name; c++) {
		classes[nclasses] = metas[nclasses] = *c;
		classes[nclasses].isa = &metas[nclasses];
		metas[nclasses].meta = 1;
		nclasses++;
	}
}

static Class *find_class(const char *name) {
	for (int i = 0; i < nclasses; i++)
		if (!strcmp(classes[i].name, name)) return &classes[i];
	return 0;
}

Class *objc_getClass(const char *name) {
	Class *c = find_class(name);
	return c && !c->hidden ? c : 0;
}

SEL sel_registerName(const char *name) {
	pthread_mutex_lock(&mu);
	for (int i = 0; i < nsels; i++)
		if (!strcmp(sels[i], name)) {
			pthread_mutex_unlock(&mu);
			return sels[i];
		}
	if (nsels == MAXSEL) abort();
	SEL s = sels[nsels++] = strdup(name);
	pthread_mutex_unlock(&mu);
	return s;
}

static int known_sel(SEL s) {
	for (int i = 0; i < nsels; i++)
		if (sels[i] == s) return 1;
	return 0;
}

static int is_class(const void *p) {
	return ((char *)p >= (char *)classes && (char *)p < (char *)(classes + nclasses));
}

static int is_object(const void *p) {
	u64 off = (char *)p - (char *)arena;
	return (char *)p >= (char *)arena && off < narena * sizeof(struct Obj) && off % sizeof(struct Obj) == 0;
}

Class *object_getClass(id o) { return o ? o->isa : 0; }
const char *class_getName(Class *c) { return c ? c->name : "nil"; }

static int has_protocol(const Class *c, const char *name) {
	size_t n = strlen(name);
	for (const char *p = c->protocols; p && (p = strstr(p, name)); p++)
		if ((p == c->protocols || p[-1] == ' ') && (p[n] == 0 || p[n] == ' ')) return 1;
	return 0;
}

static int class_is(const Class *c, const char *name) {
	for (; c; c = c->super ? find_class(c->super) : 0)
		if (!strcmp(c->name, name) || has_protocol(c, name)) return 1;
	return !strcmp(name, "id") || !strcmp(name, "NSObject");
}

int is_kind(id o, const char *name) { return o && is_object(o) && !o->dead && class_is(o->isa, name); }

static const Fact *find_fact(const Class *c, int meta, const char *sel) {
	for (const Fact *f = facts; f->cls; f++)
		if ((f->kind == '+') == meta && !strcmp(f->sel, sel) && class_is(c, f->cls)) return f;
	if (meta) // class objects answer NSObject's instance methods too
		for (const Fact *f = facts; f->cls; f++)
			if (f->kind == '-' && !strcmp(f->cls, "NSObject") && !strcmp(f->sel, sel)) return f;
	return 0;
}

static void *find_imp(const Class *c, int meta, const char *sel) {
	const Method *tables[] = {foundation_methods, metal_methods, mps_methods};
	for (const Class *k = c; k; k = k->super ? find_class(k->super) : 0)
		for (int i = 0; i < 3; i++)
			for (const Method *m = tables[i]; m->cls; m++)
				if ((m->kind == '+') == meta && !strcmp(m->sel, sel) && (!strcmp(m->cls, k->name) || has_protocol(k, m->cls))) return m->imp;
	for (const Method *m = foundation_methods; m->cls; m++) // class objects answer NSObject's instance methods too
		if (!strcmp(m->cls, "NSObject") && !strcmp(m->sel, sel) && ((m->kind == '+') == meta || m->kind == '-')) return m->imp;
	return 0;
}

// Type encodings, as Apple's runtime gives them (without offsets).
static void encode(char *out, const char *spec) {
	if (*spec == '+') spec++;
	if (*spec == '@') strcat(out, strstr(spec, "Block") ? "@?" : "@");
	else if (!strcmp(spec, "{MTLSize}")) strcat(out, "{?=QQQ}"); // the C struct is anonymous
	else if (!strcmp(spec, "{MTLOrigin}")) strcat(out, "{?=QQQ}");
	else if (!strcmp(spec, "{NSRange}")) strcat(out, "{_NSRange=QQ}");
	else if (!strcmp(spec, "{NSOperatingSystemVersion}")) strcat(out, "{?=qqq}");
	else strcat(out, spec);
}

typedef const Fact *ObjcMethod;
ObjcMethod class_getInstanceMethod(Class *c, SEL s) {
	if (opt.other == 2 && !strcmp(s, "transposeTensor:dimension:withDimension:name:")) return 0; // a framework without it
	return c ? find_fact(c, c->meta, s) : 0;
}
ObjcMethod class_getClassMethod(Class *c, SEL s) { return c ? find_fact(c, 1, s) : 0; }
const char *method_getTypeEncoding(ObjcMethod f) {
	static _Thread_local char b[256];
	if (!f) return 0;
	if (opt.other == 1 && !strcmp(f->sel, "newBufferWithLength:options:")) return "@@:QI"; // a framework with other types
	*b = 0;
	encode(b, f->ret);
	strcat(b, "@:");
	for (int i = 0; i < MAXARG && f->args[i]; i++) encode(b, f->args[i]);
	return b;
}
struct description { SEL name; const char *types; };
const char *objc_getProtocol(const char *name) { // a protocol is its interned name here
	for (const Fact *f = facts; f->cls; f++)
		if (!strcmp(f->cls, name) && !find_class(name)) return f->cls;
	return 0;
}
struct description protocol_getMethodDescription(const char *proto, SEL s, bool required, bool instance) {
	struct description d = {0};
	for (const Fact *f = facts; f->cls; f++)
		if (proto && required && (f->kind == '-') == instance && !strcmp(f->cls, proto) && !strcmp(f->sel, s)) {
			d.name = s;
			d.types = method_getTypeEncoding(f);
		}
	return d;
}

// --- objects ---

const char *show(id o) {
	static _Thread_local char b[4][96];
	static _Thread_local int k;
	char *s = b[k++ & 3];
	if (!o) return "nil";
	if (is_class(o)) snprintf(s, 96, "class %s", ((Class *)o)->name);
	else if (is_object(o)) snprintf(s, 96, "%s #%llu (from %s)", o->isa->name, (unsigned long long)o->serial, o->born);
	else snprintf(s, 96, "%p", (void *)o);
	return s;
}

id make(const char *cls, const char *born) {
	pthread_mutex_lock(&mu);
	if (narena == MAXOBJ) abort();
	id o = &arena[narena++]; // never reused: a message to a dead object is always recognised
	o->serial = narena;
	pthread_mutex_unlock(&mu);
	o->isa = find_class(cls);
	if (!o->isa) abort();
	o->rc = o->inited = 1;
	o->born = born;
	return o;
}

id own(id o) {
	if (o && is_object(o)) __atomic_add_fetch(&o->rc, 1, __ATOMIC_SEQ_CST);
	return o;
}

void drop(id o) {
	if (!o || !is_object(o)) return;
	if (o->dead) {
		violation("over-release: release of deallocated %s", show(o));
		return;
	}
	if (__atomic_sub_fetch(&o->rc, 1, __ATOMIC_SEQ_CST) > 0) return;
	if (o->pools) { // the caller ate the pool's reference: the pool would crash later
		violation("over-release: %s was released by the caller although only the autorelease pool owns it", show(o));
		o->rc = 1;
		return;
	}
	on_dealloc(o);
	o->dead = 1;
	for (int i = 0; i < 12; i++) drop(o->held[i]);
}

id objc_retain(id o) { return own(o); }
void objc_release(id o) { drop(o); }

static _Thread_local id pool[1 << 15];
static _Thread_local int npool, ndepth;

id autoreleased(id o) {
	if (!o) return o;
	if (!ndepth) {
		violation("no autorelease pool on this thread: %s leaks", show(o));
		return o;
	}
	o->pools++;
	if (npool == sizeof pool / sizeof *pool) abort();
	pool[npool++] = o;
	return o;
}
id objc_autorelease(id o) { return autoreleased(o); }

void *objc_autoreleasePoolPush(void) {
	ndepth++;
	if (npool == sizeof pool / sizeof *pool) abort();
	pool[npool++] = 0;
	return (void *)((u64)syscall(SYS_gettid) << 32 | (u64)npool);
}

void objc_autoreleasePoolPop(void *token) {
	u64 thread = (u64)token >> 32, at = (u64)token & 0xffffffff;
	if (thread != (u64)syscall(SYS_gettid)) {
		violation("autorelease pool pushed on thread %llu and popped on thread %ld: runtime.LockOSThread is missing",
			(unsigned long long)thread, (long)syscall(SYS_gettid));
		return;
	}
	if (at == 0 || (int)at > npool || pool[at - 1]) {
		violation("autorelease pool popped twice or with a wrong token");
		return;
	}
	while (npool >= (int)at) {
		id o = pool[--npool];
		if (!o) {
			ndepth--;
			continue;
		}
		o->pools--;
		drop(o);
	}
}

int standin_leaks(char *buf, int size) { // live objects, except strings and numbers inside others
	int n = 0, len = 0;
	buf[0] = 0;
	for (u64 i = 0; i < narena; i++)
		if (!arena[i].dead) {
			n++;
			if (len < size - 128) len += snprintf(buf + len, size - len, "leak: %s, reference count %d\n", show(&arena[i]), arena[i].rc);
		}
	return n;
}

void standin_reset(void) { // between tests: forget what is alive
	for (u64 i = 0; i < narena; i++) arena[i].dead = 1;
	log_len = log_count = 0;
	npool = ndepth = 0;
}

// What the CPU may not touch: called by a test that recovered from a fault.
int standin_explain(void *addr, char *buf, int size) {
	for (u64 i = 0; i < narena; i++) {
		id o = &arena[i];
		if (!o->p || !class_is(o->isa, "MTLBuffer") || (char *)addr < (char *)o->p || (char *)addr >= (char *)o->p + o->n[0]) continue;
		snprintf(buf, size, o->dead ? "CPU access to the contents of %s after its release" :
			"CPU access to the contents of %s while a committed command buffer writes it: waitUntilCompleted is missing", show(o));
		return 1;
	}
	return snprintf(buf, size, "address %p is not in an MTLBuffer", addr), 0;
}

// --- the checks of one message ---

#if defined(__x86_64__)
enum { NREG = 6 };
#else
enum { NREG = 8 };
#endif
#define MARKER 0x5AFE5AFE5AFE5AFEull
void standin_nop(void);
#if defined(__x86_64__)
void standin_nop_stret(void);
#else
#define standin_nop_stret standin_nop
#endif

static int readable(const void *p, size_t n) { // asks the kernel, no signal
	static int fd[2];
	if ((u64)p < 65536) return 0;
	pthread_mutex_lock(&mu);
	if (!fd[1] && pipe(fd)) abort();
	char sink[64];
	ssize_t k = write(fd[1], p, n);
	if (k > 0) k = read(fd[0], sink, k);
	pthread_mutex_unlock(&mu);
	return k == (ssize_t)n;
}

static int distance(const char *a, const char *b) {
	int la = strlen(a), lb = strlen(b), row[160], prev, t;
	if (la > 150 || lb > 150) return 99;
	for (int j = 0; j <= lb; j++) row[j] = j;
	for (int i = 1; i <= la; i++) {
		prev = row[0], row[0] = i;
		for (int j = 1; j <= lb; j++) {
			t = row[j];
			int c = prev + (a[i - 1] != b[j - 1]);
			if (row[j] + 1 < c) c = row[j] + 1;
			if (row[j - 1] + 1 < c) c = row[j - 1] + 1;
			row[j] = c, prev = t;
		}
	}
	return row[lb];
}

static const char *hint(const Class *c, int meta, SEL s) {
	static _Thread_local char b[256];
	int best = 1 + (int)strlen(s) / 3;
	*b = 0;
	for (const Fact *f = facts; f->cls; f++) {
		if (!strcmp(f->sel, s)) {
			snprintf(b, sizeof b, "; Apple declares it as %c[%s %s]", f->kind, f->cls, f->sel);
			return b;
		}
		int d = class_is(c, f->cls) && (f->kind == '+') == meta ? distance(f->sel, s) : 99;
		if (d < best) {
			best = d;
			snprintf(b, sizeof b, "; nearest: %s", f->sel);
		}
	}
	return b;
}

void *standin_lookup(u64 *ints, u64 *floats, u64 *stack, int stret) {
	void *nop = stret ? (void *)standin_nop_stret : (void *)standin_nop;
	int ni = stret, nf = 0, ns = 0;
	id self = (id)ints[ni++];
	SEL sel = (SEL)ints[ni++];
	if (!known_sel(sel)) {
		violation("objc_msgSend: %p is not a registered selector", (void *)sel);
		return nop;
	}
	if (!self) {
		violation("message %s sent to nil", sel);
		return nop;
	}
	int meta = is_class(self);
	if (!meta && !is_object(self)) {
		violation("message %s sent to %p, which is no object", sel, (void *)self);
		return nop;
	}
	Class *c = meta ? (Class *)self : self->isa;
	char who[256];
	snprintf(who, sizeof who, "%c[%s %s]", meta ? '+' : '-', c->name, sel);
	if (!meta && self->dead) {
		violation(strcmp(sel, "release") ? "%s: message to deallocated %s" : "%s: over-release of %s", who, show(self));
		return nop;
	}
	const Fact *f = find_fact(c, meta, sel);
	if (!f) {
		violation("%s: unrecognized selector%s", who, hint(c, meta, sel));
		return nop;
	}
	if (!meta && !self->inited && strncmp(sel, "init", 4) && strcmp(sel, "release") && strcmp(sel, "retain")) {
		violation("%s: %s was allocated but never initialised", who, show(self));
		return nop;
	}
	int big = f->ret[0] == '{' && strcmp(f->ret, "{NSRange}");
#if defined(__x86_64__)
	if (big != stret) {
		violation("%s returns %s: on amd64 it must go through %s", who, f->ret, big ? "objc_msgSend_stret" : "objc_msgSend");
		return nop;
	}
#endif
	int bad = 0;
#define FAIL(...) do { violation(__VA_ARGS__); bad = 1; } while (0)
#define INT() (ni < NREG ? ints[ni++] : stack[ns++])
	int i;
	for (i = 0; i < MAXARG && f->args[i] && !bad; i++) {
		const char *a = f->args[i];
		u64 v;
		if (*a == 'd' || *a == 'f') {
			v = nf < 8 ? floats[nf++] : stack[ns++];
			if (opt.marked && v == MARKER) FAIL("%s: argument %d must be a %s, but no floating-point argument was passed for it", who, i + 1, *a == 'd' ? "double" : "float");
			continue;
		}
		if (*a == '{') {
			u64 s[3] = {0};
			int words = !strcmp(a, "{NSRange}") ? 2 : 3;
			if (words == 2 && NREG - ni >= 2) s[0] = INT(), s[1] = INT();
			else if (words == 2) ni = NREG, s[0] = stack[ns++], s[1] = stack[ns++];
			else {
#if defined(__x86_64__)
				for (int k = 0; k < 3; k++) s[k] = stack[ns++]; // SysV: in memory
#else
				u64 p = INT(); // AAPCS64: pointer to a copy
				if (!readable((void *)p, 24)) {
					FAIL("%s: argument %d must be a %s by value (pointer to a copy), got the word %#llx", who, i + 1, a, (unsigned long long)p);
					continue;
				}
				memcpy(s, (void *)p, 24);
#endif
			}
			for (int k = 0; k < words && !bad; k++)
				if ((opt.marked && s[k] == MARKER) || (words == 3 && s[k] > 1u << 31))
					FAIL("%s: argument %d must be a %s of %d words by value; word %d is %#llx: passed as separate words or by pointer?", who, i + 1, a, words, k, (unsigned long long)s[k]);
			if (!bad && words == 3 && strstr(sel, "dispatch") && !(s[0] && s[1] && s[2]))
				FAIL("%s: argument %d is a %s with a zero: {%llu %llu %llu}", who, i + 1, a, (unsigned long long)s[0], (unsigned long long)s[1], (unsigned long long)s[2]);
			continue;
		}
		v = INT();
		if (opt.marked && v == MARKER) {
			FAIL("%s: argument %d (%s) is missing: fewer integer or pointer arguments were passed than Apple declares", who, i + 1, a);
			continue;
		}
		switch (*a) {
		case '@': {
			if (strstr(a, "Block")) break;
			int nullable = a[1] == '?';
			const char *name = a + 1 + nullable;
			if (!v) {
				if (!nullable) FAIL("%s: argument %d is nil, but %s is required", who, i + 1, name);
			} else if (!is_object((void *)v)) FAIL("%s: argument %d must be a %s, %#llx is no object", who, i + 1, name, (unsigned long long)v);
			else if (((id)v)->dead) FAIL("%s: argument %d is deallocated %s", who, i + 1, show((id)v));
			else if (!((id)v)->inited) FAIL("%s: argument %d, %s, was never initialised", who, i + 1, show((id)v));
			else if (!is_kind((id)v, name)) FAIL("%s: argument %d must be a %s, got %s", who, i + 1, name, show((id)v));
			break;
		}
		case '^':
		case '*':
			if ((v || strcmp(a, "^@")) && !readable((void *)v, 1)) FAIL("%s: argument %d must point to memory, got %#llx", who, i + 1, (unsigned long long)v);
			break;
		case 'B':
			if ((v & 0xff) > 1) FAIL("%s: argument %d must be a BOOL, got %#llx", who, i + 1, (unsigned long long)v);
			break;
		case ':':
			if (!known_sel((SEL)v)) FAIL("%s: argument %d must be a selector", who, i + 1);
			break;
		}
	}
	if (opt.marked && !bad) {
		int extra = 0, fextra = 0;
		for (int k = ni; k < NREG; k++) extra += ints[k] != MARKER;
		for (int k = nf; k < 8; k++) fextra += floats[k] != MARKER;
		if (stack[ns] != MARKER) extra++;
		if (extra) FAIL("%s: %d integer or pointer argument(s) more than the %d arguments Apple declares", who, extra, i);
		if (fextra) FAIL("%s: %d floating-point argument(s) more than Apple declares", who, fextra);
	}
	if (bad) return nop;
	void *imp = find_imp(c, meta, sel);
	if (!imp) {
		violation("%s: declared by Apple, but the stand-in does not implement it", who);
		return nop;
	}
	return imp;
}
