// Rows that move by index: Gather and ScatterAdd, ScatterMean and their derivatives.
// Indices must lie in their range: whoever uploads them checks that.
//
// What is added up at an index is added in one order, without atomics: positions are sorted by
// index (stably, so that rows keep their order) and cut into chunks of SORTED_CHUNK, whatever
// their indices are, so that an index that many rows share is spread over many chunks.
#include "rows.cuh"

#define SORTED_CHUNK 32
#define RANKED 8  // rows that a warp finds the places of at once

// dst [variants*n, C] = rows idx [n] of each variant of x, variants of span rows. Embed without
// a sum is the same with one variant.
// Launch: grid ceil(variants n / Y)  block (X, Y), X the least power of two that is at least
// ceil(C / 4), but at most 32, and Y = 256 / X
// Moves 8 bytes an element.
extern "C" __global__ void __launch_bounds__(256)
    optin_gather_f32(float *__restrict__ dst, const float *__restrict__ x,
                     const int *__restrict__ idx, int variants, int n, int span, int C) {
  const long long r = (long long)blockIdx.x * blockDim.y + threadIdx.y;
  if (r >= (long long)variants * n) return;
  const bool wide = C % 4 == 0 && aligned16(dst, x);
  const float *from = x + (r / n * span + idx[r % n]) * C;
#pragma unroll 4
  for (long long c = 4 * threadIdx.x; c < C; c += 4 * blockDim.x) {
    store_pack(dst + r * C, c, C, load_pack(from, c, C, wide), wide);
  }
}

// key [n] and order [n]: idx [n] sorted, and the position that each had, equal ones in the
// order of their positions. Each position counts what goes before it: quadratic, but up to some
// ten thousand positions over before the passes of a radix sort would be.
// Launch: grid ceil(n / 64)  block 256
// Moves 4 n^2 / 8 bytes from the first-level cache; 2 n^2 operations.
extern "C" __global__ void __launch_bounds__(256)
    optin_sort_i32(int *__restrict__ key, int *__restrict__ order, const int *__restrict__ idx,
                   int n) {
  const int lane = threadIdx.x % 32;
  const long long first = ((long long)blockIdx.x * 8 + threadIdx.x / 32) * RANKED;
  int own[RANKED], place[RANKED];
#pragma unroll
  for (int i = 0; i < RANKED; i++) {
    own[i] = first + i < n ? idx[first + i] : 0;
    place[i] = 0;
  }
  for (long long other = lane; other < n; other += 32) {
    const int v = idx[other];
#pragma unroll
    for (int i = 0; i < RANKED; i++) place[i] += v < own[i] || (v == own[i] && other < first + i);
  }
#pragma unroll
  for (int i = 0; i < RANKED; i++) {
    for (int o = 16; o; o >>= 1) place[i] += __shfl_xor_sync(ALL_LANES, place[i], o);
    if (lane != 0 || first + i >= n) continue;
    key[place[i]] = own[i];
    order[place[i]] = (int)(first + i);
  }
}

// write_sum puts the sum of count rows into dst: their mean, or added to what is there.
__device__ __forceinline__ void write_sum(float *dst, long long c, int C, const double (&sum)[4],
                                          int count, bool mean) {
  for_columns((int)c, C, [&](int k) {
    dst[c + k] = mean ? (float)(sum[k] / count) : (float)(dst[c + k] + sum[k]);
  });
}

// A chunk of sorted positions.
struct sorted_chunk {
  int begin, end;

  __device__ __forceinline__ sorted_chunk(int chunk, int n) : begin(chunk * SORTED_CHUNK) {
    end = n - begin < SORTED_CHUNK ? n : begin + SORTED_CHUNK;
  }

  // Whether the first (last) index of the chunk is that of the chunk before (behind) it too.
  __device__ __forceinline__ bool goes_back(const int *key) const {
    return begin > 0 && key[begin - 1] == key[begin];
  }
  __device__ __forceinline__ bool goes_on(const int *key, int n) const {
    return end < n && key[end] == key[end - 1];
  }
};

