// The manifold distillation loss |A A' - (A+E)(A+E)'|_F^2 (Hao et al., ECCV 2022) of token
// features A [n, D] and their change E, and its gradients: from the Gram matrices aa = A'A,
// ae = A'E and ee = E'E, [D, D], or from the rows by tiles of M = A E' + E A' + E E', [n, n],
// cheaper where n < D. No term is a difference of large numbers; the loss is 0 where E is.
#include "rows.cuh"
#include "tile.cuh"

#define FLIP 32  // a side of the squares that are read transposed

// flipped_square is what a block (32, 8) holds of a matrix [D, D]: the square across the
// diagonal from the block's own, transposed.
struct flipped_square {
  float v[FLIP][FLIP + 1];

  // load is not followed by a barrier.
  __device__ __forceinline__ void load(const float *m, int D) {
    const int c = blockIdx.y * FLIP + threadIdx.x;
    for (int i = threadIdx.y; i < FLIP; i += 8) {
      const int r = blockIdx.x * FLIP + i;
      v[threadIdx.x][i] = r < D && c < D ? m[(long long)r * D + c] : 0.f;
    }
  }
};

// for_square calls f(at, i) for the elements of the block's own square of a matrix [D, D] that
// are the calling thread's: at is where they are in the matrix, v[i][threadIdx.x] of a flipped
// square what is across the diagonal.
template <class F>
__device__ __forceinline__ void for_square(int D, F f) {
  const int c = blockIdx.x * FLIP + threadIdx.x;
  for (int i = threadIdx.y; i < FLIP; i += 8) {
    const int r = blockIdx.y * FLIP + i;
    if (r < D && c < D) f((long long)r * D + c, i);
  }
}

