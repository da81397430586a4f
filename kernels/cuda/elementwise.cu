// Element-wise operations: all are bound by memory, and each reads and writes every element
// once, 16 bytes at a time where addresses and sizes allow. n is a number of elements; a
// matrix is (rows, cols), row-major; an address that may be NULL says so. dst may be src or
// x, but may not overlap anything otherwise.
//
// Launch, unless said otherwise: blocks of 256 threads,
//   flat kernels   (n):       grid x = ceil(n/1024), at most 2^20; any grid is right
//   row kernels    (rows, C): grid x = ceil(C/1024), at most 2^20, y = min(rows, 65535)
// No shared memory, unless said otherwise. Operations: one an element, unless said otherwise.
#include "activation.cuh"
#include "pack.cuh"

// each_flat writes f(src[i]) to dst[i].
template <class F>
__device__ void each_flat(float *dst, const float *src, long long n, F f) {
  const long long first = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  const long long step = (long long)gridDim.x * blockDim.x;
  const long long packs = aligned16(dst, src) ? n / 4 : 0;
  for (long long i = first; i < packs; i += step) {
    Pack<4> v = load<4>(src + 4 * i);
    for (int k = 0; k < 4; k++) v.at[k] = f(v.at[k]);
    store(dst + 4 * i, v);
  }
  for (long long i = 4 * packs + first; i < n; i += step) dst[i] = f(src[i]);
}

// Bytes: 8n. Operations: up to an erf or a tanh, and 8 others. dst = act(src).
extern "C" __global__ void optin_activate_f32(float *dst, const float *src, int act, long long n) {
  each_flat(dst, src, n, [act](float x) { return activate(act, x); });
}

// Bytes: 8n. Operations: up to an erf, an exponential and 15 others. dst = act'(src).
extern "C" __global__ void optin_derivative_f32(float *dst, const float *src, int act,
                                                long long n) {
  each_flat(dst, src, n, [act](float x) { return derivative(act, x); });
}

// Bytes: 8n. dst = factor src.
extern "C" __global__ void optin_scale_f32(float *dst, const float *src, float factor,
                                           long long n) {
  each_flat(dst, src, n, [factor](float x) { return factor * x; });
}

// each_row calls f(row, column) with the first of every N neighbouring columns.
template <int N, class F>
__device__ __forceinline__ void each_row(long long rows, long long cols, F f) {
  const long long first = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * N;
  const long long step = (long long)gridDim.x * blockDim.x * N;
  for (long long r = blockIdx.y; r < rows; r += gridDim.y) {
    for (long long c = first; c < cols; c += step) f(r, c);
  }
}

// combine writes f(x, y) to dst for x of repeats times period elements and y of period.
template <int N, class F>
__device__ __forceinline__ void combine(float *dst, const float *x, const float *y,
                                        long long repeats, long long period, F f) {
  each_row<N>(repeats, period, [=](long long r, long long c) {
    Pack<N> v = load<N>(x + r * period + c);
    const Pack<N> w = load<N>(y + c);
    for (int k = 0; k < N; k++) v.at[k] = f(v.at[k], w.at[k]);
    store(dst + r * period + c, v);
  });
}

template <class F>
__device__ __forceinline__ void combine_any(float *dst, const float *x, const float *y,
                                            long long repeats, long long period, F f) {
  if (period % 4 == 0 && aligned16(dst, x, y)) {
    combine<4>(dst, x, y, repeats, period, f);
  } else {
    combine<1>(dst, x, y, repeats, period, f);
  }
}

// Bytes: 4 (2 repeats + 1) period. dst[r, i] = x[r, i] + y[i]. A row kernel (repeats, period).
extern "C" __global__ void optin_add_f32(float *dst, const float *x, const float *y,
                                         long long repeats, long long period) {
  combine_any(dst, x, y, repeats, period, [](float a, float b) { return a + b; });
}

// Bytes and launch: as optin_add_f32. dst[r, i] = x[r, i] y[i].
extern "C" __global__ void optin_multiply_f32(float *dst, const float *x, const float *y,
                                              long long repeats, long long period) {
  combine_any(dst, x, y, repeats, period, [](float a, float b) { return a * b; });
}

template <int N>
__device__ __forceinline__ void repeat(float *dst, const float *src, long long repeats,
                                       long long period) {
  each_row<N>(repeats, period,
              [=](long long r, long long c) { store(dst + r * period + c, load<N>(src + c)); });
}

// Bytes: 4 (repeats + 1) period. No operation. dst[r, i] = src[i]. A row kernel (repeats,
// period).
extern "C" __global__ void optin_repeat_f32(float *dst, const float *src, long long repeats,
                                            long long period) {
  if (period % 4 == 0 && aligned16(dst, src)) {
    repeat<4>(dst, src, repeats, period);
  } else {
    repeat<1>(dst, src, repeats, period);
  }
}

