// Losses of variants against a base that repeats, and their gradients. They are of the size
// of a difference squared where the two are close, and what scoring compares is such tiny
// losses: all of KLDivergence is in double precision, as are the sums of SquaredError.
#include "rows.cuh"

// What makes the logarithm of softmax(x/tau) of an x: x scale - shift.
struct log_softmax {
  double scale, shift;
  __device__ __forceinline__ double of(float x) const { return fma((double)x, scale, -shift); }
};

// A NaN makes it NaN, as do a +Inf and a row of nothing but -Inf.
template <int T>
__device__ __forceinline__ log_softmax log_softmax_of(const float *x, double tau, int C,
                                                      bool wide) {
  float top = -INFINITY;
  for_packs<T, 0>(C, [&](int, int c) {
    const pack p = load_pack(x, c, C, wide);
    for_columns(c, C, [&](int k) { top = fmaxf(top, p.at[k]); });
  });
  log_softmax l = {1 / tau, 0};
  const double most = team_max<T>(top);
  l.shift = most * l.scale;
  double sum = 0;
  for_packs<T, 0>(C, [&](int, int c) {
    const pack p = load_pack(x, c, C, wide);
    for_columns(c, C, [&](int k) { sum += exp(l.of(p.at[k])); });
  });
  // A product and a sum would be fused for one of two equal rows, and not for the other.
  l.shift = fma(most, l.scale, log(team_sum<T>(sum)));
  return l;
}

template <int T>
__device__ __forceinline__ void kl_divergence(double *partial, const float *x, const float *base,
                                              double tau, long long rows, int baseRows, int C) {
  const long long r = team_row<T>();
  if (r >= rows) return;
  const bool wide = C % 4 == 0 && aligned16(x, base);
  const float *from = base + r % baseRows * C, *to = x + r * C;
  const log_softmax p = log_softmax_of<T>(from, tau, C, wide);
  const log_softmax q = log_softmax_of<T>(to, tau, C, wide);
  double sum = 0;
  for_packs<T, 0>(C, [&](int, int c) {
    const pack b = load_pack(from, c, C, wide), v = load_pack(to, c, C, wide);
    for_columns(c, C, [&](int k) {
      const double logP = p.of(b.at[k]);
      sum += exp(logP) * (logP - q.of(v.at[k]));
    });
  });
  sum = team_sum<T>(sum);
  if (threadIdx.x % T == 0) partial[r] = sum;
}

// partial [rows] (double): KL(softmax(base/tau) || softmax(x/tau)) of each row of x [rows, C]
// and base [baseRows, C], which repeats; rows = V baseRows. Then optin_add_sums_f64(dst,
// partial, baseRows) with V outputs. Exactly 0 for equal rows.
// Launch: C <= 1024: grid ceil(rows / 4)  block 128; any C: the wide one, grid rows  block 512
// Moves 4 bytes an element of x and of base, three times through the first-level cache; 3
// exponentials and 8 operations in double precision.
extern "C" __global__ void __launch_bounds__(ROWS_BLOCK, ROWS_BLOCKS)
    optin_kl_divergence_f64(double *__restrict__ partial, const float *__restrict__ x,
                            const float *__restrict__ base, double tau, int rows, int baseRows,
                            int C) {
  kl_divergence<WARP_TEAM>(partial, x, base, tau, rows, baseRows, C);
}

extern "C" __global__ void __launch_bounds__(BLOCK_TEAM)
    optin_kl_divergence_wide_f64(double *__restrict__ partial, const float *__restrict__ x,
                                 const float *__restrict__ base, double tau, int rows, int baseRows,
                                 int C) {
  kl_divergence<BLOCK_TEAM>(partial, x, base, tau, rows, baseRows, C);
}

template <int T>
__device__ __forceinline__ void kl_divergence_backward(float *dx, const double *d, const float *x,
                                                       const float *base, double tau, int rows,
                                                       int xRows, int baseRows, int C) {
  const long long r = team_row<T>();
  if (r >= rows) return;
  const bool wide = C % 4 == 0 && aligned16(dx, x, base);
  const float *from = base + r % baseRows * C, *to = x + r % xRows * C;
  const log_softmax p = log_softmax_of<T>(from, tau, C, wide);
  const log_softmax q = log_softmax_of<T>(to, tau, C, wide);
  const double factor = d[r / baseRows] / tau;
  for_packs<T, 0>(C, [&](int, int c) {
    const pack b = load_pack(from, c, C, wide);
    pack v = load_pack(to, c, C, wide);
#pragma unroll
    for (int k = 0; k < 4; k++) {
      v.at[k] = (float)(factor * (exp(q.of(v.at[k])) - exp(p.of(b.at[k]))));
    }
    store_pack(dx + r * C, c, C, v, wide);
  });
}

