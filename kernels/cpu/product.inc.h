// Small products, whose b stays in the first-level cache:
//
//   c[i, j] = sum over k of a[i, k] b[k, j]
//
// with elements of a broadcast and rows of b in vectors.

enum {
  MR = 6,  // rows and vectors of an inner tile: what registers hold
#if W == 16
  NV = 4,
#else
  NV = 2,
#endif
};

// What becomes of a product with the c that was there.
enum { SET, ADD, SUBTRACT };  // c = a b, c += a b, c -= a b

#define INLINE static inline __attribute__((always_inline))

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

// One inner tile of mr rows and nv vectors. Subtracting is adding to -c.
INLINE void inner(const int mr, const int nv, float *c, size_t ldc, const float *a, size_t lda,
                  const float *b, size_t ldb, size_t K, int how) {
  vf sum[MR][NV];
  for (int i = 0; i < mr; i++) {
    for (int j = 0; j < nv; j++) {
      sum[i][j] = how == SET ? v_set(0.0f) : v_load(c + i * ldc + j * W);
      if (how == SUBTRACT) sum[i][j] = v_sub(v_set(0.0f), sum[i][j]);
    }
  }
  for (size_t k = 0; k < K; k++) {
    vf row[NV];
    for (int j = 0; j < nv; j++) row[j] = v_load(b + k * ldb + j * W);
    for (int i = 0; i < mr; i++) {
      const vf x = v_set(a[i * lda + k]);
      for (int j = 0; j < nv; j++) sum[i][j] = v_fma(x, row[j], sum[i][j]);
    }
  }
  for (int i = 0; i < mr; i++) {
    for (int j = 0; j < nv; j++) {
      if (how == SUBTRACT) sum[i][j] = v_sub(v_set(0.0f), sum[i][j]);
      v_store(c + i * ldc + j * W, sum[i][j]);
    }
  }
}

// One function per number of rows; 3 % (NV + 1) is 3 where there are so many vectors,
// and elsewhere a number that compiles.
#define INNER(mr)                                                                  \
  static void inner_##mr(int nv, float *c, size_t ldc, const float *a, size_t lda, \
                         const float *b, size_t ldb, size_t K, int how) {          \
    if (nv == 1) inner(mr, 1, c, ldc, a, lda, b, ldb, K, how);                     \
    if (nv == 2) inner(mr, 2, c, ldc, a, lda, b, ldb, K, how);                     \
    if (nv == 3) inner(mr, 3 % (NV + 1), c, ldc, a, lda, b, ldb, K, how);          \
    if (nv == 4) inner(mr, 4 % (NV + 1), c, ldc, a, lda, b, ldb, K, how);          \
  }
INNER(1)
INNER(2)
INNER(3)
INNER(4)
INNER(5)
INNER(6)
#undef INNER

// product is c = a b, or as how says: a (rows, K), b (K, vectors * W).
static void product(float *c, size_t ldc, const float *a, size_t lda, const float *b, size_t ldb,
                    size_t rows, size_t vectors, size_t K, int how) {
  typedef void (*kernel)(int, float *, size_t, const float *, size_t, const float *, size_t, size_t,
                         int);
  static const kernel table[MR] = {inner_1, inner_2, inner_3, inner_4, inner_5, inner_6};
  for (size_t j = 0; j < vectors; j += NV) {
    const int nv = (int)(vectors - j < NV ? vectors - j : NV);
    for (size_t i = 0; i < rows; i += MR) {
      const size_t mr = rows - i < MR ? rows - i : MR;
      table[mr - 1](nv, c + i * ldc + j * W, ldc, a + i * lda, lda, b + j * W, ldb, K, how);
    }
  }
}
