// The vocabulary that the kernels are written in, for a "vector" of one lane:
// plain C, and the definition of what simd_avx2.h and simd_avx512.h mean.
#include <math.h>

#define W 1  // lanes of a vector

typedef float vf;   // a vector of floats
typedef double vd;  // W sums in double precision
typedef int vm;     // a yes or no per lane

// v_load_n and v_store_n touch the first n lanes only, 0 < n < W; the others load as 0.
static inline vf v_set(float x) { return x; }
static inline vf v_load(const float *p) { return *p; }
static inline vf v_load_n(const float *p, size_t n) { return n ? *p : 0; }
static inline void v_store(float *p, vf x) { *p = x; }
static inline void v_store_n(float *p, vf x, size_t n) {
  if (n) *p = x;
}

static inline vf v_add(vf a, vf b) { return a + b; }
static inline vf v_sub(vf a, vf b) { return a - b; }
static inline vf v_mul(vf a, vf b) { return a * b; }
static inline vf v_div(vf a, vf b) { return a / b; }
static inline vf v_fma(vf a, vf b, vf c) { return a * b + c; }   // rounds once where it can
static inline vf v_fnma(vf a, vf b, vf c) { return c - a * b; }  // c - a b
static inline vf v_max(vf a, vf b) { return a > b ? a : b; }     // b where either is NaN
static inline vf v_min(vf a, vf b) { return a < b ? a : b; }     // b where either is NaN
static inline vf v_abs(vf x) { return fabsf(x); }                // |x|
static inline vf v_sqrt(vf x) { return sqrtf(x); }
static inline vf v_round(vf x) { return nearbyintf(x); }  // to the nearest integer
// x 2^n for a whole n, |n| <= 250; NaN stays NaN.
static inline vf v_scale2(vf x, vf n) { return ldexpf(x, n > -251 && n < 251 ? (int)n : 0); }

static inline vm v_less(vf a, vf b) { return a < b; }
static inline vf v_select(vm m, vf a, vf b) { return m ? a : b; }
// v_keep is x in the first n lanes and rest in the others.
static inline vf v_keep(vf x, size_t n, vf rest) { return n ? x : rest; }

static inline float v_top(vf x) { return x; }  // the largest lane
static inline float v_sum(vf x) { return x; }  // of all lanes

// v_transpose makes the columns of the W x W matrix r its rows.
static inline void v_transpose(vf r[W]) { (void)r; }

static inline vd d_zero(void) { return 0; }
static inline vd d_add(vd s, vf x) { return s + x; }
static inline vd d_fma(vf a, vf b, vd s) { return s + (double)a * b; }
static inline double d_sum(vd s) { return s; }
