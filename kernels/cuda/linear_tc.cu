// Linear on tensor cores in tf32, bfloat16 or float16, summed in float32, with the whole
// epilogue before the one store, or where there are few tiles in a pass that adds parts of the
// sums:
//
//   y = mask . act(x w' + bias) + residual
//
// x and w are in the format, their rows filled up with zeros to whole steps of 64 bytes, as
// optin_round_* leave them. A tile of y is a block's: tiles of x and w go through a ring of
// shared memory, four on their way while one is multiplied.
#include "activation.cuh"
#include "mma.cuh"
#include "pack.cuh"

namespace linear {

// Format is how a float is rounded to T, to nearest; of two to the even one, but in tf32, as
// the chip's own instruction does it, to the one farther from 0.
template <class T>
struct Format;
template <>
struct Format<float> {  // tf32: 10 bits of fraction
  static __device__ __forceinline__ float round(float v) {
    return v != v ? NAN : __uint_as_float((__float_as_uint(v) + 0x1000) & ~0x1fffu);
  }
};
template <>
struct Format<half> {
  static __device__ __forceinline__ half round(float v) { return __float2half_rn(v); }
};
template <>
struct Format<__nv_bfloat16> {
  static __device__ __forceinline__ __nv_bfloat16 round(float v) { return __float2bfloat16_rn(v); }
};

constexpr int STEP = 64;   // bytes of a row that are multiplied between two barriers
constexpr int PIECE = 16;  // bytes that are copied at once
constexpr int THREADS = 128;
constexpr int STAGES = 5;  // of the ring

// Problem is the arguments of the products.
struct Problem {
  float *y;
  const void *x, *w;
  const float *bias, *mask, *residual;
  int rows, steps, out, act, span, width;
};

// Layout is the sizes of a tile of SIDE rows by SIDE columns. Each warp has a quarter of it.
template <int SIDE>
struct Layout {
  static constexpr int WARP = SIDE / 2;
  static constexpr int TILE = SIDE * STEP;               // bytes of x, and of w
  static constexpr int COPIES = TILE / PIECE / THREADS;  // of a thread, of each
  static constexpr int STRIDE = WARP + 8;  // from one row of a warp's results to the next
  static constexpr int SHARED = STAGES * 2 * TILE;
  static_assert(SHARED >= THREADS / 32 * WARP * STRIDE * 4, "the results fit into the ring");
};

// place is where piece c of row r of a tile lies: a line of shared memory has two rows, and
// what is read at once, a piece of 8 rows, falls into different banks.
__device__ __forceinline__ int place(int r, int c) { return r * STEP + (c ^ r / 2 % 4) * PIECE; }

// Source is the rows of x or w that a thread copies from, one piece of each step of them.
template <int SIDE>
struct Source {
  static constexpr int APART = THREADS * PIECE / STEP;  // rows
  const char *at[Layout<SIDE>::COPIES];

  // A row behind the last is the last again: nothing is made of it.
  __device__ __forceinline__ Source(const void *matrix, long long first, int rows, int steps,
                                    int step) {
    const long long row = first + threadIdx.x / 4;
#pragma unroll
    for (int i = 0; i < Layout<SIDE>::COPIES; i++) {
      const long long r = min(row + i * APART, (long long)rows - 1);
      at[i] =
          static_cast<const char *>(matrix) + (r * steps + step) * STEP + threadIdx.x % 4 * PIECE;
    }
  }

  // copy starts to bring a step to a tile, and goes on to the next.
  __device__ __forceinline__ void copy(char *tile) {
    char *to = tile + place(threadIdx.x / 4, threadIdx.x % 4);
#pragma unroll
    for (int i = 0; i < Layout<SIDE>::COPIES; i++) {
      __pipeline_memcpy_async(to + i * APART * STEP, at[i], PIECE);
      at[i] += STEP;
    }
  }
};

// Operands is what a warp multiplies at once: 32 bytes of its rows of x and of w.
template <int SIDE>
struct Operands {
  static constexpr int COUNT = Layout<SIDE>::WARP / 16;
  unsigned x[COUNT][4], w[COUNT][4];

