// Tests Linear on tensor cores against plain loops in double precision, over inputs that are
// rounded to the format: what differs beyond that is the sum in float32.
#include "linear_tc.cu"

#include <cstdio>
#include <random>
#include <vector>

namespace test {

using std::vector;

struct Shape {
  int rows, in, out;
  bool bias = false;
  int act = OPTIN_IDENTITY;
  int variants = 0, units = 1;  // of the mask; no variants: no mask
  bool residual = false;
  int shift = 0;  // floats before each matrix, which spoil its alignment
  bool nan = false;
};

static int failures;
static double worst;

// Matrix is n elements after a number of unused ones, in memory of exactly that size.
template <class T>
struct Matrix {
  vector<T> memory;
  int shift;
  Matrix(size_t n, int shift) : memory(n + shift), shift(shift) {}
  T *data() { return memory.size() > (size_t)shift ? memory.data() + shift : nullptr; }
  size_t size() const { return memory.size() - shift; }
  T &operator[](size_t i) { return memory.at(i + shift); }
};

static Matrix<float> normal(size_t n, int shift, double deviation, std::mt19937 &rng) {
  Matrix<float> m(n, shift);
  std::normal_distribution<float> d(0, (float)deviation);
  for (size_t i = 0; i < n; i++) m[i] = d(rng);
  return m;
}

static double activated(int act, double x) {
  switch (act) {
    case OPTIN_GELU:
      return x / 2 * (1 + erf(x * sqrt(0.5)));
    case OPTIN_GELU_TANH:
      return x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case OPTIN_GELU_QUICK:
      return x / (1 + exp(-1.702 * x));
    case OPTIN_RELU:
      return x > 0 || x != x ? x : 0;
    case OPTIN_TANH:
      return tanh(x);
  }
  return x;
}

static double plain(float v) { return v; }
static double plain(half v) { return (float)v; }
static double plain(__nv_bfloat16 v) { return __bfloat162float(v); }

// rounded is a float as the tensor cores see it.
template <class T>
static double rounded(float v) {
  return plain(linear::Format<T>::round(v));
}

template <auto Kernel, class T, int SIDE>
static void check(const char *name, const Shape &s, unsigned seed) {
  std::mt19937 rng(seed);
  Matrix<float> x = normal((size_t)s.rows * s.in, s.shift, 1, rng);
  Matrix<float> full = normal((size_t)s.out * s.in, s.shift, 1 / sqrt(fmax(s.in, 1)), rng);
  Matrix<float> bias = normal(s.bias ? s.out : 0, s.shift, 1, rng);
  Matrix<float> mask = normal((size_t)s.variants * s.units, s.shift, 1, rng);
  Matrix<float> residual = normal(s.residual ? (size_t)s.rows * s.out : 0, s.shift, 1, rng);
  if (s.nan) x[x.size() / 2] = NAN;
  Matrix<T> w(full.size(), s.shift);
  for (size_t i = 0; i < w.size(); i++) w[i] = linear::Format<T>::round(full[i]);
  Matrix<float> y((size_t)s.rows * s.out, s.shift);
  for (float &v : y.memory) v = NAN;

  const unsigned blocks = ((s.out + SIDE - 1) / SIDE) * ((s.rows + SIDE - 1) / SIDE);
  const int span = s.variants ? s.rows / s.variants : 0, width = s.variants ? s.out / s.units : 0;
  float *to = y.data();
  const float *xs = x.data(), *biases = bias.data(), *masks = mask.data(), *add = residual.data();
  const T *ws = w.data();
  int rows = s.rows, in = s.in, out = s.out, act = s.act;
  void *p[] = {&to,   &xs, &ws,  &biases, &masks,        &add,
               &rows, &in, &out, &act,    (void *)&span, (void *)&width};
  cuemu::Call<Kernel>::run(dim3(blocks), dim3(linear::Layout<T, SIDE>::THREADS), 0, p);

  for (int r = 0; r < s.rows; r++) {
    for (int c = 0; c < s.out; c++) {
      double want = s.bias ? bias[c] : 0, size = fabs(want);
      for (int k = 0; k < s.in; k++) {
        const double term = rounded<T>(x[(size_t)r * s.in + k]) * plain(w[(size_t)c * s.in + k]);
        want += term;
        size += fabs(term);
      }
      want = activated(s.act, want);
      if (s.variants) {
        const double m = mask[(size_t)(r / span) * s.units + c / width];
        want *= m;
        size *= fabs(m);
      }
      const size_t at = (size_t)r * s.out + c;
      if (s.residual) {
        want += residual[at];
        size += fabs(residual[at]);
      }
      const double tolerance = 2 * 0x1p-23 * sqrt(fmax(s.in, 1)) * size + 0x1p-125;
      const double difference = fabs(y[at] - want);
      if (want != want && y[at] != y[at]) continue;
      worst = fmax(worst, difference / tolerance);
      if (difference <= tolerance) continue;
      failures++;
      printf(
          "%s: rows=%d in=%d out=%d bias=%d act=%d variants=%d units=%d residual=%d shift=%d "
          "nan=%d: [%d, %d] is %g, want %g within %g\n",
          name, s.rows, s.in, s.out, s.bias, s.act, s.variants, s.units, s.residual, s.shift, s.nan,
          r, c, y[at], want, tolerance);
      return;
    }
  }
}

template <class T, auto Small, auto Large>
static void check_all(const char *name) {
  unsigned seed = 1;
  vector<Shape> shapes;
  for (int n : {1, 3, 8, 15, 16, 17, 31, 33, 64, 65}) {
    shapes.push_back({.rows = n, .in = 13, .out = 5});
    shapes.push_back({.rows = 5, .in = n, .out = 13, .bias = true});
    shapes.push_back({.rows = 13, .in = 5, .out = n, .residual = true});
    shapes.push_back({.rows = n,
                      .in = n,
                      .out = n,
                      .bias = true,
                      .act = OPTIN_GELU,
                      .variants = 1,
                      .units = n,
                      .residual = true});
  }
  for (int act = OPTIN_IDENTITY; act <= OPTIN_TANH; act++) {
    shapes.push_back({.rows = 30,
                      .in = 40,
                      .out = 24,
                      .bias = true,
                      .act = act,
                      .variants = 5,
                      .units = 3,
                      .residual = true});
    shapes.push_back({.rows = 9, .in = 20, .out = 20, .act = act, .nan = true});
  }
  shapes.push_back({.rows = 6, .in = 0, .out = 5, .bias = true, .residual = true});
  shapes.push_back({.rows = 70, .in = 96, .out = 72, .bias = true, .shift = 1});
  shapes.push_back({.rows = 40, .in = 96, .out = 72, .bias = true, .residual = true, .shift = 8});
  shapes.push_back({.rows = 130,
                    .in = 72,
                    .out = 132,
                    .bias = true,
                    .act = OPTIN_GELU,
                    .variants = 2,
                    .units = 132,
                    .residual = true});
  for (const Shape &s : shapes) check<Small, T, 64>(name, s, seed++);
  check<Large, T, 128>(name, shapes.back(), seed++);
  check<Large, T, 128>(name, shapes[shapes.size() - 3], seed++);
  check<Large, T, 128>(name, {.rows = 1, .in = 33, .out = 129, .bias = true}, seed++);
  check<Large, T, 128>(name, {.rows = 257, .in = 7, .out = 3, .act = OPTIN_RELU}, seed++);
}

// check_convert rounds floats of every kind.
template <auto Kernel, class T>
static void check_convert(const char *name) {
  std::mt19937 rng(1);
  Matrix<float> src = normal(1000, 0, 1, rng);
  src[3] = INFINITY;
  src[4] = NAN;
  src[5] = -0.f;
  Matrix<T> dst(1000, 0);
  T *to = dst.data();
  const float *from = src.data();
  long long n = 1000;
  void *p[] = {&to, &from, &n};
  cuemu::Call<Kernel>::run(dim3(2), dim3(256), 0, p);
  for (int i = 0; i < n; i++) {
    const double want = rounded<T>(src[i]), got = plain(dst[i]);
    const bool near = fabs(want - src[i]) <= fabs(src[i]) * 0x1p-8;  // half a unit of bfloat16
    if ((want == got && (near || std::isinf(src[i]))) || (want != want && got != got)) continue;
    failures++;
    printf("%s: %g became %g\n", name, src[i], got);
    return;
  }
}

}  // namespace test

int main() {
  test::check_all<float, optin_linear_tf32_64, optin_linear_tf32_128>("tf32");
  test::check_all<half, optin_linear_f16_64, optin_linear_f16_128>("f16");
  test::check_all<__nv_bfloat16, optin_linear_bf16_64, optin_linear_bf16_128>("bf16");
  test::check_convert<optin_to_f16, half>("optin_to_f16");
  test::check_convert<optin_to_bf16, __nv_bfloat16>("optin_to_bf16");
  printf("linear_tc: %d failures, worst share of a tolerance %.3g\n", test::failures, test::worst);
  return test::failures != 0;
}