// partial [blocks] (double): parts of 2 tr(aa ee) + 2 tr(ae ae) + 4 tr(ae ee) + |ee|_F^2, by
// squares of the matrices. Then optin_add_sums_f64(dst, partial, blocks) with one output.
// Launch: grid (ceil(D / 32), ceil(D / 32)), blocks being their product  block (32, 8), D at
// least 1
// Moves 12 bytes an element of a matrix, and 8 from the second-level cache; 4 multiply-adds in
// double precision.
extern "C" __global__ void __launch_bounds__(256)
    optin_manifold_loss_f64(double *__restrict__ partial, const float *__restrict__ aa,
                            const float *__restrict__ ae, const float *__restrict__ ee, int D) {
  __shared__ flipped_square flippedAE, flippedEE;
  __shared__ double warps[8];
  flippedAE.load(ae, D);
  flippedEE.load(ee, D);
  __syncthreads();
  double sum = 0;
  for_square(D, [&](long long at, int i) {
    const double a = ae[at], e = ee[at];
    const double acrossA = flippedAE.v[i][threadIdx.x], acrossE = flippedEE.v[i][threadIdx.x];
    sum += 2 * (aa[at] * acrossE + a * acrossA) + 4 * a * acrossE + e * e;
  });
  sum = warp_sum(sum);
  if (threadIdx.x == 0) warps[threadIdx.y] = sum;
  __syncthreads();
  if (threadIdx.x || threadIdx.y) return;
  sum = 0;
  for (int w = 0; w < 8; w++) sum += warps[w];
  partial[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

// daa, dae and dee [stack*D, D]: the gradients of the loss to aa, ae and ee [D, D], times
// d [stack] (double):
//
//   daa = 2 d ee'    dae = 4 d (ae' + ee')    dee = d (2 aa' + 4 ae' + 2 ee)
//
// Launch: grid (ceil(D / 32), ceil(D / 32))  block (32, 8)
// Moves 12 bytes an element of a matrix and 12 an element of a gradient; 8 operations.
extern "C" __global__ void __launch_bounds__(256)
    optin_manifold_loss_backward_f32(float *__restrict__ daa, float *__restrict__ dae,
                                     float *__restrict__ dee, const double *__restrict__ d,
                                     const float *__restrict__ aa, const float *__restrict__ ae,
                                     const float *__restrict__ ee, int stack, int D) {
  __shared__ flipped_square flippedAA, flippedAE, flippedEE;
  flippedAA.load(aa, D);
  flippedAE.load(ae, D);
  flippedEE.load(ee, D);
  __syncthreads();
  for_square(D, [&](long long at, int i) {
    const float acrossA = flippedAA.v[i][threadIdx.x], acrossAE = flippedAE.v[i][threadIdx.x];
    const float acrossE = flippedEE.v[i][threadIdx.x];
    const float own = fmaf(4, acrossAE, 2 * (acrossA + ee[at]));
    for (int part = 0; part < stack; part++) {
      const float factor = (float)d[part];
      const long long to = (long long)part * D * D + at;
      daa[to] = factor * (2 * acrossE);
      dae[to] = factor * (4 * (acrossAE + acrossE));
      dee[to] = factor * own;
    }
  });
}

// manifold_tile makes a tile of M = H E' + E H', H = A + E/2, which is A E' + E A' + E E': one
// product of (H E) and (E H).
template <int M>
__device__ __forceinline__ void manifold_tile(float (&acc)[M][M], const float *a, const float *e,
                                              int n, int D) {
  const int i0 = blockIdx.y * 16 * M, j0 = blockIdx.x * 16 * M;
  const auto half = [&](long long at) { return fmaf(0.5f, e[at], a[at]); };
  product_tile<M, true, true>(
      acc, 2 * D,
      [&](int i, int k) {
        if (i0 + i >= n) return 0.f;
        const long long row = (long long)(i0 + i) * D;
        return k < D ? half(row + k) : e[row + k - D];
      },
      [&](int j, int k) {
        if (j0 + j >= n) return 0.f;
        const long long row = (long long)(j0 + j) * D;
        return k < D ? e[row + k] : half(row + k - D);
      });
}

// What is 0 outside M adds nothing; a tile above the diagonal stands for the one below too.
template <int M>
__device__ __forceinline__ void manifold_rows(double *partial, const float *a, const float *e,
                                              int n, int D) {
  double sum = 0;
  if (blockIdx.y <= blockIdx.x) {
    float acc[M][M] = {};
    manifold_tile(acc, a, e, n, D);
#pragma unroll
    for (int i = 0; i < M; i++) {
#pragma unroll
      for (int j = 0; j < M; j++) sum += (double)acc[i][j] * acc[i][j];
    }
    if (blockIdx.y < blockIdx.x) sum *= 2;
  }
  sum = team_sum<TILE_THREADS>(sum);
  if (threadIdx.x == 0) partial[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

// partial [blocks] (double): parts of |M|_F^2 by tiles of M, for a and e [n, D]. Then
// optin_add_sums_f64(dst, partial, blocks) with one output.
// Launch: n and D at least 1, D < 2^30
//   n <= 1024  optin_manifold_rows_f64        grid (ceil(n / 32), ceil(n / 32))  block 256
//   any n      optin_manifold_rows_large_f64  grid (ceil(n / 64), ceil(n / 64))  block 256
// blocks being the product of the grid. (Small tiles keep all of the chip busy where n is
// small, large ones read less.)
// Moves 8 bytes an element of a and e and tile beside it, mostly from the second-level cache;
// n^2 D multiply-adds in all.
extern "C" __global__ void __launch_bounds__(TILE_THREADS)
    optin_manifold_rows_f64(double *__restrict__ partial, const float *__restrict__ a,
                            const float *__restrict__ e, int n, int D) {
  manifold_rows<2>(partial, a, e, n, D);
}

extern "C" __global__ void __launch_bounds__(TILE_THREADS)
    optin_manifold_rows_large_f64(double *__restrict__ partial, const float *__restrict__ a,
                                  const float *__restrict__ e, int n, int D) {
  manifold_rows<4>(partial, a, e, n, D);
}

// m [n, n] = 4 M, for the gradients of the loss to a and e: 4 M E and 4 M (A + E). These are
// two matrix products, of which optin_manifold_rows_scale_f32 makes the gradients.
// Launch: grid (ceil(n / 32), ceil(n / 32))  block 256, n at least 1, D < 2^30
// Moves as optin_manifold_rows_f64 does, and 4 bytes an element of m; n^2 D multiply-adds.
extern "C" __global__ void __launch_bounds__(TILE_THREADS)
    optin_manifold_rows_matrix_f32(float *__restrict__ m, const float *__restrict__ a,
                                   const float *__restrict__ e, int n, int D) {
  if (blockIdx.y > blockIdx.x) return;  // the tile across the diagonal writes both
  float acc[2][2] = {};
  manifold_tile(acc, a, e, n, D);
#pragma unroll
  for (int i = 0; i < 2; i++) {
    const long long r = blockIdx.y * 32 + tile_row<2>(i);
#pragma unroll
    for (int j = 0; j < 2; j++) {
      const long long c = blockIdx.x * 32 + tile_column<2>(j);
      if (r >= n || c >= n) continue;
      m[r * n + c] = 4 * acc[i][j];
      if (blockIdx.y < blockIdx.x) m[c * n + r] = 4 * acc[i][j];
    }
  }
}

// da and de [stack, size] = d[part] me and d[part] (ma + me), for me = m E and ma = m A of
// size = n D elements and m by optin_manifold_rows_matrix_f32; d [stack] (double).
// Launch: grid ceil(size / 256)  block 256
// Moves 8 bytes an element of me and 8 an element of da; 3 operations.
extern "C" __global__ void __launch_bounds__(256)
    optin_manifold_rows_scale_f32(float *__restrict__ da, float *__restrict__ de,
                                  const double *__restrict__ d, const float *__restrict__ me,
                                  const float *__restrict__ ma, int stack, long long size) {
  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= size) return;
  const float e = me[i], both = ma[i] + e;
  for (int part = 0; part < stack; part++) {
    const float factor = (float)d[part];
    da[part * size + i] = factor * e;
    de[part * size + i] = factor * both;
  }
}