  __device__ __forceinline__ void load(const char *x_rows, const char *w_rows, int part) {
    const int lane = threadIdx.x % 32;
    x_rows += place(lane % 16, 2 * part + lane / 16);
    w_rows += place(lane / 16 * 8 + lane % 8, 2 * part + lane / 8 % 2);
#pragma unroll
    for (int i = 0; i < COUNT; i++) ldmatrix(x[i], x_rows + i * 16 * STEP);
#pragma unroll
    for (int j = 0; j < COUNT; j++) ldmatrix(w[j], w_rows + j * 16 * STEP);
  }
};

// Products is a warp's quarter of a tile.
template <class T, int SIDE>
struct Products {
  static constexpr int TALL = Layout<SIDE>::WARP / 16, ACROSS = Layout<SIDE>::WARP / 16;
  float at[TALL][2 * ACROSS][4];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int i = 0; i < TALL; i++) {
#pragma unroll
      for (int j = 0; j < 2 * ACROSS; j++) {
#pragma unroll
        for (int e = 0; e < 4; e++) at[i][j][e] = 0;
      }
    }
  }

  __device__ __forceinline__ void add(const Operands<SIDE> &o) {
#pragma unroll
    for (int j = 0; j < ACROSS; j++) {
#pragma unroll
      for (int i = 0; i < TALL; i++) {
        mma<T>(at[i][2 * j], o.x[i], o.w[j][0], o.w[j][1]);
        mma<T>(at[i][2 * j + 1], o.x[i], o.w[j][2], o.w[j][3]);
      }
    }
  }

  // put writes the products to rows of shared memory.
  __device__ __forceinline__ void put(float *results) const {
    const int lane = threadIdx.x % 32;
    float *to = results + lane / 4 * Layout<SIDE>::STRIDE + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < TALL; i++) {
#pragma unroll
      for (int j = 0; j < 2 * ACROSS; j++) {
        const float(&p)[4] = at[i][j];
        float *top = to + i * 16 * Layout<SIDE>::STRIDE + j * 8;
        store(top, Pack<2>{{p[0], p[1]}});
        store(top + 8 * Layout<SIDE>::STRIDE, Pack<2>{{p[2], p[3]}});
      }
    }
  }
};

// Columns is four neighbouring columns of y, of which those behind the last are left out, and
// what the epilogue has for them in every row.
struct Columns {
  int first, count;
  bool wide;    // 16 bytes of a row at a time
  int unit[4];  // of the mask
  Pack<4> bias;
};

__device__ __forceinline__ Columns columns(const Problem &p, int first, const float *product) {
  Columns c = {first, p.out - first, p.out % 4 == 0 && aligned16(p.y, p.residual, product), {}, {}};
#pragma unroll
  for (int e = 0; e < 4; e++) {
    if (e >= c.count) continue;
    if (p.mask) c.unit[e] = (first + e) / p.width;
    if (p.bias) c.bias.at[e] = p.bias[first + e];
  }
  return c;
}

// read is four columns of a matrix as large as y, from the first on.
__device__ __forceinline__ Pack<4> read(const float *row, const Columns &c) {
  if (c.wide) return load<4>(row);
  Pack<4> v = {};
#pragma unroll
  for (int e = 0; e < 4; e++) {
    if (e < c.count) v.at[e] = row[e];
  }
  return v;
}

// Row is what the epilogue has for four columns of one row.
struct Row {
  Pack<4> mask, residual;
};

__device__ __forceinline__ Row epilogue(const Problem &p, const Columns &c, int row) {
  Row r = {{{1, 1, 1, 1}}, {}};
  if (p.mask) {
    const float *mask = p.mask + (long long)(row / p.span) * (p.out / p.width);
#pragma unroll
    for (int e = 0; e < 4; e++) r.mask.at[e] = mask[c.unit[e]];
  }
  if (p.residual) r.residual = read(p.residual + (long long)row * p.out + c.first, c);
  return r;
}

// finish writes the four columns of a row of y, of which v is act(product + bias).
__device__ __forceinline__ void finish(const Problem &p, const Columns &c, const Row &r, int row,
                                       const float *v) {
  float *y = p.y + (long long)row * p.out + c.first;
  Pack<4> out;
#pragma unroll
  for (int e = 0; e < 4; e++) out.at[e] = v[e] * r.mask.at[e] + r.residual.at[e];
  if (c.wide) {
    store(y, out);
  } else {
#pragma unroll
    for (int e = 0; e < 4; e++) {
      if (e < c.count) y[e] = out.at[e];
    }
  }
}

