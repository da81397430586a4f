// LayerNorm, Ops.LayerNorm and its derivatives: rows of s = x + residual (NULL: none), of
// which z = (s - mean s)/sqrt(var s + eps), y = gamma z + beta. Sums are in double precision,
// so that neither large nor nearly equal values harm them.
//
// Launch of all but optin_layernorm_weights_f32 (see there), for R rows of C columns, C at
// least 1, without shared memory of the launch's:
//   C <= 1024  optin_X_f32       grid ceil(R / 4)  block 128   a row in a warp's registers
//   any C      optin_X_wide_f32  grid R            block 512   a row in a block
#include "columns.cuh"

// What centers and scales a row: z = (s - mean) scale + offset. offset is what rounding the
// mean to float has left.
struct row_moments {
  float mean, scale, offset;
  __device__ __forceinline__ float z(float s) const { return fmaf(s - mean, scale, offset); }
};

template <int T, int N>
__device__ __forceinline__ row_moments moments_of(const held_row<T, N> &s, double eps) {
  const int C = s.C;
  double total = 0;
  for_packs<T, N>(C, [&](int i, int c) {
    const pack p = s.at(i, c);  // 0 beyond the row's end
    total += ((double)p.at[0] + p.at[1]) + ((double)p.at[2] + p.at[3]);
  });
  row_moments m;
  m.mean = (float)(team_sum<T>(total) / C);
  double sums[2] = {0, 0};  // of squares, and of the differences: 0 but for the mean's rounding
  for_packs<T, N>(C, [&](int i, int c) {
    const pack p = s.at(i, c);
    for_columns(c, C, [&](int k) {
      const double d = p.at[k] - m.mean;
      sums[0] += d * d;
      sums[1] += d;
    });
  });
  team_sums<T>(sums);
  const double shift = sums[1] / C;
  const double inverse = 1 / sqrt(sums[0] / C - shift * shift + eps);
  m.scale = (float)inverse;
  m.offset = (float)(-shift * inverse);
  return m;
}

template <int T, int N>
__device__ __forceinline__ void layernorm(float *dst, const float *x, const float *residual,
                                          const float *gamma, const float *beta, double eps,
                                          int rows, int C) {
  const long long r = team_row<T>();
  if (r >= rows) return;
  const bool wide = C % 4 == 0 && aligned16(dst, x, residual, gamma) && aligned16(beta);
  const held_row<T, N> s(x + r * C, residual ? residual + r * C : residual, C, wide);
  const row_moments m = moments_of(s, eps);
  for_packs<T, N>(C, [&](int i, int c) {
    pack p = s.at(i, c);
    const pack g = load_pack(gamma, c, C, wide), b = load_pack(beta, c, C, wide);
#pragma unroll
    for (int k = 0; k < 4; k++) p.at[k] = fmaf(m.z(p.at[k]), g.at[k], b.at[k]);
    store_pack(dst + r * C, c, C, p, wide);
  });
}

// dst [rows, C] = LayerNorm of x and residual [rows, C].
// Moves 8 bytes an element (12 with residual); 10 operations, 3 of them in double precision.
extern "C" __global__ void __launch_bounds__(ROWS_BLOCK, ROWS_BLOCKS)
    optin_layernorm_f32(float *__restrict__ dst, const float *__restrict__ x,
                        const float *__restrict__ residual, const float *__restrict__ gamma,
                        const float *__restrict__ beta, double eps, int rows, int C) {
  layernorm<WARP_TEAM, HELD_PACKS>(dst, x, residual, gamma, beta, eps, rows, C);
}

extern "C" __global__ void __launch_bounds__(BLOCK_TEAM)
    optin_layernorm_wide_f32(float *__restrict__ dst, const float *__restrict__ x,
                             const float *__restrict__ residual, const float *__restrict__ gamma,
                             const float *__restrict__ beta, double eps, int rows, int C) {
  layernorm<BLOCK_TEAM, 0>(dst, x, residual, gamma, beta, eps, rows, C);
}

// dx = (g - mean g - z mean(g z)) / sqrt(var s + eps) for g = gamma dy: the parts of g along
// the ones and along z do not reach s, since its mean and variance follow them. A team reads
// its row of x once and goes through the stack.
template <int T, int N>
__device__ __forceinline__ void layernorm_backward(float *dx, const float *dy, const float *x,
                                                   const float *residual, const float *gamma,
                                                   double eps, int rows, int stack, int C) {
  const long long r = team_row<T>();
  if (r >= rows) return;
  const bool wide = C % 4 == 0 && aligned16(dx, dy, x, residual) && aligned16(gamma);
  const held_row<T, N> s(x + r * C, residual ? residual + r * C : residual, C, wide);
  const row_moments m = moments_of(s, eps);
  for (int part = 0; part < stack; part++) {
    const long long at = ((long long)part * rows + r) * C;
    const auto scaled = [&](int c) {  // gamma dy
      pack p = load_pack(dy + at, c, C, wide);
      const pack q = load_pack(gamma, c, C, wide);
#pragma unroll
      for (int k = 0; k < 4; k++) p.at[k] *= q.at[k];
      return p;
    };
    pack g[N ? N : 1];
    double sums[2] = {0, 0};
    for_packs<T, N>(C, [&](int i, int c) {
      const pack v = s.at(i, c);
      g[i] = scaled(c);
      for_columns(c, C, [&](int k) {
        const double d = g[i].at[k];
        sums[0] += d;
        sums[1] += d * m.z(v.at[k]);
      });
    });
    team_sums<T>(sums);
    const float mean = (float)(sums[0] / C), along = (float)(sums[1] / C);
    for_packs<T, N>(C, [&](int i, int c) {
      pack p = N ? g[i] : scaled(c);
      const pack v = s.at(i, c);
#pragma unroll
      for (int k = 0; k < 4; k++) p.at[k] = m.scale * fmaf(-along, m.z(v.at[k]), p.at[k] - mean);
      store_pack(dx + at, c, C, p, wide);
    });
  }
}

