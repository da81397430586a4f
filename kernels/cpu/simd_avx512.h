// One vector of the AVX-512 instruction set; simd_plain.h says what each name means.
#include <immintrin.h>

#define W 16

typedef __m512 vf;
typedef struct {
  __m512d lo, hi;
} vd;
typedef __mmask16 vm;

static inline vm first(size_t n) { return (vm)((1u << n) - 1); }

static inline vf v_set(float x) { return _mm512_set1_ps(x); }
static inline vf v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline vf v_load_n(const float *p, size_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
static inline void v_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
static inline void v_store_n(float *p, vf x, size_t n) { _mm512_mask_storeu_ps(p, first(n), x); }

static inline vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf v_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
static inline vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf v_abs(vf x) { return _mm512_abs_ps(x); }
static inline vf v_sqrt(vf x) { return _mm512_sqrt_ps(x); }
static inline vf v_round(vf x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT); }
static inline vf v_scale2(vf x, vf n) { return _mm512_scalef_ps(x, n); }

static inline vm v_less(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
static inline vf v_select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }
static inline vf v_keep(vf x, size_t n, vf rest) { return _mm512_mask_blend_ps(first(n), rest, x); }

static inline float v_top(vf x) { return _mm512_reduce_max_ps(x); }
static inline float v_sum(vf x) { return _mm512_reduce_add_ps(x); }

static inline __m512 pairs_low(__m512 a, __m512 b) {
  return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}
static inline __m512 pairs_high(__m512 a, __m512 b) {
  return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}

// First 4 x 4 matrices within the 128-bit lanes, then the lanes.
static inline void v_transpose(vf r[W]) {
  vf u[4][4];
  for (int g = 0; g < 4; g++) {
    const vf *s = r + 4 * g;
    const vf ab = _mm512_unpacklo_ps(s[0], s[1]), ab2 = _mm512_unpackhi_ps(s[0], s[1]);
    const vf cd = _mm512_unpacklo_ps(s[2], s[3]), cd2 = _mm512_unpackhi_ps(s[2], s[3]);
    u[g][0] = pairs_low(ab, cd);
    u[g][1] = pairs_high(ab, cd);
    u[g][2] = pairs_low(ab2, cd2);
    u[g][3] = pairs_high(ab2, cd2);
  }
  for (int c = 0; c < 4; c++) {
    const vf even = _mm512_shuffle_f32x4(u[0][c], u[1][c], 0x88);
    const vf even2 = _mm512_shuffle_f32x4(u[2][c], u[3][c], 0x88);
    const vf odd = _mm512_shuffle_f32x4(u[0][c], u[1][c], 0xdd);
    const vf odd2 = _mm512_shuffle_f32x4(u[2][c], u[3][c], 0xdd);
    r[c] = _mm512_shuffle_f32x4(even, even2, 0x88);
    r[c + 4] = _mm512_shuffle_f32x4(odd, odd2, 0x88);
    r[c + 8] = _mm512_shuffle_f32x4(even, even2, 0xdd);
    r[c + 12] = _mm512_shuffle_f32x4(odd, odd2, 0xdd);
  }
}

static inline vd d_zero(void) { return (vd){_mm512_setzero_pd(), _mm512_setzero_pd()}; }
static inline __m512d low(vf x) { return _mm512_cvtps_pd(_mm512_castps512_ps256(x)); }
static inline __m512d high(vf x) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)); }
static inline vd d_add(vd s, vf x) {
  return (vd){_mm512_add_pd(s.lo, low(x)), _mm512_add_pd(s.hi, high(x))};
}
static inline vd d_fma(vf a, vf b, vd s) {
  return (vd){_mm512_fmadd_pd(low(a), low(b), s.lo), _mm512_fmadd_pd(high(a), high(b), s.hi)};
}
static inline double d_sum(vd s) { return _mm512_reduce_add_pd(_mm512_add_pd(s.lo, s.hi)); }
