// Gram matrices a' a, of which half is the other half's transpose.
#include "onednn.h"

// Blocks of at most so many columns are not worth halving.
enum { SMALLEST = 96 };

optin_cpu_status optin_cpu_gemm_f32(float *dst, const float *a, const float *b, optin_cpu_gemm g) {
  optin_cpu_status status = {0};
  TRY(dnnl_sgemm, g.ta ? 'T' : 'N', g.tb ? 'T' : 'N', g.M, g.N, g.K, 1.0f, a, g.lda, b, g.ldb,
      g.add ? 1.0f : 0.0f, dst, g.ldc);
done:
  return status;
}

// The larger half, in whole vectors.
static int64_t half(int64_t size) { return (size / 2 + 15) / 16 * 16; }

size_t optin_cpu_gram_scratch(int64_t D) {
  return D <= SMALLEST ? 0 : (size_t)(half(D) * (D - half(D)));
}

// gram is for the first size columns of a, in a dst whose rows are D apart:
//
//   dst += (a' a   a' b)
//          (b' a   b' b)
//
// where a' b is computed once and the others are the same again.
static optin_cpu_status gram(float *dst, int64_t D, const float *a, int64_t n, int64_t size,
                             const optin_cpu_isa *isa, float *scratch) {
  if (size <= SMALLEST) {
    const optin_cpu_gemm g = {
        .ta = 1, .add = 1, .M = size, .N = size, .K = n, .lda = D, .ldb = D, .ldc = D};
    return optin_cpu_gemm_f32(dst, a, a, g);
  }
  const int64_t left = half(size), right = size - left;
  const optin_cpu_gemm g = {
      .ta = 1, .M = left, .N = right, .K = n, .lda = D, .ldb = D, .ldc = right};
  optin_cpu_status status = optin_cpu_gemm_f32(scratch, a, a + left, g);
  if (status.code != dnnl_success) return status;
  isa->add_both_f32(dst + left, dst + left * D, scratch, (size_t)left, (size_t)right, (size_t)D);
  status = gram(dst, D, a, n, left, isa, scratch);
  if (status.code != dnnl_success) return status;
  return gram(dst + left * D + left, D, a + left, n, right, isa, scratch);
}

optin_cpu_status optin_cpu_gram_f32(float *dst, const float *a, int64_t n, int64_t D,
                                    const optin_cpu_isa *isa, float *scratch) {
  return gram(dst, D, a, n, D, isa, scratch);
}