// Bytes: 8 rows cols + 4 period. Operations: one, and a quotient of integers.
// dst[r, c] = x[r, c] y[r mod period]; y is (period). A row kernel (rows, cols).
extern "C" __global__ void optin_multiply_rows_f32(float *dst, const float *x, const float *y,
                                                   int rows, int cols, int period) {
  each_row<1>(rows, cols, [=](long long r, long long c) {
    dst[r * cols + c] = x[r * cols + c] * y[r % period];
  });
}

// What comes behind a product: dst = mask act(dst + bias) + residual.
struct Epilogue {
  float *dst;             // (rows, cols)
  const float *bias;      // (cols), or NULL
  const float *mask;      // (rows / span, cols / width), or NULL
  const float *residual;  // (rows, cols), or NULL
  int rows, cols, act, span, width;
};

template <int N>
__device__ __forceinline__ void apply(const Epilogue &e) {
  each_row<N>(e.rows, e.cols, [&e](long long r, long long c) {
    float *dst = e.dst + r * e.cols + c;
    Pack<N> v = load<N>(dst);
    if (e.bias) {
      const Pack<N> b = load<N>(e.bias + c);
      for (int k = 0; k < N; k++) v.at[k] += b.at[k];
    }
    for (int k = 0; k < N; k++) v.at[k] = activate(e.act, v.at[k]);
    if (e.mask) {
      const float *mask = e.mask + r / e.span * (e.cols / e.width);
      for (int k = 0; k < N; k++) v.at[k] *= mask[((int)c + k) / e.width];
    }
    if (e.residual) {
      const Pack<N> s = load<N>(e.residual + r * e.cols + c);
      for (int k = 0; k < N; k++) v.at[k] += s.at[k];
    }
    store(dst, v);
  });
}

// Bytes: 8 rows cols, 4 rows cols more with a residual, and bias and mask once. Operations:
// those of the activation, 3 and, with a mask, a quotient of integers.
// dst = mask act(dst + bias) + residual; see Epilogue. A row kernel (rows, cols).
extern "C" __global__ void optin_epilogue_f32(float *dst, const float *bias, const float *mask,
                                              const float *residual, int rows, int cols, int act,
                                              int span, int width) {
  const Epilogue e{dst, bias, mask, residual, rows, cols, act, span, width};
  if (cols % 4 == 0 && aligned16(dst, bias, residual)) {
    apply<4>(e);
  } else {
    apply<1>(e);
  }
}

template <int N>
__device__ __forceinline__ void mask_units(float *dst, const float *src, const float *mask,
                                           int rows, int cols, int span, int width) {
  const int units = cols / width;
  each_row<N>(rows, cols, [=](long long r, long long c) {
    Pack<N> v = load<N>(src + r * cols + c);
    const float *row = mask + r / span * units;
    for (int k = 0; k < N; k++) v.at[k] *= row[((int)c + k) / width];
    store(dst + r * cols + c, v);
  });
}

// Bytes: 8 rows cols, and the mask once. Operations: one, and a quotient of integers.
// dst[r, c] = src[r, c] mask[r / span, c / width]; mask is (rows / span, cols / width). A row
// kernel (rows, cols).
extern "C" __global__ void optin_mask_units_f32(float *dst, const float *src, const float *mask,
                                                int rows, int cols, int span, int width) {
  if (cols % 4 == 0 && aligned16(dst, src)) {
    mask_units<4>(dst, src, mask, rows, cols, span, width);
  } else {
    mask_units<1>(dst, src, mask, rows, cols, span, width);
  }
}

constexpr int TILE = 32, TILE_ROWS = 8;

// Bytes: 8 rows cols. No operation. dst = src', src being (rows, cols); dst may not be src.
// Launch: block (32, 8), grid x = ceil(cols/32), at most 2^20, y = min(ceil(rows/32), 65535).
// Static shared memory: 4224 bytes.
extern "C" __global__ void optin_transpose_f32(float *dst, const float *src, int rows, int cols) {
  __shared__ float tile[TILE][TILE + 1];  // a column of it lies in 32 banks
  for (long long r0 = (long long)blockIdx.y * TILE; r0 < rows; r0 += (long long)gridDim.y * TILE) {
    for (long long c0 = (long long)blockIdx.x * TILE; c0 < cols;
         c0 += (long long)gridDim.x * TILE) {
      for (int k = threadIdx.y; k < TILE; k += TILE_ROWS) {
        const long long r = r0 + k, c = c0 + threadIdx.x;
        if (r < rows && c < cols) tile[k][threadIdx.x] = src[r * cols + c];
      }
      __syncthreads();
      for (int k = threadIdx.y; k < TILE; k += TILE_ROWS) {
        const long long r = r0 + threadIdx.x, c = c0 + k;
        if (r < rows && c < cols) dst[c * rows + r] = tile[threadIdx.x][k];
      }
      __syncthreads();
    }
  }
}