// dx [stack*rows, C] = LayerNormBackward of dy [stack*rows, C], x and residual [rows, C].
// Moves 8 bytes an element of dy and 4 (8 with residual) of x; 12 operations on an element of
// dy, 3 of them in double precision, and 7 on one of x.
extern "C" __global__ void __launch_bounds__(ROWS_BLOCK, ROWS_BLOCKS)
    optin_layernorm_backward_f32(float *__restrict__ dx, const float *__restrict__ dy,
                                 const float *__restrict__ x, const float *__restrict__ residual,
                                 const float *__restrict__ gamma, double eps, int rows, int stack,
                                 int C) {
  layernorm_backward<WARP_TEAM, HELD_PACKS>(dx, dy, x, residual, gamma, eps, rows, stack, C);
}

extern "C" __global__ void __launch_bounds__(BLOCK_TEAM)
    optin_layernorm_backward_wide_f32(float *__restrict__ dx, const float *__restrict__ dy,
                                      const float *__restrict__ x,
                                      const float *__restrict__ residual,
                                      const float *__restrict__ gamma, double eps, int rows,
                                      int stack, int C) {
  layernorm_backward<BLOCK_TEAM, 0>(dx, dy, x, residual, gamma, eps, rows, stack, C);
}

template <int T, int N>
__device__ __forceinline__ void layernorm_moments(pack *moments, const float *x,
                                                  const float *residual, double eps, int rows,
                                                  int C) {
  const long long r = team_row<T>();
  if (r >= rows) return;
  const bool wide = C % 4 == 0 && aligned16(x, residual);
  const held_row<T, N> s(x + r * C, residual ? residual + r * C : residual, C, wide);
  const row_moments m = moments_of(s, eps);
  if (threadIdx.x % T == 0) moments[r] = pack{{m.mean, m.scale, m.offset, 0}};
}

// moments [rows, 4] is mean, scale and offset (see row_moments) of each row of x + residual,
// and 0, 16-byte aligned: what optin_layernorm_weights_f32 needs.
// Moves 4 bytes an element (8 with residual); 7 operations, 3 of them in double precision.
extern "C" __global__ void __launch_bounds__(ROWS_BLOCK, ROWS_BLOCKS)
    optin_layernorm_moments_f32(pack *__restrict__ moments, const float *__restrict__ x,
                                const float *__restrict__ residual, double eps, int rows, int C) {
  layernorm_moments<WARP_TEAM, HELD_PACKS>(moments, x, residual, eps, rows, C);
}

extern "C" __global__ void __launch_bounds__(BLOCK_TEAM)
    optin_layernorm_moments_wide_f32(pack *__restrict__ moments, const float *__restrict__ x,
                                     const float *__restrict__ residual, double eps, int rows,
                                     int C) {
  layernorm_moments<BLOCK_TEAM, 0>(moments, x, residual, eps, rows, C);
}

// partial [chunks, 2, C] (double): in chunk p of the rows, the sum over these and over the
// stack of dy z, and of dy: parts of the gradients to gamma and to beta. To add them up:
//   optin_add_columns_f32(dgamma, partial,     chunks, 2 C, C)
//   optin_add_columns_f32(dbeta,  partial + C, chunks, 2 C, C)
// (Where only dbeta is wanted, it is optin_sum_rows_f32 of dy.)
// dy [stack*rows, C]; x and residual [rows, C]; moments by optin_layernorm_moments_f32.
// Launch: grid (ceil(C / 128), chunks)  block (32, 8), rows at least 1, with
//   chunks = min(ceil(rows / 32), max(1, floor(512 / ceil(C / 128))))
// Moves 4 bytes an element of dy and of x (and residual); 6 operations an element of dy, 2 of
// them in double precision.
extern "C" __global__ void __launch_bounds__(256)
    optin_layernorm_weights_f32(double *__restrict__ partial, const float *__restrict__ dy,
                                const float *__restrict__ x, const float *__restrict__ residual,
                                const pack *__restrict__ moments, int rows, int stack, int C) {
  const bool wide = C % 4 == 0 && aligned16(dy, x, residual);
  double out[2];
  column_sums(out, rows, C, [&](double(&sums)[2][4], long long r, long long c) {
    const pack about = moments[r];
    const row_moments m = {about.at[0], about.at[1], about.at[2]};
    pack s = load_pack(x + r * C, c, C, wide);
    if (residual) {
      const pack more = load_pack(residual + r * C, c, C, wide);
#pragma unroll
      for (int k = 0; k < 4; k++) s.at[k] += more.at[k];
    }
    for (int part = 0; part < stack; part++) {
      const pack d = load_pack(dy + ((long long)part * rows + r) * C, c, C, wide);
#pragma unroll
      for (int k = 0; k < 4; k++) {
        sums[0][k] += (double)d.at[k] * m.z(s.at[k]);
        sums[1][k] += d.at[k];
      }
    }
  });
  const long long c = own_column(C);
  if (c >= C) return;
  double *to = partial + (long long)blockIdx.y * 2 * C;
  to[c] = out[0];
  to[C + c] = out[1];
}
