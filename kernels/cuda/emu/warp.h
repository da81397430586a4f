// Warp operations of the emulator, and copies that a thread starts and later waits for.
#pragma once

#include "block.h"

namespace cuemu {

// collective leaves arg for the other lanes in mask; the last of them to come runs
// fn(args, mask) for all.
template <class F>
inline void collective(unsigned mask, int line, void *arg, F fn) {
  Warp &w = B->warps[cur->warp];
  if (!(mask >> cur->lane & 1)) die("a lane outside the mask of its warp operation", line, line);
  if (w.arrived && (w.mask != mask || w.line != line)) {
    die("lanes of a warp diverge at a warp operation", w.line, line);
  }
  w.arg[cur->lane] = arg;
  w.mask = mask;
  w.line = line;
  w.arrived |= 1u << cur->lane;
  if (w.arrived != mask) {
    cur->state = AT_WARP;
    to_scheduler();
    return;
  }
  fn(w.arg, mask);
  w.arrived = 0;
  const int first = cur->warp * 32;
  for (int l = 0; l < 32; l++) {
    if ((mask >> l & 1) && B->fibers[first + l].state == AT_WARP) {
      B->fibers[first + l].state = READY;
    }
  }
}

struct Shuffle {
  uint64_t in, out;
  int from;
};

// shuffle gives each lane the v of lane from, or its own if that is not in the mask.
template <class T>
inline T shuffle(int line, unsigned mask, T v, int from) {
  static_assert(sizeof v <= sizeof(uint64_t), "one register or two");
  Shuffle s{0, 0, from};
  memcpy(&s.in, &v, sizeof v);
  collective(mask, line, &s, [](void **args, unsigned m) {
    for (int l = 0; l < 32; l++) {
      if (!(m >> l & 1)) continue;
      Shuffle *p = (Shuffle *)args[l];
      const bool valid = p->from >= 0 && p->from < 32 && (m >> p->from & 1);
      p->out = valid ? ((Shuffle *)args[p->from])->in : p->in;
    }
  });
  memcpy(&v, &s.out, sizeof v);
  return v;
}

inline int segment(int width) { return cur->lane & ~(width - 1); }

template <class T>
inline T shuffle_index(int line, unsigned m, T v, int from, int width = 32) {
  return shuffle(line, m, v, segment(width) + (from & (width - 1)));
}
template <class T>
inline T shuffle_xor(int line, unsigned m, T v, int x, int width = 32) {
  const int from = cur->lane ^ x;
  return shuffle(line, m, v, from < segment(width) + width ? from : cur->lane);
}
template <class T>
inline T shuffle_down(int line, unsigned m, T v, unsigned d, int width = 32) {
  const int from = cur->lane + (int)d;
  return shuffle(line, m, v, from < segment(width) + width ? from : cur->lane);
}
template <class T>
inline T shuffle_up(int line, unsigned m, T v, unsigned d, int width = 32) {
  const int from = cur->lane - (int)d;
  return shuffle(line, m, v, from >= segment(width) ? from : cur->lane);
}

struct Vote {
  bool in;
  unsigned out;
};

inline unsigned ballot(int line, unsigned mask, bool condition) {
  Vote v{condition, 0};
  collective(mask, line, &v, [](void **args, unsigned m) {
    unsigned bits = 0;
    for (int l = 0; l < 32; l++) {
      if (m >> l & 1) bits |= (unsigned)((Vote *)args[l])->in << l;
    }
    for (int l = 0; l < 32; l++) {
      if (m >> l & 1) ((Vote *)args[l])->out = bits;
    }
  });
  return v.out;
}

inline void sync_warp(int line, unsigned mask = 0xffffffffu) {
  collective(mask, line, nullptr, [](void **, unsigned) {});
}

// A copy arrives only when it is waited for, so that a kernel that forgets to wait reads
// what was there before.
inline void copy_async(void *dst, const void *src, size_t bytes, size_t zeros = 0) {
  if (bytes != 4 && bytes != 8 && bytes != 16) die("an asynchronous copy of a wrong size", 0, 0);
  if (((uintptr_t)dst | (uintptr_t)src) % bytes) die("a misaligned asynchronous copy", 0, 0);
  if (cur->copies.empty()) cur->copies.emplace_back();
  cur->copies.back().push_back({dst, src, bytes, zeros});
}

inline void copy_commit() {
  if (cur->copies.empty()) cur->copies.emplace_back();
  cur->copies.emplace_back();
}

// copy_wait waits for all but the last prior groups that were committed.
inline void copy_wait(size_t prior) {
  auto &groups = cur->copies;
  while (groups.size() > prior + 1) {
    for (const Copy &c : groups.front()) {
      memcpy(c.dst, c.src, c.bytes - c.zeros);
      memset((char *)c.dst + c.bytes - c.zeros, 0, c.zeros);
    }
    groups.erase(groups.begin());
  }
}

}  // namespace cuemu

#define __syncwarp(...) cuemu::sync_warp(__LINE__ __VA_OPT__(, ) __VA_ARGS__)
#define __shfl_sync(m, v, ...) cuemu::shuffle_index(__LINE__, m, v, __VA_ARGS__)
#define __shfl_xor_sync(m, v, ...) cuemu::shuffle_xor(__LINE__, m, v, __VA_ARGS__)
#define __shfl_down_sync(m, v, ...) cuemu::shuffle_down(__LINE__, m, v, __VA_ARGS__)
#define __shfl_up_sync(m, v, ...) cuemu::shuffle_up(__LINE__, m, v, __VA_ARGS__)
#define __ballot_sync(m, p) cuemu::ballot(__LINE__, m, p)
#define __any_sync(m, p) (cuemu::ballot(__LINE__, m, p) != 0)
#define __all_sync(m, p) (cuemu::ballot(__LINE__, m, p) == (m))
#define __pipeline_memcpy_async(...) cuemu::copy_async(__VA_ARGS__)
#define __pipeline_commit() cuemu::copy_commit()
#define __pipeline_wait_prior(n) cuemu::copy_wait(n)
