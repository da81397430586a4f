// Elementary functions of a vector, each good to 2 or 3 ulp (exp, tanh, and GELU
// even where it is tiny). Coefficients interpolate at Chebyshev nodes, computed
// with 40 digits; the figure beside each is the largest relative error.

// e^r - 1 for |r| <= ln(2)/2 as r + r^2 (...): 5e-10.
static inline vf expm1_small(vf r) {
  vf p = v_fma(v_set(1.9890991e-4f), r, v_set(1.39336500e-3f));
  p = v_fma(p, r, v_set(8.33331093e-3f));
  p = v_fma(p, r, v_set(4.16664649e-2f));
  p = v_fma(p, r, v_set(1.66666667e-1f));
  p = v_fma(p, r, v_set(0.5f));
  return v_fma(v_mul(r, r), p, r);
}

// x = n ln 2 + r with a whole n, |r| <= ln(2)/2.
static inline vf reduce_ln2(vf x, vf *n) {
  *n = v_round(v_mul(x, v_set(1.44269504f)));
  const vf r = v_fnma(*n, v_set(0.693359375f), x);  // 9 bits: n times it is exact
  return v_fnma(*n, v_set(-2.12194440e-4f), r);
}

// e^x; 0 below -87.3, where normal floats end (what lies beneath them is slow), and
// infinite above 89. NaN stays NaN.
static inline vf v_exp(vf x) {
  vf n;
  const vf lowest = v_set(-87.3f);
  const vf y = v_min(v_set(89.0f), v_max(lowest, x));
  const vf r = reduce_ln2(y, &n);
  const vf e = v_scale2(v_add(expm1_small(r), v_set(1.0f)), n);
  return v_select(v_less(x, lowest), v_set(0.0f), e);
}

static inline vf v_tanh(vf x) {
  vf n;
  const vf z = v_min(v_set(40.0f), v_add(v_abs(x), v_abs(x)));
  const vf r = reduce_ln2(z, &n);
  const vf power = v_scale2(v_set(1.0f), n);
  const vf m = v_fma(power, expm1_small(r), v_sub(power, v_set(1.0f)));  // e^(2|x|) - 1
  const vf t = v_div(m, v_add(m, v_set(2.0f)));
  return v_select(v_less(x, v_set(0.0f)), v_sub(v_set(0.0f), t), t);
}

// Phi(-t), Phi the normal distribution, for 0 <= t, and in *e the e^(-t^2/2) that its
// density has. Computed by itself, so that nothing cancels: Phi(-t) = e^(-t^2/2) R(t),
// and R(t) = u P(u) for u = 1/(1 + 0.3 t): 4e-9 up to t = 14, beyond which v_exp gives 0.
static inline vf v_normal_tail(vf t, vf *e) {
  const vf one = v_set(1.0f), half = v_set(0.5f);
  const vf u = v_div(one, v_fma(v_set(0.3f), t, one));
  vf p = v_fma(v_set(-0.0209143597f), u, v_set(0.114040272f));
  p = v_fma(p, u, v_set(-0.232038483f));
  p = v_fma(p, u, v_set(0.196940677f));
  p = v_fma(p, u, v_set(-0.0837425490f));
  p = v_fma(p, u, v_set(0.0984807402f));
  p = v_fma(p, u, v_set(0.0775890644f));
  p = v_fma(p, u, v_set(0.110405180f));
  p = v_fma(p, u, v_set(0.119551763f));
  p = v_fma(p, u, v_set(0.119687693f));
  const vf square = v_mul(t, t);
  const vf lost = v_fma(t, t, v_sub(v_set(0.0f), square));  // t^2 - square
  *e = v_exp(v_mul(square, v_set(-0.5f)));
  *e = v_fnma(*e, v_mul(lost, half), *e);
  return v_mul(v_mul(u, p), *e);
}

// |x|, but at most so much that nothing is left of e^(-x^2/2). NaN stays NaN.
static inline vf v_clipped(vf x) { return v_min(v_set(20.0f), v_abs(x)); }

// x Phi(x).
static inline vf v_gelu(vf x) {
  vf e;
  const vf tail = v_normal_tail(v_clipped(x), &e);
  return v_mul(x, v_select(v_less(x, v_set(0.0f)), tail, v_sub(v_set(1.0f), tail)));
}

// Phi(x) + x phi(x); for x < 0 it is 1 less that of -x.
static inline vf v_gelu_slope(vf x) {
  vf e;
  const vf t = v_clipped(x), tail = v_normal_tail(t, &e);
  const vf low = v_fnma(v_mul(t, e), v_set(0.398942280f), tail);  // 1/sqrt(2 pi)
  return v_select(v_less(x, v_set(0.0f)), low, v_sub(v_set(1.0f), low));
}

// x/2 (1 + tanh z) = x / (1 + e^(-2z)), z = sqrt(2/pi) (x + 0.044715 x^3).
static inline vf v_gelu_tanh(vf x) {
  const vf z = v_mul(x, v_fma(v_mul(x, x), v_set(0.044715f), v_set(1.0f)));
  const vf e = v_exp(v_mul(z, v_set(-1.59576912f)));
  return v_div(x, v_add(e, v_set(1.0f)));
}

// s + x s', s = 1/(1 + e^(-2z)) and s' = 2 z' s (1 - s); for x < 0 it is 1 less that
// of -x, where e^(-2z) is at most 1.
static inline vf v_gelu_tanh_slope(vf x) {
  const vf one = v_set(1.0f), t = v_clipped(x), square = v_mul(t, t);
  const vf z = v_mul(t, v_fma(square, v_set(0.044715f), one));
  const vf e = v_exp(v_mul(z, v_set(-1.59576912f)));
  const vf s = v_div(one, v_add(e, one)), rest = v_mul(e, s);
  const vf speed = v_mul(v_set(1.59576912f), v_fma(square, v_set(0.134145f), one));
  const vf low = v_fnma(v_mul(v_mul(t, speed), s), rest, rest);
  return v_select(v_less(x, v_set(0.0f)), low, v_sub(one, low));
}

// x / (1 + e^(-1.702 x)).
static inline vf v_gelu_quick(vf x) {
  return v_div(x, v_add(v_exp(v_mul(x, v_set(-1.702f))), v_set(1.0f)));
}

// s + 1.702 x s (1 - s), s = 1/(1 + e^(-1.702 x)); for x < 0 it is 1 less that of -x,
// where the exponential is at most 1. x meets 1 - s first, since 1.702 x may be infinite.
static inline vf v_gelu_quick_slope(vf x) {
  const vf one = v_set(1.0f), t = v_abs(x);
  const vf e = v_exp(v_mul(t, v_set(-1.702f)));
  const vf s = v_div(one, v_add(e, one)), rest = v_mul(e, s);
  const vf low = v_fnma(v_mul(v_mul(t, rest), s), v_set(1.702f), rest);
  return v_select(v_less(x, v_set(0.0f)), low, v_sub(one, low));
}

// 1 - tanh^2 = 4 e / (1 + e)^2, e = e^(-2|x|).
static inline vf v_tanh_slope(vf x) {
  const vf one = v_set(1.0f);
  const vf e = v_exp(v_mul(v_abs(x), v_set(-2.0f))), sum = v_add(one, e);
  return v_div(v_mul(v_set(4.0f), e), v_mul(sum, sum));
}

// max(x, 0); NaN stays NaN.
static inline vf v_relu(vf x) { return v_max(v_set(0.0f), x); }
