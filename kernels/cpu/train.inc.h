// What an optimizer does to weights.

static void adamw_f32(float *w, float *m, float *v, const float *g, optin_cpu_adamw s, size_t n) {
  const vf keep1 = v_set(s.beta1), take1 = v_set(s.rest1), correct1 = v_set(s.correct1);
  const vf keep2 = v_set(s.beta2), take2 = v_set(s.rest2), correct2 = v_set(s.correct2);
  const vf rate = v_set(s.rate), decay = v_set(s.decay), eps = v_set(s.eps);
  const vf factor = v_set(s.gradient);
  for (size_t i = 0; i < n; i += W) {
    const size_t left = n - i;
    const vf slope = v_mul(factor, load(g + i, left)), old = load(w + i, left);
    const vf first = v_fma(keep1, load(m + i, left), v_mul(take1, slope));
    const vf second = v_fma(keep2, load(v + i, left), v_mul(take2, v_mul(slope, slope)));
    const vf width = v_add(v_sqrt(v_mul(second, correct2)), eps);
    const vf step = v_fma(decay, old, v_div(v_mul(first, correct1), width));
    store(m + i, first, left);
    store(v + i, second, left);
    store(w + i, v_fnma(rate, step, old), left);
  }
}

static void squared_norm_f64(double *dst, const float *x, size_t n) {
  vd sum = d_zero();
  for (size_t i = 0; i < n; i += W) {
    const vf v = load(x + i, n - i);
    sum = d_fma(v, v, sum);
  }
  *dst += d_sum(sum);
}
