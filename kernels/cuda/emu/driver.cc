// A stand-in for libcuda.so.1: the calls of the driver that this project makes, run on the
// CPU with the kernels that are linked in. See stream.h for when work runs.
//
//   CUEMU_DEVICES=n   how many devices there are (1)
//   CUEMU_MEMORY=n    bytes of each device (4 GiB)
//   CUEMU_VERSION=n   the CUDA that the driver can run (12040, which is 12.4)
//   CUEMU_CAPABILITY=n,...   compute capabilities of the devices, 80 for 8.0 (90; the last one
//                     for all others; scripts/cuda-emulator has kernels for 9.x alone)
//   CUEMU_BUSY=1      no device can be opened: another program has it to itself
//   CUEMU_FAULT=n     the n-th kernel that a device runs goes to a wrong address
//   CUEMU_STRICT=1    asking a module for a kernel that another has ends in an unknown error
#include <cstdio>
#include <cstring>
#include <vector>

#include "launch.h"
#include "stream.h"

namespace {

constexpr int MAX_DEVICES = 8;
Context contexts[MAX_DEVICES];
thread_local Context *bound;

int devices() {
  const int n = (int)setting("CUEMU_DEVICES", 1);
  return n < MAX_DEVICES ? n : MAX_DEVICES;
}

int capability(int device) {
  const char *e = getenv("CUEMU_CAPABILITY");
  if (!e) return 90;
  for (; device > 0 && strchr(e, ','); device--) e = strchr(e, ',') + 1;
  return atoi(e);
}

constexpr size_t USUAL_SHARED = 48 << 10, MOST_SHARED = 227 << 10;

struct Function {
  const cuemu::Kernel *kernel;
  std::atomic<size_t> most_shared;
  explicit Function(const cuemu::Kernel *k) : kernel(k), most_shared(USUAL_SHARED) {}
};

// Module knows which kernels it has by an image that is a list of ".text.NAME" lines.
struct Module {
  std::string image;
  std::mutex lock;
  std::map<std::string, Function> functions;

  explicit Module(const char *i) : image(i) {}
  bool has(const char *kernel) const {
    return image.find(std::string(".text.") + kernel + "\n") != std::string::npos;
  }
};

bool valid(dim3 grid, dim3 dim, size_t shared, const Function &f) {
  const bool blocks =
      grid.x && grid.x <= 0x7fffffffu && grid.y && grid.y <= 65535 && grid.z && grid.z <= 65535;
  const bool threads = dim.x && dim.y && dim.z && dim.z <= 64 && dim.x <= 1024 && dim.y <= 1024 &&
                       (unsigned long)dim.x * dim.y * dim.z <= 1024;
  return blocks && threads && shared <= f.most_shared;
}

}  // namespace

Streams &streams() {
  static Streams s;
  return s;
}

Context *current() { return bound; }

