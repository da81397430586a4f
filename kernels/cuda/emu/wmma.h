// nvcuda::wmma of the emulator. Its register layout is not the hardware's: lane l holds
// elements l, l+32, ... in row-major order, so kernels must not depend on the layout.
#pragma once

#include <type_traits>

#include "number.h"
#include "warp.h"

namespace nvcuda {
namespace wmma {

struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
enum layout_t { mem_row_major, mem_col_major };

namespace precision {
struct tf32;
}

template <class T>
struct element {
  typedef T type;
};
template <>
struct element<precision::tf32> {
  typedef float type;
};

inline float value(float v) { return v; }
inline float value(half v) { return (float)v; }
inline float value(__nv_bfloat16 v) { return __bfloat162float(v); }

template <class Use, int M, int N, int K, class T, class L = void>
struct fragment {
  static constexpr int rows = std::is_same<Use, matrix_b>::value ? K : M;
  static constexpr int cols = std::is_same<Use, matrix_a>::value ? K : N;
  static constexpr int num_elements = rows * cols / 32;
  typename element<T>::type x[num_elements];
};

template <class F, class V>
inline void fill_fragment(F &f, V v) {
  for (auto &e : f.x) e = v;
}

// at is where element e of this lane lies in a matrix with stride s.
template <class F>
inline size_t at(int e, unsigned s, bool col) {
  const int i = e * 32 + cuemu::cur->lane, r = i / F::cols, c = i % F::cols;
  return col ? (size_t)c * s + r : (size_t)r * s + c;
}

template <class F, class P>
inline void load(F &f, const P *p, unsigned s, bool col) {
  for (int e = 0; e < F::num_elements; e++) f.x[e] = p[at<F>(e, s, col)];
}

template <class U, int M, int N, int K, class T, class L, class P>
inline void load_matrix_sync(fragment<U, M, N, K, T, L> &f, const P *p, unsigned s) {
  load(f, p, s, std::is_same<L, col_major>::value);
}
template <class U, int M, int N, int K, class T, class P>
inline void load_matrix_sync(fragment<U, M, N, K, T> &f, const P *p, unsigned s, layout_t l) {
  load(f, p, s, l == mem_col_major);
}
template <class F, class P>
inline void store_matrix_sync(P *p, const F &f, unsigned s, layout_t l) {
  for (int e = 0; e < F::num_elements; e++) p[at<F>(e, s, l == mem_col_major)] = f.x[e];
}

// __float_to_tf32 rounds to 10 bits of mantissa, ties away from zero, as cvt.rna does.
inline float __float_to_tf32(float v) {
  if (v != v || v - v != 0) return v;
  return __uint_as_float((__float_as_uint(v) + 0x1000) & ~0x1fffu);
}

// gather and scatter move a whole warp's fragment to and from a row-major matrix.
template <class F>
inline void gather(float *dst, const F *f, int lane) {
  for (int e = 0; e < F::num_elements; e++) dst[e * 32 + lane] = value(f->x[e]);
}
template <class F>
inline void scatter(F *f, const float *src, int lane) {
  for (int e = 0; e < F::num_elements; e++) f->x[e] = src[e * 32 + lane];
}

template <class D, class A, class M, class C>
inline void multiply(int line, D &d, const A &a, const M &b, const C &c) {
  struct Args {
    D *d;
    const A *a;
    const M *b;
    const C *c;
  } args{&d, &a, &b, &c};
  cuemu::collective(0xffffffffu, line, &args, [](void **lanes, unsigned) {
    constexpr int rows = A::rows, inner = A::cols, cols = M::cols;
    float x[rows][inner], y[inner][cols], z[rows][cols];
    for (int l = 0; l < 32; l++) {
      Args *q = (Args *)lanes[l];
      gather(&x[0][0], q->a, l);
      gather(&y[0][0], q->b, l);
      gather(&z[0][0], q->c, l);
    }
    for (int i = 0; i < rows; i++) {
      for (int k = 0; k < inner; k++) {
        for (int j = 0; j < cols; j++) z[i][j] += x[i][k] * y[k][j];
      }
    }
    for (int l = 0; l < 32; l++) scatter(((Args *)lanes[l])->d, &z[0][0], l);
  });
}

#define mma_sync(d, a, b, c) multiply(__LINE__, d, a, b, c)

}  // namespace wmma
}  // namespace nvcuda
