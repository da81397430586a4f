// What the tests of row kernels and losses share: matrices of random numbers, launches by a
// kernel's own signature, comparison with sums in double precision, and a second run with
// the threads' order reversed, which must give the same bits.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

#include "platform.cuh"

#define LAUNCH(kernel, grid, block, ...) trial::launch(grid, block, [&] { kernel(__VA_ARGS__); })

namespace trial {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

inline int failures;
inline uint64_t digest = 1469598103934665603u;  // of all results
inline std::mt19937_64 &generator() {
  static std::mt19937_64 r(7);
  return r;
}

inline void launch_checked(dim3 grid, dim3 block) {
  if (grid.x && grid.y && grid.z && grid.y < 65536 && grid.z < 65536 &&
      block.x * block.y * block.z <= 1024) {
    return;
  }
  printf("a launch that no GPU takes: grid %u %u %u, block %u %u %u\n", grid.x, grid.y, grid.z,
         block.x, block.y, block.z);
  abort();
}

template <class F>
void launch(dim3 grid, dim3 block, F body) {
  launch_checked(grid, block);
  cuemu::launch(grid, block, 0, body);
}

inline long long ceil_div(long long a, long long b) { return (a + b - 1) / b; }

// Array is n elements on the heap, offset elements after an address that is a multiple of 16:
// the address sanitizer sees both ends (the front where offset is 0).
template <class T>
struct Array {
  std::unique_ptr<T, decltype(&free)> block;
  T *data;
  long long n;

  explicit Array(long long n, T value = T(), int offset = 0)
      : block((T *)aligned_alloc_or_die((n + offset) * sizeof(T)), free),
        data(block.get() + offset),
        n(n) {
    std::fill(data, data + n, value);
  }

  static void *aligned_alloc_or_die(size_t bytes) {
    void *p = nullptr;
    if (posix_memalign(&p, 16, bytes ? bytes : 1)) abort();
    return p;
  }

  operator T *() { return data; }
  operator const T *() const { return data; }
  T &operator[](long long i) { return data[i]; }
  const T &operator[](long long i) const { return data[i]; }

  Array copy() const {
    Array other(n, T());
    std::copy(data, data + n, other.data);
    return other;
  }
};

typedef Array<float> Floats;
typedef Array<int> Ints;
typedef Array<double> Doubles;

// normal numbers; offset puts them where they cannot be read by 16 bytes.
inline Floats normal(long long n, double deviation = 1, double mean = 0, int offset = 0) {
  Floats a(n, 0, offset);
  std::normal_distribution<double> d(mean, deviation);
  for (long long i = 0; i < n; i++) a[i] = (float)d(generator());
  return a;
}

inline Ints integers(long long n, int from, int to) {
  Ints a(n);
  for (long long i = 0; i < n; i++) {
    a[i] = from + (int)(generator()() % (unsigned long long)(to - from));
  }
  return a;
}

// fresh is a result before its kernel runs: NaN, so that nothing unwritten goes unseen.
inline Floats fresh(long long n, int offset = 0) { return Floats(n, not_a_number, offset); }
inline Doubles fresh_doubles(long long n) { return Doubles(n, (double)not_a_number); }

inline void add_digest(const void *p, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) digest = (digest ^ ((const uint8_t *)p)[i]) * 1099511628211u;
}

// compare holds got[i] against want[i] within tolerance(i); NaN agrees with NaN, an infinity
// with itself.
template <class T, class F>
void compare(const std::string &what, const Array<T> &got, const std::vector<double> &want,
             F tolerance) {
  if ((long long)want.size() != got.n) {
    printf("%s: %lld values, want %zu\n", what.c_str(), got.n, want.size());
    failures++;
    return;
  }
  for (long long i = 0; i < got.n; i++) {
    const double g = (double)got[i], w = want[i];
    const T bits = std::isnan(g) ? (T)0 : got[i];
    add_digest(&bits, sizeof bits);
    if (g == w || (std::isnan(g) && std::isnan(w))) continue;
    const double t = tolerance(i);
    if (std::fabs(g - w) <= t && !std::isinf(w)) continue;
    printf("%s: element %lld is %.9g, want %.9g within %.3g\n", what.c_str(), i, g, w, t);
    failures++;
    return;
  }
}

template <class T>
void compare(const std::string &what, const Array<T> &got, const std::vector<double> &want,
             double relative, double absolute) {
  compare(what, got, want, [&](long long i) { return relative * std::fabs(want[i]) + absolute; });
}

template <class T>
void same(const std::string &what, const Array<T> &got, const std::vector<double> &want) {
  compare(what, got, want, 0, 0);
}

// finish ends a test: it runs again with the threads' order reversed and compares the digest.
inline int finish(char **argv) {
  fflush(stdout);
  const char *first = getenv("TRIAL_DIGEST");
  if (first) {
    if (digest == strtoull(first, nullptr, 16)) return failures != 0;
    printf("other results when threads run in another order\n");
    return 1;
  }
  if (failures) {
    printf("%d failed\n", failures);
    return 1;
  }
  char text[32];
  snprintf(text, sizeof text, "%llx", (unsigned long long)digest);
  setenv("TRIAL_DIGEST", text, 1);
  setenv("CUEMU_BACKWARDS", "1", 1);
  execv("/proc/self/exe", argv);
  perror("trial: second run");
  return 1;
}

}  // namespace trial
