// The numbers of CUDA's headers: half and bfloat16, vector types, arithmetic, atomics.
#pragma once

#include <math.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

typedef _Float16 half;
typedef half __half;

// __nv_bfloat16 is the upper half of a float; g++ 12 has no type of its own for it.
struct __nv_bfloat16 {
  uint16_t bits;
};

#define CUEMU_VECTOR(T, name, bytes)                                         \
  struct __attribute__((aligned(2 * bytes))) name##2 {                       \
    T x, y;                                                                  \
  };                                                                         \
  struct __attribute__((aligned(4 * bytes > 16 ? 16 : 4 * bytes))) name##4 { \
    T x, y, z, w;                                                            \
  };                                                                         \
  inline name##2 make_##name##2(T x, T y) { return {x, y}; }                 \
  inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
CUEMU_VECTOR(float, float, 4)
CUEMU_VECTOR(double, double, 8)
CUEMU_VECTOR(int, int, 4)
CUEMU_VECTOR(unsigned, uint, 4)
CUEMU_VECTOR(short, short, 2)
CUEMU_VECTOR(unsigned short, ushort, 2)
CUEMU_VECTOR(unsigned char, uchar, 1)
#undef CUEMU_VECTOR

namespace cuemu {
template <class To, class From>
inline To bits(From v) {
  static_assert(sizeof(To) == sizeof(From), "as many bits");
  To to;
  memcpy(&to, &v, sizeof to);
  return to;
}
}  // namespace cuemu

inline float __int_as_float(int v) { return cuemu::bits<float>(v); }
inline float __uint_as_float(unsigned v) { return cuemu::bits<float>(v); }
inline int __float_as_int(float v) { return cuemu::bits<int>(v); }
inline unsigned __float_as_uint(float v) { return cuemu::bits<unsigned>(v); }
inline long long __double_as_longlong(double v) { return cuemu::bits<long long>(v); }
inline double __longlong_as_double(long long v) { return cuemu::bits<double>(v); }

inline half __float2half_rn(float v) { return (half)v; }
// __float2bfloat16 rounds to nearest, ties to even; a NaN stays one.
inline __nv_bfloat16 __float2bfloat16(float v) {
  const unsigned u = __float_as_uint(v);
  if (v != v) return {0x7fff};
  return {(uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16)};
}
inline __nv_bfloat16 __float2bfloat16_rn(float v) { return __float2bfloat16(v); }
inline float __bfloat162float(__nv_bfloat16 v) { return __uint_as_float((unsigned)v.bits << 16); }

template <class A, class C>
inline std::common_type_t<A, C> min(A a, C b) {
  return a < b ? a : b;
}
template <class A, class C>
inline std::common_type_t<A, C> max(A a, C b) {
  return a > b ? a : b;
}

inline float rsqrtf(float v) { return 1 / sqrtf(v); }
inline double rsqrt(double v) { return 1 / sqrt(v); }
inline float __expf(float v) { return expf(v); }
inline float __logf(float v) { return logf(v); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float v) { return 1 / v; }
inline float __fsqrt_rn(float v) { return sqrtf(v); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }

inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline int __clz(int v) { return v ? __builtin_clz(v) : 32; }

template <class T>
inline T __ldg(const T *p) {
  return *p;
}
template <class T>
inline T __ldcs(const T *p) {
  return *p;
}
template <class T>
inline void __stcs(T *p, T v) {
  *p = v;
}

// Only integers: the order in which atomic additions of floats happen is not fixed.
template <class T>
inline T atomicAdd(T *p, T v) {
  static_assert(std::is_integral<T>::value, "kernels must not depend on timing");
  return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}
template <class T>
inline T atomicMax(T *p, T v) {
  T old = *p;
  while (old < v &&
         !__atomic_compare_exchange_n(p, &old, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
