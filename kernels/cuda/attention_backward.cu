// Gradients of attention to queries, keys and values, for a stack of R gradients dy of one
// call. With P = softmax(scores), which is computed anew, and dP = dy v':
//
//   dv = P' dy,   S = scale P . (dP - delta),   dq = S k,   dk = S' q
//
// where delta, the sum of P . dP over a row, is that of dy . (P v) (Dao et al.,
// FlashAttention, 2022). Three kernels in this order, without atomics: the statistics of
// each query's softmax, the gradient to queries by tiles of queries, those to keys and
// values by tiles of keys. A query all of whose keys are hidden gets and sends 0.
//
// Arguments: as attention.cu, without a head mask; dy, dq [R*variants*Q, heads*width], dk,
// dv [R*variants*K, heads*width]. Between the kernels, for each query of each head, by
// chunks of D columns, chunks = ceil(width/D): top, inverse [variants, heads, chunks, Q] are
// the maximum of the scores and 1 over the sum of e^(score - maximum), 0 where all are
// hidden; delta [R*variants, heads, chunks, Q] is a chunk's part of that above.
//
// Launch: block 128; grid in x, at most 2^31-1, none to launch where it is 0:
//   statistics    variants * sequences * heads * chunks * ceil(q_max/64)
//   queries     R*variants * sequences * heads * chunks * ceil(q_max/64)
//   keys        R*variants * sequences * heads * chunks * ceil(k_max/64)
// D is in the names and must be the same in all three: d32 for width up to 32, d64 for all
// others. Static shared memory of the last two: 48640 bytes (d64), 28160 (d32); of the
// statistics that of attention.cu.
// Bytes: 4 heads*width per row of what is read and written: (1+R) Q + 2 K; R (3 Q + 2 K);
// R (2 Q + 4 K), what is read again coming from the second-level cache. Operations per pair
// of query and key: heads*width times 4, 6 R and 8 R, and 1, R and R exponentials a head.
#include "attention_forward.cuh"

