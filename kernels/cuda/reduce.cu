// Sums: SumRows, UnitSums, SquaredNorm, and the second passes that add up what blocks of a
// first pass have summed. Nothing is added in an order that depends on timing. Sums are in
// double precision.
#include "columns.cuh"

// dst[c] += sum over p of partial[p stride + c], for c < C.
// Launch: grid ceil(C / 256)  block 256
// Moves 8 chunks + 8 bytes a column; chunks operations in double precision.
extern "C" __global__ void __launch_bounds__(256)
    optin_add_columns_f32(float *__restrict__ dst, const double *__restrict__ partial, int chunks,
                          long long stride, long long C) {
  const long long c = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= C) return;
  double sum = 0;
#pragma unroll 4
  for (int p = 0; p < chunks; p++) sum += partial[p * stride + c];
  dst[c] = (float)(dst[c] + sum);
}

// dst[c] += sum over r of x[r, c] for x [rows, C]: SumRows of x [m*n, C'] to dst [n, C'] with
// rows = m and C = n C'.
// Launch: grid (ceil(C / 128), chunks)  block (32, 8), rows and C at least 1, with
//   chunks = min(ceil(rows / 64), max(1, floor(512 / ceil(C / 128))))
// With one chunk dst is ready and partial not used (NULL will do). Else partial [chunks, C]
// (double) gets the sums of the chunks and dst stays: optin_add_columns_f32(dst, partial,
// chunks, C, C) adds them.
// Moves 4 bytes an element; one operation in double precision.
extern "C" __global__ void __launch_bounds__(256)
    optin_sum_rows_f32(float *__restrict__ dst, double *__restrict__ partial,
                       const float *__restrict__ x, int rows, long long C) {
  const bool wide = C % 4 == 0 && aligned16(x);
  double out[1];
  column_sums(out, rows, C, [&](double(&sums)[1][4], long long r, long long c) {
    const pack p = load_pack(x + r * C, c, C, wide);
#pragma unroll
    for (int k = 0; k < 4; k++) sums[0][k] += p.at[k];
  });
  const long long c = own_column(C);
  if (c >= C) return;
  if (gridDim.y == 1) {
    dst[c] = (float)(dst[c] + out[0]);
  } else {
    partial[blockIdx.y * C + c] = out[0];
  }
}

// partial [segments, chunks, C] (double): for each segment of rows and column, the sum of x y
// over chunk p of the segment's rows in all copies: the first pass of UnitSums.
// x is copies of span rows, y the same of its first of them, which repeat: yCopies divides
// copies. Segment s is rows offsets[s] to offsets[s+1] of span (offsets NULL: all of them).
// Launch: grid (ceil(C / 128), chunks, segments)  block (32, 8), segments at most 65535 and
// C at least 1, with, longest being the rows of the longest segment (span without offsets),
//   chunks = min(max(1, ceil(copies longest / 64)), max(1, floor(512 / (ceil(C / 128) segments))))
// Moves 4 bytes an element of x and of y; a product and a sum in double precision.
extern "C" __global__ void __launch_bounds__(256)
    optin_unit_products_f32(double *__restrict__ partial, const float *__restrict__ x,
                            const float *__restrict__ y, const int *__restrict__ offsets, int span,
                            int copies, int yCopies, int C) {
  const int segment = blockIdx.z;
  const int begin = offsets ? offsets[segment] : 0;
  const int length = (offsets ? offsets[segment + 1] : span) - begin;
  const bool wide = C % 4 == 0 && aligned16(x, y);
  double out[1];
  column_sums(
      out, (long long)copies * length, C, [&](double(&sums)[1][4], long long q, long long c) {
        const int copy = (int)(q / length);
        const long long at = begin + q % length;
        const pack p = load_pack(x + ((long long)copy * span + at) * C, c, C, wide);
        const pack d = load_pack(y + ((long long)(copy % yCopies) * span + at) * C, c, C, wide);
#pragma unroll
        for (int k = 0; k < 4; k++) sums[0][k] += (double)p.at[k] * d.at[k];
      });
  const long long c = own_column(C);
  if (c < C) partial[((long long)segment * gridDim.y + blockIdx.y) * C + c] = out[0];
}

// unit_sum is the sum over the chunks and the columns of an output, a unit of a segment, by the
// calling thread's warp.
__device__ __forceinline__ double unit_sum(const double *partial, long long output, int chunks,
                                           int units, int width) {
  const long long C = (long long)units * width;
  const long long segment = output / units, column = output % units * width;
  const long long terms = (long long)chunks * width;
  double sum = 0;
  for (long long t = threadIdx.x; t < terms; t += 32) {
    sum += partial[(segment * chunks + t / width) * C + column + t % width];
  }
  return warp_sum(sum);
}

// dst [segments, units] += the sums of partial by optin_unit_products_f32 over the chunks and
// over the units' width = C / units neighbouring columns; dst is float or double.
// Launch: grid ceil(segments units / 8)  block (32, 8), units at least 1
// Moves 8 chunks width bytes an element of dst; as many operations in double precision / 8.
extern "C" __global__ void __launch_bounds__(256)
    optin_unit_sums_f32(float *__restrict__ dst, const double *__restrict__ partial, int segments,
                        int chunks, int units, int width) {
  const long long output = (long long)blockIdx.x * 8 + threadIdx.y;
  if (output >= (long long)segments * units) return;
  const double sum = unit_sum(partial, output, chunks, units, width);
  if (threadIdx.x == 0) dst[output] = (float)(dst[output] + sum);
}

extern "C" __global__ void __launch_bounds__(256)
    optin_unit_sums_f64(double *__restrict__ dst, const double *__restrict__ partial, int segments,
                        int chunks, int units, int width) {
  const long long output = (long long)blockIdx.x * 8 + threadIdx.y;
  if (output >= (long long)segments * units) return;
  const double sum = unit_sum(partial, output, chunks, units, width);
  if (threadIdx.x == 0) dst[output] += sum;
}

// partial [blocks] (double): sums of x^2 over n elements.
// Launch: grid blocks = min(ceil(n / 8192), 1024)  block 256, n at least 1; then
// optin_add_sums_f64(dst, partial, blocks) with one output.
// Moves 4 bytes an element; a product and a sum in double precision.
extern "C" __global__ void __launch_bounds__(256)
    optin_squared_norm_f64(double *__restrict__ partial, const float *__restrict__ x, long long n) {
  const bool wide = aligned16(x);
  const long long step = 4LL * blockDim.x * gridDim.x;
  double sum = 0;
#pragma unroll 4
  for (long long i = 4 * ((long long)blockIdx.x * blockDim.x + threadIdx.x); i < n; i += step) {
    const pack p = load_pack(x, i, n, wide && i + 4 <= n);
#pragma unroll
    for (int k = 0; k < 4; k++) sum += (double)p.at[k] * p.at[k];
  }
  sum = team_sum<256>(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// dst[o] += sum of partial[o count] to partial[(o+1) count - 1]: the second pass of losses.
// Launch: grid outputs  block 256
// Moves 8 bytes a term; one operation in double precision.
extern "C" __global__ void __launch_bounds__(256)
    optin_add_sums_f64(double *__restrict__ dst, const double *__restrict__ partial,
                       long long count) {
  const double *from = partial + blockIdx.x * count;
  double sum = 0;
#pragma unroll 4
  for (long long i = threadIdx.x; i < count; i += blockDim.x) sum += from[i];
  sum = team_sum<256>(sum);
  if (threadIdx.x == 0) dst[blockIdx.x] += sum;
}
