// Variants that lack one unit each: RemoveUnits and its derivative. For unit u of variant v
//
//   y[v] = sum[v] - values[v][:, u width:(u+1) width] consumer[u width:(u+1) width, :]
//
// which is of rank one for a neuron (width 1) and of rank 64 for a head of BERT.
#include "rows.cuh"
#include "tile.cuh"

// Units up to this width are summed as they come; wider ones by tiles.
#define NARROW 4
#define REMOVE_ROWS 64  // of a block
#define REMOVE_COLUMNS 128

// dst [V*N, D] = sum [V*N, D] less the contributions of units [V], -1 being none; values
// [V*N, stride], consumer [stride, D]. Exactly sum where the unit's values are 0.
// Launch: width at most 4; grid (V ceil(N / 64), ceil(D / 128))  block (32, 8)
// Moves 8 bytes an element, and width scattered values a row and 128 columns; width
// multiply-adds.
extern "C" __global__ void __launch_bounds__(256)
    optin_remove_units_f32(float *__restrict__ dst, const float *__restrict__ sum,
                           const float *__restrict__ values, const float *__restrict__ consumer,
                           const int *__restrict__ units, int N, int D, int stride, int width) {
  const int chunks = (N + REMOVE_ROWS - 1) / REMOVE_ROWS;
  const int variant = blockIdx.x / chunks, unit = units[variant];
  const int first = blockIdx.x % chunks * REMOVE_ROWS;
  const int end = N - first < REMOVE_ROWS ? N : first + REMOVE_ROWS;
  const long long c = (long long)blockIdx.y * REMOVE_COLUMNS + 4 * threadIdx.x;
  if (c >= D) return;
  const bool wide = D % 4 == 0 && aligned16(dst, sum, consumer);
  const int terms = unit < 0 ? 0 : width;
  const long long column = (long long)unit * width;
  pack w[NARROW];
#pragma unroll
  for (int i = 0; i < NARROW; i++) {
    if (i < terms) w[i] = load_pack(consumer + (column + i) * D, c, D, wide);
  }
#pragma unroll 4
  for (int n = first + (int)threadIdx.y; n < end; n += 8) {
    const long long r = (long long)variant * N + n;
    pack p = load_pack(sum + r * D, c, D, wide);
#pragma unroll
    for (int i = 0; i < NARROW; i++) {
      if (i >= terms) continue;
      const float v = values[r * stride + column + i];
#pragma unroll
      for (int k = 0; k < 4; k++) p.at[k] = fmaf(-v, w[i].at[k], p.at[k]);
    }
    store_pack(dst + r * D, c, D, p, wide);
  }
}

// The same for any width.
// Launch: grid (V ceil(N / 64), ceil(D / 64))  block 256
// Moves 8 bytes an element, and 4 width (D / 64 + 1) bytes a row, mostly from the second-level
// cache; width multiply-adds.
extern "C" __global__ void __launch_bounds__(TILE_THREADS)
    optin_remove_units_wide_f32(float *__restrict__ dst, const float *__restrict__ sum,
                                const float *__restrict__ values,
                                const float *__restrict__ consumer, const int *__restrict__ units,
                                int N, int D, int stride, int width) {
  const int tiles = (N + 63) / 64;
  const int variant = blockIdx.x / tiles, unit = units[variant];
  const int n0 = blockIdx.x % tiles * 64, c0 = blockIdx.y * 64;
  const long long column = (long long)unit * width, r0 = (long long)variant * N;
  float acc[4][4] = {};
  product_tile<4, true, false>(
      acc, unit < 0 ? 0 : width,
      [&](int n, int k) { return n0 + n < N ? values[(r0 + n0 + n) * stride + column + k] : 0.f; },
      [&](int c, int k) { return c0 + c < D ? consumer[(column + k) * D + c0 + c] : 0.f; });
  const bool wide = D % 4 == 0 && aligned16(dst, sum);
  const int c = c0 + tile_column<4>(0);
  if (c >= D) return;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int n = n0 + tile_row<4>(i);
    if (n >= N) return;
    pack p = load_pack(sum + (r0 + n) * D, c, D, wide);
#pragma unroll
    for (int j = 0; j < 4; j++) p.at[j] -= acc[i][j];
    store_pack(dst + (r0 + n) * D, c, D, p, wide);
  }
}

// dx [stack*V*N, stride], which must be 0 before, gets -dy consumer' in the columns of the
// variant's unit, -1 being none: the gradient of RemoveUnits to values. dy [stack*V*N, D],
// consumer [stride, D], units [V].
// Launch: width at most 4; grid ceil(stack V N / 4)  block 128
// Moves 4 bytes an element of dy; width products and sums, in double precision.
extern "C" __global__ void __launch_bounds__(ROWS_BLOCK, ROWS_BLOCKS)
    optin_remove_units_backward_f32(float *__restrict__ dx, const float *__restrict__ dy,
                                    const float *__restrict__ consumer,
                                    const int *__restrict__ units, int rows, int V, int N, int D,
                                    int stride, int width) {
  const long long r = team_row<WARP_TEAM>();
  if (r >= rows) return;
  const int unit = units[r / N % V];
  if (unit < 0) return;
  const bool wide = D % 4 == 0 && aligned16(dy, consumer);
  for (int i = 0; i < width; i++) {
    const long long column = (long long)unit * width + i;
    double sum = 0;
    for_packs<WARP_TEAM, 0>(D, [&](int, int c) {
      const pack d = load_pack(dy + r * D, c, D, wide),
                 w = load_pack(consumer + column * D, c, D, wide);
#pragma unroll
      for (int k = 0; k < 4; k++) sum += (double)d.at[k] * w.at[k];
    });
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) dx[r * stride + column] = (float)-sum;
  }
}

// The same for any width.
// Launch: grid (stack V ceil(N / 64), ceil(width / 64))  block 256
// Moves 4 bytes an element of dy and 4 width a row of dx; width multiply-adds an element of dy.
extern "C" __global__ void __launch_bounds__(TILE_THREADS)
    optin_remove_units_backward_wide_f32(float *__restrict__ dx, const float *__restrict__ dy,
                                         const float *__restrict__ consumer,
                                         const int *__restrict__ units, int V, int N, int D,
                                         int stride, int width) {
  const int tiles = (N + 63) / 64;
  const int part = blockIdx.x / tiles, unit = units[part % V];  // of variants and stack
  if (unit < 0) return;
  const int n0 = blockIdx.x % tiles * 64, i0 = blockIdx.y * 64;
  const long long column = (long long)unit * width, r0 = (long long)part * N;
  float acc[4][4] = {};
  product_tile<4, true, true>(
      acc, D, [&](int n, int k) { return n0 + n < N ? dy[(r0 + n0 + n) * D + k] : 0.f; },
      [&](int i, int k) { return i0 + i < width ? consumer[(column + i0 + i) * D + k] : 0.f; });
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int n = n0 + tile_row<4>(i);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const int w = i0 + tile_column<4>(j);
      if (n < N && w < width) dx[(r0 + n) * stride + column + w] = -acc[i][j];
    }
  }
}
