// The C surface of package cpu: matrix products by oneDNN.
#ifndef OPTIN_KERNELS_CPU_ONEDNN_H_
#define OPTIN_KERNELS_CPU_ONEDNN_H_

#include <dnnl.h>
#include <stddef.h>

#include "kernels.h"

// What became of a call: code is dnnl_success, or what the function that call
// names returned.
typedef struct {
  int code;
  const char *call;
} optin_cpu_status;

// TRY goes to done with the status of a oneDNN call that fails.
#define TRY(function, ...)               \
  do {                                   \
    status.code = function(__VA_ARGS__); \
    if (status.code != dnnl_success) {   \
      status.call = #function;           \
      goto done;                         \
    }                                    \
  } while (0)

// The weights (out, in) of a linear layer in oneDNN's own order.
typedef struct {
  dnnl_memory_t memory;
  void *data;  // what memory holds
  size_t bytes;
} optin_cpu_weights;

// What a linear layer computes: (rows, in) to (rows, out).
typedef struct {
  int64_t rows, in, out;
  int bias, residual;  // whether there is one
  int act;             // OPTIN_IDENTITY and so on, but for OPTIN_RELU: oneDNN's loses NaN
} optin_cpu_linear_shape;

// A linear layer ready to run, for one thread at a time.
typedef struct {
  dnnl_primitive_t primitive;
  dnnl_memory_t src, bias, residual, dst, scratch;
  int residual_at;  // which post-op the residual is
  size_t scratch_bytes;
} optin_cpu_linear;

// Weights of the layer in to out are read from src (out, in), or (in, out) where
// transposed is set, which may be freed afterwards; unpack writes them back as (out, in),
// or (in, out) where transpose is set.
optin_cpu_status optin_cpu_weights_pack(optin_cpu_weights *dst, dnnl_engine_t engine,
                                        dnnl_stream_t stream, const float *src, int64_t out,
                                        int64_t in, int transposed);
optin_cpu_status optin_cpu_weights_unpack(float *dst, dnnl_engine_t engine, dnnl_stream_t stream,
                                          const optin_cpu_weights *src, int transpose);
void optin_cpu_weights_free(optin_cpu_weights *w);

optin_cpu_status optin_cpu_linear_create(optin_cpu_linear *dst, dnnl_engine_t engine,
                                         optin_cpu_linear_shape shape,
                                         const optin_cpu_weights *weights);
// dst = act(src weights' + bias) + residual, pointers that the shape does not name being NULL.
optin_cpu_status optin_cpu_linear_run(const optin_cpu_linear *l, dnnl_stream_t stream, float *dst,
                                      const float *src, const optin_cpu_weights *weights,
                                      const float *bias, const float *residual, void *scratch);
void optin_cpu_linear_free(optin_cpu_linear *l);

optin_cpu_status optin_cpu_engine_create(dnnl_engine_t *dst);
optin_cpu_status optin_cpu_stream_create(dnnl_stream_t *dst, dnnl_engine_t engine);

// dst (+)= op(a) op(b), added where add is set, a and b transposed where ta, tb.
typedef struct {
  int ta, tb, add;
  int64_t M, N, K, lda, ldb, ldc;
} optin_cpu_gemm;
optin_cpu_status optin_cpu_gemm_f32(float *dst, const float *a, const float *b, optin_cpu_gemm g);

// dst (D, D) += a' a, a (n, D), at little more than half the cost of a gemm; scratch
// holds optin_cpu_gram_scratch(D) floats.
optin_cpu_status optin_cpu_gram_f32(float *dst, const float *a, int64_t n, int64_t D,
                                    const optin_cpu_isa *isa, float *scratch);
size_t optin_cpu_gram_scratch(int64_t D);

// Threads: how many the calling thread's parallel regions get from now on, and how
// many they do get.
void optin_cpu_threads(int n);
int optin_cpu_team_size(void);

#endif  // OPTIN_KERNELS_CPU_ONEDNN_H_