extern "C" {

CUresult cuMemGetInfo_v2(size_t *available, size_t *total);

CUresult cuInit(unsigned flags) {
  if (flags) return INVALID_VALUE;
  return devices() > 0 ? SUCCESS : NO_DEVICE;
}

CUresult cuDriverGetVersion(int *dst) {
  const char *e = getenv("CUEMU_VERSION");
  return *dst = e ? atoi(e) : 12040, SUCCESS;
}

CUresult cuDeviceGetCount(int *dst) { return *dst = devices(), SUCCESS; }

CUresult cuDeviceGet(int *dst, int ordinal) {
  if (ordinal < 0 || ordinal >= devices()) return INVALID_DEVICE;
  return *dst = ordinal, SUCCESS;
}

CUresult cuDeviceGetName(char *dst, int size, int) {
  snprintf(dst, size, "emulated");
  return SUCCESS;
}

CUresult cuDeviceGetUuid(unsigned char *dst, int device) {
  for (int i = 0; i < 16; i++) dst[i] = (unsigned char)(i + device);
  return SUCCESS;
}

// The attributes by CUdevice_attribute's numbers.
CUresult cuDeviceGetAttribute(int *dst, int attribute, int device) {
  switch (attribute) {
    case 16:  // multiprocessors
      return *dst = 4, SUCCESS;
    case 75:  // major compute capability
      return *dst = capability(device) / 10, SUCCESS;
    case 76:  // minor
      return *dst = capability(device) % 10, SUCCESS;
    case 97:  // shared memory that a block may ask for
      return *dst = MOST_SHARED, SUCCESS;
  }
  return INVALID_VALUE;
}

CUresult cuDevicePrimaryCtxRetain(Context **dst, int device) {
  if (device < 0 || device >= devices()) return INVALID_DEVICE;
  if (setting("CUEMU_BUSY")) return UNAVAILABLE;
  Context &c = contexts[device];
  c.device = device;
  if (!c.retained++) c.launches = 0, c.error = SUCCESS;
  return *dst = &c, SUCCESS;
}

CUresult cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) {
  if (device < 0 || device >= devices()) return INVALID_DEVICE;
  return contexts[device].flags = flags, SUCCESS;
}

CUresult cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
  if (device < 0 || device >= devices()) return INVALID_DEVICE;
  return *flags = contexts[device].flags, *active = contexts[device].retained > 0, SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(int device) {
  if (device < 0 || device >= devices()) return INVALID_DEVICE;
  Context &c = contexts[device];
  if (c.retained <= 0) return INVALID_CONTEXT;
  if (!--c.retained) {
    streams().drain(&c);
    forget(&c);
  }
  return SUCCESS;
}

CUresult cuCtxSetCurrent(Context *c) { return bound = c, SUCCESS; }
CUresult cuCtxGetCurrent(Context **dst) { return *dst = bound, SUCCESS; }

CUresult cuCtxGetDevice(int *dst) {
  if (!bound) return INVALID_CONTEXT;
  return *dst = bound->device, SUCCESS;
}

CUresult cuCtxSynchronize() {
  if (const CUresult e = state()) return e;
  streams().drain(bound);
  return state();
}

CUresult cuStreamCreate(Stream **dst, unsigned) {
  if (const CUresult e = state()) return e;
  *dst = new Stream{bound, {}, {}};
  std::lock_guard<std::mutex> held(streams().lock);
  streams().all.insert(*dst);
  return SUCCESS;
}

CUresult cuStreamDestroy_v2(Stream *s) {
  {
    std::lock_guard<std::mutex> held(streams().lock);
    if (!streams().all.erase(s)) return INVALID_HANDLE;
  }
  s->drain();
  delete s;
  return state();
}

CUresult cuStreamSynchronize(Stream *s) {
  if (s) {
    s->drain();
  } else {
    streams().drain(bound);
  }
  return s ? s->context->error.load() : state();
}

CUresult cuEventCreate(Event **dst, unsigned) {
  if (const CUresult wrong = state()) return wrong;
  return *dst = new Event, SUCCESS;
}

CUresult cuEventDestroy_v2(Event *e) { return delete e, state(); }

CUresult cuEventRecord(Event *e, Stream *s) {
  if (const CUresult wrong = state()) return wrong;
  const unsigned long n = ++e->recorded;
  e->stream = s;
  enqueue(s, [e, n] {
    e->reached = n;
    e->at = std::chrono::steady_clock::now();
  });
  return SUCCESS;
}

CUresult cuEventQuery(Event *e) {
  if (const CUresult wrong = state()) return wrong;
  return e->reached == e->recorded ? SUCCESS : NOT_READY;
}

CUresult cuEventSynchronize(Event *e) {
  if (e->reached != e->recorded && e->stream) e->stream->drain();
  return state();
}

