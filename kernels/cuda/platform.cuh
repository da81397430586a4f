// What every .cu file includes first: CUDA's headers, or the emulator that stands in for
// them on a CPU, and the few words that the two spell differently.
#pragma once

#ifdef CUEMU
#include "emu/cuemu.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_pipeline.h>

// DYNAMIC_SHARED declares name as the block's dynamic shared memory, 128-byte aligned, with
// which it is launched. So many bytes are a constant: it is noted in the PTX, for
// scripts/cuda-resources.awk, and costs nothing.
#define DYNAMIC_SHARED(type, name, bytes)                           \
  extern __shared__ __align__(128) unsigned char name##_raw[];      \
  asm volatile("// dynamic shared memory: %0" ::"n"((int)(bytes))); \
  type *name = reinterpret_cast<type *>(name##_raw)
#endif

#ifndef INFINITY  // NVRTC has no math.h
#define INFINITY __int_as_float(0x7f800000)
#endif
#ifndef NAN
#define NAN __int_as_float(0x7fffffff)
#endif
