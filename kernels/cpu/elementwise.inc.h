// Kernels that treat each element by itself.

// Loads and stores of up to one vector, where left elements remain.
static inline vf load(const float *p, size_t left) {
  return left < W ? v_load_n(p, left) : v_load(p);
}
static inline void store(float *p, vf x, size_t left) {
  if (left < W) {
    v_store_n(p, x, left);
  } else {
    v_store(p, x);
  }
}

// load_transposed sets t[i] to column i of the n x m corner of src, whose rows
// are C apart; n, m <= W. The rest is 0.
static inline void load_transposed(vf t[W], const float *src, size_t C, size_t n, size_t m) {
  if (n == W && m >= W) {
    for (size_t i = 0; i < W; i++) t[i] = v_load(src + i * C);
  } else {
    for (size_t i = 0; i < W; i++) t[i] = i < n ? load(src + i * C, m) : v_set(0.0f);
  }
  v_transpose(t);
}

#define EACH(dst, src, n, f) \
  for (size_t i = 0; i < (n); i += W) store((dst) + i, f(load((src) + i, (n)-i)), (n)-i)

static void activate_f32(float *dst, const float *src, int act, size_t n) {
  switch (act) {
    case OPTIN_GELU:
      EACH(dst, src, n, v_gelu);
      break;
    case OPTIN_GELU_TANH:
      EACH(dst, src, n, v_gelu_tanh);
      break;
    case OPTIN_GELU_QUICK:
      EACH(dst, src, n, v_gelu_quick);
      break;
    case OPTIN_RELU:
      EACH(dst, src, n, v_relu);
      break;
    case OPTIN_TANH:
      EACH(dst, src, n, v_tanh);
      break;
    default:
      if (n && dst != src) memcpy(dst, src, n * sizeof *dst);
  }
}

#undef EACH

// dst[i] = x[i] + y[i]
static void add_row(float *dst, const float *x, const float *y, size_t n) {
  for (size_t i = 0; i < n; i += W) {
    store(dst + i, v_add(load(x + i, n - i), load(y + i, n - i)), n - i);
  }
}

static void add_f32(float *dst, const float *x, const float *y, size_t n, size_t period) {
  for (size_t i = 0; i < n; i += period) add_row(dst + i, x + i, y, period);
}

static void add_half_f32(float *dst, const float *x, const float *y, size_t n) {
  for (size_t i = 0; i < n; i += W) {
    const vf half = v_mul(load(y + i, n - i), v_set(0.5f));
    store(dst + i, v_add(load(x + i, n - i), half), n - i);
  }
}

static void mask_units_f32(float *dst, const float *src, const float *mask, size_t rows, size_t C,
                           size_t span, size_t width) {
  const size_t units = C / width;
  for (size_t r = 0; r < rows; r++, dst += C, src += C) {
    const float *m = mask + r / span * units;
    if (width == 1) {
      for (size_t c = 0; c < C; c += W) {
        store(dst + c, v_mul(load(src + c, C - c), load(m + c, C - c)), C - c);
      }
      continue;
    }
    for (size_t u = 0; u < units; u++) {
      const size_t end = (u + 1) * width;
      for (size_t c = u * width; c < end; c += W) {
        store(dst + c, v_mul(load(src + c, end - c), v_set(m[u])), end - c);
      }
    }
  }
}