// write applies the epilogue to a warp's results, of which the first is that of row and col,
// to several rows at once: what is read for them is on its way together.
template <int SIDE>
__device__ __forceinline__ void write(const Problem &p, const float *results, long long row,
                                      long long col) {
  constexpr int WARP = Layout<SIDE>::WARP, LANES = WARP / 4, APART = 32 / LANES, AT_ONCE = 4;
  const int lane = threadIdx.x % 32, own = lane % LANES * 4;
  if (col + own >= p.out) return;
  const Columns c = columns(p, col + own, results);
#pragma unroll 1
  for (int r = lane / LANES; r < WARP; r += AT_ONCE * APART) {
    Row terms[AT_ONCE] = {};
    float v[4 * AT_ONCE];
#pragma unroll
    for (int n = 0; n < AT_ONCE; n++) {
      const int at = r + n * APART;
      if (row + at < p.rows) terms[n] = epilogue(p, c, row + at);
      const Pack<4> product = load<4>(results + at * Layout<SIDE>::STRIDE + own);
#pragma unroll
      for (int e = 0; e < 4; e++) v[4 * n + e] = product.at[e] + c.bias.at[e];
    }
    activate(p.act, v);
#pragma unroll
    for (int n = 0; n < AT_ONCE; n++) {
      const long long to = row + r + n * APART;
      if (to < p.rows) finish(p, c, terms[n], to, v + 4 * n);
    }
  }
}

// multiply computes one tile of y, or a part of its sum.
template <class T, int SIDE>
__device__ __forceinline__ void multiply(Problem p) {
  typedef Layout<SIDE> L;
  DYNAMIC_SHARED(char, ring, L::SHARED);

  const unsigned across = (p.out - 1) / SIDE + 1;
  const long long row = (long long)(blockIdx.x / across) * SIDE;
  const long long col = (long long)(blockIdx.x % across) * SIDE;
  const int warp = threadIdx.x / 32;
  const int warp_row = warp / 2 * L::WARP, warp_col = warp % 2 * L::WARP;
  const int share = (p.steps + gridDim.y - 1) / gridDim.y, from = blockIdx.y * share;
  const int steps = min(share, p.steps - from);
  Source<SIDE> x(p.x, row, p.rows, p.steps, from), w(p.w, col, p.out, p.steps, from);
  p.y += (long long)blockIdx.y * p.rows * p.out;

  Products<T, SIDE> sum;
  sum.clear();
  char *fill = ring, *read = ring;  // stages of the ring
  const auto next = [&](char *stage) {
    return stage == ring + L::SHARED - 2 * L::TILE ? ring : stage + 2 * L::TILE;
  };
  int left = steps;  // to be copied
  const auto copy = [&] {
    if (left-- > 0) {
      x.copy(fill);
      w.copy(fill + L::TILE);
    }
    fill = next(fill);
    __pipeline_commit();
  };
  Operands<SIDE> first, second;  // halves of a step
  const auto load = [&](Operands<SIDE> &half, int part) {
    half.load(read + warp_row * STEP, read + L::TILE + warp_col * STEP, part);
  };
#pragma unroll
  for (int stage = 0; stage < STAGES - 1; stage++) copy();
  __pipeline_wait_prior(STAGES - 2);
  __syncthreads();
  load(first, 0);
#pragma unroll 1
  for (int step = 0; step < steps; step++) {
    load(second, 1);
    copy();
    sum.add(first);
    __pipeline_wait_prior(STAGES - 2);
    __syncthreads();  // the next step is there, and this one no longer read
    read = next(read);
    load(first, 0);
    sum.add(second);
  }
  __syncthreads();

  float *results = reinterpret_cast<float *>(ring) + warp * L::WARP * L::STRIDE;
  sum.put(results);
  __syncwarp();
  write<SIDE>(p, results, row + warp_row, col + warp_col);
}

// add_parts makes y of the parts of its sums, added in their order.
__device__ __forceinline__ void add_parts(const Problem &p, const float *parts, int count) {
  const long long step = 4ll * gridDim.x * blockDim.x, size = (long long)p.rows * p.out;
  for (long long col = 4ll * (blockIdx.x * blockDim.x + threadIdx.x); col < p.out; col += step) {
    const Columns c = columns(p, col, parts);
    for (int row = blockIdx.y; row < p.rows; row += gridDim.y) {
      const Row terms = epilogue(p, c, row);
      float v[4] = {};
      const float *part = parts + (long long)row * p.out + col;
      if (c.wide) {  // looked at here, and not for each part, so that several are on their way
#pragma unroll 8
        for (int n = 0; n < count; n++, part += size) {
          const Pack<4> more = load<4>(part);
#pragma unroll
          for (int e = 0; e < 4; e++) v[e] += more.at[e];
        }
      } else {
        for (int n = 0; n < count; n++, part += size) {
#pragma unroll
          for (int e = 0; e < 4; e++) {
            if (e < c.count) v[e] += part[e];
          }
        }
      }
#pragma unroll
      for (int e = 0; e < 4; e++) v[e] += c.bias.at[e];
      activate(p.act, v);
      finish(p, c, terms, row, v);
    }
  }
}

