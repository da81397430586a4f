// A stand-in for libcublas.so.12, or that of CUEMU_BLAS: matrix products by plain loops, in
// streams of the stand-in driver.
//
//   CUEMU_BLAS_REFUSES=n   cuBLAS n does not start on this driver
//   CUEMU_BLAS_NEEDS=n     bytes that the device must have free for a product
#include <cstddef>
#include <vector>

#include "stream.h"

namespace {

struct Handle {
  Stream *stream;
};

enum { NOT_INITIALIZED = 1, INVALID = 7, EXECUTION_FAILED = 13 };

// part is where element (i, j) of op(x) lies, x being column-major.
inline size_t part(long long i, long long j, long long ld, bool transposed) {
  return transposed ? j + i * ld : i + j * ld;
}

struct Product {
  bool ta, tb;
  long long m, n, k;
  float alpha, beta;
  const float *a, *b;
  long long lda, ldb;
  float *c;
  long long ldc;

  // A column of C at a time, as the sum of columns of op(A), so that the inner loop
  // runs over neighbours. Where beta is 0, C is not read.
  void run() const {
    std::vector<float> at((size_t)m * k), sum(m);
    for (long long l = 0; l < k; l++) {
      for (long long i = 0; i < m; i++) at[l * m + i] = a[part(i, l, lda, ta)];
    }
    for (long long j = 0; j < n; j++) {
      for (auto &s : sum) s = 0;
      for (long long l = 0; l < k; l++) {
        const float y = b[part(l, j, ldb, tb)];
        const float *x = &at[l * m];
        for (long long i = 0; i < m; i++) sum[i] += x[i] * y;
      }
      float *out = c + j * ldc;
      for (long long i = 0; i < m; i++) out[i] = alpha * sum[i] + (beta == 0 ? 0 : beta * out[i]);
    }
  }
};

}  // namespace

extern "C" {

CUresult cuMemGetInfo_v2(size_t *available, size_t *total);

int cublasCreate_v2(Handle **dst) {
  if (state() || setting("CUEMU_BLAS_REFUSES") == CUEMU_BLAS) return NOT_INITIALIZED;
  return *dst = new Handle{nullptr}, 0;
}
int cublasDestroy_v2(Handle *h) { return delete h, 0; }
int cublasSetStream_v2(Handle *h, Stream *s) { return h->stream = s, 0; }
int cublasSetMathMode(Handle *, int mode) { return mode < 0 || mode > 3 ? INVALID : 0; }

// 12.4.0 and 11.11.3, each as its own time wrote it.
int cublasGetVersion_v2(Handle *, int *dst) { return *dst = CUEMU_BLAS == 11 ? 12103 : 120400, 0; }

int cublasSgemm_v2(Handle *h, int ta, int tb, int m, int n, int k, const float *alpha,
                   const float *a, int lda, const float *b, int ldb, const float *beta, float *c,
                   int ldc) {
  const bool fits = lda >= (ta ? k : m) && ldb >= (tb ? n : k) && ldc >= m;
  if (m < 0 || n < 0 || k < 0 || !fits || lda < 1 || ldb < 1 || ldc < 1) return INVALID;
  size_t available, total;
  if (cuMemGetInfo_v2(&available, &total) || available < setting("CUEMU_BLAS_NEEDS")) {
    return EXECUTION_FAILED;
  }
  const Product p{ta != 0, tb != 0, m, n, k, *alpha, *beta, a, b, lda, ldb, c, ldc};
  enqueue(h->stream, [p] { p.run(); });
  return 0;
}

}  // extern "C"
