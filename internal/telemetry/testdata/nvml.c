// A library with the functions of NVML that read sensors, for tests. CASE chooses how the
// machine is. Signatures and structures are those of nvml.h. GPU 0 has all sensors, and
// GPU 1 is in MIG mode. No reading changes, since nothing computes on them.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GOOD 0
#define OLD 1        // a driver that has the older functions alone
#define LOST 2       // after two rounds of readings, GPU 0 falls off the bus
#define NOT_LOADED 3 // no driver is loaded
#define HANG 4       // the third reading of power never comes back
#ifndef CASE
#define CASE GOOD
#endif

typedef struct device *nvmlDevice_t;
typedef int nvmlReturn_t;
enum { SUCCESS = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };
typedef struct {
  char busIdLegacy[16];
  unsigned int domain, bus, device, pciDeviceId, pciSubSystemId;
  char busId[32];
} nvmlPciInfo_t;
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
typedef struct { unsigned int version; unsigned long long total, reserved, free, used; } nvmlMemory_v2_t;
typedef struct { unsigned int gpu, memory; } nvmlUtilization_t;
typedef struct { unsigned int version; int sensorType; int temperature; } nvmlTemperature_t;
typedef union {
  double dVal;
  int siVal;
  unsigned int uiVal;
  unsigned long ulVal;
  unsigned long long ullVal;
  signed long long sllVal;
  unsigned short usVal;
} nvmlValue_t;
typedef struct {
  unsigned int fieldId, scopeId;
  long long timestamp, latencyUsec;
  int valueType;
  nvmlReturn_t nvmlReturn;
  nvmlValue_t value;
} nvmlFieldValue_t;
typedef struct {
  unsigned int pid;
  unsigned long long usedGpuMemory;
  unsigned int gpuInstanceId, computeInstanceId;
} nvmlProcessInfo_t;

typedef struct {
  unsigned int pid;
  unsigned long long timeStamp;
  unsigned int smUtil, memUtil, encUtil, decUtil;
} nvmlProcessUtilizationSample_t;

static int reads; // of power of GPU 0

static int mig(nvmlDevice_t d) { return (long)d == 2; }
static nvmlReturn_t state(nvmlDevice_t d) { return CASE == LOST && !mig(d) && reads > 2 ? GPU_IS_LOST : SUCCESS; }

nvmlReturn_t nvmlInit_v2(void) { return CASE == NOT_LOADED ? DRIVER_NOT_LOADED : SUCCESS; }
const char *nvmlErrorString(nvmlReturn_t r) { return r == DRIVER_NOT_LOADED ? "Driver Not Loaded" : "Unknown Error"; }
nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *n) { *n = 2; return SUCCESS; }
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int i, nvmlDevice_t *d) { *d = (nvmlDevice_t)(long)(i + 1); return SUCCESS; }
nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t d, char *v, unsigned int n) { snprintf(v, n, "NVIDIA H100 80GB HBM3"); return SUCCESS; }
nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t d, char *v, unsigned int n) { snprintf(v, n, "GPU-%c", mig(d) ? 'b' : 'a'); return SUCCESS; }
nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t d, nvmlPciInfo_t *p) {
  memset(p, 0, sizeof *p);
  p->bus = mig(d) ? 0x3b : 0x19;
  return SUCCESS;
}
nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t d, nvmlMemory_t *m) {
  *m = (nvmlMemory_t){85520809984ull, 85520809984ull - (1ull << 30), 1ull << 30};
  return state(d);
}
nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t d, nvmlUtilization_t *u) {
  *u = (nvmlUtilization_t){0, 40};
  return mig(d) ? NOT_SUPPORTED : state(d);
}
nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t d, unsigned int *mw) {
  *mw = 70123;
  if (!mig(d)) reads++;
  if (CASE == HANG && reads == 3) for (;;) sleep(1000);
  return state(d);
}
nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t d, int type, unsigned int *mhz) {
  *mhz = type == 1 ? 345 : type == 2 ? 2619 : 0;
  return state(d);
}
nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t d, int sensor, unsigned int *t) { *t = 36; return sensor == 0 ? state(d) : NOT_SUPPORTED; }
nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t d, unsigned long long *r) { *r = 0x1 | 0x4 | 0x40; return state(d); }

