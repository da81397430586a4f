// What every .cu file includes first: CUDA's headers, or the emulator that stands in for
// them on a CPU, and the few words that the two spell differently.
#pragma once

#ifdef CUEMU
#include "emu/cuemu.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_pipeline.h>
#include <mma.h>

// DYNAMIC_SHARED declares name as the block's dynamic shared memory, 16-byte aligned.
#define DYNAMIC_SHARED(type, name)                            \
  extern __shared__ __align__(16) unsigned char name##_raw[]; \
  type *name = reinterpret_cast<type *>(name##_raw)
#endif

#ifndef INFINITY  // NVRTC has no math.h
#define INFINITY __int_as_float(0x7f800000)
#endif
#ifndef NAN
#define NAN __int_as_float(0x7fffffff)
#endif
