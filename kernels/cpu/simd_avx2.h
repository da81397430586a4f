// One vector of the AVX2 and FMA instruction sets; simd_plain.h says what each name means.
#include <immintrin.h>

#define W 8

typedef __m256 vf;
typedef struct {
  __m256d lo, hi;
} vd;
typedef __m256 vm;

static inline __m256i first(size_t n) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

static inline vf v_set(float x) { return _mm256_set1_ps(x); }
static inline vf v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline vf v_load_n(const float *p, size_t n) { return _mm256_maskload_ps(p, first(n)); }
static inline void v_store(float *p, vf x) { _mm256_storeu_ps(p, x); }
static inline void v_store_n(float *p, vf x, size_t n) { _mm256_maskstore_ps(p, first(n), x); }

static inline vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf v_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
static inline vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf v_abs(vf x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }
static inline vf v_sqrt(vf x) { return _mm256_sqrt_ps(x); }
static inline vf v_round(vf x) {
  return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vf power2(__m256i n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
// In two steps, as 2^n itself may lie outside the range of a float.
static inline vf v_scale2(vf x, vf n) {
  const __m256i whole = _mm256_cvtps_epi32(n);
  const __m256i half = _mm256_srai_epi32(whole, 1);
  return _mm256_mul_ps(_mm256_mul_ps(x, power2(half)), power2(_mm256_sub_epi32(whole, half)));
}

static inline vm v_less(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
static inline vf v_select(vm m, vf a, vf b) { return _mm256_blendv_ps(b, a, m); }
static inline vf v_keep(vf x, size_t n, vf rest) {
  return _mm256_blendv_ps(rest, x, _mm256_castsi256_ps(first(n)));
}

static inline float v_top(vf x) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

static inline float v_sum(vf x) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

// First 4 x 4 matrices within the 128-bit lanes, then the lanes.
static inline void v_transpose(vf r[W]) {
  vf u[2][4];
  for (int g = 0; g < 2; g++) {
    const vf *s = r + 4 * g;
    const vf ab = _mm256_unpacklo_ps(s[0], s[1]), ab2 = _mm256_unpackhi_ps(s[0], s[1]);
    const vf cd = _mm256_unpacklo_ps(s[2], s[3]), cd2 = _mm256_unpackhi_ps(s[2], s[3]);
    u[g][0] = _mm256_shuffle_ps(ab, cd, 0x44);
    u[g][1] = _mm256_shuffle_ps(ab, cd, 0xee);
    u[g][2] = _mm256_shuffle_ps(ab2, cd2, 0x44);
    u[g][3] = _mm256_shuffle_ps(ab2, cd2, 0xee);
  }
  for (int c = 0; c < 4; c++) {
    r[c] = _mm256_permute2f128_ps(u[0][c], u[1][c], 0x20);
    r[c + 4] = _mm256_permute2f128_ps(u[0][c], u[1][c], 0x31);
  }
}

static inline vd d_zero(void) { return (vd){_mm256_setzero_pd(), _mm256_setzero_pd()}; }
static inline __m256d low(vf x) { return _mm256_cvtps_pd(_mm256_castps256_ps128(x)); }
static inline __m256d high(vf x) { return _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)); }
static inline vd d_add(vd s, vf x) {
  return (vd){_mm256_add_pd(s.lo, low(x)), _mm256_add_pd(s.hi, high(x))};
}
static inline vd d_fma(vf a, vf b, vd s) {
  return (vd){_mm256_fmadd_pd(low(a), low(b), s.lo), _mm256_fmadd_pd(high(a), high(b), s.hi)};
}
static inline double d_sum(vd s) {
  const __m256d t = _mm256_add_pd(s.lo, s.hi);
  const __m128d u = _mm_add_pd(_mm256_castpd256_pd128(t), _mm256_extractf128_pd(t, 1));
  return _mm_cvtsd_f64(_mm_add_sd(u, _mm_unpackhi_pd(u, u)));
}