CUresult cuEventElapsedTime(float *dst, Event *start, Event *end) {
  if (!start->recorded || !end->recorded) return INVALID_HANDLE;
  if (start->reached != start->recorded || end->reached != end->recorded) return NOT_READY;
  *dst = std::chrono::duration<float, std::milli>(end->at - start->at).count();
  return SUCCESS;
}

CUresult cuStreamWaitEvent(Stream *s, Event *e, unsigned) {
  if (const CUresult wrong = state()) return wrong;
  enqueue(s, [e] { cuEventSynchronize(e); });
  return SUCCESS;
}

CUresult cuModuleLoadData(Module **dst, const void *image) {
  if (const CUresult e = state()) return e;
  if (!image || !*(const char *)image) return INVALID_IMAGE;
  size_t available, total;
  if (cuMemGetInfo_v2(&available, &total) || available < strlen((const char *)image)) {
    return OUT_OF_MEMORY;
  }
  return *dst = new Module((const char *)image), SUCCESS;
}

CUresult cuModuleUnload(Module *m) { return delete m, state(); }

CUresult cuModuleGetFunction(Function **dst, Module *m, const char *name) {
  if (const CUresult e = state()) return e;
  std::lock_guard<std::mutex> held(m->lock);
  auto kernel = cuemu::table().find(name);
  if (!m->has(name) || kernel == cuemu::table().end()) {
    return setting("CUEMU_STRICT") ? UNKNOWN : NOT_FOUND;
  }
  return *dst = &m->functions.try_emplace(name, &kernel->second).first->second, SUCCESS;
}

// The attributes are 8, how much dynamic shared memory it may ask for, and 9, how much of the
// memory of a multiprocessor is to be shared, in percent, which makes no difference here.
CUresult cuFuncSetAttribute(Function *f, int attribute, int value) {
  if (const CUresult e = state()) return e;
  if (attribute == 9) return value >= -1 && value <= 100 ? SUCCESS : INVALID_VALUE;
  if (attribute != 8 || value < 0 || (size_t)value > MOST_SHARED) return INVALID_VALUE;
  return f->most_shared = value, SUCCESS;
}

CUresult cuLaunchKernel(Function *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                        unsigned by, unsigned bz, unsigned shared, Stream *stream, void **params,
                        void **) {
  if (const CUresult e = state()) return e;
  const dim3 grid(gx, gy, gz), dim(bx, by, bz);
  if (!valid(grid, dim, shared, *f)) return INVALID_VALUE;
  std::vector<std::vector<char>> values;
  for (size_t i = 0; i < f->kernel->sizes.size(); i++) {
    const char *p = (const char *)params[i];
    values.emplace_back(p, p + f->kernel->sizes[i]);
  }
  Context *const wrong = ++bound->launches == setting("CUEMU_FAULT") ? bound : nullptr;
  enqueue(stream, [kernel = f->kernel, grid, dim, shared, values, wrong]() mutable {
    if (wrong) {
      wrong->error = ILLEGAL_ADDRESS;
      return;
    }
    std::vector<void *> p;
    for (auto &v : values) p.push_back(v.data());
    (*kernel)(grid, dim, shared, p.data());
  });
  return SUCCESS;
}

CUresult cuGetErrorName(CUresult e, const char **dst) {
  switch (e) {
    case OUT_OF_MEMORY:
      return *dst = "CUDA_ERROR_OUT_OF_MEMORY", SUCCESS;
    case UNAVAILABLE:
      return *dst = "CUDA_ERROR_DEVICE_UNAVAILABLE", SUCCESS;
    case ILLEGAL_ADDRESS:
      return *dst = "CUDA_ERROR_ILLEGAL_ADDRESS", SUCCESS;
  }
  return *dst = e ? "CUEMU_ERROR" : "CUDA_SUCCESS", SUCCESS;
}

CUresult cuGetErrorString(CUresult e, const char **dst) {
  return *dst = e ? "an error of the emulator" : "no error", SUCCESS;
}

}  // extern "C"
