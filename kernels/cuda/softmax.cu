// Softmax over the columns of each row, and its derivative.
//
// Launch, for R rows of C columns (of y for the derivative), C at least 1, without shared
// memory of the launch's:
//   C <= 1024  optin_X_f32       grid ceil(R / 4)  block 128   a row in a warp's registers
//   any C      optin_X_wide_f32  grid R            block 512   a row in a block
#include "rows.cuh"

// A NaN makes its whole row NaN, as does a row of nothing but -Inf: the maximum skips it, but
// the sum does not.
template <int T, int N>
__device__ __forceinline__ void softmax(float *dst, const float *x, int rows, int C) {
  const long long r = team_row<T>();
  if (r >= rows) return;
  const bool wide = C % 4 == 0 && aligned16(dst, x);
  held_row<T, N> s(x + r * C, nullptr, C, wide);
  float top = -INFINITY;
  for_packs<T, N>(C, [&](int i, int c) {
    const pack p = s.at(i, c);
    for_columns(c, C, [&](int k) { top = fmaxf(top, p.at[k]); });
  });
  top = team_max<T>(top);
  double sum = 0;
  for_packs<T, N>(C, [&](int i, int c) {
    pack p = s.at(i, c);
    for_columns(c, C, [&](int k) {
      p.at[k] = expf(p.at[k] - top);
      sum += p.at[k];
    });
    if (N) s.held[i] = p;
  });
  const float scale = (float)(1 / team_sum<T>(sum));
  for_packs<T, N>(C, [&](int i, int c) {
    pack p = s.at(i, c);
#pragma unroll
    for (int k = 0; k < 4; k++) p.at[k] = (N ? p.at[k] : expf(p.at[k] - top)) * scale;
    store_pack(dst + r * C, c, C, p, wide);
  });
}

// dst [rows, C] = Softmax(x) for x [rows, C].
// Moves 8 bytes an element; an exponential (two if wide) and 5 operations, one of them in
// double precision.
extern "C" __global__ void __launch_bounds__(ROWS_BLOCK, ROWS_BLOCKS)
    optin_softmax_f32(float *__restrict__ dst, const float *__restrict__ x, int rows, int C) {
  softmax<WARP_TEAM, HELD_PACKS>(dst, x, rows, C);
}

extern "C" __global__ void __launch_bounds__(BLOCK_TEAM)
    optin_softmax_wide_f32(float *__restrict__ dst, const float *__restrict__ x, int rows, int C) {
  softmax<BLOCK_TEAM, 0>(dst, x, rows, C);
}

// dx = y (dy - sum of y dy). A team reads its row of y once and goes through the stack.
template <int T, int N>
__device__ __forceinline__ void softmax_backward(float *dx, const float *dy, const float *y,
                                                 int rows, int stack, int C) {
  const long long r = team_row<T>();
  if (r >= rows) return;
  const bool wide = C % 4 == 0 && aligned16(dx, dy, y);
  const held_row<T, N> s(y + r * C, nullptr, C, wide);
  for (int part = 0; part < stack; part++) {
    const long long at = ((long long)part * rows + r) * C;
    const held_row<T, N> d(dy + at, nullptr, C, wide);
    double sum = 0;
    for_packs<T, N>(C, [&](int i, int c) {
      const pack p = s.at(i, c), g = d.at(i, c);  // 0 beyond the row's end
#pragma unroll
      for (int k = 0; k < 4; k++) sum += (double)p.at[k] * g.at[k];
    });
    const float mean = (float)team_sum<T>(sum);
    for_packs<T, N>(C, [&](int i, int c) {
      const pack p = s.at(i, c);
      pack g = d.at(i, c);
#pragma unroll
      for (int k = 0; k < 4; k++) g.at[k] = p.at[k] * (g.at[k] - mean);
      store_pack(dx + at, c, C, g, wide);
    });
  }
}

// dx [stack*rows, C] = SoftmaxBackward of dy [stack*rows, C] and y = Softmax(x) [rows, C].
// Moves 8 bytes an element of dy and 4 of y; 3 operations, one of them in double precision.
extern "C" __global__ void __launch_bounds__(ROWS_BLOCK)  // two rows take more than 128 registers
    optin_softmax_backward_f32(float *__restrict__ dx, const float *__restrict__ dy,
                               const float *__restrict__ y, int rows, int stack, int C) {
  softmax_backward<WARP_TEAM, HELD_PACKS>(dx, dy, y, rows, stack, C);
}

extern "C" __global__ void __launch_bounds__(BLOCK_TEAM)
    optin_softmax_backward_wide_f32(float *__restrict__ dx, const float *__restrict__ dy,
                                    const float *__restrict__ y, int rows, int stack, int C) {
  softmax_backward<BLOCK_TEAM, 0>(dx, dy, y, rows, stack, C);
}
