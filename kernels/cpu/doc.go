// Package cpu runs kernels.Ops and kernels.Backward on this machine's processors:
// matrix products through oneDNN, everything else by fused C of its own.
//
// # Instruction sets
//
// The own kernels are written once, over a small vocabulary of vectors
// (simd_plain.h defines it), and compiled for AVX-512, for AVX2 with FMA and as
// plain C. [New] takes the best that the machine has, Options.ISA or the
// environment variable OPTIN_ISA another. oneDNN chooses for itself, and heeds
// ONEDNN_MAX_CPU_ISA.
//
// # Weights
//
// Linear packs a weight in oneDNN's order at its first use, and LinearBackward its
// transpose; both stay until the weight changes or is forgotten. A weight that
// lives in a tensor is read there by either, a little slower and without
// any copy.
//
// # Threads
//
// Each worker is a thread of its own whose OpenMP team has one member; the wide
// worker of Device.One has as many as the device has workers.
//
// # Rows
//
// Sequences are packed, so the number of rows changes from batch to batch.
// Linear rounds it up to a multiple of 16, so that few primitives are needed:
// every tensor has room for the rows beyond its end, which are computed from
// whatever lies there, counted as PaddedMACs and never read.
//
// # Determinism
//
// The same shapes give the same bits on every worker and in every run. With
// AVX-512 and packed weights a row's bits do not depend on the other rows either; with
// ONEDNN_MAX_CPU_ISA=AVX2 oneDNN picks its way of summing by the number of rows,
// so two batches agree in a row's bits only where they have equally many.
package cpu
