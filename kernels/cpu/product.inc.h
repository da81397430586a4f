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

// One inner tile of mr rows and nv vectors, a being transposed where ta is set.
// Subtracting is adding to -c.
INLINE void inner(const int ta, const int mr, const int nv, float *c, size_t ldc, const float *a,
                  size_t lda, const float *b, size_t ldb, size_t K, int how) {
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
      const vf x = v_set(ta ? a[k * lda + i] : a[i * lda + k]);
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
typedef void inner_kernel(int nv, float *c, size_t ldc, const float *a, size_t lda, const float *b,
                          size_t ldb, size_t K, int how);
#define INNER(name, ta, mr)                                                         \
  static void name##_##mr(int nv, float *c, size_t ldc, const float *a, size_t lda, \
                          const float *b, size_t ldb, size_t K, int how) {          \
    if (nv == 1) inner(ta, mr, 1, c, ldc, a, lda, b, ldb, K, how);                  \
    if (nv == 2) inner(ta, mr, 2, c, ldc, a, lda, b, ldb, K, how);                  \
    if (nv == 3) inner(ta, mr, 3 % (NV + 1), c, ldc, a, lda, b, ldb, K, how);       \
    if (nv == 4) inner(ta, mr, 4 % (NV + 1), c, ldc, a, lda, b, ldb, K, how);       \
  }
#define INNERS(name, ta)                                               \
  INNER(name, ta, 1)                                                   \
  INNER(name, ta, 2)                                                   \
  INNER(name, ta, 3)                                                   \
  INNER(name, ta, 4)                                                   \
  INNER(name, ta, 5)                                                   \
  INNER(name, ta, 6)                                                   \
  static inner_kernel *const name[MR] = {name##_1, name##_2, name##_3, \
                                         name##_4, name##_5, name##_6};
INNERS(inner_plain, 0)
INNERS(inner_turned, 1)
#undef INNERS
#undef INNER

// tiles covers c with inner tiles; rows of c take values of a that are step apart.
INLINE void tiles(inner_kernel *const table[MR], size_t step, float *c, size_t ldc, const float *a,
                  size_t lda, const float *b, size_t ldb, size_t rows, size_t vectors, size_t K,
                  int how) {
  for (size_t j = 0; j < vectors; j += NV) {
    const int nv = (int)(vectors - j < NV ? vectors - j : NV);
    for (size_t i = 0; i < rows; i += MR) {
      const size_t mr = rows - i < MR ? rows - i : MR;
      table[mr - 1](nv, c + i * ldc + j * W, ldc, a + i * step, lda, b + j * W, ldb, K, how);
    }
  }
}

// product is c = a b, or as how says: a (rows, K), b (K, vectors * W).
static void product(float *c, size_t ldc, const float *a, size_t lda, const float *b, size_t ldb,
                    size_t rows, size_t vectors, size_t K, int how) {
  tiles(inner_plain, lda, c, ldc, a, lda, b, ldb, rows, vectors, K, how);
}

// product_turned is c = a' b, or as how says: a (K, rows), b (K, vectors * W).
static void product_turned(float *c, size_t ldc, const float *a, size_t lda, const float *b,
                           size_t ldb, size_t rows, size_t vectors, size_t K, int how) {
  tiles(inner_turned, 1, c, ldc, a, lda, b, ldb, rows, vectors, K, how);
}