namespace attention {

// PASSING is how many rows of the other side pass by at a time.
constexpr int PASSING = 16;
constexpr int PASSED = PASSING / SHARE;  // of these, a thread's

// Statistics is what is kept of each query's softmax.
struct Statistics {
  const float *top, *inverse, *delta;
};

// zero is where the statistics of the sequence's first query lie, for a variant, or one of a
// stack, and a chunk. Each chunk has its own: it sums the scores in an order of its own, and
// weights are exact only for a maximum and a sum of the very same scores.
__device__ __forceinline__ long long zero(const Problem &p, const Site &at, long long variant,
                                          int chunk) {
  return ((variant * p.heads + at.head) * at.chunks + chunk) * at.q_rows + at.query;
}

// Row is the statistics of one query.
struct Row {
  float top, inverse, delta;
};

// statistics_of reads those of query i of the sequence. Behind the last query they are such
// as to make no difference, there being nothing visible.
__device__ __forceinline__ Row statistics_of(const Statistics &s, const Problem &p, const Site &at,
                                             int i) {
  Row r = {0, 1, 0};
  if (i >= at.queries) return r;
  r.top = s.top[zero(p, at, at.variant, at.chunk) + i];
  r.inverse = s.inverse[zero(p, at, at.variant, at.chunk) + i];
  for (int c = 0; c < at.chunks; c++) r.delta += s.delta[zero(p, at, at.stack, c) + i];
  return r;
}

template <int D>
__device__ __forceinline__ void statistics(float *tops, float *inverses, float *deltas,
                                           const Problem &p, const float *dy, int stack) {
  const Site at = locate(p, blockIdx.x, p.q_max, D);
  const int first = at.tile * ROWS;
  if (first >= at.queries) return;
  Context<D> c;
  attend(c, p, at);
  const Columns cut = columns(p, at, at.chunk, D, p.width % 4 == 0 && aligned16(dy));
#pragma unroll
  for (int r = 0; r < OWN; r++) {
    const float sum = row_sum(c.sum[r]), inverse = sum == 0 ? 0.f : 1 / sum;
    const int i = first + own_row(r);
    const bool writes = i < at.queries && column() == 0;
    if (writes) {
      tops[zero(p, at, at.variant, at.chunk) + i] = c.top[r];
      inverses[zero(p, at, at.variant, at.chunk) + i] = inverse;
    }
    for (int part = 0; part < stack; part++) {
      const long long variant = (long long)part * p.variants + at.variant;
      const float *row = dy + (variant * at.q_rows + at.query + i) * cut.stride + cut.from;
      float delta = 0;
#pragma unroll
      for (int n = 0; n < D / 32; n++) {
        if (i >= at.queries || inverse == 0) continue;
        const float4 y = load_four(row, 32 * n + 4 * column(), cut);
        delta += dot(times(c.values[r][n], inverse), y);
      }
      delta = row_sum(delta);
      if (writes) deltas[zero(p, at, variant, at.chunk) + i] = delta;
    }
  }
}

// Slope is a weight of the softmax and the gradient to its score, without scale.
struct Slope {
  float weight, score;
};

// slope is that of query i and key j, whose product is s, and d that of dy and the value.
// Both are 0 where the query does not see the key, or no key at all: d may be NaN there.
__device__ __forceinline__ Slope slope(const Problem &p, const Site &at, const Row &row, float s,
                                       float d, int i, int j) {
  if (!visible(p, at, i, j) || row.inverse == 0) return {0, 0};
  const float weight = exponential(biased(p, at, s, i, j), row.top) * row.inverse;
  return {weight, weight * (d - row.delta)};
}

template <int D>
__device__ __forceinline__ void gradient_queries(float *dq, const float *dy, const Problem &p,
                                                 const Statistics &kept) {
  __shared__ Tile<ROWS, D> q, gradient;
  __shared__ Tile<PASSING, D> k, v;
  __shared__ Tile<ROWS, PASSING> slopes;

  const Site at = locate(p, blockIdx.x, p.q_max, D);
  const int first = at.tile * ROWS, rows = min(ROWS, at.queries - first);
  if (rows <= 0) return;
  const bool wide = p.width % 4 == 0 && aligned16(p.q, p.k, p.v, dy);
  const int keys = p.causal ? min(at.keys, first + rows) : at.keys;
  const long long q_row = (long long)at.variant * at.q_rows + at.query + first;
  const long long k_row = (long long)at.variant * at.k_rows + at.key;
  const long long dy_row = at.stack * at.q_rows + at.query + first;

  auto load = [&](int key, int chunk) {
    const Columns cut = columns(p, at, chunk, D, wide);
    if (at.chunks > 1 || key == 0) {
      copy_rows(q, p.q, q_row, rows, cut);
      copy_rows(gradient, dy, dy_row, rows, cut);
    }
    copy_rows(k, p.k, k_row + key, at.keys - key, cut);
    copy_rows(v, p.v, k_row + key, at.keys - key, cut);
    __pipeline_commit();
  };

  Row row[OWN];
#pragma unroll
  for (int r = 0; r < OWN; r++) row[r] = statistics_of(kept, p, at, first + own_row(r));
  float s[OWN][PASSED], d[OWN][PASSED];
  float4 sum[OWN][D / 32];
  clear(sum);
  int key = 0, chunk = (at.chunk + 1) % at.chunks;
  load(key, chunk);
  while (key < keys) {
    const bool last = chunk == at.chunk;
    const int top_row = first + warp_row();
    const bool busy = top_row < at.queries && !(p.causal && key >= top_row + WARP_ROWS);
    if (chunk == (at.chunk + 1) % at.chunks) {
      clear(s);
      clear(d);
    }
    __pipeline_wait_prior(0);
    __syncthreads();
    if (busy) {
      add_scores(s, q, k);
      add_scores(d, gradient, v);
    }
    if (last && busy) {
#pragma unroll
      for (int r = 0; r < OWN; r++) {
#pragma unroll
        for (int n = 0; n < PASSED; n++) {
          const int j = column() + SHARE * n;
          slopes.at[own_row(r)][j] =
              slope(p, at, row[r], s[r][n], d[r][n], first + own_row(r), key + j).score;
        }
      }
      __syncwarp();
      add_limited<UP_TO>(sum, slopes, k, first - key, p.causal);
    }
    __syncthreads();
    if (last) key += PASSING;
    chunk = (chunk + 1) % at.chunks;
    if (key < keys) load(key, chunk);
  }

  const Columns cut = columns(p, at, at.chunk, D, p.width % 4 == 0 && aligned16(dq));
#pragma unroll
  for (int r = 0; r < OWN; r++) {
    if (own_row(r) >= rows) continue;
    float *to = dq + (dy_row + own_row(r)) * cut.stride + cut.from;
#pragma unroll
    for (int n = 0; n < D / 32; n++) {
      // A query that sees no key gets 0 even from keys that are NaN.
      const float4 x = row[r].inverse == 0 ? make_float4(0, 0, 0, 0) : times(sum[r][n], p.scale);
      store_four(to, 32 * n + 4 * column(), cut, x);
    }
  }
}

template <int D>
__device__ __forceinline__ void gradient_keys(float *dk, float *dv, const float *dy,
                                              const Problem &p, const Statistics &kept) {
  __shared__ Tile<ROWS, D> k, v;
  __shared__ Tile<PASSING, D> q, gradient;
  __shared__ Tile<ROWS, PASSING> weights;  // those of the softmax, then those of its scores

  const Site at = locate(p, blockIdx.x, p.k_max, D);
  const int first = at.tile * ROWS, rows = min(ROWS, at.keys - first);
  if (rows <= 0) return;
  const bool wide = p.width % 4 == 0 && aligned16(p.q, p.k, p.v, dy);
  const long long q_row = (long long)at.variant * at.q_rows + at.query;
  const long long k_row = (long long)at.variant * at.k_rows + at.key + first;
  const long long dy_row = at.stack * at.q_rows + at.query;
  const long long dk_row = at.stack * at.k_rows + at.key + first;
  const int start = p.causal ? first : 0;  // the first query that sees any of the keys

  Row row[PASSED];
  auto load = [&](int query, int chunk) {
    const Columns cut = columns(p, at, chunk, D, wide);
    if (at.chunks > 1 || query == start) {
      copy_rows(k, p.k, k_row, rows, cut);
      copy_rows(v, p.v, k_row, rows, cut);
    }
    copy_rows(q, p.q, q_row + query, at.queries - query, cut);
    copy_rows(gradient, dy, dy_row + query, at.queries - query, cut);
    __pipeline_commit();
#pragma unroll
    for (int n = 0; n < PASSED; n++) {
      row[n] = statistics_of(kept, p, at, query + column() + SHARE * n);
    }
  };

  float s[OWN][PASSED], d[OWN][PASSED];
  float4 k_sum[OWN][D / 32], v_sum[OWN][D / 32];
  clear(k_sum);
  clear(v_sum);
  int query = start, chunk = (at.chunk + 1) % at.chunks;
  if (query < at.queries) load(query, chunk);
  while (query < at.queries) {
    const bool last = chunk == at.chunk;
    const int top_row = first + warp_row();
    const bool busy = top_row < at.keys && !(p.causal && query + PASSING <= top_row);
    if (chunk == (at.chunk + 1) % at.chunks) {
      clear(s);
      clear(d);
    }
    __pipeline_wait_prior(0);
    // A query that sees no key sends 0, even if it or its gradient is NaN.
    if (__syncthreads_or(row[0].inverse == 0 || row[PASSED - 1].inverse == 0)) {
#pragma unroll
      for (int n = 0; n < PASSED; n++) {
        if (row[n].inverse != 0) continue;
        for (int c = threadIdx.x / SHARE; c < D; c += THREADS / SHARE) {
          q.at[column() + SHARE * n][c] = gradient.at[column() + SHARE * n][c] = 0;
        }
      }
      __syncthreads();
    }
    if (busy) {
      add_scores(s, k, q);
      add_scores(d, v, gradient);
    }
    if (last && busy) {
#pragma unroll
      for (int r = 0; r < OWN; r++) {
#pragma unroll
        for (int n = 0; n < PASSED; n++) {
          const int i = column() + SHARE * n;
          const Slope x = slope(p, at, row[n], s[r][n], d[r][n], query + i, first + own_row(r));
          weights.at[own_row(r)][i] = x.weight;
          d[r][n] = x.score;
        }
      }
      __syncwarp();
      add_limited<FROM>(v_sum, weights, gradient, first - query, p.causal);
      __syncwarp();
#pragma unroll
      for (int r = 0; r < OWN; r++) {
#pragma unroll
        for (int n = 0; n < PASSED; n++) weights.at[own_row(r)][column() + SHARE * n] = d[r][n];
      }
      __syncwarp();
      add_limited<FROM>(k_sum, weights, q, first - query, p.causal);
    }
    __syncthreads();
    if (last) query += PASSING;
    chunk = (chunk + 1) % at.chunks;
    if (query < at.queries) load(query, chunk);
  }

  const Columns cut = columns(p, at, at.chunk, D, p.width % 4 == 0 && aligned16(dk, dv));
#pragma unroll
  for (int r = 0; r < OWN; r++) {
    if (own_row(r) >= rows) continue;
    const long long to = (dk_row + own_row(r)) * cut.stride + cut.from;
#pragma unroll
    for (int n = 0; n < D / 32; n++) {
      store_four(dk + to, 32 * n + 4 * column(), cut, times(k_sum[r][n], p.scale));
      store_four(dv + to, 32 * n + 4 * column(), cut, v_sum[r][n]);
    }
  }
}

}  // namespace attention

