// Derivatives of activations, and the products that the chain rule needs.

#define EACH(dst, src, n, f) \
  for (size_t i = 0; i < (n); i += W) store((dst) + i, f(load((src) + i, (n)-i)), (n)-i)

// 1 above 0, else 0; NaN stays NaN.
static inline vf relu_slope(vf x) {
  const vf zero = v_set(0.0f);
  return v_select(v_less(zero, x), v_set(1.0f), v_max(zero, x));
}

static void derivative_f32(float *dst, const float *src, int act, size_t n) {
  switch (act) {
    case OPTIN_GELU:
      EACH(dst, src, n, v_gelu_slope);
      break;
    case OPTIN_GELU_TANH:
      EACH(dst, src, n, v_gelu_tanh_slope);
      break;
    case OPTIN_GELU_QUICK:
      EACH(dst, src, n, v_gelu_quick_slope);
      break;
    case OPTIN_RELU:
      EACH(dst, src, n, relu_slope);
      break;
    case OPTIN_TANH:
      EACH(dst, src, n, v_tanh_slope);
      break;
    default:
      for (size_t i = 0; i < n; i++) dst[i] = 1.0f;
  }
}

#undef EACH

static void multiply_f32(float *dst, const float *x, const float *y, size_t n, size_t period) {
  for (size_t from = 0; from < n; from += period) {
    for (size_t i = 0; i < period; i += W) {
      const size_t at = from + i, left = period - i;
      store(dst + at, v_mul(load(x + at, left), load(y + i, left)), left);
    }
  }
}

static void scale_f32(float *dst, const float *x, float c, size_t n) {
  for (size_t i = 0; i < n; i += W) {
    store(dst + i, v_mul(load(x + i, n - i), v_set(c)), n - i);
  }
}

static void multiply_rows_f32(float *dst, const float *x, const float *y, size_t rows, size_t C,
                              size_t period) {
  for (size_t r = 0; r < rows; r++) scale_f32(dst + r * C, x + r * C, y[r % period], C);
}
