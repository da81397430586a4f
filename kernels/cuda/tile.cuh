// A tile of a matrix product in full float32, by a block of 256 threads: for products with
// an index or an epilogue that a library has not, too small for their own library call.
#pragma once

#include "platform.cuh"

#define TILE_THREADS 256
#define TILE_STEP 16  // of the sum, between two barriers

// product_tile makes a tile of 16 M rows and columns of A B':
//
//   acc[i][j] += sum over k < K of a(tile_row(i), k) b(tile_column(j), k)
//
// where a and b are asked for rows up to 16 M - 1 and give 0 beyond what there is. ALONG_A:
// neighbouring k of a are neighbours in memory, else neighbouring rows; ALONG_B likewise.
template <int M, bool ALONG_A, bool ALONG_B, class A, class B>
__device__ __forceinline__ void product_tile(float (&acc)[M][M], int K, A a, B b) {
  // 4 more than a row, so that transposed stores spread over the banks.
  __shared__ __align__(16) float as[TILE_STEP][16 * M + 4], bs[TILE_STEP][16 * M + 4];
  const int at = threadIdx.x, row = at / 16 * M, column = at % 16 * M;
  float nextA[M], nextB[M];  // fetched while the step before is computed
  const auto fetch = [&](int from) {
#pragma unroll
    for (int m = 0; m < M; m++) {
      const int t = at + m * TILE_THREADS;
      const int ka = from + (ALONG_A ? t % TILE_STEP : t / (16 * M));
      const int kb = from + (ALONG_B ? t % TILE_STEP : t / (16 * M));
      nextA[m] = ka < K ? a(ALONG_A ? t / TILE_STEP : t % (16 * M), ka) : 0.f;
      nextB[m] = kb < K ? b(ALONG_B ? t / TILE_STEP : t % (16 * M), kb) : 0.f;
    }
  };
  fetch(0);
  for (int from = 0; from < K; from += TILE_STEP) {
    __syncthreads();  // the step before has been read
#pragma unroll
    for (int m = 0; m < M; m++) {
      const int t = at + m * TILE_THREADS;
      as[ALONG_A ? t % TILE_STEP : t / (16 * M)][ALONG_A ? t / TILE_STEP : t % (16 * M)] = nextA[m];
      bs[ALONG_B ? t % TILE_STEP : t / (16 * M)][ALONG_B ? t / TILE_STEP : t % (16 * M)] = nextB[m];
    }
    __syncthreads();
    fetch(from + TILE_STEP);
#pragma unroll
    for (int k = 0; k < TILE_STEP; k++) {
      float x[M], y[M];
#pragma unroll
      for (int i = 0; i < M; i++) x[i] = as[k][row + i];
#pragma unroll
      for (int j = 0; j < M; j++) y[j] = bs[k][column + j];
#pragma unroll
      for (int i = 0; i < M; i++) {
#pragma unroll
        for (int j = 0; j < M; j++) acc[i][j] = fmaf(x[i], y[j], acc[i][j]);
      }
    }
  }
}

template <int M>
__device__ __forceinline__ int tile_row(int i) {
  return threadIdx.x / 16 * M + i;
}

template <int M>
__device__ __forceinline__ int tile_column(int j) {
  return threadIdx.x % 16 * M + j;
}
