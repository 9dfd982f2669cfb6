// A library with the functions of NVML that gpuplay calls, for tests. CASE chooses how
// the machine is: see the names below. Signatures and structures are those of nvml.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOOD 0         // two GPUs, one of which shares the CPU's memory
#define LOST 1         // the second one of two does not answer
#define MISMATCH 2     // the driver is another version than this library
#define NOT_LOADED 3   // no driver is loaded
#define HANG 4         // the driver never answers
#define ABORT 5        // the library ends the process
#define NONE 6         // no GPU
#define OLD 7          // functions are missing
#define PRINTS 8       // it writes to stdout
#define UNCOUNTED 9    // the GPUs cannot be counted
#ifndef CASE
#define CASE GOOD
#endif

typedef struct device *nvmlDevice_t;
typedef struct {
  char busIdLegacy[16];
  unsigned int domain, bus, device, pciDeviceId, pciSubSystemId;
  char busId[32];
} nvmlPciInfo_t;
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
typedef struct { unsigned int gpu, memory; } nvmlUtilization_t;

static long number(nvmlDevice_t d) { return (long)d; }

int nvmlInit_v2(void) {
  switch (CASE) {
  case MISMATCH: return 18;
  case NOT_LOADED: return 9;
  case HANG: for (;;) sleep(1000);
  case ABORT: fputs("libnvidia-ml: assertion failed\n", stderr); abort();
  case PRINTS: puts("a banner"); fflush(stdout);
  }
  return 0;
}

const char *nvmlErrorString(int r) {
  switch (r) {
  case 3: return "Not Supported";
  case 9: return "Driver Not Loaded";
  case 15: return "GPU is lost";
  case 18: return "Driver/library version mismatch";
  }
  return "Unknown Error";
}

static int text(char *to, unsigned int length, const char *from) {
  if (strlen(from) >= length) return 7;
  strcpy(to, from);
  return 0;
}

int nvmlSystemGetDriverVersion(char *v, unsigned int n) { return text(v, n, "580.95.05"); }
int nvmlDeviceGetCount_v2(unsigned int *n) { *n = CASE == NONE ? 0 : 2; return CASE == UNCOUNTED ? 999 : 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int i, nvmlDevice_t *d) {
  *d = (nvmlDevice_t)(long)(i + 1);
  return CASE == LOST && i == 1 ? 15 : 0;
}
int nvmlDeviceGetName(nvmlDevice_t d, char *v, unsigned int n) { return text(v, n, number(d) == 1 ? "NVIDIA H100 80GB HBM3" : "NVIDIA GB10"); }
int nvmlDeviceGetUUID(nvmlDevice_t d, char *v, unsigned int n) { return text(v, n, number(d) == 1 ? "GPU-a" : "GPU-b"); }
int nvmlDeviceGetMemoryInfo(nvmlDevice_t d, nvmlMemory_t *m) {
  if (number(d) != 1) return 3;
  *m = (nvmlMemory_t){85520809984ull, 85520809984ull, 0};
  return 0;
}
#if CASE != OLD
int nvmlSystemGetCudaDriverVersion_v2(int *v) { *v = 13000; return 0; }
int nvmlDeviceGetPciInfo_v3(nvmlDevice_t d, nvmlPciInfo_t *p) {
  memset(p, 0, sizeof *p);
  p->bus = number(d) == 1 ? 0x19 : 0x3b;
  snprintf(p->busId, sizeof p->busId, "%08X:%02X:00.0", 0, p->bus);
  return 0;
}
int nvmlDeviceGetCudaComputeCapability(nvmlDevice_t d, int *major, int *minor) {
  *major = number(d) == 1 ? 9 : 12;
  *minor = number(d) == 1 ? 0 : 1;
  return 0;
}
int nvmlDeviceGetUtilizationRates(nvmlDevice_t d, nvmlUtilization_t *u) {
  *u = (nvmlUtilization_t){number(d) == 1 ? 98 : 0, 40};
  return 0;
}
#endif
