// A stand-in for libnvidia-ml.so.1, NVIDIA's management library: what this project asks of
// it, for the devices of the stand-in driver. A device is always half busy at 100 W.
//
//   CUEMU_DEVICES=n   how many devices there are (1)
//   CUEMU_MEMORY=n    bytes of each device (4 GiB)
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_FOUND = 6 };
constexpr int CLOCK_MEM = 2;
constexpr unsigned POWER_MILLIWATTS = 100000;

struct PciInfo {
  char legacy[16];
  unsigned domain, bus, device, id, subsystem;
  char address[32];
};

struct Memory {
  unsigned long long total, free, used;
};

struct Utilization {
  unsigned gpu, memory;
};

struct Device {
  char uuid[48];
};
Device list[8];

unsigned devices() {
  const char *e = getenv("CUEMU_DEVICES");
  const unsigned n = e ? atoi(e) : 1;
  return n < 8 ? n : 8;
}

int put(char *dst, unsigned size, const char *text) {
  return snprintf(dst, size, "%s", text) < (int)size ? SUCCESS : INVALID_ARGUMENT;
}

unsigned number(const Device *d) { return d - list; }

}  // namespace

extern "C" {

int nvmlInit_v2() {
  for (unsigned d = 0; d < devices(); d++) {
    char *p = list[d].uuid + sprintf(list[d].uuid, "GPU-");
    for (unsigned i = 0; i < 16; i++) {  // as cuDeviceGetUuid has it
      if (i == 4 || i == 6 || i == 8 || i == 10) *p++ = '-';
      p += sprintf(p, "%02x", i + d);
    }
  }
  return SUCCESS;
}
int nvmlShutdown() { return SUCCESS; }
const char *nvmlErrorString(int status) { return status ? "an error" : "success"; }

int nvmlSystemGetDriverVersion(char *dst, unsigned size) { return put(dst, size, "550.54"); }
int nvmlSystemGetCudaDriverVersion_v2(int *dst) { return *dst = 12040, SUCCESS; }
int nvmlDeviceGetCount_v2(unsigned *dst) { return *dst = devices(), SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned i, Device **dst) {
  if (i >= devices()) return INVALID_ARGUMENT;
  return *dst = &list[i], SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Device **dst) {
  for (unsigned i = 0; i < devices(); i++) {
    if (!strcmp(uuid, list[i].uuid)) return *dst = &list[i], SUCCESS;
  }
  return NOT_FOUND;
}

int nvmlDeviceGetName(Device *, char *dst, unsigned size) { return put(dst, size, "emulated"); }
int nvmlDeviceGetUUID(Device *d, char *dst, unsigned size) { return put(dst, size, d->uuid); }

int nvmlDeviceGetPciInfo_v3(Device *d, PciInfo *dst) {
  memset(dst, 0, sizeof *dst);
  dst->bus = number(d) + 1;
  snprintf(dst->address, sizeof dst->address, "00000000:%02X:00.0", dst->bus);
  return SUCCESS;
}

int nvmlDeviceGetCudaComputeCapability(Device *, int *major, int *minor) {
  return *major = 9, *minor = 0, SUCCESS;
}

int nvmlDeviceGetMemoryInfo(Device *, Memory *dst) {
  const char *e = getenv("CUEMU_MEMORY");
  const unsigned long long total = e ? strtoull(e, nullptr, 10) : 4ull << 30;
  return *dst = {total, total, 0}, SUCCESS;
}

int nvmlDeviceGetMaxClockInfo(Device *, int type, unsigned *dst) {
  return *dst = type == CLOCK_MEM ? 2600 : 1980, SUCCESS;
}
int nvmlDeviceGetClockInfo(Device *, int type, unsigned *dst) {
  return *dst = type == CLOCK_MEM ? 2600 : 1500, SUCCESS;
}
int nvmlDeviceGetEnforcedPowerLimit(Device *, unsigned *dst) { return *dst = 700000, SUCCESS; }
int nvmlDeviceGetTemperatureThreshold(Device *, int, unsigned *dst) { return *dst = 90, SUCCESS; }
int nvmlDeviceGetPowerUsage(Device *, unsigned *dst) { return *dst = POWER_MILLIWATTS, SUCCESS; }
int nvmlDeviceGetTemperature(Device *, int, unsigned *dst) { return *dst = 50, SUCCESS; }
int nvmlDeviceGetUtilizationRates(Device *, Utilization *dst) { return *dst = {50, 25}, SUCCESS; }

int nvmlDeviceGetTotalEnergyConsumption(Device *, unsigned long long *dst) {
  const std::chrono::duration<double> on = std::chrono::steady_clock::now().time_since_epoch();
  return *dst = (unsigned long long)(on.count() * POWER_MILLIWATTS), SUCCESS;
}

int nvmlDeviceGetCurrentClocksEventReasons(Device *, unsigned long long *dst) {
  return *dst = 0, SUCCESS;
}

}  // extern "C"
