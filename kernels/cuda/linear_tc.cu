// Linear on tensor cores in tf32, bfloat16 or float16, summed in float32, with the whole
// epilogue before the one store:
//
//   y = mask . act(x w' + bias) + residual
//
// x and y are float32; x is rounded to the format on its way to shared memory, to nearest.
// The weight is float32 for tf32, and else kept in the format (optin_to_bf16, optin_to_f16).
//
// Arguments: y, residual [rows, out], x [rows, in], w [out, in], bias [out], mask
// [rows/span, out/width]; bias, mask and residual may be null, in may be 0; span and width are
// ignored where there is no mask. y may be residual.
//
// Launch: two sizes of tile, in the names: _128 has blocks of 256 threads, _64 of 128; grid
// ceil(out/tile) * ceil(rows/tile) blocks in x, at most 2^31-1. Take _128 where it gives at
// least two blocks for each multiprocessor. Static shared memory: 40960 bytes and 20480.
// Bytes: rows in 4 + out in (4 or 2) + rows out (4, or 8 with a residual), tiles that are
// read again coming from the second-level cache: x ceil(out/tile) times, w ceil(rows/tile)
// times. Operations: 2 rows in out, rounded up to tiles and to 16 (tf32) or 32 columns of x.
#include "activation.cuh"
#include "pack.cuh"

namespace linear {

using namespace nvcuda;

// Format is what the tensor cores multiply: Element in memory, Kind in a fragment of depth K.
template <class T>
struct Format;
template <>
struct Format<float> {
  typedef wmma::precision::tf32 Kind;
  static constexpr int K = 8;
  static __device__ __forceinline__ float round(float v) { return wmma::__float_to_tf32(v); }
};
template <>
struct Format<half> {
  typedef half Kind;
  static constexpr int K = 16;
  static __device__ __forceinline__ half round(float v) { return __float2half_rn(v); }
  static __device__ __forceinline__ half round(half v) { return v; }
};
template <>
struct Format<__nv_bfloat16> {
  typedef __nv_bfloat16 Kind;
  static constexpr int K = 16;
  static __device__ __forceinline__ __nv_bfloat16 round(float v) { return __float2bfloat16_rn(v); }
  static __device__ __forceinline__ __nv_bfloat16 round(__nv_bfloat16 v) { return v; }
};

// Problem is the arguments of the kernels.
template <class T>
struct Problem {
  float *y;
  const float *x;
  const T *w;
  const float *bias, *mask, *residual;
  int rows, in, out, act, span, width;
};

// Vector is 16 bytes, or where 4 floats become 4 elements of T, fewer.
template <class T, int N>
struct __align__(sizeof(T) * N) Vector {
  T at[N];
};

// Layout is the sizes of a tile of SIDE rows by SIDE columns. A warp has 32 rows and half of
// the columns; rows of shared memory are 64 bytes of x or w and 16 between, so that those of
// a fragment fall into different banks.
template <class T, int SIDE>
struct Layout {
  static constexpr int WARPS = SIDE / 32 * 2;
  static constexpr int THREADS = 32 * WARPS;
  static constexpr int COLS = SIDE / 2;        // of a warp
  static constexpr int STEP = 64 / sizeof(T);  // columns of x at a time
  static constexpr int ROW = 80 / sizeof(T);   // from one row to the next
  static constexpr int FEW = 16 / sizeof(T);   // elements of w in 16 bytes
  static constexpr int X_LOADS = SIDE * STEP / 4 / THREADS;
  static constexpr int W_LOADS = SIDE * STEP / FEW / THREADS;
  static constexpr int STRIP = COLS + 4;  // from one row of a warp's result to the next

  // Two tiles of each, one to compute with and one to fill; and at last the results of 16
  // rows of each warp.
  union __align__(32) Shared {
    struct {
      T x[2][SIDE][ROW], w[2][SIDE][ROW];
    } tiles;
    float results[WARPS][16][STRIP];
  };
};

// fetch reads N elements of a row from column k on; behind the last, and without a row, 0.
template <int N, class T>
__device__ __forceinline__ Vector<T, N> fetch(const T *row, int k, int in, bool wide) {
  if (row && wide && k < in) return *reinterpret_cast<const Vector<T, N> *>(row + k);
  Vector<T, N> v;
#pragma unroll
  for (int e = 0; e < N; e++) {
    v.at[e] = row && k + e < in ? row[k + e] : Format<T>::round(0.f);
  }
  return v;
}

// put rounds a vector into a row of shared memory.
template <class T, class From, int N>
__device__ __forceinline__ void put(T *row, const Vector<From, N> &v) {
  Vector<T, N> r;
#pragma unroll
  for (int e = 0; e < N; e++) r.at[e] = Format<T>::round(v.at[e]);
  *reinterpret_cast<Vector<T, N> *>(row) = r;
}

// Loads is what a thread has read of the next tiles.
template <class T, int SIDE>
struct Loads {
  typedef Layout<T, SIDE> L;
  Vector<float, 4> x[L::X_LOADS];
  Vector<T, L::FEW> w[L::W_LOADS];

