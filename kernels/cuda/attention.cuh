// What the kernels of attention and of its backward have in common.
//
// A block has 128 threads and works on one head of one sequence of one variant. It keeps a
// tile of 64 rows (queries, or keys in the gradients to keys and values) and lets tiles of
// the other side pass by. A warp has 16 of the 64 rows, in which 8 threads share a row: the
// thread with number l of its warp has rows l/8, l/8+4, l/8+8 and l/8+12, of a product over
// columns every 8th from l%8, and of a result the columns 4 (l%8) to 4 (l%8)+3 of every 32.
// Rows of tiles are 4 floats longer than they need be, so that the 16-byte reads of a warp
// fall into different banks.
//
// Heads of more than D columns are cut into chunks of D. A block computes the scores of all
// chunks, its own last (so that it finds that one in shared memory), and writes one chunk.
#pragma once

#include "pack.cuh"

namespace attention {

constexpr int THREADS = 128;
constexpr int ROWS = 64;       // of the tile that stays
constexpr int WARP_ROWS = 16;  // of these, a warp's
constexpr int OWN = 4;         // of these, a thread's
constexpr int SHARE = 8;       // threads that share a row
constexpr unsigned WARP = 0xffffffffu;

// Problem is the arguments that all kernels of attention take.
struct Problem {
  const float *q, *k, *v;
  const int *q_offsets, *k_offsets;  // of sequences in the rows of a variant
  const float *bias, *key_bias;      // either may be null
  int variants, sequences, heads, width, q_max, k_max, key_bias_rows;
  float scale;
  bool causal;
};

// Site is where a block works.
struct Site {
  int tile, chunk, chunks, head;
  long long stack;        // the variant, counting those of all gradients of a stack
  int variant;            // of q, k and v
  int queries, keys;      // of the sequence
  int query, key;         // the sequence's first, in the rows of a variant
  int q_rows, k_rows;     // of a variant
  const float *bias;      // of query 0 and key 0 of the head
  const float *key_bias;  // of key 0 of the sequence
};

// locate finds the site of a job, jobs being numbered tile by tile (as many as the longest
// sequence has), chunk by chunk, head by head, sequence by sequence, variant by variant.
__device__ __forceinline__ Site locate(const Problem &p, unsigned job, int longest, int chunk) {
  Site s;
  const unsigned tiles = (longest + ROWS - 1) / ROWS;
  s.chunks = (p.width + chunk - 1) / chunk;
  s.tile = job % tiles;
  job /= tiles;
  s.chunk = job % s.chunks;
  job /= s.chunks;
  s.head = job % p.heads;
  job /= p.heads;
  const int sequence = job % p.sequences;
  s.stack = job / p.sequences;
  s.variant = s.stack % p.variants;
  s.query = p.q_offsets[sequence];
  s.key = p.k_offsets[sequence];
  s.queries = p.q_offsets[sequence + 1] - s.query;
  s.keys = p.k_offsets[sequence + 1] - s.key;
  s.q_rows = p.q_offsets[p.sequences];
  s.k_rows = p.k_offsets[p.sequences];
  s.bias = p.bias ? p.bias + (long long)s.head * p.q_max * p.k_max : nullptr;
  s.key_bias = nullptr;
  if (p.key_bias) {
    const bool shared = p.key_bias_rows == s.k_rows;
    s.key_bias = p.key_bias + (shared ? 0 : (long long)s.variant * s.k_rows) + s.key;
  }
  return s;
}

// own_row is the r-th row of this thread, column the first of its columns.
__device__ __forceinline__ int own_row(int r) {
  return threadIdx.x / 32 * WARP_ROWS + threadIdx.x % 32 / SHARE + r * (WARP_ROWS / OWN);
}
__device__ __forceinline__ int column() { return threadIdx.x % SHARE; }
__device__ __forceinline__ int warp_row() { return threadIdx.x / 32 * WARP_ROWS; }

// Tile is N rows of D floats in shared memory.
template <int N, int D>
struct __align__(16) Tile {
  float at[N][D + 4];
};

__device__ __forceinline__ float4 &four(float &first) { return reinterpret_cast<float4 &>(first); }
__device__ __forceinline__ const float4 &four(const float &first) {
  return reinterpret_cast<const float4 &>(first);
}

// Columns is the columns of one chunk of one head in rows of stride floats.
struct Columns {
  long long stride;
  int from, count;
  bool wide;  // 16 bytes at a time
};

__device__ __forceinline__ Columns columns(const Problem &p, const Site &s, int chunk, int width,
                                           bool wide) {
  const int from = chunk * width;
  return {(long long)p.heads * p.width, s.head * p.width + from, min(width, p.width - from), wide};
}

// copy_rows starts to copy the columns of rows of src, from its row first, into a tile, and
// fills the tile up with 0.
template <int N, int D>
__device__ __forceinline__ void copy_rows(Tile<N, D> &dst, const float *src, long long first,
                                          int rows, const Columns &c) {
  src += first * c.stride + c.from;
  for (int i = threadIdx.x; i < N * (D / 4); i += THREADS) {
    const int row = i / (D / 4), col = i % (D / 4) * 4;
    float *to = &dst.at[row][col];
    const float *from = src + row * c.stride + col;
    const int count = row < rows ? c.count - col : 0;
    if (c.wide && count > 0) {
      __pipeline_memcpy_async(to, from, 16);
      continue;
    }
#pragma unroll
    for (int e = 0; e < 4; e++) {
      if (e < count) {
        __pipeline_memcpy_async(to + e, from + e, 4);
      } else {
        to[e] = 0;
      }
    }
  }
}

// load_four reads columns col to col+3 of a row that begins at row, 0 behind the last.
__device__ __forceinline__ float4 load_four(const float *row, int col, const Columns &c) {
  if (c.wide && col < c.count) return four(row[col]);
  float4 x = make_float4(0, 0, 0, 0);
  if (col < c.count) x.x = row[col];
  if (col + 1 < c.count) x.y = row[col + 1];
  if (col + 2 < c.count) x.z = row[col + 2];
  if (col + 3 < c.count) x.w = row[col + 3];
  return x;
}

__device__ __forceinline__ void store_four(float *row, int col, const Columns &c, float4 x) {
  if (c.wide && col < c.count) {
    four(row[col]) = x;
    return;
  }
  if (col < c.count) row[col] = x.x;
  if (col + 1 < c.count) row[col + 1] = x.y;
  if (col + 2 < c.count) row[col + 2] = x.z;
  if (col + 3 < c.count) row[col + 3] = x.w;
}

__device__ __forceinline__ float4 times(float4 x, float f) {
  return make_float4(x.x * f, x.y * f, x.z * f, x.w * f);
}
__device__ __forceinline__ float dot(float4 x, float4 y) {
  return x.x * y.x + x.y * y.y + x.z * y.z + x.w * y.w;
}
__device__ __forceinline__ void add_times(float4 &sum, float f, float4 x) {
  sum.x += f * x.x;
  sum.y += f * x.y;
  sum.z += f * x.z;
  sum.w += f * x.w;
}

// add_scores adds to s the products of this thread's rows of a with its rows of b.
template <int C, int N, int D>
__device__ __forceinline__ void add_scores(float (&s)[OWN][C], const Tile<ROWS, D> &a,
                                           const Tile<N, D> &b) {
  static_assert(C * SHARE == N, "threads share all of b");
#pragma unroll 2
  for (int c = 0; c < D; c += 4) {
    float4 x[OWN], y[C];
#pragma unroll
    for (int r = 0; r < OWN; r++) x[r] = four(a.at[own_row(r)][c]);
#pragma unroll
    for (int j = 0; j < C; j++) y[j] = four(b.at[column() + SHARE * j][c]);
#pragma unroll
    for (int r = 0; r < OWN; r++) {
#pragma unroll
      for (int j = 0; j < C; j++) {
        s[r][j] += x[r].x * y[j].x;
        s[r][j] += x[r].y * y[j].y;
        s[r][j] += x[r].z * y[j].z;
        s[r][j] += x[r].w * y[j].w;
      }
    }
  }
}

// Limit says which rows of the passing tile a row of the staying one may use: all; those up
// to itself plus shift (queries stay); those from itself plus shift on (keys stay).
enum Limit { NONE, UP_TO, FROM };

template <Limit L>
__device__ __forceinline__ bool within(int row, int j, int shift) {
  return L == NONE || (L == UP_TO ? j <= row + shift : j >= row + shift);
}

// add_rows adds to sum, for each of this thread's rows, the rows of b times the weights of
// the row. What is not within the limit is left out, not multiplied by 0: it may be NaN.
template <Limit L, int N, int D>
__device__ __forceinline__ void add_rows(float4 (&sum)[OWN][D / 32], const Tile<ROWS, N> &weights,
                                         const Tile<N, D> &b, int shift) {
#pragma unroll 1
  for (int j = 0; j < N; j += 4) {
    float4 w[OWN];
#pragma unroll
    for (int r = 0; r < OWN; r++) w[r] = four(weights.at[own_row(r)][j]);
#pragma unroll
    for (int i = 0; i < 4; i++) {
      float4 x[D / 32];
#pragma unroll
      for (int c = 0; c < D / 32; c++) x[c] = four(b.at[j + i][32 * c + 4 * column()]);
#pragma unroll
      for (int r = 0; r < OWN; r++) {
        const float f = i == 0 ? w[r].x : i == 1 ? w[r].y : i == 2 ? w[r].z : w[r].w;
        if (!within<L>(own_row(r), j + i, shift)) continue;
#pragma unroll
        for (int c = 0; c < D / 32; c++) add_times(sum[r][c], f, x[c]);
      }
    }
  }
}

// add_limited is add_rows with the limit only where a causal tile has one: where not all of
// the warp's rows may use all of b.
template <Limit L, int N, int D>
__device__ __forceinline__ void add_limited(float4 (&sum)[OWN][D / 32],
                                            const Tile<ROWS, N> &weights, const Tile<N, D> &b,
                                            int shift, bool causal) {
  const bool whole = L == UP_TO ? within<L>(warp_row(), N - 1, shift)
                                : within<L>(warp_row() + WARP_ROWS - 1, 0, shift);
  if (!causal || whole) {
    add_rows<NONE>(sum, weights, b, shift);
  } else {
    add_rows<L>(sum, weights, b, shift);
  }
}

// biased is the score of query i and key j of the sequence, product being q k'. Each step is
// rounded by itself, lest a compiler fuse it with what follows in one kernel and not in
// another: scores must be the same bits wherever they are computed.
__device__ __forceinline__ float biased(const Problem &p, const Site &s, float product, int i,
                                        int j) {
  float x = __fmul_rn(p.scale, product);
  if (s.bias) x = __fadd_rn(x, s.bias[(long long)i * p.k_max + j]);
  if (s.key_bias) x = __fadd_rn(x, s.key_bias[j]);
  return x;
}

// visible says whether query i may see key j of the sequence; both must be in it.
__device__ __forceinline__ bool visible(const Problem &p, const Site &s, int i, int j) {
  return i < s.queries && j < s.keys && (!p.causal || j <= i);
}

// exponential is e^(x - top), 0 for a hidden key even where all are, top being -Inf too.
__device__ __forceinline__ float exponential(float x, float top) {
  return x == -INFINITY ? 0.f : expf(x - top);
}

// row_sum and row_top combine what the threads that share a row have.
__device__ __forceinline__ float row_sum(float x) {
#pragma unroll
  for (int o = SHARE / 2; o; o /= 2) x += __shfl_xor_sync(WARP, x, o);
  return x;
}
__device__ __forceinline__ float row_top(float x) {
#pragma unroll
  for (int o = SHARE / 2; o; o /= 2) x = fmaxf(x, __shfl_xor_sync(WARP, x, o));
  return x;
}

template <int C>
__device__ __forceinline__ void clear(float (&x)[OWN][C]) {
#pragma unroll
  for (int r = 0; r < OWN; r++) {
#pragma unroll
    for (int c = 0; c < C; c++) x[r][c] = 0;
  }
}
template <int C>
__device__ __forceinline__ void clear(float4 (&x)[OWN][C]) {
#pragma unroll
  for (int r = 0; r < OWN; r++) {
#pragma unroll
    for (int c = 0; c < C; c++) x[r][c] = make_float4(0, 0, 0, 0);
  }
}

}  // namespace attention
