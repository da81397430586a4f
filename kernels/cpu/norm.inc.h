// Kernels that need sums over a row: these are taken in double precision, so
// that neither large nor nearly equal values harm them.

// What centers and scales a row of s: z = (s - mean) scale + offset.
typedef struct {
  vf mean, scale, offset;
} row_moments;

static row_moments moments(const float *s, double eps, size_t C) {
  row_moments m;
  vd sum = d_zero();
  for (size_t c = 0; c < C; c += W) sum = d_add(sum, load(s + c, C - c));
  m.mean = v_set((float)(d_sum(sum) / (double)C));
  sum = d_zero();
  vd rest = d_zero();  // what rounding the mean has left, removed from the variance below
  for (size_t c = 0; c < C; c += W) {
    vf d = v_sub(load(s + c, C - c), m.mean);
    if (C - c < W) d = v_keep(d, C - c, v_set(0.0f));
    sum = d_fma(d, d, sum);
    rest = d_add(rest, d);
  }
  const double shift = d_sum(rest) / (double)C;
  const double variance = d_sum(sum) / (double)C - shift * shift;
  const double inverse = 1.0 / sqrt(variance + eps);
  m.scale = v_set((float)inverse);
  m.offset = v_set((float)(-shift * inverse));
  return m;
}

static void layernorm_f32(float *dst, const float *src, const float *residual, const float *gamma,
                          const float *beta, double eps, size_t rows, size_t C) {
  for (size_t r = 0; r < rows; r++, dst += C, src += C) {
    const float *s = src;
    if (residual) {
      add_row(dst, src, residual, C);
      residual += C;
      s = dst;
    }
    const row_moments m = moments(s, eps, C);
    for (size_t c = 0; c < C; c += W) {
      const vf z = v_fma(v_sub(load(s + c, C - c), m.mean), m.scale, m.offset);
      store(dst + c, v_fma(z, load(gamma + c, C - c), load(beta + c, C - c)), C - c);
    }
  }
}

static void softmax_f32(float *dst, const float *src, size_t rows, size_t C) {
  const vf lowest = v_set(-INFINITY);
  for (size_t r = 0; r < rows; r++, dst += C, src += C) {
    vf top = lowest;
    for (size_t c = 0; c < C; c += W) {
      const vf x = load(src + c, C - c);
      top = v_max(C - c < W ? v_keep(x, C - c, lowest) : x, top);  // skips NaN; exp will not
    }
    const vf max = v_set(v_top(top));
    vd sum = d_zero();
    for (size_t c = 0; c < C; c += W) {
      vf e = v_exp(v_sub(load(src + c, C - c), max));
      if (C - c < W) e = v_keep(e, C - c, v_set(0.0f));
      store(dst + c, e, C - c);
      sum = d_add(sum, e);
    }
    const vf scale = v_set((float)(1.0 / d_sum(sum)));
    for (size_t c = 0; c < C; c += W) store(dst + c, v_mul(load(dst + c, C - c), scale), C - c);
  }
}

static void normalize_f32(float *dst, const float *src, const float *phi, size_t rows, size_t C) {
  for (size_t r = 0; r < rows; r++, dst += C, src += C) {
    vd sum = d_zero();
    for (size_t c = 0; c < C; c += W) {
      const vf x = load(src + c, C - c);
      sum = d_fma(x, x, sum);
    }
    const double square = d_sum(sum);
    const vf length = v_set(square == 0 ? 1.0f : (float)sqrt(square));
    for (size_t c = 0; c < C; c += W) {
      vf y = v_div(load(src + c, C - c), length);
      if (phi) y = v_sub(y, load(phi + c, C - c));
      store(dst + c, y, C - c);
    }
    if (phi) phi += C;
  }
}
