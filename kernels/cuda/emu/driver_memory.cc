// The memory of the stand-in driver. It is full of NaN when it is new, and what lies behind
// an allocation is the heap's, so that the address sanitizer sees its end.
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "stream.h"

namespace {

struct Room {
  size_t bytes;
  Context *context;
  bool host, managed;
  bool touched[8];  // managed: by which devices, each of which has a copy
};

std::mutex lock;
std::map<CUdeviceptr, Room> rooms;
size_t used[8];     // by device
size_t managed[8];  // beside that, which makes room where used needs it

size_t installed() { return setting("CUEMU_MEMORY", 4ull << 30); }

// within says whether n bytes at p lie in one allocation of the kind. The device of the
// context is about to touch them.
bool within(CUdeviceptr p, size_t n, bool host) {
  std::lock_guard<std::mutex> held(lock);
  auto next = rooms.upper_bound(p);
  if (next == rooms.begin()) return false;
  Room &room = std::prev(next)->second;
  if (room.host != host || p + n > std::prev(next)->first + room.bytes) return false;
  const int device = current() ? current()->device : 0;
  if (room.managed && !room.touched[device]) {
    room.touched[device] = true;
    managed[device] += room.bytes;
  }
  return true;
}

bool on_device(CUdeviceptr p, size_t n) { return within(p, n, false); }
bool pinned(const void *p, size_t n) { return within((CUdeviceptr)p, n, true); }

CUresult take(CUdeviceptr *dst, size_t n, bool host, bool shared = false) {
  if (const CUresult e = state()) return e;
  Context *c = current();
  if (!n) return INVALID_VALUE;
  std::lock_guard<std::mutex> held(lock);
  if (!host && !shared && (n > installed() || used[c->device] > installed() - n))
    return OUT_OF_MEMORY;
  void *p = nullptr;
  if (posix_memalign(&p, 256, n)) return OUT_OF_MEMORY;
  memset(p, 0xff, n);
  *dst = (CUdeviceptr)p;
  rooms[*dst] = {n, c, host, shared, {}};
  if (!host && !shared) used[c->device] += n;
  return SUCCESS;
}

typedef std::map<CUdeviceptr, Room>::iterator Place;

Place drop(Place at) {
  const Room &room = at->second;
  for (int d = 0; d < 8; d++) {
    if (room.touched[d]) managed[d] -= room.bytes;
  }
  if (!room.host && !room.managed) used[room.context->device] -= room.bytes;
  free((void *)at->first);
  return rooms.erase(at);
}

CUresult give(CUdeviceptr p, bool host) {
  streams().drain(nullptr);  // whatever may still use it
  std::lock_guard<std::mutex> held(lock);
  auto room = rooms.find(p);
  if (room == rooms.end() || room->second.host != host) return INVALID_VALUE;
  if (const CUresult e = state()) return e;  // what the context has, goes with it
  drop(room);
  return SUCCESS;
}

void move(Stream *s, void *dst, const void *src, size_t n) {
  enqueue(s, [=] { memmove(dst, src, n); });
}

}  // namespace

void forget(Context *c) {
  std::lock_guard<std::mutex> held(lock);
  for (auto at = rooms.begin(); at != rooms.end();) {
    at = at->second.context == c ? drop(at) : std::next(at);
  }
}

extern "C" {

CUresult cuMemAlloc_v2(CUdeviceptr *dst, size_t n) { return take(dst, n, false); }
CUresult cuMemAllocManaged(CUdeviceptr *dst, size_t n, unsigned) {
  return take(dst, n, false, true);
}
CUresult cuMemAdvise(CUdeviceptr, size_t, int, int) { return state(); }
CUresult cuMemFree_v2(CUdeviceptr p) { return give(p, false); }
CUresult cuMemAllocHost_v2(void **dst, size_t n) { return take((CUdeviceptr *)dst, n, true); }
CUresult cuMemFreeHost(void *p) { return give((CUdeviceptr)p, true); }

CUresult cuMemGetInfo_v2(size_t *available, size_t *total) {
  if (const CUresult e = state()) return e;
  std::lock_guard<std::mutex> held(lock);
  const size_t taken = used[current()->device] + managed[current()->device];
  *total = installed();
  *available = taken < *total ? *total - taken : 0;
  return SUCCESS;
}

// From memory that is not pinned, the driver reads before it returns.
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dst, const void *src, size_t n, Stream *s) {
  if (const CUresult e = state()) return e;
  if (!on_device(dst, n)) return INVALID_VALUE;
  if (pinned(src, n)) return move(s, (void *)dst, src, n), SUCCESS;
  auto copy = std::make_shared<std::vector<char>>((const char *)src, (const char *)src + n);
  enqueue(s, [=] { memcpy((void *)dst, copy->data(), n); });
  return SUCCESS;
}

// To memory that is not pinned, it returns when it has written.
CUresult cuMemcpyDtoHAsync_v2(void *dst, CUdeviceptr src, size_t n, Stream *s) {
  if (const CUresult e = state()) return e;
  if (!on_device(src, n)) return INVALID_VALUE;
  move(s, dst, (const void *)src, n);
  if (!pinned(dst, n) && s) s->drain();
  return SUCCESS;
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr dst, CUdeviceptr src, size_t n, Stream *s) {
  if (const CUresult e = state()) return e;
  if (!on_device(dst, n) || !on_device(src, n)) return INVALID_VALUE;
  return move(s, (void *)dst, (const void *)src, n), SUCCESS;
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr dst, const void *src, size_t n) {
  return cuMemcpyHtoDAsync_v2(dst, src, n, nullptr);
}

CUresult cuMemcpyDtoH_v2(void *dst, CUdeviceptr src, size_t n) {
  return cuMemcpyDtoHAsync_v2(dst, src, n, nullptr);
}

CUresult cuMemsetD8Async(CUdeviceptr dst, unsigned char v, size_t n, Stream *s) {
  if (const CUresult e = state()) return e;
  if (!on_device(dst, n)) return INVALID_VALUE;
  enqueue(s, [=] { memset((void *)dst, v, n); });
  return SUCCESS;
}

}  // extern "C"
