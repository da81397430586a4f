// Products on tensor cores: the instructions ldmatrix and mma of NVIDIA's "Parallel Thread
// Execution ISA", by their own names, with the layouts that it gives for their registers.
//
// A is 16 rows of 32 bytes and B 8 rows of 32 bytes: 16 numbers of half or bfloat16, or 8
// floats that are rounded to tf32. With g = lane / 4 and t = lane % 4 a thread has
//
//   of A   word t of rows g and g+8, and word t+4 of rows g and g+8
//   of B   words t and t+4 of row g
//   of AB' columns 2t and 2t+1 of row g, and then of row g+8
#pragma once

#include "platform.cuh"

#ifndef CUEMU  // the emulator has its own

// ldmatrix reads four matrices of 8 rows of 16 bytes from shared memory, of which lane l says
// where row l % 8 of matrix l / 8 lies: r[i] is word t of row g of matrix i.
__device__ __forceinline__ void ldmatrix(unsigned (&r)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"((unsigned)__cvta_generic_to_shared(row))
               : "memory");
}

// mma adds A B' to d; T is half, __nv_bfloat16, or float for tf32.
template <class T>
__device__ void mma(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1);

#define OPTIN_MMA(T, instruction)                                                          \
  template <>                                                                              \
  __device__ __forceinline__ void mma<T>(float(&d)[4], const unsigned(&a)[4], unsigned b0, \
                                         unsigned b1) {                                    \
    asm("mma.sync.aligned." instruction                                                    \
        " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, "                         \
        "%2, %3};"                                                                         \
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                   \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));                   \
  }
OPTIN_MMA(half, "m16n8k16.row.col.f32.f16.f16.f32")
OPTIN_MMA(__nv_bfloat16, "m16n8k16.row.col.f32.bf16.bf16.f32")
OPTIN_MMA(float, "m16n8k8.row.col.f32.tf32.tf32.f32")
#undef OPTIN_MMA

#endif
