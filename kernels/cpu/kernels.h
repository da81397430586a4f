// The C surface of package cpu: own kernels, one version per instruction set.
//
// Matrices are row-major and dense unless a stride is given; a pointer whose
// comment says "or NULL" may be left out. dst may not overlap another argument.
// Kernels allocate nothing, keep no pointer and cannot fail.
#ifndef OPTIN_KERNELS_CPU_KERNELS_H_
#define OPTIN_KERNELS_CPU_KERNELS_H_

#include <stddef.h>
#include <stdint.h>

// As kernels.Activation numbers them.
enum { OPTIN_IDENTITY, OPTIN_GELU, OPTIN_GELU_TANH, OPTIN_GELU_QUICK, OPTIN_RELU, OPTIN_TANH };

// What attention computes with, besides its tensors' addresses. Sequence b of a
// variant has queries q_offsets[b] to q_offsets[b+1], and keys likewise.
typedef struct {
  const float *q;          // (V * q_rows, H * d)
  const float *k, *v;      // (V * k_rows, H * d)
  const float *head_mask;  // (mask_rows, H), or NULL
  const float *bias;       // (H * q_max, k_max), or NULL
  const float *key_bias;   // (bias_rows, 1), or NULL
  size_t variants, sequences, heads, head_size;
  size_t q_rows, k_rows, q_max, k_max, mask_rows, bias_rows;
  float scale;
  int causal;
  float *scratch;  // threads * optin_cpu_attention_scratch floats
  int threads;
} optin_cpu_attention;

// Gradients dy to the context, (stack, V * q_rows, H * d), and those to q, k and v, which
// have as many rows as dy and k as often.
typedef struct {
  const float *dy;
  float *dq, *dk, *dv;
  size_t stack;
} optin_cpu_attention_slopes;

// A step of AdamW: rest is 1 - beta, correct is 1/(1 - beta^step).
typedef struct {
  float rate, decay, eps, gradient;
  float beta1, rest1, correct1, beta2, rest2, correct2;
} optin_cpu_adamw;

// Rows that the gradient of a LayerNorm has in work at a time.
enum { OPTIN_NORM_ROWS = 4 };

#include "kernel_list.h"

// The kernels compiled for one instruction set.
typedef struct {
  const char *name;
#define KERNEL(name, parameters, arguments) void(*name) parameters;
  OPTIN_CPU_KERNELS(KERNEL)
#undef KERNEL
  size_t (*attention_scratch)(size_t k_max, size_t head_size);
  size_t (*attention_backward_scratch)(size_t k_max, size_t head_size, size_t stack);
} optin_cpu_isa;

// optin_cpu_isa_named is the table called "avx512", "avx2" or "plain", the best
// one of this machine for "", or NULL where the machine or the name will not do.
const optin_cpu_isa *optin_cpu_isa_named(const char *name);
const char *optin_cpu_isa_name(const optin_cpu_isa *isa);

// optin_cpu_layernorm_f32(isa, ...) and so on: Go cannot call through a table.
#define LIST(...) __VA_ARGS__
#define KERNEL(name, parameters, arguments) \
  void optin_cpu_##name(const optin_cpu_isa *isa, LIST parameters);
OPTIN_CPU_KERNELS(KERNEL)
#undef KERNEL
#undef LIST
size_t optin_cpu_attention_scratch(const optin_cpu_isa *isa, size_t k_max, size_t head_size);
size_t optin_cpu_attention_backward_scratch(const optin_cpu_isa *isa, size_t k_max,
                                            size_t head_size, size_t stack);

// Guards of OPTIN_GUARD_BYTES lie before and behind a tensor's room, which follows on
// base and of which elements bytes are its own: set writes them, check returns 0 or
// which of them changed, open gives access to all bytes of the buffer again.
enum { OPTIN_GUARD_BYTES = 64, OPTIN_GUARD_BEFORE = 1, OPTIN_GUARD_BEHIND = 2 };
void optin_cpu_guard_set(void *base, size_t elements, size_t room);
int optin_cpu_guard_check(void *base, size_t elements, size_t room);
void optin_cpu_guard_open(void *base, size_t bytes);

// optin_cpu_fill_f32 sets n floats at dst to value, optin_cpu_repeat_f32 each of its rows
// of C to src.
void optin_cpu_fill_f32(float *dst, float value, size_t n);
void optin_cpu_repeat_f32(float *dst, const float *src, size_t rows, size_t C);

#endif  // OPTIN_KERNELS_CPU_KERNELS_H_
