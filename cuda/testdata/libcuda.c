// A stand-in for the driver library, for testing on a machine without a GPU: one device
// that can be opened, asked about and closed. Calls that it lacks fail when they are made.
// Built and used by scripts/test-cuda.
#include <stddef.h>
#include <string.h>

static int retained;

int cuInit(unsigned flags) { return flags ? 1 : 0; }
int cuDriverGetVersion(int *dst) { return *dst = 12040, 0; }
int cuDeviceGetCount(int *dst) { return *dst = 1, 0; }
int cuDeviceGet(int *dst, int ordinal) { return *dst = ordinal, ordinal ? 101 : 0; }

int cuDeviceGetName(char *dst, int size, int device) {
  (void)device;
  return strncpy(dst, "stand-in", (size_t)size), 0;
}

int cuDeviceGetUuid(unsigned char *dst, int device) {
  for (int i = 0; i < 16; i++) dst[i] = (unsigned char)i;
  return device;
}

// 75 and 76 are the major and the minor compute capability.
int cuDeviceGetAttribute(int *dst, int attribute, int device) {
  return *dst = attribute == 75 ? 9 : 0, device;
}

int cuDevicePrimaryCtxRetain(void **dst, int device) { return *dst = &retained, retained++, device; }
int cuDevicePrimaryCtxRelease_v2(int device) { return retained-- > 0 ? device : 201; }
int cuCtxSetCurrent(void *ctx) { return ctx == &retained && retained ? 0 : 201; }
int cuCtxSynchronize(void) { return retained ? 0 : 201; }
int cuMemGetInfo_v2(size_t *free, size_t *total) { return *free = 3, *total = 4, 0; }
int cuGetErrorName(int error, const char **dst) { return (void)error, *dst = "error", 0; }
