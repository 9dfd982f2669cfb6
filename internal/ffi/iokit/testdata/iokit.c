// A library in the place of IOKit and CoreFoundation, for tests: one accelerator with a
// dictionary of two numbers and a string. Signatures are those of IOKitLib.h, CFBase.h,
// CFString.h, CFDictionary.h and CFNumber.h. It counts what is not released.
#include <stdlib.h>
#include <string.h>

typedef struct { int kind; const char *text; long long number; } object;
enum { STRING = 7, DICTIONARY = 18, NUMBER = 22 };
static object dictionary = {DICTIONARY}, busy = {NUMBER, "", 73}, memory = {NUMBER, "", 1ll << 33}, text = {STRING, "x"};
static int held;

void *IOServiceMatching(const char *name) { return strcmp(name, "IOAccelerator") ? 0 : &dictionary; }
int IOServiceGetMatchingServices(unsigned int port, void *matching, unsigned int *iterator) {
  if (!matching || port) return 0xe00002c7;
  *iterator = 5;
  held++;
  return 0;
}
unsigned int IOIteratorNext(unsigned int iterator) { held += iterator == 5; return iterator == 5 ? 6 : 0; }
int IOObjectRelease(unsigned int o) { held -= o == 5 || o == 6; return 0; }
void *CFStringCreateWithCString(void *allocator, const char *t, unsigned int encoding) {
  if (encoding != 0x08000100) return 0;
  object *o = calloc(1, sizeof *o);
  *o = (object){STRING, strdup(t)};
  held++;
  return o;
}
void *IORegistryEntryCreateCFProperty(unsigned int entry, object *key, void *allocator, unsigned int options) {
  if (entry != 6 || strcmp(key->text, "PerformanceStatistics")) return 0;
  held++;
  return &dictionary;
}
void *CFDictionaryGetValue(object *d, object *key) {
  if (d != &dictionary) return 0;
  if (!strcmp(key->text, "Device Utilization %")) return &busy;
  if (!strcmp(key->text, "In use system memory")) return &memory;
  if (!strcmp(key->text, "a string")) return &text;
  return 0;
}
_Bool CFNumberGetValue(object *n, long kind, long long *v) {
  if (kind != 4) return 0;
  *v = n->number;
  return 1;
}
unsigned long CFGetTypeID(object *o) { return o->kind; }
unsigned long CFDictionaryGetTypeID(void) { return DICTIONARY; }
unsigned long CFNumberGetTypeID(void) { return NUMBER; }
void CFRelease(object *o) { held--; }
int stillHeld(void) { return held; }
