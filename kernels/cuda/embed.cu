// Embed: rows of a table by their ids.
#include "rows.cuh"

// dst [rows, C] = row ids[r] of table [vocabulary, C], plus row r of add [rows, C] (NULL:
// nothing). ids must be rows of the table: whoever uploads them checks that.
// Launch: grid ceil(rows / Y)  block (X, Y), X the least power of two that is at least
// ceil(C / 4), but at most 32, and Y = 256 / X; rows and C at least 1
// Moves 8 bytes an element (12 with add); one operation with add.
extern "C" __global__ void __launch_bounds__(256)
    optin_embed_f32(float *__restrict__ dst, const float *__restrict__ table,
                    const int *__restrict__ ids, const float *__restrict__ add, int rows, int C) {
  const long long r = (long long)blockIdx.x * blockDim.y + threadIdx.y;
  if (r >= rows) return;
  const bool wide = C % 4 == 0 && aligned16(dst, table, add);
  const float *from = table + (long long)ids[r] * C;
#pragma unroll 4
  for (long long c = 4 * threadIdx.x; c < C; c += 4 * blockDim.x) {
    pack p = load_pack(from, c, C, wide);
    if (add) {
      const pack q = load_pack(add + r * C, c, C, wide);
#pragma unroll
      for (int k = 0; k < 4; k++) p.at[k] += q.at[k];
    }
    store_pack(dst + r * C, c, C, p, wide);
  }
}
