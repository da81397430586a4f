// Rows of float matrices: how a team of threads shares one row, reads it by 16 bytes where
// that is allowed, and sums over it in an order that depends on the number of columns alone.
#pragma once

#include "pack.cuh"

#define ALL_LANES 0xffffffffu

// A team is the threads that share a row: a warp, where a row is short enough to stay in
// their registers, or else a block, which reads the row again (from the first-level cache,
// unless it is longer than that).
#define WARP_TEAM 32
#define BLOCK_TEAM 512
// Packs of a row that each thread of a warp holds: rows of up to 32 * 4 * 8 = 1024 columns.
#define HELD_PACKS 8
// Threads of a block of warp teams.
#define ROWS_BLOCK 128
// Such blocks that a multiprocessor has at least at once, which leaves a thread 128 registers.
#define ROWS_BLOCKS 4

typedef Pack<4> pack;  // four neighbouring columns

// load_pack reads columns c to c+3 of a row of C; columns beyond are 0. wide: the pack is
// aligned and whole.
__device__ __forceinline__ pack load_pack(const float *row, long long c, long long C, bool wide) {
  if (wide) return load<4>(row + c);
  pack p;
#pragma unroll
  for (int k = 0; k < 4; k++) p.at[k] = c + k < C ? row[c + k] : 0.f;
  return p;
}

__device__ __forceinline__ void store_pack(float *row, long long c, long long C, pack p,
                                           bool wide) {
  if (wide) {
    store(row + c, p);
    return;
  }
#pragma unroll
  for (int k = 0; k < 4; k++) {
    if (c + k < C) row[c + k] = p.at[k];
  }
}

__device__ __forceinline__ float warp_max(float v) {
#pragma unroll
  for (int o = 16; o; o >>= 1) v = fmaxf(v, __shfl_xor_sync(ALL_LANES, v, o));
  return v;
}

__device__ __forceinline__ double warp_sum(double v) {
#pragma unroll
  for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(ALL_LANES, v, o);
  return v;
}

// team_sums replaces each of the values by its sum over the team.
template <int T, int N>
__device__ __forceinline__ void team_sums(double (&v)[N]) {
#pragma unroll
  for (int i = 0; i < N; i++) v[i] = warp_sum(v[i]);
  if (T == WARP_TEAM) return;
  __shared__ double part[N][T / 32];
  __syncthreads();  // those of the sums before have been read
  if (threadIdx.x % 32 == 0) {
#pragma unroll
    for (int i = 0; i < N; i++) part[i][threadIdx.x / 32] = v[i];
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < N; i++) {
    v[i] = 0;
    for (int w = 0; w < T / 32; w++) v[i] += part[i][w];
  }
}

template <int T>
__device__ __forceinline__ double team_sum(double v) {
  double sums[1] = {v};
  team_sums<T>(sums);
  return sums[0];
}

// team_max skips NaN.
template <int T>
__device__ __forceinline__ float team_max(float v) {
  v = warp_max(v);
  if (T == WARP_TEAM) return v;
  __shared__ float part[T / 32];
  __syncthreads();  // those of the maximum before have been read
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;
  __syncthreads();
  for (int w = 0; w < T / 32; w++) v = fmaxf(v, part[w]);
  return v;
}

// team_row is the row of the calling thread's team, in blocks of ROWS_BLOCK threads for warp
// teams and of BLOCK_TEAM for a block team.
template <int T>
__device__ __forceinline__ long long team_row() {
  if (T == BLOCK_TEAM) return blockIdx.x;
  return (long long)blockIdx.x * (ROWS_BLOCK / T) + threadIdx.x / T;
}

// for_packs calls f(i, c) for the packs of a row of C columns that are the calling thread's:
// the i-th of them begins at column c. With N = 0 there is no limit and i is always 0, else
// C is at most 4 T N and i, the index into an array in registers, is known to the compiler.
template <int T, int N, class F>
__device__ __forceinline__ void for_packs(int C, F f) {
  const int first = 4 * (int)(threadIdx.x % T);
  if (N == 0) {
    for (long long c = first; c < C; c += 4 * T) f(0, (int)c);
    return;
  }
#pragma unroll
  for (int i = 0; i < N; i++) {
    const int c = first + i * 4 * T;
    if (c < C) f(i, c);
  }
}

// for_columns calls f(k) for those of the four columns from c on that a row of C has.
template <class F>
__device__ __forceinline__ void for_columns(int c, int C, F f) {
#pragma unroll
  for (int k = 0; k < 4; k++) {
    if (C - c > k) f(k);
  }
}

// held_row is a row x, or x + residual (NULL: none): N packs of each thread in registers, or,
// with N = 0, nothing but where it is.
template <int T, int N>
struct held_row {
  const float *x, *residual;
  int C;
  bool wide;
  pack held[N ? N : 1];

  __device__ __forceinline__ held_row(const float *x, const float *residual, int C, bool wide)
      : x(x), residual(residual), C(C), wide(wide) {
    if (N == 0) return;
    for_packs<T, N>(C, [&](int i, int c) { held[i] = read(c); });
  }

  __device__ __forceinline__ pack read(int c) const {
    pack p = load_pack(x, c, C, wide);
    if (residual) {
      const pack q = load_pack(residual, c, C, wide);
#pragma unroll
      for (int k = 0; k < 4; k++) p.at[k] += q.at[k];
    }
    return p;
  }

  // at is pack i, which begins at column c.
  __device__ __forceinline__ pack at(int i, int c) const { return N ? held[i] : read(c); }
};
