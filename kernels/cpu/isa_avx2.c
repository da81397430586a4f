// The kernels for AVX2 with FMA.
#if defined(__x86_64__)
#pragma GCC target("avx2,fma")
#include <stddef.h>

#include "simd_avx2.h"

#include "isa.inc.h"

const optin_cpu_isa optin_cpu_isa_avx2 = TABLE("avx2");
#else
typedef int optin_cpu_no_avx2;
#endif
