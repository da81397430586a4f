// Losses, whose sums are in double precision, and what their matrices are made of.

static void add_both_f32(float *upper, float *lower, const float *m, size_t rows, size_t C,
                         size_t D) {
  vf t[W];
  for (size_t i = 0; i < rows; i += W) {
    const size_t down = rows - i < W ? rows - i : W;
    for (size_t j = 0; j < C; j += W) {
      const size_t across = C - j < W ? C - j : W;
      load_transposed(t, m + i * C + j, C, down, across);
      for (size_t c = 0; c < across; c++) {
        float *row = lower + (j + c) * D + i;
        store(row, v_add(load(row, down), t[c]), down);
      }
      for (size_t r = i; r < i + down; r++) {
        float *row = upper + r * D + j;
        store(row, v_add(load(row, across), load(m + r * C + j, across)), across);
      }
    }
  }
}

static void manifold_f64(double *dst, const float *aa, const float *ae, const float *ee, size_t D) {
  vd aa_ee = d_zero(), ae_ae = d_zero(), ae_ee = d_zero(), ee_ee = d_zero();
  vf ae_t[W], ee_t[W];
  for (size_t j = 0; j < D; j += W) {
    const size_t left = D - j, n = left < W ? left : W;
    for (size_t i = 0; i < D; i += W) {
      const size_t m = D - i < W ? D - i : W;
      load_transposed(ae_t, ae + j * D + i, D, n, m);
      load_transposed(ee_t, ee + j * D + i, D, n, m);
      for (size_t r = 0; r < m; r++) {
        const size_t at = (i + r) * D + j;
        const vf a = load(ae + at, left), e = load(ee + at, left);
        aa_ee = d_fma(load(aa + at, left), ee_t[r], aa_ee);
        ae_ae = d_fma(a, ae_t[r], ae_ae);
        ae_ee = d_fma(a, ee_t[r], ae_ee);
        ee_ee = d_fma(e, e, ee_ee);
      }
    }
  }
  *dst += 2 * d_sum(aa_ee) + 2 * d_sum(ae_ae) + 4 * d_sum(ae_ee) + d_sum(ee_ee);
}

static void symmetric_norm_f64(double *dst, const float *m, size_t n) {
  vd sum = d_zero();
  vf t[W];
  for (size_t j = 0; j < n; j += W) {
    const size_t left = n - j, down = left < W ? left : W;
    for (size_t i = 0; i < n; i += W) {
      const size_t across = n - i < W ? n - i : W;
      load_transposed(t, m + j * n + i, n, down, across);
      for (size_t r = 0; r < across; r++) {
        const vf s = v_add(load(m + (i + r) * n + j, left), t[r]);
        sum = d_fma(s, s, sum);
      }
    }
  }
  *dst += d_sum(sum);
}

static void squared_error_f64(double *dst, const float *x, const float *base, size_t V, size_t n) {
  for (size_t v = 0; v < V; v++, x += n) {
    vd sum = d_zero();
    for (size_t i = 0; i < n; i += W) {
      const vf d = v_sub(load(x + i, n - i), load(base + i, n - i));
      sum = d_fma(d, d, sum);
    }
    dst[v] += d_sum(sum);
  }
}

// The logarithm of the sum of e^(x/tau), and in *top the largest x/tau.
static double log_sum(const float *x, double tau, size_t C, double *top) {
  double most = -INFINITY, sum = 0;
  for (size_t c = 0; c < C; c++) {
    if (!(x[c] / tau <= most)) most = x[c] / tau;  // a NaN comes through
  }
  for (size_t c = 0; c < C; c++) sum += exp(x[c] / tau - most);
  *top = most;
  return log(sum);
}

static void kl_divergence_f64(double *dst, const float *x, const float *base, double tau, size_t V,
                              size_t rows, size_t C) {
  for (size_t v = 0; v < V; v++) {
    double sum = 0;
    for (size_t r = 0; r < rows; r++, x += C) {
      const float *b = base + r * C;
      double top_p, top_q;
      const double log_p = log_sum(b, tau, C, &top_p), log_q = log_sum(x, tau, C, &top_q);
      for (size_t c = 0; c < C; c++) {
        const double p = b[c] / tau - top_p - log_p, q = x[c] / tau - top_q - log_q;
        sum += exp(p) * (p - q);
      }
    }
    dst[v] += sum;
  }
}