// dx [rows, C] = d (softmax(x/tau) - softmax(base/tau)) / tau, the gradient of KLDivergence to
// x [xRows, C], which repeats under a stack (rows = stack xRows), as does base [baseRows, C];
// d [rows / baseRows] (double).
// Launch: C <= 1024: grid ceil(rows / 4)  block 128; any C: the wide one, grid rows  block 512
// Moves 4 bytes an element of dx, x and base; 4 exponentials and 10 operations in double
// precision.
extern "C" __global__ void __launch_bounds__(ROWS_BLOCK, ROWS_BLOCKS)
    optin_kl_divergence_backward_f32(float *__restrict__ dx, const double *__restrict__ d,
                                     const float *__restrict__ x, const float *__restrict__ base,
                                     double tau, int rows, int xRows, int baseRows, int C) {
  kl_divergence_backward<WARP_TEAM>(dx, d, x, base, tau, rows, xRows, baseRows, C);
}

extern "C" __global__ void __launch_bounds__(BLOCK_TEAM)
    optin_kl_divergence_backward_wide_f32(float *__restrict__ dx, const double *__restrict__ d,
                                          const float *__restrict__ x,
                                          const float *__restrict__ base, double tau, int rows,
                                          int xRows, int baseRows, int C) {
  kl_divergence_backward<BLOCK_TEAM>(dx, d, x, base, tau, rows, xRows, baseRows, C);
}

// partial [V, chunks] (double): for each variant of x [V, n], n elements, the sum of
// (x - base)^2 over a part of it; base [n] repeats. Then optin_add_sums_f64(dst, partial,
// chunks) with V outputs.
// Launch: grid V chunks  block 256, V and n at least 1, with
//   chunks = min(ceil(n / 8192), max(1, floor(2048 / V)))
// Moves 4 bytes an element of x, base comes from the second-level cache; 3 operations, 2 of
// them in double precision.
extern "C" __global__ void __launch_bounds__(256)
    optin_squared_error_f64(double *__restrict__ partial, const float *__restrict__ x,
                            const float *__restrict__ base, int chunks, long long n) {
  const long long variant = blockIdx.x / chunks, chunk = blockIdx.x % chunks;
  x += variant * n;
  const bool wide = aligned16(x, base);
  const long long step = 4LL * blockDim.x * chunks;
  double sum = 0;
#pragma unroll 2
  for (long long i = 4 * (chunk * blockDim.x + threadIdx.x); i < n; i += step) {
    const bool whole = wide && i + 4 <= n;
    const pack p = load_pack(x, i, n, whole), b = load_pack(base, i, n, whole);
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const double d = p.at[k] - b.at[k];
      sum += d * d;
    }
  }
  sum = team_sum<256>(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// dx [outputs, n] = 2 d (x - base), the gradient of SquaredError to x [V, n], which repeats
// under a stack (outputs = stack V), as does base [n]; d [outputs] (double).
// Launch: grid (ceil(n / 1024), min(outputs, 65535))  block 256, n and outputs at least 1
// Moves 8 bytes an element, base comes from the second-level cache; 2 operations.
extern "C" __global__ void __launch_bounds__(256)
    optin_squared_error_backward_f32(float *__restrict__ dx, const double *__restrict__ d,
                                     const float *__restrict__ x, const float *__restrict__ base,
                                     int outputs, int V, long long n) {
  const long long i = 4 * ((long long)blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  for (int o = blockIdx.y; o < outputs; o += gridDim.y) {
    const float *from = x + o % V * n;
    float *to = dx + o * n;
    const bool whole = aligned16(from, base, to) && i + 4 <= n;
    const float factor = (float)(2 * d[o]);
    pack p = load_pack(from, i, n, whole);
    const pack b = load_pack(base, i, n, whole);
#pragma unroll
    for (int k = 0; k < 4; k++) p.at[k] = factor * (p.at[k] - b.at[k]);
    store_pack(to, i, n, p, whole);
  }
}
