// The kernels of derivatives and training, as kernel_list.h lists the others. A stack
// is several gradients under which the forward's arguments repeat.

#define OPTIN_CPU_BACKWARD_KERNELS(KERNEL)                                                         \
  /* gradients to q, k and v, from what the forward took; its scratch is threads times */          \
  /* optin_cpu_attention_backward_scratch floats */                                                \
  KERNEL(attention_backward_f32,                                                                   \
         (optin_cpu_attention_slopes slopes, const optin_cpu_attention *spec,                      \
          const int32_t *q_offsets, const int32_t *k_offsets),                                     \
         (slopes, spec, q_offsets, k_offsets))                                                     \
  /* gradient to src and residual; dst, dy (stack, rows, C), scratch (OPTIN_NORM_ROWS, C) */       \
  KERNEL(layernorm_backward_f32,                                                                   \
         (float *dst, const float *dy, const float *src, const float *residual,                    \
          const float *gamma, double eps, size_t stack, size_t rows, size_t C, float *scratch),    \
         (dst, dy, src, residual, gamma, eps, stack, rows, C, scratch))                            \
  /* adds the gradients to gamma and beta, (C) or NULL; scratch (C) */                             \
  KERNEL(layernorm_weights_f32,                                                                    \
         (float *dgamma, float *dbeta, const float *dy, const float *src, const float *residual,   \
          double eps, size_t stack, size_t rows, size_t C, float *scratch),                        \
         (dgamma, dbeta, dy, src, residual, eps, stack, rows, C, scratch))                         \
  /* gradient to x of y = softmax(x); dst, dy (stack, rows, C), y (rows, C) */                     \
  KERNEL(softmax_backward_f32,                                                                     \
         (float *dst, const float *dy, const float *y, size_t stack, size_t rows, size_t C),       \
         (dst, dy, y, stack, rows, C))                                                             \
  /* gradient to x of x[r] / |x[r]|; dst, dy (stack, rows, C), x (rows, C) */                      \
  KERNEL(normalize_backward_f32,                                                                   \
         (float *dst, const float *dy, const float *x, size_t stack, size_t rows, size_t C),       \
         (dst, dy, x, stack, rows, C))                                                             \
  /* dst[i] = act'(src[i]) */                                                                      \
  KERNEL(derivative_f32, (float *dst, const float *src, int act, size_t n), (dst, src, act, n))    \
  /* dst[i] = x[i] * y[i mod period] */                                                            \
  KERNEL(multiply_f32, (float *dst, const float *x, const float *y, size_t n, size_t period),      \
         (dst, x, y, n, period))                                                                   \
  /* dst[r] = x[r] * y[r mod period]; dst, x (rows, C), y (period) */                              \
  KERNEL(multiply_rows_f32,                                                                        \
         (float *dst, const float *x, const float *y, size_t rows, size_t C, size_t period),       \
         (dst, x, y, rows, C, period))                                                             \
  /* dst[i] = c x[i]; dst may be x */                                                              \
  KERNEL(scale_f32, (float *dst, const float *x, float c, size_t n), (dst, x, c, n))               \
  /* dst += the sum of x over repeats; x (repeats, rows, C), dst (rows, C) */                      \
  KERNEL(sum_rows_f32, (float *dst, const float *x, size_t repeats, size_t rows, size_t C),        \
         (dst, x, repeats, rows, C))                                                               \
  /* dst[t mod variants, idx[r]] += x[t, r]; x (times, n, C), dst (variants, span, C) */           \
  KERNEL(scatter_add_f32,                                                                          \
         (float *dst, const float *x, const int32_t *idx, size_t n, size_t times, size_t variants, \
          size_t span, size_t C),                                                                  \
         (dst, x, idx, n, times, variants, span, C))                                               \
  /* dst[s, r] = dy[s, idx[r]] / the number of such r; dst (stack, n, C), dy (stack, rows, C), */  \
  /* count (rows) is scratch */                                                                    \
  KERNEL(scatter_mean_backward_f32,                                                                \
         (float *dst, int32_t *count, const float *dy, const int32_t *idx, size_t stack, size_t n, \
          size_t rows, size_t C),                                                                  \
         (dst, count, dy, idx, stack, n, rows, C))                                                 \
  /* dst[u] += the sum of x y over rows and the columns of unit u, to narrow or wide, one of */    \
  /* which is NULL; x, y (rows, C), scratch (C) */                                                 \
  KERNEL(unit_sums_f32,                                                                            \
         (float *narrow, double *wide, const float *x, const float *y, size_t rows, size_t C,      \
          size_t units, float *scratch),                                                           \
         (narrow, wide, x, y, rows, C, units, scratch))                                            \
  /* gradient of remove_unit to value: dst[r, i] = -dy[r] consumer[i], dst's rows being */         \
  /* stride apart; dy (rows, C), consumer (width, C) */                                            \
  KERNEL(remove_unit_backward_f32,                                                                 \
         (float *dst, size_t stride, const float *dy, const float *consumer, size_t rows,          \
          size_t C, size_t width),                                                                 \
         (dst, stride, dy, consumer, rows, C, width))                                              \
  /* gradient of kl_divergence to x, times d (stack, V); dst (stack, V, rows, C) */                \
  KERNEL(kl_divergence_backward_f32,                                                               \
         (float *dst, const double *d, const float *x, const float *base, double tau,              \
          size_t stack, size_t V, size_t rows, size_t C),                                          \
         (dst, d, x, base, tau, stack, V, rows, C))                                                \
  /* gradient of squared_error to x, times d (stack, V); dst (stack, V, n) */                      \
  KERNEL(squared_error_backward_f32,                                                               \
         (float *dst, const double *d, const float *x, const float *base, size_t stack, size_t V,  \
          size_t n),                                                                               \
         (dst, d, x, base, stack, V, n))                                                           \
  /* gradients of manifold to aa, ae and ee, times d */                                            \
  KERNEL(manifold_backward_f32,                                                                    \
         (float *daa, float *dae, float *dee, const float *aa, const float *ae, const float *ee,   \
          double d, size_t D),                                                                     \
         (daa, dae, dee, aa, ae, ee, d, D))                                                        \
  /* dst = factor (m + m'); (n, n) */                                                              \
  KERNEL(symmetric_sum_f32, (float *dst, const float *m, float factor, size_t n),                  \
         (dst, m, factor, n))                                                                      \
  /* dst = src'; src (rows, C) */                                                                  \
  KERNEL(transpose_f32, (float *dst, const float *src, size_t rows, size_t C),                     \
         (dst, src, rows, C))                                                                      \
  /* one step of AdamW on n weights w with moments m, v against g */                               \
  KERNEL(adamw_f32,                                                                                \
         (float *w, float *m, float *v, const float *g, optin_cpu_adamw step, size_t n),           \
         (w, m, v, g, step, n))                                                                    \
  /* *dst += |x|^2 */                                                                              \
  KERNEL(squared_norm_f64, (double *dst, const float *x, size_t n), (dst, x, n))
