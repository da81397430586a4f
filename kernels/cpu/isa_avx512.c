// The kernels for AVX-512.
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")
#include <stddef.h>

#include "simd_avx512.h"

#include "isa.inc.h"

const optin_cpu_isa optin_cpu_isa_avx512 = TABLE("avx512");
#else
typedef int optin_cpu_no_avx512;
#endif