// The kernel for keys has two sums for each of its columns: with three blocks on a
// multiprocessor it would spill registers.
#define OPTIN_ATTENTION_BACKWARD(D)                                                               \
  extern "C" __global__ void __launch_bounds__(attention::THREADS, 3)                             \
      optin_attention_statistics_d##D##_f32(                                                      \
          float *top, float *inverse, float *delta, const float *dy, const float *q,              \
          const float *k, const float *v, const int *q_offsets, const int *k_offsets,             \
          const float *bias, const float *key_bias, int stack, int variants, int sequences,       \
          int heads, int width, int q_max, int k_max, int key_bias_rows, float scale,             \
          int causal) {                                                                           \
    attention::statistics<D>(top, inverse, delta,                                                 \
                             {q, k, v, q_offsets, k_offsets, bias, key_bias, variants, sequences, \
                              heads, width, q_max, k_max, key_bias_rows, scale, causal != 0},     \
                             dy, stack);                                                          \
  }                                                                                               \
  extern "C" __global__ void __launch_bounds__(attention::THREADS, 3)                             \
      optin_attention_backward_queries_d##D##_f32(                                                \
          float *dq, const float *dy, const float *q, const float *k, const float *v,             \
          const float *top, const float *inverse, const float *delta, const int *q_offsets,       \
          const int *k_offsets, const float *bias, const float *key_bias, int variants,           \
          int sequences, int heads, int width, int q_max, int k_max, int key_bias_rows,           \
          float scale, int causal) {                                                              \
    attention::gradient_queries<D>(                                                               \
        dq, dy,                                                                                   \
        {q, k, v, q_offsets, k_offsets, bias, key_bias, variants, sequences, heads, width, q_max, \
         k_max, key_bias_rows, scale, causal != 0},                                               \
        {top, inverse, delta});                                                                   \
  }                                                                                               \
  extern "C" __global__ void __launch_bounds__(attention::THREADS, 2)                             \
      optin_attention_backward_keys_d##D##_f32(                                                   \
          float *dk, float *dv, const float *dy, const float *q, const float *k, const float *v,  \
          const float *top, const float *inverse, const float *delta, const int *q_offsets,       \
          const int *k_offsets, const float *bias, const float *key_bias, int variants,           \
          int sequences, int heads, int width, int q_max, int k_max, int key_bias_rows,           \
          float scale, int causal) {                                                              \
    attention::gradient_keys<D>(                                                                  \
        dk, dv, dy,                                                                               \
        {q, k, v, q_offsets, k_offsets, bias, key_bias, variants, sequences, heads, width, q_max, \
         k_max, key_bias_rows, scale, causal != 0},                                               \
        {top, inverse, delta});                                                                   \
  }

OPTIN_ATTENTION_BACKWARD(32)
OPTIN_ATTENTION_BACKWARD(64)