// Vector is 16 bytes of T.
template <class T>
struct __align__(16) Vector {
  static constexpr int N = 16 / sizeof(T);
  T at[N];
};

template <class T>
__device__ __forceinline__ void round_rows(T *dst, const float *src, int rows, int cols,
                                           int stride) {
  constexpr int N = Vector<T>::N;
  const long long row = (long long)blockIdx.x * blockDim.y + threadIdx.y;
  if (row >= rows) return;
  const bool wide = cols % 4 == 0 && aligned16(src);
  src += row * cols;
  dst += row * stride;
#pragma unroll 2
  for (int c = threadIdx.x * N; c < stride; c += blockDim.x * N) {
    Pack<4> v[N / 4] = {};
#pragma unroll
    for (int k = 0; k < N; k += 4) {
      if (wide && c + k < cols) {
        v[k / 4] = load<4>(src + c + k);
      } else {
#pragma unroll
        for (int e = 0; e < 4; e++) {
          if (c + k + e < cols) v[k / 4].at[e] = src[c + k + e];
        }
      }
    }
    Vector<T> r;
#pragma unroll
    for (int k = 0; k < N; k++) r.at[k] = Format<T>::round(v[k / 4].at[k % 4]);
    *reinterpret_cast<Vector<T> *>(dst + c) = r;
  }
}

}  // namespace linear

// Products. Arguments: y, residual [rows, out]; x [rows, steps], w [out, steps], steps being of
// 64 bytes, and their addresses multiples of 16; bias [out]; mask [rows/span, out/width]. bias,
// mask and residual may be null, steps may be 0; span and width are ignored where there is no
// mask. y may be residual.
//
// Launch: two sizes of tile, in the names: blocks of 128 threads; dynamic shared memory 81920
// bytes for _128, of which two fit a multiprocessor, and 40960 for _64; grid ceil(out/tile) *
// ceil(rows/tile) blocks in x, at most 2^31-1. Take _128 where it gives each multiprocessor a
// block. With P blocks in y each computes a share of the sum, y is [P, rows, out], there is no
// epilogue, and optin_linear_sum makes y of it.
//
// Bytes: 64 steps (rows + out) + rows out (4, or 8 with a residual), tiles that are read again
// coming from the second-level cache: x ceil(out/tile) times, w ceil(rows/tile) times.
// Operations: 2 rows in out, rounded up to tiles and steps.
#define OPTIN_LINEAR(name, T, SIDE, BLOCKS)                                                       \
  extern "C" __global__ void __launch_bounds__(linear::THREADS, BLOCKS)                           \
      optin_linear_##name##_##SIDE(float *y, const void *x, const void *w, const float *bias,     \
                                   const float *mask, const float *residual, int rows, int steps, \
                                   int out, int act, int span, int width) {                       \
    linear::multiply<T, SIDE>(                                                                    \
        {y, x, w, bias, mask, residual, rows, steps, out, act, span, width});                     \
  }

OPTIN_LINEAR(tf32, float, 128, 2)
OPTIN_LINEAR(tf32, float, 64, 4)
OPTIN_LINEAR(bf16, __nv_bfloat16, 128, 2)
OPTIN_LINEAR(bf16, __nv_bfloat16, 64, 4)
OPTIN_LINEAR(f16, half, 128, 2)
OPTIN_LINEAR(f16, half, 64, 4)

// Launch: block 256, grid (ceil(out/1024), rows), either side at most what a grid may have.
// Bytes: rows out (4 parts + 4, or + 8 with a residual). Operations: an addition a part.
// y = mask . act(sum of parts [parts, rows, out] + bias) + residual, as the products have it.
extern "C" __global__ void __launch_bounds__(256)
    optin_linear_sum(float *y, const float *parts, const float *bias, const float *mask,
                     const float *residual, int rows, int out, int act, int span, int width,
                     int count) {
  linear::add_parts({y, nullptr, nullptr, bias, mask, residual, rows, 0, out, act, span, width},
                    parts, count);
}

// Launch: block (threads along a row, rows), 256 together; grid ceil(rows / rows of a block).
// Bytes: 4 rows cols read, rows stride (2 or 4) written. dst [rows, stride] is src [rows, cols] in
// the format, and 0 behind the last column; stride is a multiple of 16 bytes.
#define OPTIN_ROUND(name, T)                                                         \
  extern "C" __global__ void __launch_bounds__(256)                                  \
      optin_round_##name(T *dst, const float *src, int rows, int cols, int stride) { \
    linear::round_rows(dst, src, rows, cols, stride);                                \
  }
OPTIN_ROUND(tf32, float)
OPTIN_ROUND(bf16, __nv_bfloat16)
OPTIN_ROUND(f16, half)
