// Token merging (Bolya et al., Token Merging: Your ViT But Faster, ICLR 2023): in each packed
// sequence the tokens at even places are matched with those at odd places, and the most
// similar pairs become one token each. offsets [B + 1]: sequence b of a variant is rows
// offsets[b] to offsets[b + 1] of it, and rows are those of V variants, offsets[B] each.
//
//   1. NormalizeRows of what similarity is taken of
//   2. optin_match_f32     each even token's best partner, and how similar they are
//   3. optin_top_k_f32     the order of these similarities in the sequence
//   4. optin_merge_i32     where each token goes, for ScatterMean
#include "rows.cuh"
#include "tile.cuh"

#define MATCH_TILE 32
#define LOWEST (-3.402823466e38f)  // the least finite float

// better says whether a, at place i, is preferred to b, at place j: the larger, and of equal
// ones the first. NaN is less than anything.
__device__ __forceinline__ bool better(float a, int i, float b, int j) {
  if (a != a || b != b) return a == a || (b != b && i < j);
  return a > b || (a == b && i < j);
}

// Stretch is the rows of a sequence, sequences being numbered through all variants.
struct Stretch {
  int begin, length;
};

__device__ __forceinline__ Stretch stretch_of(const int *offsets, int B, int sequence) {
  const int from = offsets[sequence % B];
  return {sequence / B * offsets[B] + from, offsets[sequence % B + 1] - from};
}

// score [rows] and partner [rows]: for each token at an even place of its sequence the largest
// product of its row of x [rows, C] with that of a token at an odd place, and that token's row
// (the first of equal ones); the lowest finite number and the first of these where no product
// is larger, or all are NaN. The first keep tokens of a sequence take no part. Those that do
// not, tokens at odd places and those that find none there have the score -Inf and are their
// own partners.
// Launch: grid (ceil(longest / 64), V B)  block 256, V B at most 65535
// Moves 4 C bytes a token, and as many a tile of 32 partners, mostly from the second-level
// cache; T^2 C / 4 multiply-adds a sequence of T tokens.
extern "C" __global__ void __launch_bounds__(TILE_THREADS)
    optin_match_f32(float *__restrict__ score, int *__restrict__ partner,
                    const float *__restrict__ x, const int *__restrict__ offsets, int B, int C,
                    int keep) {
  const Stretch tokens = stretch_of(offsets, B, blockIdx.y);
  const int begin = tokens.begin, length = tokens.length;
  const int first = 2 * MATCH_TILE * blockIdx.x;  // place of the tile's first even token
  if (first >= length) return;
  const int odd = keep | 1;  // the first place that takes others in
  float best[2] = {LOWEST, LOWEST};
  int at[2] = {odd, odd};
  for (int other = odd; other < length; other += 2 * MATCH_TILE) {
    float acc[2][2] = {};
    const auto element = [&](int place, int k) {
      return place < length ? x[(long long)(begin + place) * C + k] : 0.f;
    };
    product_tile<2, true, true>(
        acc, C, [&](int i, int k) { return element(first + 2 * i, k); },
        [&](int j, int k) { return element(other + 2 * j, k); });
#pragma unroll
    for (int i = 0; i < 2; i++) {
#pragma unroll
      for (int j = 0; j < 2; j++) {
        const int place = other + 2 * tile_column<2>(j);
        if (place >= length || !better(acc[i][j], place, best[i], at[i])) continue;
        best[i] = acc[i][j];
        at[i] = place;
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 2; i++) {
    for (int o = 8; o; o >>= 1) {  // the 16 lanes that have this row
      const float v = __shfl_xor_sync(ALL_LANES, best[i], o, 16);
      const int place = __shfl_xor_sync(ALL_LANES, at[i], o, 16);
      if (!better(v, place, best[i], at[i])) continue;
      best[i] = v;
      at[i] = place;
    }
    const int own = first + 2 * tile_row<2>(i);
    if (threadIdx.x % 16 != 0 || own >= length) continue;
    const bool matched = own >= keep && odd < length;
    score[begin + own] = matched ? best[i] : -INFINITY;
    partner[begin + own] = begin + (matched ? at[i] : own);
    if (own + 1 >= length) continue;
    score[begin + own + 1] = -INFINITY;
    partner[begin + own + 1] = begin + own + 1;
  }
}

// place [rows]: where each row's score comes in its sequence in descending order, from 0, equal
// ones in the order of the rows and NaN last. best [V newOffsets[B]]: the rows of the first
// newOffsets[b + 1] - newOffsets[b] in that order. Either may be null, and newOffsets with best.
// Launch: grid (ceil(longest / 256), V B)  block 256, V B at most 65535
// Moves 4 T^2 bytes a sequence of T rows from the first-level cache; 3 T^2 operations.
extern "C" __global__ void __launch_bounds__(256)
    optin_top_k_f32(int *__restrict__ place, int *__restrict__ best,
                    const float *__restrict__ score, const int *__restrict__ offsets,
                    const int *__restrict__ newOffsets, int B) {
  const Stretch rows = stretch_of(offsets, B, blockIdx.y);
  const Stretch kept = best ? stretch_of(newOffsets, B, blockIdx.y) : Stretch{0, 0};
  const int begin = rows.begin, length = rows.length;
  const int step = gridDim.x * blockDim.x, first = blockIdx.x * blockDim.x + threadIdx.x;
  for (int i = first; i < length; i += step) {
    const float own = score[begin + i];
    int before = 0;
    for (int j = 0; j < length; j++) before += better(score[begin + j], j, own, i);
    if (place) place[begin + i] = before;
    if (before < kept.length) best[kept.begin + before] = begin + i;
  }
}

// idx [rows]: the row of the merged sequences (newOffsets [B + 1]) into which each row goes:
// those with place < removed[b] into their partner's, the others, which keep their order, into
// one of their own. removed[b] = length of b before - behind, at most the number of tokens of b
// that have a partner.
// Launch: grid V B  block 256
// Moves 16 bytes a row; 12 operations and a prefix sum.
extern "C" __global__ void __launch_bounds__(256)
    optin_merge_i32(int *__restrict__ idx, const int *__restrict__ place,
                    const int *__restrict__ partner, const int *__restrict__ offsets,
                    const int *__restrict__ newOffsets, int B) {
  __shared__ int warps[8];
  const Stretch before = stretch_of(offsets, B, blockIdx.x);
  const Stretch behind = stretch_of(newOffsets, B, blockIdx.x);
  const int begin = before.begin, end = begin + before.length;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int removed = before.length - behind.length;
  int next = behind.begin;
  for (int from = begin; from < end; from += blockDim.x) {
    const int r = from + (int)threadIdx.x;
    const bool stays = r < end && place[r] >= removed;
    const unsigned votes = __ballot_sync(ALL_LANES, stays);
    if (lane == 0) warps[warp] = __popc(votes);
    __syncthreads();
    int earlier = __popc(votes & ((1u << lane) - 1)), all = 0;
    for (int w = 0; w < 8; w++) {
      if (w < warp) earlier += warps[w];
      all += warps[w];
    }
    if (stays) idx[r] = next + earlier;
    next += all;
    __syncthreads();  // warps has been read, and where partners go been written
  }
  for (int r = begin + (int)threadIdx.x; r < end; r += blockDim.x) {
    if (place[r] < removed) idx[r] = idx[partner[r]];
  }
}