// For each variant of dst (span rows) and index i: the sum of the rows r of x with idx[r] = i,
// of all parts of a stack. x [stack*variants*n, C]; key and order by optin_sort_i32. mean 0:
// it is added to row i of dst (ScatterAdd); 1: over their number, it becomes row i
// (ScatterMean, where stack and variants are 1 and dst is 0 before, for rows that nothing
// falls into).
// The sums of an index that goes beyond its chunk go to edges [variants, chunks, 2, C]
// (double; chunks = ceil(n / 32)): the first of a chunk that another began, the last that
// another goes on with. optin_scatter_edges_f32 must follow, unless n is at most 32.
// Launch: grid (chunks, ceil(C / 512), variants)  block (32, 4), variants at most 65535
// Moves 4 bytes an element of x and 8 an element of dst that it adds to; one operation in
// double precision.
extern "C" __global__ void __launch_bounds__(128)
    optin_scatter_f32(float *__restrict__ dst, double *__restrict__ edges,
                      const float *__restrict__ x, const int *__restrict__ key,
                      const int *__restrict__ order, int n, int stack, int span, int C, int mean) {
  const long long c = ((long long)blockIdx.y * blockDim.y + threadIdx.y) * 128 + 4 * threadIdx.x;
  if (c >= C) return;
  const bool wide = C % 4 == 0 && aligned16(x);
  const sorted_chunk chunk(blockIdx.x, n);
  const long long variant = blockIdx.z, variants = gridDim.z;
  double *edge = edges + (variant * gridDim.x + blockIdx.x) * 2 * C;
  double sum[4] = {};
  int from = chunk.begin;
  for (int j = chunk.begin; j < chunk.end; j++) {
    const int at = key[j], row = order[j];
    for (int part = 0; part < stack; part++) {
      const pack p = load_pack(x + ((part * variants + variant) * n + row) * C, c, C, wide);
#pragma unroll
      for (int k = 0; k < 4; k++) sum[k] += p.at[k];
    }
    if (j + 1 < chunk.end && key[j + 1] == at) continue;
    const bool back = from == chunk.begin && chunk.goes_back(key);
    if (back || (j + 1 == chunk.end && chunk.goes_on(key, n))) {
      for_columns((int)c, C, [&](int k) { edge[(back ? 0 : C) + c + k] = sum[k]; });
    } else {
      write_sum(dst + (variant * span + at) * C, c, C, sum, j + 1 - from, mean);
    }
    from = j + 1;
#pragma unroll
    for (int k = 0; k < 4; k++) sum[k] = 0;
  }
}

// Adds up what optin_scatter_f32 left in edges, with the same arguments and launch.
// Moves 8 bytes an element of edges; one operation in double precision.
extern "C" __global__ void __launch_bounds__(128)
    optin_scatter_edges_f32(float *__restrict__ dst, const double *__restrict__ edges,
                            const int *__restrict__ key, int n, int span, int C, int mean) {
  const long long c = ((long long)blockIdx.y * blockDim.y + threadIdx.y) * 128 + 4 * threadIdx.x;
  if (c >= C) return;
  const sorted_chunk chunk(blockIdx.x, n);
  const int at = key[chunk.end - 1];
  const bool all = key[chunk.begin] == at;
  if (!chunk.goes_on(key, n) || (all && chunk.goes_back(key))) return;  // none begins here
  const long long variant = blockIdx.z;
  const double *edge = edges + (variant * gridDim.x + blockIdx.x) * 2 * C;
  int begin = chunk.end - 1;
  while (begin > chunk.begin && key[begin - 1] == at) begin--;
  double sum[4] = {};
  for_columns((int)c, C, [&](int k) { sum[k] = edge[C + c + k]; });
  int end = chunk.end;
  for (int q = blockIdx.x + 1; end < n && key[end] == at; q++) {
    edge += 2 * C;
    for_columns((int)c, C, [&](int k) { sum[k] += edge[c + k]; });
    const sorted_chunk next(q, n);
    if (key[next.end - 1] == at) {
      end = next.end;
    } else {
      while (key[end] == at) end++;
    }
  }
  write_sum(dst + (variant * span + at) * C, c, C, sum, end - begin, mean);
}

// bound is the first position of sorted key [n] that holds at least v.
__device__ __forceinline__ int bound(const int *key, int n, long long v) {
  int low = 0, high = n;
  while (low < high) {
    const int middle = low + (high - low) / 2;
    if (key[middle] < v) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// dx [stack*n, C] = dy[part*rows + idx[r]] over the number of r that have this index: the
// derivative of ScatterMean. dy [stack*rows, C], idx [n], key by optin_sort_i32.
// Launch: grid ceil(stack n / Y)  block (X, Y), as optin_gather_f32
// Moves 8 bytes an element; a quotient.
extern "C" __global__ void __launch_bounds__(256)
    optin_scatter_mean_backward_f32(float *__restrict__ dx, const float *__restrict__ dy,
                                    const int *__restrict__ idx, const int *__restrict__ key, int n,
                                    int rows, int stack, int C) {
  const long long r = (long long)blockIdx.x * blockDim.y + threadIdx.y;
  if (r >= (long long)stack * n) return;
  const bool wide = C % 4 == 0 && aligned16(dx, dy);
  const int at = idx[r % n];
  const float count = (float)(bound(key, n, at + 1LL) - bound(key, n, at));
  const float *from = dy + (r / n * rows + at) * C;
#pragma unroll 4
  for (long long c = 4 * threadIdx.x; c < C; c += 4 * blockDim.x) {
    pack p = load_pack(from, c, C, wide);
#pragma unroll
    for (int k = 0; k < 4; k++) p.at[k] = __fdiv_rn(p.at[k], count);
    store_pack(dx + r * C, c, C, p, wide);
  }
}
