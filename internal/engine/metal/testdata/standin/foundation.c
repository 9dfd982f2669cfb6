// The classes, and those of Foundation.
#include "standin.h"

const Class all_classes[] = {
	{0, "NSObject"}, {0, "NSString", "NSObject", "NSCopying"}, {0, "NSNumber", "NSObject", "NSCopying"},
	{0, "NSArray", "NSObject"}, {0, "NSDictionary", "NSObject"}, {0, "NSError", "NSObject"},
	{0, "NSProcessInfo", "NSObject"}, {0, "MTLCompileOptions", "NSObject"},
	{0, "StandinDevice", "NSObject", "MTLDevice", 0, 1}, {0, "StandinQueue", "NSObject", "MTLCommandQueue", 0, 1},
	{0, "StandinBuffer", "NSObject", "MTLBuffer MTLResource", 0, 1}, {0, "StandinCommandBuffer", "NSObject", "MTLCommandBuffer", 0, 1},
	{0, "StandinComputeEncoder", "NSObject", "MTLComputeCommandEncoder MTLCommandEncoder", 0, 1},
	{0, "StandinBlitEncoder", "NSObject", "MTLBlitCommandEncoder MTLCommandEncoder", 0, 1},
	{0, "StandinLibrary", "NSObject", "MTLLibrary", 0, 1}, {0, "StandinFunction", "NSObject", "MTLFunction", 0, 1},
	{0, "StandinPipeline", "NSObject", "MTLComputePipelineState", 0, 1},
	{0, "MPSKernel", "NSObject"}, {0, "MPSMatrixDescriptor", "NSObject"}, {0, "MPSMatrix", "NSObject"},
	{0, "MPSMatrixMultiplication", "MPSKernel"}, {0, "MPSCommandBuffer", "NSObject", "MTLCommandBuffer"},
	{0, "MPSGraphObject", "NSObject"}, {0, "MPSGraph", "MPSGraphObject"}, {0, "MPSGraphTensor", "MPSGraphObject", "NSCopying"},
	{0, "MPSGraphTensorData", "MPSGraphObject"},
	{0, "MPSGraphExecutionDescriptor", "MPSGraphObject"}, {0, "MPSGraphCompilationDescriptor", "MPSGraphObject"}, {0}};

static id ns_alloc(Class *c, SEL s) {
	if (c->hidden) BAD(0, "+[%s alloc]: a protocol cannot be allocated", c->name);
	id o = make(c->name, "alloc");
	o->inited = 0;
	return o;
}
static id ns_init(id o, SEL s) { return o->inited = 1, o; }
static id ns_new(Class *c, SEL s) {
	id o = ns_alloc(c, s);
	o->inited = 1;
	o->born = "new";
	if (!strcmp(c->name, "MPSGraphCompilationDescriptor")) o->n[0] = 1; // level 1 is Apple's default
	return o;
}
static id ns_retain(id o, SEL s) { return own(o); }
static void ns_release(id o, SEL s) { drop(o); }
static id ns_autorelease(id o, SEL s) { return autoreleased(o); }
void *class_getInstanceMethod(Class *, SEL);
static bool ns_responds(id o, SEL s, SEL q) { return class_getInstanceMethod(o->isa, q) != 0; }

id string(const char *s) {
	id o = make("NSString", "string");
	o->p = strdup(s);
	return o;
}
static id str_utf8(Class *c, SEL s, const char *t) { return autoreleased(string(t)); }
static const char *str_get(id o, SEL s) { return o->p; }
static id num_uint(Class *c, SEL s, u64 v) {
	id o = make("NSNumber", s);
	o->n[0] = v;
	return autoreleased(o);
}
id array_make(const id *v, u64 n, SEL born) { // +1
	id o = make("NSArray", born);
	o->n[0] = n;
	id *p = o->p = calloc(n + 1, sizeof(id));
	for (u64 i = 0; i < n; i++) p[i] = own(v[i]);
	return o;
}
static id arr_objs(Class *c, SEL s, const id *v, u64 n) {
	for (u64 i = 0; i < n; i++)
		if (!is_kind(v[i], "id")) BAD(0, "+[NSArray %s]: element %llu is no live object", s, W(i));
	return autoreleased(array_make(v, n, s));
}
static u64 arr_count(id o, SEL s) { return o->n[0]; }
static id arr_at(id o, SEL s, u64 i) {
	if (i >= o->n[0]) BAD(0, "-[NSArray objectAtIndex:]: index %llu beyond %llu", W(i), W(o->n[0]));
	return ((id *)o->p)[i];
}
static id dict_make(Class *c, SEL s, const id *v, const id *k, u64 n) {
	for (u64 i = 0; i < n; i++) {
		if (!is_kind(v[i], "id")) BAD(0, "+[NSDictionary %s]: object %llu is no live object", s, W(i));
		if (!is_kind(k[i], "NSCopying")) BAD(0, "+[NSDictionary %s]: key %llu, %s, cannot be copied: keys and objects swapped?", s, W(i), show(k[i]));
	}
	id o = make("NSDictionary", s);
	o->held[0] = array_make(v, n, s);
	o->held[1] = array_make(k, n, s);
	return autoreleased(o);
}
id dict_get(id o, SEL s, id key) {
	id *k = o->held[1]->p, *v = o->held[0]->p;
	for (u64 i = 0; i < o->held[1]->n[0]; i++)
		if (k[i] == key) return v[i];
	return 0;
}
id dict_only_key(id o) { return o->held[1]->n[0] == 1 ? ((id *)o->held[1]->p)[0] : 0; }
id error_make(const char *domain, long code, const char *text) { // +1
	id o = make("NSError", "error");
	o->n[0] = code;
	o->held[0] = string(domain);
	o->held[1] = string(text);
	return o;
}
static id err_domain(id o, SEL s) { return o->held[0]; }
static long err_code(id o, SEL s) { return o->n[0]; }
static id err_text(id o, SEL s) { return o->held[1]; }
static id proc_info(Class *c, SEL s) { return autoreleased(make("NSProcessInfo", s)); }
typedef struct { long a, b, c; } Version;
static Version proc_version(id o, SEL s) { return (Version){opt.old ? 13 : 26, 2, 1}; }

const Method foundation_methods[] = {
	{"NSObject", '+', "alloc", ns_alloc}, {"NSObject", '+', "new", ns_new}, {"NSObject", '-', "init", ns_init},
	{"NSObject", '-', "retain", ns_retain}, {"NSObject", '-', "release", ns_release}, {"NSObject", '-', "autorelease", ns_autorelease},
	{"NSObject", '-', "respondsToSelector:", ns_responds},
	{"NSString", '+', "stringWithUTF8String:", str_utf8}, {"NSString", '-', "UTF8String", str_get},
	{"NSNumber", '+', "numberWithUnsignedInteger:", num_uint},
	{"NSArray", '+', "arrayWithObjects:count:", arr_objs}, {"NSArray", '-', "count", arr_count}, {"NSArray", '-', "objectAtIndex:", arr_at},
	{"NSDictionary", '+', "dictionaryWithObjects:forKeys:count:", dict_make},
	{"NSError", '-', "domain", err_domain}, {"NSError", '-', "code", err_code}, {"NSError", '-', "localizedDescription", err_text},
	{"NSProcessInfo", '+', "processInfo", proc_info}, {"NSProcessInfo", '-', "operatingSystemVersion", proc_version}, {0}};
