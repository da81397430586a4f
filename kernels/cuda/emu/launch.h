// Grids of the emulator, and the table in which the stand-in driver finds kernels by name.
#pragma once

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "block.h"

namespace cuemu {

// workers is how many OS threads a grid is worth: CUEMU_THREADS, or the machine's; one for
// small grids, where starting a thread would cost more than it saves.
inline unsigned workers(unsigned long blocks, unsigned long threads) {
  static const unsigned most = [] {
    const char *e = getenv("CUEMU_THREADS");
    return e ? (unsigned)atoi(e) : std::thread::hardware_concurrency();
  }();
  if (blocks * threads < 1 << 14) return 1;
  return blocks < most ? (unsigned)blocks : most;
}

// shared_memory gives the block n bytes from the heap, so that the address sanitizer sees
// their end.
inline void shared_memory(Block &b, size_t n) {
  if (b.shared_bytes == n) return;
  free(b.shared);
  b.shared = nullptr;
  if (n && posix_memalign((void **)&b.shared, 128, n)) {
    fprintf(stderr, "cuemu: no memory for %zu shared bytes\n", n);
    abort();
  }
  b.shared_bytes = n;
}

// launch runs body in every thread of the grid. CUEMU_BACKWARDS=1 runs blocks and their
// threads last to first, which must not change any result.
template <class F>
void launch(dim3 grid, dim3 dim, size_t shared, F body) {
  static const bool backwards = getenv("CUEMU_BACKWARDS") != nullptr;
  std::atomic<unsigned long> next{0};
  const unsigned long total = (unsigned long)grid.x * grid.y * grid.z;
  auto work = [&] {
    static thread_local Block b;
    B = &b;
    b.grid = grid;
    b.dim = dim;
    b.n = dim.x * dim.y * dim.z;
    b.backwards = backwards;
    b.body = [](void *p) { (*(F *)p)(); };
    b.arg = &body;
    shared_memory(b, shared);
    for (unsigned long n; (n = next++) < total;) {
      const unsigned long i = backwards ? total - 1 - n : n;
      b.idx = {(unsigned)(i % grid.x), (unsigned)(i / grid.x % grid.y),
               (unsigned)(i / grid.x / grid.y)};
      run(b);
    }
  };
  std::vector<std::thread> others;
  for (unsigned i = workers(total, dim.x * dim.y * dim.z); i > 1; i--) others.emplace_back(work);
  work();
  for (auto &t : others) t.join();
}

// Kernel is a kernel as cuLaunchKernel calls one: p holds the addresses of the parameters.
struct Kernel {
  void (*run)(dim3 grid, dim3 dim, size_t shared, void **p);
  std::vector<size_t> sizes;  // of the parameters, in bytes
  void operator()(dim3 grid, dim3 dim, size_t shared, void **p) const { run(grid, dim, shared, p); }
};

inline std::map<std::string, Kernel> &table() {
  static std::map<std::string, Kernel> kernels;
  return kernels;
}

template <auto K>
struct Call;
template <class... A, void (*K)(A...)>
struct Call<K> {
  template <size_t... I>
  static void with(dim3 g, dim3 d, size_t s, void **p, std::index_sequence<I...>) {
    launch(g, d, s, [p] { K(*(A *)p[I]...); });
  }
  static void run(dim3 g, dim3 d, size_t s, void **p) {
    with(g, d, s, p, std::index_sequence_for<A...>());
  }
  static Kernel kernel() { return {run, {sizeof(A)...}}; }
};

struct Register {
  Register(const char *name, Kernel k) { table()[name] = k; }
};

}  // namespace cuemu

// CUEMU_KERNEL makes kernel k known to the stand-in driver.
#define CUEMU_KERNEL(k) static cuemu::Register cuemu_register_##k(#k, cuemu::Call<k>::kernel());