#if CASE != OLD
nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t d, unsigned int *mw) { *mw = mig(d) ? 500000 : 412500; return state(d); }
nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t d, unsigned long long *mj) { *mj = 123456789012ull; return state(d); }
nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t d, nvmlTemperature_t *t) {
  if (t->version != (sizeof *t | 1 << 24) || t->sensorType != 0) return 25; // ARGUMENT_VERSION_MISMATCH
  t->temperature = 35;
  return state(d);
}
nvmlReturn_t nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice_t d, unsigned long long *r) { *r = 0x1 | 0x8; return state(d); }
nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t d, int n, nvmlFieldValue_t *v) {
  for (int i = 0; i < n; i++) {
    v[i].nvmlReturn = SUCCESS;
    switch (v[i].fieldId) {
    case 138: v[i].valueType = 3; v[i].value.ullVal = 5000000000ull; if (v[i].scopeId != ~0u) v[i].nvmlReturn = NOT_SUPPORTED; break;
    case 139: v[i].nvmlReturn = NOT_SUPPORTED; break;
    case 197: v[i].valueType = 1; v[i].value.ullVal = ~0ull; v[i].value.uiVal = 4000; break;
    case 198: v[i].valueType = 3; v[i].value.ullVal = 7000000000ull; break;
    default: v[i].nvmlReturn = NOT_SUPPORTED;
    }
  }
  return state(d);
}
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t d, unsigned int *n, nvmlProcessInfo_t *infos) {
  unsigned int room = *n;
  *n = mig(d) ? 70 : 2;
  if (room < *n) return INSUFFICIENT_SIZE;
  for (unsigned int i = 0; i < *n; i++) infos[i] = (nvmlProcessInfo_t){1000 + i, 1ull << 30, ~0u, ~0u};
  return state(d);
}
nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t d, nvmlMemory_v2_t *m) {
  if (m->version != (sizeof *m | 2 << 24)) return 25; // ARGUMENT_VERSION_MISMATCH
  *m = (nvmlMemory_v2_t){m->version, 85520809984ull, 1ull << 29, 85520809984ull - (1ull << 30), 1ull << 29};
  return state(d);
}
// GPU 0 draws, too: one of the processes that compute, and another one.
nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t d, unsigned int *n, nvmlProcessInfo_t *infos) {
  unsigned int room = *n;
  *n = mig(d) ? 0 : 2;
  if (room < *n) return INSUFFICIENT_SIZE;
  for (unsigned int i = 0; i < *n; i++) infos[i] = (nvmlProcessInfo_t){1001 + i, ~0ull, ~0u, ~0u}; // its memory is not available
  return state(d);
}
// A process in two samples, one with a share that is none, and none that is not later than a
// time.
nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t d, nvmlProcessUtilizationSample_t *s, unsigned int *n, unsigned long long since) {
  if (mig(d)) return NOT_SUPPORTED;
  if (*n < 3) return INSUFFICIENT_SIZE;
  if (since >= 4000000000000000ull) return NOT_FOUND;
  *n = 3;
  s[0] = (nvmlProcessUtilizationSample_t){1000, 4000000000000000ull, 40, 7, 1, 2};
  s[1] = (nvmlProcessUtilizationSample_t){1000, 4000000000000001ull, 80, 7, 1, 2};
  s[2] = (nvmlProcessUtilizationSample_t){1001, 4000000000000001ull, 4294967295u, 7, 1, 2};
  return state(d);
}
nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t d, int type, unsigned int *mhz) {
  *mhz = type == 1 ? 1980 : type == 2 ? 2619 : 0;
  return state(d);
}
#endif
