// Masked attention over variants and packed sequences of different lengths, without a matrix
// of scores in memory: online softmax (Milakov and Gimelshein, 2018) over tiles (Dao et al.,
// FlashAttention, 2022), all in float32.
//
//   y = mask softmax(scale q k' + bias + key_bias) v      per head and sequence
//
// Query i of a causal call sees keys 0 to i of its sequence. A query all of whose keys are
// hidden (a bias of -Inf) gives 0 times its head's mask.
//
// Arguments: y, q [variants*Q, heads*width], k, v [variants*K, heads*width], offsets of the
// sequences in the Q and K rows of a variant [sequences+1]; head_mask [mask_rows, heads],
// mask_rows dividing variants, null: all ones; bias [heads*q_max, k_max] or null; key_bias
// [key_bias_rows], K or variants*K, or null; q_max and k_max are the longest sequences.
//
// Launch: block 128; grid variants * sequences * heads * ceil(width/D) * ceil(q_max/64)
// blocks in x, which must be at most 2^31-1; nothing to launch where that is 0. D is in the
// kernel's name: d32 for width up to 32, d64 for all others. Static shared memory: 44032
// bytes (d64), 27648 (d32).
// Bytes: 4 heads*width (2 Q + 2 K ceil(q_max/64)) per variant, keys and values that are read
// again coming from the second-level cache. Operations: 4 heads*width per pair of query and
// key that the query may see, rounded up to 16 queries by 32 keys, and an exponential per
// pair and head. With more than one chunk the scores' half of these is computed in each.
#include "attention_forward.cuh"

namespace attention {

template <int D>
__device__ __forceinline__ void forward(float *y, const Problem &p, const float *head_mask,
                                        int mask_rows) {
  const Site at = locate(p, blockIdx.x, p.q_max, D);
  const int first = at.tile * ROWS;
  if (first >= at.queries) return;
  Context<D> c;
  attend(c, p, at);
  float mask = 1;
  if (head_mask) {
    mask = head_mask[(long long)(at.variant / (p.variants / mask_rows)) * p.heads + at.head];
  }
  const Columns cut = columns(p, at, at.chunk, D, p.width % 4 == 0 && aligned16(y));
#pragma unroll
  for (int r = 0; r < OWN; r++) {
    const float sum = row_sum(c.sum[r]);
    const int i = first + own_row(r);
    if (i >= at.queries) continue;
    float *row = y + ((long long)at.variant * at.q_rows + at.query + i) * cut.stride + cut.from;
#pragma unroll
    for (int n = 0; n < D / 32; n++) {
      const float4 mean = sum == 0 ? make_float4(0, 0, 0, 0) : times(c.values[r][n], 1 / sum);
      store_four(row, 32 * n + 4 * column(), cut, times(mean, mask));
    }
  }
}

}  // namespace attention

#define OPTIN_ATTENTION(D)                                                                        \
  extern "C" __global__ void __launch_bounds__(attention::THREADS, 3) optin_attention_d##D##_f32( \
      float *y, const float *q, const float *k, const float *v, const int *q_offsets,             \
      const int *k_offsets, const float *head_mask, const float *bias, const float *key_bias,     \
      int variants, int sequences, int heads, int width, int q_max, int k_max, int mask_rows,     \
      int key_bias_rows, float scale, int causal) {                                               \
    attention::forward<D>(y,                                                                      \
                          {q, k, v, q_offsets, k_offsets, bias, key_bias, variants, sequences,    \
                           heads, width, q_max, k_max, key_bias_rows, scale, causal != 0},        \
                          head_mask, mask_rows);                                                  \
  }

OPTIN_ATTENTION(32)
OPTIN_ATTENTION(64)
