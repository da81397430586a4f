// Runs the kernels of .cu files on the CPU, to test that they are right (g++ or clang++,
// x86-64). A source compiled as C++ with -DCUEMU includes this header in place of CUDA's.
//
// A block runs on one OS thread and each of its CUDA threads is a fiber, which runs until
// it reaches a barrier or a warp operation; blocks spread over OS threads. A warp operation
// is done once, by the last lane to arrive, over what every lane left on its own stack.
//
// What this finds: missing and misplaced barriers, divergence at a warp operation, wrong
// indices (with -fsanitize=address,undefined), wrong results. What it cannot find: anything
// about time, or about the memory model below a barrier.
#pragma once

#include "block.h"   // blocks, fibers, barriers
#include "launch.h"  // grids, the table of kernels
#include "mma.h"     // products on tensor cores
#include "number.h"  // half, bfloat16, vector types, arithmetic
#include "warp.h"    // shuffles, votes, asynchronous copies

#ifndef CUEMU_LIST  // which only looks for the names of kernels
#define __global__
#endif
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __restrict__ __restrict
#define __shared__ static thread_local  // one block at a time on an OS thread

#define threadIdx (cuemu::cur->tid)
#define blockIdx (cuemu::B->idx)
#define blockDim (cuemu::B->dim)
#define gridDim (cuemu::B->grid)
