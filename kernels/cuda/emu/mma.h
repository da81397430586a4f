// ldmatrix and mma of the emulator, which mma.cuh describes. Registers hold what the "Parallel
// Thread Execution ISA" says that they hold, so a kernel may depend on it.
#pragma once

#include "number.h"
#include "warp.h"

namespace cuemu {

// Words of 32 bits hold two numbers of T, or one in tf32, of which a float's last 13 bits are
// not looked at.
template <class T>
struct Word {
  T at[2];
  static constexpr int N = 2;
  float value(int i) const;
};
template <>
inline float Word<half>::value(int i) const {
  return (float)at[i];
}
template <>
inline float Word<__nv_bfloat16>::value(int i) const {
  return __bfloat162float(at[i]);
}
template <>
struct Word<float> {
  unsigned at;
  static constexpr int N = 1;
  float value(int) const { return __uint_as_float(at & ~0x1fffu); }
};

struct Product {
  float *d;
  const unsigned *a;
  unsigned b[2];
};

// dot is the product of row r of A, 16 rows of 8 words, and row c of B, which the lanes hold.
template <class T>
inline float dot(float sum, void **lanes, int r, int c) {
  for (int w = 0; w < 8; w++) {
    const Product &x = *(Product *)lanes[r % 8 * 4 + w % 4], &y = *(Product *)lanes[c * 4 + w % 4];
    const Word<T> a = bits<Word<T>>(x.a[r / 8 + w / 4 * 2]), b = bits<Word<T>>(y.b[w / 4]);
    for (int i = 0; i < Word<T>::N; i++) sum += a.value(i) * b.value(i);
  }
  return sum;
}

}  // namespace cuemu

inline void ldmatrix(unsigned (&r)[4], const void *row, int line = __builtin_LINE()) {
  struct Load {
    unsigned *to;
    const unsigned *row;
  } load{r, (const unsigned *)row};
  if ((uintptr_t)row % 16) cuemu::die("a misaligned row of ldmatrix", line, line);
  cuemu::collective(0xffffffffu, line, &load, [](void **lanes, unsigned) {
    for (int l = 0; l < 32; l++) {
      for (int i = 0; i < 4; i++) {
        ((Load *)lanes[l])->to[i] = ((Load *)lanes[8 * i + l / 4])->row[l % 4];
      }
    }
  });
}

template <class T>
inline void mma(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1,
                int line = __builtin_LINE()) {
  cuemu::Product p{d, a, {b0, b1}};
  cuemu::collective(0xffffffffu, line, &p, [](void **lanes, unsigned) {
    for (int l = 0; l < 32; l++) {
      float *sums = ((cuemu::Product *)lanes[l])->d;
      for (int i = 0; i < 4; i++) {
        sums[i] = cuemu::dot<T>(sums[i], lanes, l / 4 + i / 2 * 8, l % 4 * 2 + i % 2);
      }
    }
  });
}
