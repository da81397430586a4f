// Floats that one thread moves at once.
#pragma once

#include "platform.cuh"

// Pack is N neighbouring floats, which one instruction moves: 16 bytes where N is 4.
template <int N>
struct __align__(4 * N) Pack {
  float at[N];
};

template <int N>
__device__ __forceinline__ Pack<N> load(const float *p) {
  return *reinterpret_cast<const Pack<N> *>(p);
}

template <int N>
__device__ __forceinline__ void store(float *p, const Pack<N> &v) {
  *reinterpret_cast<Pack<N> *>(p) = v;
}

// aligned16 says whether Pack<4> may be moved at all of the addresses; NULL counts as
// aligned.
__device__ __forceinline__ bool aligned16(const void *a, const void *b = nullptr,
                                          const void *c = nullptr, const void *d = nullptr) {
  const size_t bits = reinterpret_cast<size_t>(a) | reinterpret_cast<size_t>(b) |
                      reinterpret_cast<size_t>(c) | reinterpret_cast<size_t>(d);
  return bits % 16 == 0;
}
