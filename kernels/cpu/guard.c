// Guards around buffers: words that must not change and, where the address sanitizer
// is on, bytes that must not be touched. It does not see what oneDNN touches, which
// may be the room for more rows behind a tensor.
#include "kernels.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

static const uint64_t word = 0x7ff50baddeadbeef;

void optin_cpu_guard_open(void *base, size_t bytes) { ASAN_UNPOISON_MEMORY_REGION(base, bytes); }

void optin_cpu_guard_set(void *base, size_t elements, size_t room) {
  char *data = (char *)base + OPTIN_GUARD_BYTES;
  uint64_t *before = base, *behind = (uint64_t *)(data + room);
  for (size_t i = 0; i < OPTIN_GUARD_BYTES / sizeof word; i++) before[i] = behind[i] = word;
  ASAN_POISON_MEMORY_REGION(base, OPTIN_GUARD_BYTES);
  ASAN_POISON_MEMORY_REGION(data + elements, room - elements + OPTIN_GUARD_BYTES);
}

int optin_cpu_guard_check(void *base, size_t elements, size_t room) {
  char *data = (char *)base + OPTIN_GUARD_BYTES;
  const uint64_t *before = base, *behind = (uint64_t *)(data + room);
  int broken = 0;
  ASAN_UNPOISON_MEMORY_REGION(base, OPTIN_GUARD_BYTES);
  ASAN_UNPOISON_MEMORY_REGION(data + room, OPTIN_GUARD_BYTES);
  for (size_t i = 0; i < OPTIN_GUARD_BYTES / sizeof word; i++) {
    if (before[i] != word) broken |= OPTIN_GUARD_BEFORE;
    if (behind[i] != word) broken |= OPTIN_GUARD_BEHIND;
  }
  ASAN_POISON_MEMORY_REGION(base, OPTIN_GUARD_BYTES);
  ASAN_POISON_MEMORY_REGION(data + elements, room - elements + OPTIN_GUARD_BYTES);
  return broken;
}
