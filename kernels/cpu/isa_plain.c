// The kernels in plain C, for any machine.
#include <stddef.h>

#include "simd_plain.h"

#include "isa.inc.h"

const optin_cpu_isa optin_cpu_isa_plain = TABLE("plain");
