// AdamW (Loshchilov and Hutter, ICLR 2019).
#include "rows.cuh"

// One step against gradient g, for n elements of weights w and moments m and v:
//
//   g = gradient g;  m = beta1 m + rest1 g;  v = beta2 v + rest2 g g
//   w -= rate (m correct1 / (sqrt(v correct2) + eps) + decay w)
//
// where rest = 1 - beta and correct = 1 / (1 - beta^step), rounded to float from double.
// Launch: grid min(ceil(n / 1024), 2^31 - 1)  block 256, n at least 1
// Moves 28 bytes an element; 14 operations, a root and a quotient.
extern "C" __global__ void __launch_bounds__(256)
    optin_adamw_f32(float *__restrict__ w, float *__restrict__ m, float *__restrict__ v,
                    const float *__restrict__ g, float gradient, float beta1, float rest1,
                    float correct1, float beta2, float rest2, float correct2, float rate, float eps,
                    float decay, long long n) {
  const long long i = 4 * ((long long)blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  const bool wide = i + 4 <= n && aligned16(w, m, v, g);
  pack weight = load_pack(w, i, n, wide), first = load_pack(m, i, n, wide);
  pack second = load_pack(v, i, n, wide);
  const pack slope = load_pack(g, i, n, wide);
#pragma unroll
  for (int k = 0; k < 4; k++) {
    const float d = gradient * slope.at[k];
    first.at[k] = fmaf(beta1, first.at[k], rest1 * d);
    second.at[k] = fmaf(beta2, second.at[k], rest2 * (d * d));
    const float width = sqrtf(second.at[k] * correct2) + eps;
    const float step = fmaf(decay, weight.at[k], first.at[k] * correct1 / width);
    weight.at[k] = fmaf(-rate, step, weight.at[k]);
  }
  store_pack(w, i, n, weight, wide);
  store_pack(m, i, n, first, wide);
  store_pack(v, i, n, second, wide);
}
