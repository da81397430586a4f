// One block of the emulator: its fibers, their stacks, its barriers and its schedule.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

struct uint3 {
  unsigned x, y, z;
};

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

namespace cuemu {

constexpr size_t STACK = 64 << 10;  // bytes of a fiber

enum State { READY, AT_WARP, AT_BLOCK, DONE };

struct Copy {  // an asynchronous copy that has not arrived
  void *dst;
  const void *src;
  size_t bytes, zeros;
};

struct Fiber {
  uint3 tid;
  int lane, warp;
  State state;
  void *sp;
  std::vector<std::vector<Copy>> copies;  // by group; the last is not committed
};

struct Warp {
  void *arg[32];
  unsigned arrived, mask;
  int line;
};

struct Block {
  dim3 grid, dim;
  uint3 idx;
  int n = 0, done = 0, at_barrier = 0, line = 0, votes = 0;
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  char *stacks = nullptr;
  size_t stack_bytes = 0;
  void (*body)(void *) = nullptr;
  void *arg = nullptr;
  void *scheduler = nullptr;        // its stack pointer while a fiber runs
  unsigned char *shared = nullptr;  // dynamic shared memory
  size_t shared_bytes = 0;
  bool backwards = false;  // warps and lanes run last to first

  Block() = default;
  Block(const Block &) = delete;
  Block &operator=(const Block &) = delete;
  ~Block() {
    if (stacks) munmap(stacks, stack_bytes);
    free(shared);
  }
};

inline thread_local Block *B;
inline thread_local Fiber *cur;

[[noreturn]] inline void die(const char *what, int line, int other) {
  fprintf(stderr, "cuemu: %s (lines %d, %d) block (%u,%u,%u) thread (%u,%u,%u)\n", what, line,
          other, B->idx.x, B->idx.y, B->idx.z, cur->tid.x, cur->tid.y, cur->tid.z);
  abort();
}

// cuemu_switch saves the caller's registers on its stack and its stack pointer to *save,
// and goes on where load was saved.
extern "C" void cuemu_switch(void **save, void *load);
asm(".text; .weak cuemu_switch; .type cuemu_switch,@function; cuemu_switch:"
    "pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15;"
    "movq %rsp,(%rdi); movq %rsi,%rsp;"
    "popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp; ret;"
    ".size cuemu_switch,.-cuemu_switch");

inline void to_scheduler() { cuemu_switch(&cur->sp, B->scheduler); }

inline void to_fiber(Fiber &f) {
  cur = &f;
  cuemu_switch(&B->scheduler, f.sp);
}

inline void entry() {
  B->body(B->arg);
  cur->state = DONE;
  B->done++;
  to_scheduler();
  abort();
}

// barrier waits for all threads of the block that have not returned.
inline void barrier(int line) {
  if (B->at_barrier && B->line != line) die("__syncthreads reached at two places", B->line, line);
  B->line = line;
  B->at_barrier++;
  cur->state = AT_BLOCK;
  to_scheduler();
}

// barrier_count is __syncthreads_count: how many threads passed a true condition.
inline int barrier_count(bool condition, int line) {
  if (!B->at_barrier) B->votes = 0;
  B->votes += condition;
  barrier(line);
  const int count = B->votes;
  barrier(line);  // none may vote again before all have read
  return count;
}

inline void prepare_stacks(Block &b) {
  const size_t want = b.n * STACK;
  if (b.stack_bytes >= want) return;
  if (b.stacks) munmap(b.stacks, b.stack_bytes);
  void *p = mmap(nullptr, want, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                 -1, 0);
  if (p == MAP_FAILED) {
    perror("cuemu: stacks of a block");
    abort();
  }
  b.stacks = (char *)p;
  b.stack_bytes = want;
}

// prepare sets every thread at the kernel's first instruction, and shared memory to NaNs.
inline void prepare(Block &b) {
  b.done = b.at_barrier = 0;
  b.fibers.resize(b.n);
  b.warps.assign((b.n + 31) / 32, Warp{});
  prepare_stacks(b);
  if (b.shared_bytes) memset(b.shared, 0xff, b.shared_bytes);
  for (int i = 0; i < b.n; i++) {
    Fiber &f = b.fibers[i];
    const unsigned u = i;
    f.tid = {u % b.dim.x, u / b.dim.x % b.dim.y, u / b.dim.x / b.dim.y};
    f.lane = i % 32;
    f.warp = i / 32;
    f.state = READY;
    f.copies.clear();
    // Staggered, to spare the cache; entry starts with rsp = 16k+8, as after a call.
    void **sp = (void **)(b.stacks + (i + 1) * STACK - (i % 8) * 64) - 3;
    *--sp = (void *)entry;
    f.sp = sp - 6;
  }
}

// run_warp runs the threads of warp w until each waits or has returned.
inline bool run_warp(Block &b, int w) {
  bool moved = false;
  const int first = w * 32, last = b.n < first + 32 ? b.n : first + 32;
  for (bool any = true; any;) {
    any = false;
    for (int k = first; k < last; k++) {
      Fiber &f = b.fibers[b.backwards ? first + last - 1 - k : k];
      if (f.state != READY) continue;
      any = moved = true;
      to_fiber(f);
    }
  }
  return moved;
}

inline void run(Block &b) {
  prepare(b);
  const int warps = (int)b.warps.size();
  while (b.done < b.n) {
    bool moved = false;
    for (int w = 0; w < warps; w++) moved |= run_warp(b, b.backwards ? warps - 1 - w : w);
    if (b.at_barrier && b.at_barrier == b.n - b.done) {
      b.at_barrier = 0;
      for (auto &f : b.fibers) {
        if (f.state == AT_BLOCK) f.state = READY;
      }
      moved = true;
    }
    if (!moved) {
      die("deadlock: a barrier or a warp operation not reached by all", b.line,
          b.warps[cur->warp].line);
    }
  }
}

}  // namespace cuemu

#define __syncthreads() cuemu::barrier(__LINE__)
#define __syncthreads_count(p) cuemu::barrier_count(p, __LINE__)
#define __syncthreads_or(p) (cuemu::barrier_count(p, __LINE__) != 0)

namespace cuemu {

// dynamic_shared is the block's dynamic shared memory, of so many bytes.
inline void *dynamic_shared(size_t bytes, int line) {
  if (B->shared_bytes != bytes) die("launched with another size of shared memory", line, line);
  return B->shared;
}

}  // namespace cuemu

// DYNAMIC_SHARED declares name as the block's dynamic shared memory, with which it is launched.
#define DYNAMIC_SHARED(type, name, bytes) \
  type *name = (type *)cuemu::dynamic_shared(bytes, __LINE__)
