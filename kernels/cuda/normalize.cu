// NormalizeRows, NormalizedDifference and their derivative: rows over their Euclidean length,
// the Phi of the manifold distillation loss. Sums are in double precision.
//
// Launch, for R rows of C columns (of x for the derivative), without shared memory of the
// launch's; nothing to launch where either is 0:
//   C <= 1024  optin_X_f32       grid ceil(R / 4)  block 128   a row in a warp's registers
//   any C      optin_X_wide_f32  grid R            block 512   a row in a block
#include "rows.cuh"

template <int T, int N>
__device__ __forceinline__ double squared_length(const held_row<T, N> &s) {
  double sum = 0;
  for_packs<T, N>(s.C, [&](int i, int c) {
    const pack p = s.at(i, c);  // 0 beyond the row's end
#pragma unroll
    for (int k = 0; k < 4; k++) sum += (double)p.at[k] * p.at[k];
  });
  return team_sum<T>(sum);
}

template <int T, int N>
__device__ __forceinline__ void normalize(float *dst, const float *x, const float *phi, int rows,
                                          int C) {
  const long long r = team_row<T>();
  if (r >= rows) return;
  const bool wide = C % 4 == 0 && aligned16(dst, x, phi);
  const held_row<T, N> s(x + r * C, nullptr, C, wide);
  const double square = squared_length(s);
  const float length = square == 0 ? 1.f : (float)sqrt(square);
  for_packs<T, N>(C, [&](int i, int c) {
    pack p = s.at(i, c);
    // Rounded before phi is taken off, so that a row's own phi leaves exactly 0.
#pragma unroll
    for (int k = 0; k < 4; k++) p.at[k] = __fdiv_rn(p.at[k], length);
    if (phi) {
      const pack q = load_pack(phi + r * C, c, C, wide);
#pragma unroll
      for (int k = 0; k < 4; k++) p.at[k] -= q.at[k];
    }
    store_pack(dst + r * C, c, C, p, wide);
  });
}

// dst [rows, C] = x / |x| for each row of x [rows, C], a zero row staying zero, less phi
// [rows, C] (NULL: nothing): NormalizeRows and NormalizedDifference.
// Moves 8 bytes an element (12 with phi); a quotient and 2 operations, one of them in double
// precision.
extern "C" __global__ void __launch_bounds__(ROWS_BLOCK, ROWS_BLOCKS)
    optin_normalize_f32(float *__restrict__ dst, const float *__restrict__ x,
                        const float *__restrict__ phi, int rows, int C) {
  normalize<WARP_TEAM, HELD_PACKS>(dst, x, phi, rows, C);
}

extern "C" __global__ void __launch_bounds__(BLOCK_TEAM)
    optin_normalize_wide_f32(float *__restrict__ dst, const float *__restrict__ x,
                             const float *__restrict__ phi, int rows, int C) {
  normalize<BLOCK_TEAM, 0>(dst, x, phi, rows, C);
}

// dx = (dy - y (y dy)) / |x|, y = x / |x|; 0 where x is 0, whatever dy is.
template <int T, int N>
__device__ __forceinline__ void normalize_backward(float *dx, const float *dy, const float *x,
                                                   int rows, int stack, int C) {
  const long long r = team_row<T>();
  if (r >= rows) return;
  const bool wide = C % 4 == 0 && aligned16(dx, dy, x);
  const held_row<T, N> s(x + r * C, nullptr, C, wide);
  const double square = squared_length(s), length = sqrt(square);
  for (int part = 0; part < stack; part++) {
    const long long at = ((long long)part * rows + r) * C;
    const held_row<T, N> d(dy + at, nullptr, C, wide);
    double sum = 0;
    for_packs<T, N>(C, [&](int i, int c) {
      const pack p = s.at(i, c), g = d.at(i, c);
#pragma unroll
      for (int k = 0; k < 4; k++) sum += (double)p.at[k] * g.at[k];
    });
    // Of y, so that neither tiny nor huge rows leave the range of float.
    const float along = (float)(team_sum<T>(sum) / length);
    const float inverse = (float)(1 / length);
    for_packs<T, N>(C, [&](int i, int c) {
      const pack p = s.at(i, c);
      pack g = d.at(i, c);
#pragma unroll
      for (int k = 0; k < 4; k++) {
        g.at[k] = square == 0 ? 0.f : fmaf(-along, p.at[k] * inverse, g.at[k]) * inverse;
      }
      store_pack(dx + at, c, C, g, wide);
    });
  }
}

// dx [stack*rows, C] = NormalizeRowsBackward of dy [stack*rows, C] and x [rows, C].
// Moves 8 bytes an element of dy and 4 of x; 6 operations, 2 of them in double precision.
extern "C" __global__ void __launch_bounds__(ROWS_BLOCK)  // two rows take more than 128 registers
    optin_normalize_backward_f32(float *__restrict__ dx, const float *__restrict__ dy,
                                 const float *__restrict__ x, int rows, int stack, int C) {
  normalize_backward<WARP_TEAM, HELD_PACKS>(dx, dy, x, rows, stack, C);
}

extern "C" __global__ void __launch_bounds__(BLOCK_TEAM)
    optin_normalize_backward_wide_f32(float *__restrict__ dx, const float *__restrict__ dy,
                                      const float *__restrict__ x, int rows, int stack, int C) {
  normalize_backward<BLOCK_TEAM, 0>(dx, dy, x, rows, stack, C);
}
