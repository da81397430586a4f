// Every kernel of an instruction set's table: KERNEL(name, parameters, arguments).
// Included by kernels.h, which makes of it the table and the functions Go calls.
//
// B, T, C are sequences, tokens and channels; rows r run over all of B*T.

#include "backward_list.h"

#define OPTIN_CPU_KERNELS(KERNEL)                                                                  \
  /* dst = softmax(scale q k' + biases) v * head mask, per variant, sequence and head */           \
  KERNEL(attention_f32,                                                                            \
         (float *dst, const optin_cpu_attention *spec, const int32_t *q_offsets,                   \
          const int32_t *k_offsets),                                                               \
         (dst, spec, q_offsets, k_offsets))                                                        \
  /* dst[r] = gamma (s - mean s) / sqrt(var s + eps) + beta, s = src[r] + residual[r] (NULL: */    \
  /* none); (rows, C) */                                                                           \
  KERNEL(layernorm_f32,                                                                            \
         (float *dst, const float *src, const float *residual, const float *gamma,                 \
          const float *beta, double eps, size_t rows, size_t C),                                   \
         (dst, src, residual, gamma, beta, eps, rows, C))                                          \
  /* dst[r] = softmax(src[r]); (rows, C) */                                                        \
  KERNEL(softmax_f32, (float *dst, const float *src, size_t rows, size_t C), (dst, src, rows, C))  \
  /* dst[i] = act(src[i]); dst may be src */                                                       \
  KERNEL(activate_f32, (float *dst, const float *src, int act, size_t n), (dst, src, act, n))      \
  /* dst[i] = x[i] + y[i mod period] */                                                            \
  KERNEL(add_f32, (float *dst, const float *x, const float *y, size_t n, size_t period),           \
         (dst, x, y, n, period))                                                                   \
  /* dst[r, c] = src[r, c] * mask[r / span, c / width]; (rows, C); dst may be src */               \
  KERNEL(mask_units_f32,                                                                           \
         (float *dst, const float *src, const float *mask, size_t rows, size_t C, size_t span,     \
          size_t width),                                                                           \
         (dst, src, mask, rows, C, span, width))                                                   \
  /* dst[r] = sum[r] - value[r, :width] consumer, value's rows being stride apart; */              \
  /* consumer (width, C) */                                                                        \
  KERNEL(remove_unit_f32,                                                                          \
         (float *dst, const float *sum, const float *value, size_t stride, const float *consumer,  \
          size_t rows, size_t C, size_t width),                                                    \
         (dst, sum, value, stride, consumer, rows, C, width))                                      \
  /* dst[r] = src[r] / |src[r]| - phi[r] (NULL: none), a zero row staying zero; (rows, C) */       \
  KERNEL(normalize_f32, (float *dst, const float *src, const float *phi, size_t rows, size_t C),   \
         (dst, src, phi, rows, C))                                                                 \
  /* dst[i] = mean of the n rows src[r] with idx[r] = i, 0 where there are none; count is */       \
  /* scratch; dst (rows, C), src (n, C) */                                                         \
  KERNEL(scatter_mean_f32,                                                                         \
         (float *dst, int32_t *count, const float *src, const int32_t *idx, size_t n, size_t rows, \
          size_t C),                                                                               \
         (dst, count, src, idx, n, rows, C))                                                       \
  /* upper += m, lower += m'; m (rows, C), upper's and lower's rows D apart */                     \
  KERNEL(add_both_f32,                                                                             \
         (float *upper, float *lower, const float *m, size_t rows, size_t C, size_t D),            \
         (upper, lower, m, rows, C, D))                                                            \
  /* *dst += 2 tr(aa ee) + 2 tr(ae ae) + 4 tr(ae ee) + |ee|^2; (D, D) */                           \
  KERNEL(manifold_f64, (double *dst, const float *aa, const float *ae, const float *ee, size_t D), \
         (dst, aa, ae, ee, D))                                                                     \
  /* *dst += |m + m'|^2; m (n, n) */                                                               \
  KERNEL(symmetric_norm_f64, (double *dst, const float *m, size_t n), (dst, m, n))                 \
  /* dst[i] = x[i] + y[i] / 2 */                                                                   \
  KERNEL(add_half_f32, (float *dst, const float *x, const float *y, size_t n), (dst, x, y, n))     \
  /* dst[v] += sum of (x[v] - base)^2; x (V, n), base (n) */                                       \
  KERNEL(squared_error_f64, (double *dst, const float *x, const float *base, size_t V, size_t n),  \
         (dst, x, base, V, n))                                                                     \
  /* dst[v] += sum over r of KL(softmax(base[r] / tau) || softmax(x[v, r] / tau)); */              \
  /* x (V, rows, C), base (rows, C) */                                                             \
  KERNEL(kl_divergence_f64,                                                                        \
         (double *dst, const float *x, const float *base, double tau, size_t V, size_t rows,       \
          size_t C),                                                                               \
         (dst, x, base, tau, V, rows, C))                                                          \
  /* dst[r] = table[idx[r]] + add[r] (NULL: none); (rows, C) */                                    \
  KERNEL(embed_f32,                                                                                \
         (float *dst, const float *table, const int32_t *idx, const float *add, size_t rows,       \
          size_t C),                                                                               \
         (dst, table, idx, add, rows, C))                                                          \
  OPTIN_CPU_BACKWARD_KERNELS(KERNEL)
