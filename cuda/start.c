/* clang-format off */
//go:build cuda
/* clang-format on */

// How the driver is found. gorgonia.org/cu calls cuInit as soon as the program starts, and
// ends the program where that fails. The linker takes the cuInit of this file before the
// driver's: it says yes and does nothing, so that a program built with CUDA also starts where
// there is no driver or no device. The driver's own is called when a device is asked for.
#include "start.h"

#include <cuda.h>
#include <dlfcn.h>
#include <stddef.h>

__attribute__((visibility("hidden"))) CUresult CUDAAPI cuInit(unsigned flags) {
  (void)flags;
  return CUDA_SUCCESS;
}

// The library's names are made known to the whole program (RTLD_GLOBAL), which scripts/cuda-build
// links without it: the first call of each finds it there.
const char *optin_cuda_start(int *status) {
  void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
  if (!driver) return dlerror();
  CUresult (*start)(unsigned) = (CUresult(*)(unsigned))dlsym(driver, "cuInit");
  if (!start) return "libcuda.so.1 has no cuInit";
  *status = (int)start(0);
  return NULL;
}
