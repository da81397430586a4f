// Sums over the columns of matrices, in two passes: blocks of one kernel sum a part of the
// rows each, a kernel of reduce.cu adds the parts. The order depends on the shape alone.
#pragma once

#include "rows.cuh"

// A block of (32, 8) threads sums COLUMN_TILE columns: a thread has four neighbouring ones in
// every 8th row.
#define COLUMN_TILE 128
#define COLUMN_LANES 8

// column_sums sums over chunk blockIdx.y of gridDim.y of the given rows. add(sums, r, c) adds
// to sums[n][k] what row r has in column c + k, c < C, for sum n; out is the sums of the
// column own_column() for the threads that have one.
template <int N, class F>
__device__ __forceinline__ void column_sums(double (&out)[N], long long rows, long long C, F add) {
  __shared__ double part[N][4][COLUMN_LANES][32];
  const int x = threadIdx.x, y = threadIdx.y;
  const long long c = (long long)blockIdx.x * COLUMN_TILE + 4 * x;
  const long long per = (rows + gridDim.y - 1) / gridDim.y, begin = blockIdx.y * per;
  const long long end = begin + per < rows ? begin + per : rows;
  double sums[N][4] = {};
  if (c < C) {
#pragma unroll 4
    for (long long r = begin + y; r < end; r += COLUMN_LANES) add(sums, r, c);
  }
#pragma unroll
  for (int n = 0; n < N; n++) {
#pragma unroll
    for (int k = 0; k < 4; k++) part[n][k][y][x] = sums[n][k];
  }
  __syncthreads();
  const int at = y * 32 + x;
#pragma unroll
  for (int n = 0; n < N; n++) {
    out[n] = 0;
    if (at >= COLUMN_TILE) continue;
    for (int lane = 0; lane < COLUMN_LANES; lane++) out[n] += part[n][at % 4][lane][at / 4];
  }
}

// own_column is the column whose sums the calling thread gets from column_sums, C or more
// where it gets none.
__device__ __forceinline__ long long own_column(long long C) {
  const int at = threadIdx.y * 32 + threadIdx.x;
  return at < COLUMN_TILE ? (long long)blockIdx.x * COLUMN_TILE + at : C;
}
