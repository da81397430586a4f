// Gradients of the losses.

// dst = factor (softmax(x/tau) - softmax(base/tau))
static void kl_row_backward(float *dst, const float *x, const float *base, double tau,
                            double factor, size_t C) {
  double top_p, top_q;
  const double log_p = log_sum(base, tau, C, &top_p), log_q = log_sum(x, tau, C, &top_q);
  for (size_t c = 0; c < C; c++) {
    const double p = exp(base[c] / tau - top_p - log_p), q = exp(x[c] / tau - top_q - log_q);
    dst[c] = (float)(factor * (q - p));
  }
}

static void kl_divergence_backward_f32(float *dst, const double *d, const float *x,
                                       const float *base, double tau, size_t stack, size_t V,
                                       size_t rows, size_t C) {
  for (size_t v = 0; v < stack * V; v++) {
    for (size_t r = 0; r < rows; r++, dst += C) {
      kl_row_backward(dst, x + (v % V * rows + r) * C, base + r * C, tau, d[v] / tau, C);
    }
  }
}

static void squared_error_backward_f32(float *dst, const double *d, const float *x,
                                       const float *base, size_t stack, size_t V, size_t n) {
  for (size_t v = 0; v < stack * V; v++, dst += n) {
    const float *from = x + v % V * n;
    const vf factor = v_set((float)(2 * d[v]));
    for (size_t i = 0; i < n; i += W) {
      const vf difference = v_sub(load(from + i, n - i), load(base + i, n - i));
      store(dst + i, v_mul(factor, difference), n - i);
    }
  }
}

static void manifold_backward_f32(float *daa, float *dae, float *dee, const float *aa,
                                  const float *ae, const float *ee, double d, size_t D) {
  const vf two = v_set((float)(2 * d)), four = v_set((float)(4 * d));
  vf aa_t[W], ae_t[W], ee_t[W];
  for (size_t j = 0; j < D; j += W) {
    const size_t left = D - j, n = left < W ? left : W;
    for (size_t i = 0; i < D; i += W) {
      const size_t m = D - i < W ? D - i : W;
      load_transposed(aa_t, aa + j * D + i, D, n, m);
      load_transposed(ae_t, ae + j * D + i, D, n, m);
      load_transposed(ee_t, ee + j * D + i, D, n, m);
      for (size_t r = 0; r < m; r++) {
        const size_t at = (i + r) * D + j;
        const vf own = v_mul(two, v_add(aa_t[r], load(ee + at, left)));
        store(daa + at, v_mul(two, ee_t[r]), left);
        store(dae + at, v_mul(four, v_add(ae_t[r], ee_t[r])), left);
        store(dee + at, v_fma(four, ae_t[r], own), left);
      }
    }
  }
}

static void symmetric_sum_f32(float *dst, const float *m, float factor, size_t n) {
  vf t[W];
  for (size_t j = 0; j < n; j += W) {
    const size_t left = n - j, down = left < W ? left : W;
    for (size_t i = 0; i < n; i += W) {
      const size_t across = n - i < W ? n - i : W;
      load_transposed(t, m + j * n + i, n, down, across);
      for (size_t r = 0; r < across; r++) {
        const size_t at = (i + r) * n + j;
        store(dst + at, v_mul(v_set(factor), v_add(load(m + at, left), t[r])), left);
      }
    }
  }
}

static void remove_unit_backward_f32(float *dst, size_t stride, const float *dy,
                                     const float *consumer, size_t rows, size_t C, size_t width) {
  for (size_t r = 0; r < rows; r++, dst += stride, dy += C) {
    for (size_t i = 0; i < width; i++) {
      vd sum = d_zero();
      for (size_t c = 0; c < C; c += W) {
        sum = d_fma(load(dy + c, C - c), load(consumer + i * C + c, C - c), sum);
      }
      dst[i] = (float)-d_sum(sum);
    }
  }
}
