// The forward of attention up to its last division: what attention.cu finishes to the
// context and attention_backward.cu to the statistics of the softmax.
#pragma once

#include "attention.cuh"

namespace attention {

// KEYS is how many keys pass by at a time.
constexpr int KEYS = 32;

// Context is what a thread has of its rows: the running maximum of the scores, its own part
// of the sum of e^(score - maximum), and its columns of the values weighted by these.
template <int D>
struct Context {
  float top[OWN], sum[OWN];
  float4 values[OWN][D / 32];
};

template <int D>
__device__ __forceinline__ void begin(Context<D> &c) {
#pragma unroll
  for (int r = 0; r < OWN; r++) {
    c.top[r] = -INFINITY;
    c.sum[r] = 0;
  }
  clear(c.values);
}

// soften turns the products of a tile of keys from key on into weights, for the maximum
// after this tile, and brings what came before to it (Dao et al., 2022).
template <int D>
__device__ __forceinline__ void soften(Context<D> &c, float (&s)[OWN][KEYS / SHARE],
                                       Tile<ROWS, KEYS> &weights, const Problem &p, const Site &at,
                                       int key) {
#pragma unroll
  for (int r = 0; r < OWN; r++) {
    const int i = at.tile * ROWS + own_row(r);
    float top = c.top[r];
#pragma unroll
    for (int n = 0; n < KEYS / SHARE; n++) {
      const int j = key + column() + SHARE * n;
      s[r][n] = visible(p, at, i, j) ? biased(p, at, s[r][n], i, j) : -INFINITY;
      top = fmaxf(top, s[r][n]);
    }
    top = row_top(top);
    const float before = c.top[r] == top ? 1.f : expf(c.top[r] - top);
    c.top[r] = top;
    c.sum[r] *= before;
#pragma unroll
    for (int n = 0; n < D / 32; n++) c.values[r][n] = times(c.values[r][n], before);
#pragma unroll
    for (int n = 0; n < KEYS / SHARE; n++) {
      const float w = exponential(s[r][n], top);
      c.sum[r] += w;
      weights.at[own_row(r)][column() + SHARE * n] = w;
    }
  }
}

// attend computes a tile of 64 queries of a site; the sums of a row are still in parts. The
// values of a tile of keys travel while its scores are computed, the next keys while its
// values are added.
template <int D>
__device__ __forceinline__ void attend(Context<D> &c, const Problem &p, const Site &at) {
  __shared__ Tile<ROWS, D> q;
  __shared__ Tile<KEYS, D> k, v;
  __shared__ Tile<ROWS, KEYS> weights;

  const bool wide = p.width % 4 == 0 && aligned16(p.q, p.k, p.v);
  const int first = at.tile * ROWS, rows = min(ROWS, at.queries - first);
  const int keys = p.causal ? min(at.keys, first + rows) : at.keys;
  const long long q_row = (long long)at.variant * at.q_rows + at.query + first;
  const long long k_row = (long long)at.variant * at.k_rows + at.key;

  auto load = [&](int key, int chunk) {
    const Columns cut = columns(p, at, chunk, D, wide);
    if (at.chunks > 1 || key == 0) copy_rows(q, p.q, q_row, rows, cut);
    copy_rows(k, p.k, k_row + key, at.keys - key, cut);
    __pipeline_commit();
  };

  float s[OWN][KEYS / SHARE];
  begin(c);
  int key = 0, chunk = at.chunk + 1 < at.chunks ? at.chunk + 1 : 0;
  load(key, chunk);
  while (key < keys) {
    const bool last = chunk == at.chunk;
    const int row = first + warp_row();  // of queries, the warp's first
    const bool busy = row < at.queries && !(p.causal && key >= row + WARP_ROWS);
    if (chunk == (at.chunk + 1) % at.chunks) clear(s);
    __pipeline_wait_prior(0);
    __syncthreads();
    if (last) copy_rows(v, p.v, k_row + key, at.keys - key, columns(p, at, chunk, D, wide));
    __pipeline_commit();
    if (busy) add_scores(s, q, k);
    if (last && busy) soften(c, s, weights, p, at, key);
    __pipeline_wait_prior(0);
    __syncthreads();
    const int now = key;
    if (last) key += KEYS;
    chunk = chunk + 1 < at.chunks ? chunk + 1 : 0;
    if (key < keys) load(key, chunk);
    if (last && busy) add_limited<UP_TO>(c.values, weights, v, first - now, p.causal);
  }
}

}  // namespace attention
