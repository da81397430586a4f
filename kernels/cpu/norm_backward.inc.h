// Gradients of the kernels that take sums over a row. Rows of the forward's arguments
// repeat under a stack of gradients.

// A row s = x + residual, of which z = (s - mean s)/sqrt(var s + eps) is made.
typedef struct {
  const float *at;
  row_moments m;
} centered_row;

// center_row takes row r of x and residual (NULL: none); sum is scratch.
static centered_row center_row(float *sum, const float *x, const float *residual, double eps,
                               size_t r, size_t C) {
  centered_row s = {.at = x + r * C};
  if (residual) {
    add_row(sum, s.at, residual + r * C, C);
    s.at = sum;
  }
  s.m = moments(s.at, eps, C);
  return s;
}

static inline vf load_centered(const centered_row *s, size_t c, size_t left) {
  return v_fma(v_sub(load(s->at + c, left), s->m.mean), s->m.scale, s->m.offset);
}

// dst = (g - mean g - z mean(g z)) / sqrt(var s + eps), g = dy gamma
static void layernorm_row_backward(float *dst, const float *dy, const centered_row *s,
                                   const float *gamma, size_t C) {
  vf sum = v_set(0.0f), along = v_set(0.0f);
  for (size_t c = 0; c < C; c += W) {
    const size_t left = C - c;
    const vf g = v_mul(load(dy + c, left), load(gamma + c, left));
    sum = v_add(sum, g);
    along = v_fma(g, load_centered(s, c, left), along);
  }
  const vf mean = v_set(v_sum(sum) / (float)C), slope = v_set(v_sum(along) / (float)C);
  for (size_t c = 0; c < C; c += W) {
    const size_t left = C - c;
    const vf g = v_mul(load(dy + c, left), load(gamma + c, left));
    const vf rest = v_fnma(load_centered(s, c, left), slope, v_sub(g, mean));
    store(dst + c, v_mul(s->m.scale, rest), left);
  }
}

static void layernorm_backward_f32(float *dst, const float *dy, const float *src,
                                   const float *residual, const float *gamma, double eps,
                                   size_t stack, size_t rows, size_t C, float *scratch) {
  centered_row s[OPTIN_NORM_ROWS];  // at once, since one row waits for its sums most of the time
  for (size_t r = 0; r < rows; r += OPTIN_NORM_ROWS) {
    const size_t n = rows - r < OPTIN_NORM_ROWS ? rows - r : OPTIN_NORM_ROWS;
    for (size_t i = 0; i < n; i++) {
      s[i] = center_row(scratch + i * C, src, residual, eps, r + i, C);
    }
    for (size_t part = 0; part < stack; part++) {
      const size_t at = (part * rows + r) * C;
      for (size_t i = 0; i < n; i++) {
        layernorm_row_backward(dst + at + i * C, dy + at + i * C, &s[i], gamma, C);
      }
    }
  }
}

// dgamma += dy z
static void add_row_gamma(float *dgamma, const float *dy, const centered_row *s, size_t C) {
  for (size_t c = 0; c < C; c += W) {
    const size_t left = C - c;
    const vf z = load_centered(s, c, left);
    store(dgamma + c, v_fma(load(dy + c, left), z, load(dgamma + c, left)), left);
  }
}

static void layernorm_weights_f32(float *dgamma, float *dbeta, const float *dy, const float *src,
                                  const float *residual, double eps, size_t stack, size_t rows,
                                  size_t C, float *scratch) {
  if (dbeta) sum_rows_f32(dbeta, dy, stack * rows, 1, C);
  for (size_t r = 0; dgamma && r < rows; r++) {
    const centered_row s = center_row(scratch, src, residual, eps, r, C);
    for (size_t at = r; at < stack * rows; at += rows) add_row_gamma(dgamma, dy + at * C, &s, C);
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