  __device__ __forceinline__ void read(const Problem<T> &p, long long row, long long col, int k,
                                       bool wide_x, bool wide_w) {
#pragma unroll
    for (int i = 0; i < L::X_LOADS; i++) {
      const int n = threadIdx.x + i * L::THREADS, r = n / (L::STEP / 4), c = n % (L::STEP / 4) * 4;
      x[i] = fetch<4>(row + r < p.rows ? p.x + (row + r) * p.in : nullptr, k + c, p.in, wide_x);
    }
#pragma unroll
    for (int i = 0; i < L::W_LOADS; i++) {
      const int n = threadIdx.x + i * L::THREADS, in_row = L::STEP / L::FEW;
      const int r = n / in_row, c = n % in_row * L::FEW;
      w[i] = fetch<L::FEW>(col + r < p.out ? p.w + (col + r) * p.in : nullptr, k + c, p.in, wide_w);
    }
  }

  __device__ __forceinline__ void write(typename L::Shared &s, int half_of) const {
#pragma unroll
    for (int i = 0; i < L::X_LOADS; i++) {
      const int n = threadIdx.x + i * L::THREADS;
      put(&s.tiles.x[half_of][n / (L::STEP / 4)][n % (L::STEP / 4) * 4], x[i]);
    }
#pragma unroll
    for (int i = 0; i < L::W_LOADS; i++) {
      const int n = threadIdx.x + i * L::THREADS, in_row = L::STEP / L::FEW;
      put(&s.tiles.w[half_of][n / in_row][n % in_row * L::FEW], w[i]);
    }
  }
};

// Products is a warp's 32 rows and half of the columns.
template <class T, int SIDE>
struct Products {
  typedef Layout<T, SIDE> L;
  typedef typename Format<T>::Kind Kind;
  static constexpr int K = Format<T>::K, TALL = 2, ACROSS = L::COLS / 16;
  wmma::fragment<wmma::accumulator, 16, 16, K, float> at[TALL][ACROSS];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int i = 0; i < TALL; i++) {
#pragma unroll
      for (int j = 0; j < ACROSS; j++) wmma::fill_fragment(at[i][j], 0.f);
    }
  }

  __device__ __forceinline__ void add(const typename L::Shared &s, int half_of, int row, int col) {
#pragma unroll 1  // a second set of fragments would not fit into the registers
    for (int k = 0; k < L::STEP; k += K) {
      wmma::fragment<wmma::matrix_a, 16, 16, K, Kind, wmma::row_major> a[TALL];
#pragma unroll
      for (int i = 0; i < TALL; i++) {
        wmma::load_matrix_sync(a[i], &s.tiles.x[half_of][row + 16 * i][k], L::ROW);
      }
#pragma unroll
      for (int j = 0; j < ACROSS; j++) {
        wmma::fragment<wmma::matrix_b, 16, 16, K, Kind, wmma::col_major> b;
        wmma::load_matrix_sync(b, &s.tiles.w[half_of][col + 16 * j][k], L::ROW);
#pragma unroll
        for (int i = 0; i < TALL; i++) wmma::mma_sync(at[i][j], a[i], b, at[i][j]);
      }
    }
  }
};

// finish writes 4 columns from col on of a row, of which the product is given; unit is those
// of the mask. Columns behind the last are left out.
template <class T>
__device__ __forceinline__ void finish(const Problem<T> &p, const Pack<4> &product, int row,
                                       int col, const int (&unit)[4], bool wide) {
  const int count = p.out - col;
  const long long at = (long long)row * p.out + col;
  const float *mask = p.mask ? p.mask + (long long)(row / p.span) * (p.out / p.width) : nullptr;
  Pack<4> v = product, bias = {}, residual = {};
  if (wide) {
    if (p.bias) bias = load<4>(p.bias + col);
    if (p.residual) residual = load<4>(p.residual + at);
  } else {
#pragma unroll
    for (int e = 0; e < 4; e++) {
      if (p.bias && e < count) bias.at[e] = p.bias[col + e];
      if (p.residual && e < count) residual.at[e] = p.residual[at + e];
    }
  }
#pragma unroll
  for (int e = 0; e < 4; e++) {
    v.at[e] = activate(p.act, v.at[e] + bias.at[e]);
    if (mask && e < count) v.at[e] *= mask[unit[e]];
    v.at[e] += residual.at[e];
  }
  if (wide) {
    store(p.y + at, v);
  } else {
#pragma unroll
    for (int e = 0; e < 4; e++) {
      if (e < count) p.y[at + e] = v.at[e];
    }
  }
}

