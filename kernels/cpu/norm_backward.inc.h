// Gradients of the kernels that take sums over a row: these are again in double
// precision. Rows of the forward's arguments repeat under a stack of gradients.

// center_row writes (s - mean s)/sqrt(var s + eps) for s = x + residual (NULL: none) to
// dst and returns the divisor's inverse.
static double center_row(float *dst, const float *x, const float *residual, double eps, size_t C) {
  const float *s = x;
  if (residual) {
    add_row(dst, x, residual, C);
    s = dst;
  }
  const row_moments m = moments(s, eps, C);
  for (size_t c = 0; c < C; c += W) {
    store(dst + c, v_fma(v_sub(load(s + c, C - c), m.mean), m.scale, m.offset), C - c);
  }
  return m.inverse;
}

// dst = inverse (g - mean g - z mean(g z)), g = dy gamma
static void layernorm_row_backward(float *dst, const float *dy, const float *z, const float *gamma,
                                   double inverse, size_t C) {
  vd sum = d_zero(), along = d_zero();
  for (size_t c = 0; c < C; c += W) {
    const vf g = v_mul(load(dy + c, C - c), load(gamma + c, C - c));
    sum = d_add(sum, g);
    along = d_fma(g, load(z + c, C - c), along);
    store(dst + c, g, C - c);
  }
  const vf scale = v_set((float)inverse);
  const vf mean = v_set((float)(d_sum(sum) / (double)C));
  const vf slope = v_set((float)(d_sum(along) / (double)C));
  for (size_t c = 0; c < C; c += W) {
    const vf g = v_sub(load(dst + c, C - c), mean);
    store(dst + c, v_mul(scale, v_fnma(load(z + c, C - c), slope, g)), C - c);
  }
}

static void layernorm_backward_f32(float *dst, const float *dy, const float *src,
                                   const float *residual, const float *gamma, double eps,
                                   size_t stack, size_t rows, size_t C, float *scratch) {
  for (size_t r = 0; r < rows; r++) {
    const float *second = residual ? residual + r * C : NULL;
    const double inverse = center_row(scratch, src + r * C, second, eps, C);
    for (size_t at = r; at < stack * rows; at += rows) {
      layernorm_row_backward(dst + at * C, dy + at * C, scratch, gamma, inverse, C);
    }
  }
}

static void layernorm_weights_f32(float *dgamma, float *dbeta, const float *dy, const float *src,
                                  const float *residual, double eps, size_t stack, size_t rows,
                                  size_t C, float *scratch) {
  for (size_t r = 0; r < rows; r++) {
    if (dgamma) center_row(scratch, src + r * C, residual ? residual + r * C : NULL, eps, C);
    for (size_t at = r; at < stack * rows; at += rows) {
      const float *row = dy + at * C;
      if (dbeta) add_row(dbeta, dbeta, row, C);
      for (size_t c = 0; dgamma && c < C; c += W) {
        const vf sum = v_fma(load(row + c, C - c), load(scratch + c, C - c), load(dgamma + c, C - c));
        store(dgamma + c, sum, C - c);
      }
    }
  }
}

// dst = y (dy - sum of dy y)
static void softmax_backward_f32(float *dst, const float *dy, const float *y, size_t stack,
                                 size_t rows, size_t C) {
  for (size_t r = 0; r < stack * rows; r++, dst += C, dy += C) {
    const float *p = y + r % rows * C;
    vd sum = d_zero();
    for (size_t c = 0; c < C; c += W) sum = d_fma(load(dy + c, C - c), load(p + c, C - c), sum);
    const vf mean = v_set((float)d_sum(sum));
    for (size_t c = 0; c < C; c += W) {
      store(dst + c, v_mul(load(p + c, C - c), v_sub(load(dy + c, C - c), mean)), C - c);
    }
  }
}

// dst = (dy - y (dy y)) / |x|, y = x / |x|; 0 where x is.
static void normalize_backward_f32(float *dst, const float *dy, const float *x, size_t stack,
                                   size_t rows, size_t C) {
  for (size_t r = 0; r < stack * rows; r++, dst += C, dy += C) {
    const float *row = x + r % rows * C;
    vd square = d_zero(), along = d_zero();
    for (size_t c = 0; c < C; c += W) {
      const vf v = load(row + c, C - c);
      square = d_fma(v, v, square);
      along = d_fma(v, load(dy + c, C - c), along);
    }
    const double length = sqrt(d_sum(square));
    const vf scale = v_set(length == 0 ? 0.0f : (float)(1 / length));
    const vf slope = v_set(length == 0 ? 0.0f : (float)(d_sum(along) / length / length));
    for (size_t c = 0; c < C; c += W) {
      const vf rest = v_fnma(load(row + c, C - c), slope, load(dy + c, C - c));
      store(dst + c, v_mul(rest, scale), C - c);
    }
  }
}
