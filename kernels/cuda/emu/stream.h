// Streams of the stand-in driver. Work that is put into a stream runs when somebody waits
// for it and not before, so that a program that reads a result, or writes over an argument,
// too early finds the wrong values.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <functional>
#include <mutex>
#include <set>

typedef int CUresult;
typedef unsigned long long CUdeviceptr;

enum {
  SUCCESS = 0,
  INVALID_VALUE = 1,
  OUT_OF_MEMORY = 2,
  UNAVAILABLE = 46,
  NO_DEVICE = 100,
  INVALID_DEVICE = 101,
  INVALID_IMAGE = 200,
  INVALID_CONTEXT = 201,
  INVALID_HANDLE = 400,
  NOT_FOUND = 500,
  NOT_READY = 600,
  ILLEGAL_ADDRESS = 700,
  UNKNOWN = 999,
};

struct Context {
  int device;
  int retained;
  unsigned flags;
  std::atomic<size_t> launches;  // since it was made
  std::atomic<int> error;  // of a kernel that went wrong: what every call returns from then on
};

struct Stream {
  Context *context;
  std::recursive_mutex lock;
  std::deque<std::function<void()>> work;

  void push(std::function<void()> f) {
    std::lock_guard<std::recursive_mutex> held(lock);
    work.push_back(std::move(f));
  }
  // drain runs all work that is there, unless a kernel of the context went wrong.
  void drain() {
    std::lock_guard<std::recursive_mutex> held(lock);
    while (!work.empty()) {
      auto f = std::move(work.front());
      work.pop_front();
      if (!context->error) f();
    }
  }
};

struct Event {
  Stream *stream = nullptr;  // that it was last recorded in
  unsigned long recorded = 0, reached = 0;
  std::chrono::steady_clock::time_point at;
};

// Streams that exist, so that what waits for a device can find them.
struct Streams {
  std::mutex lock;
  std::set<Stream *> all;

  // drain runs the work of all streams of a context (null: of any).
  void drain(Context *c) {
    std::set<Stream *> copy;
    {
      std::lock_guard<std::mutex> held(lock);
      copy = all;
    }
    for (Stream *s : copy) {
      if (!c || s->context == c) s->drain();
    }
  }
};

Streams &streams();

// forget frees all memory of a context that is no more.
void forget(Context *c);

// current is the context of the calling thread, or null.
Context *current();

// setting is a number of the environment, or what it is by default.
inline size_t setting(const char *name, size_t otherwise = 0) {
  const char *e = getenv(name);
  return e ? strtoull(e, nullptr, 10) : otherwise;
}

// state is what hinders a call on the calling thread.
inline CUresult state() { return current() ? current()->error.load() : INVALID_CONTEXT; }

// enqueue puts f into stream, or runs it at once in the stream called NULL, which waits for
// the others of its context first.
inline void enqueue(Stream *stream, std::function<void()> f) {
  if (stream) {
    stream->push(std::move(f));
    return;
  }
  streams().drain(current());
  if (!current()->error) f();
}