// multiply computes one tile of y.
template <class T, int SIDE>
__device__ __forceinline__ void multiply(const Problem<T> &p) {
  typedef Layout<T, SIDE> L;
  typedef Products<T, SIDE> P;
  __shared__ typename L::Shared shared;

  const unsigned across = (p.out - 1) / SIDE + 1;
  const long long row = (long long)(blockIdx.x / across) * SIDE;
  const long long col = (long long)(blockIdx.x % across) * SIDE;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int warp_row = warp / 2 * 32, warp_col = warp % 2 * L::COLS;
  const bool wide_x = p.in % 4 == 0 && aligned16(p.x);
  const bool wide_w = p.in % L::FEW == 0 && aligned16(p.w);
  const int steps = (p.in + L::STEP - 1) / L::STEP;

  P sum;
  sum.clear();
  Loads<T, SIDE> next;
  if (steps > 0) {
    next.read(p, row, col, 0, wide_x, wide_w);
    next.write(shared, 0);
  }
  __syncthreads();
  for (int step = 0; step < steps; step++) {
    const bool more = step + 1 < steps;
    if (more) next.read(p, row, col, (step + 1) * L::STEP, wide_x, wide_w);
    sum.add(shared, step % 2, warp_row, warp_col);
    if (more) next.write(shared, (step + 1) % 2);
    __syncthreads();
  }

  // The results of 16 rows at a time, four neighbouring columns of a row to a thread.
  constexpr int ROW_THREADS = L::COLS / 4;
  const int first = 4 * (lane % ROW_THREADS);
  const int from = (int)col + warp_col + first;
  if (col + warp_col >= p.out) return;
  const bool wide = p.out % 4 == 0 && aligned16(p.y, p.bias, p.residual);
  int unit[4] = {};
#pragma unroll
  for (int e = 0; e < 4; e++) unit[e] = p.mask ? (from + e) / p.width : 0;
#pragma unroll
  for (int i = 0; i < P::TALL; i++) {
#pragma unroll
    for (int j = 0; j < P::ACROSS; j++) {
      wmma::store_matrix_sync(&shared.results[warp][0][16 * j], sum.at[i][j], L::STRIP,
                              wmma::mem_row_major);
    }
    __syncwarp();
#pragma unroll 1
    for (int r = lane / ROW_THREADS; r < 16; r += 32 / ROW_THREADS) {
      const int to = (int)row + warp_row + 16 * i + r;
      if (to >= p.rows || from >= p.out) continue;
      finish(p, load<4>(&shared.results[warp][r][first]), to, from, unit, wide);
    }
    __syncwarp();
  }
}

// convert rounds n floats.
template <class T>
__device__ __forceinline__ void convert(T *dst, const float *src, long long n) {
  const long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
    dst[i] = Format<T>::round(src[i]);
  }
}

}  // namespace linear

#define OPTIN_LINEAR(name, T, SIDE, BLOCKS)                                                      \
  extern "C" __global__ void __launch_bounds__(2 * SIDE, BLOCKS) optin_linear_##name##_##SIDE(   \
      float *y, const float *x, const T *w, const float *bias, const float *mask,                \
      const float *residual, int rows, int in, int out, int act, int span, int width) {          \
    linear::multiply<T, SIDE>({y, x, w, bias, mask, residual, rows, in, out, act, span, width}); \
  }

OPTIN_LINEAR(tf32, float, 128, 2)
OPTIN_LINEAR(tf32, float, 64, 3)
OPTIN_LINEAR(bf16, __nv_bfloat16, 128, 1)
OPTIN_LINEAR(bf16, __nv_bfloat16, 64, 3)
OPTIN_LINEAR(f16, half, 128, 1)
OPTIN_LINEAR(f16, half, 64, 3)

// Launch: block 256, any grid in x (ceil(n/256), at most 2^20). Bytes: 6n; a conversion an
// element. dst = src, rounded to nearest.
extern "C" __global__ void optin_to_bf16(__nv_bfloat16 *dst, const float *src, long long n) {
  linear::convert(dst, src, n);
}
extern "C" __global__ void optin_to_f16(half *dst, const float *src, long long n) {
  linear::convert(dst, src, n);
}
