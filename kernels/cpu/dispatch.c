// Which instruction set runs, and the functions that Go calls.
#include "kernels.h"

#include <string.h>

extern const optin_cpu_isa optin_cpu_isa_plain;
#if defined(__x86_64__)
extern const optin_cpu_isa optin_cpu_isa_avx512, optin_cpu_isa_avx2;
#endif

const optin_cpu_isa *optin_cpu_isa_named(const char *name) {
  const int any = name[0] == '\0';
#if defined(__x86_64__)
  const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const int avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512vl");
  if (avx512 && (any || !strcmp(name, "avx512"))) return &optin_cpu_isa_avx512;
  if (avx2 && (any || !strcmp(name, "avx2"))) return &optin_cpu_isa_avx2;
#endif
  if (any || !strcmp(name, "plain")) return &optin_cpu_isa_plain;
  return NULL;
}

const char *optin_cpu_isa_name(const optin_cpu_isa *isa) { return isa->name; }

#define LIST(...) __VA_ARGS__
#define KERNEL(name, parameters, arguments) \
  void optin_cpu_##name(const optin_cpu_isa *isa, LIST parameters) { isa->name arguments; }
OPTIN_CPU_KERNELS(KERNEL)

size_t optin_cpu_attention_scratch(const optin_cpu_isa *isa, size_t k_max, size_t head_size) {
  return isa->attention_scratch(k_max, head_size);
}

size_t optin_cpu_attention_backward_scratch(const optin_cpu_isa *isa, size_t k_max,
                                            size_t head_size, size_t stack) {
  return isa->attention_backward_scratch(k_max, head_size, stack);
}

void optin_cpu_fill_f32(float *dst, float value, size_t n) {
  for (size_t i = 0; i < n; i++) dst[i] = value;
}

void optin_cpu_repeat_f32(float *dst, const float *src, size_t rows, size_t C) {
  for (size_t r = 0; r < rows; r++) memcpy(dst + r * C, src, C * sizeof *dst);
}
