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
  int parts = 1;          // of the sums
  bool in_place = false;  // y is the residual
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

// Numbers is a format of floating-point numbers.
template <class T>
struct Numbers;
template <>
struct Numbers<float> {  // tf32
  static constexpr int FRACTION = 10, LEAST = -126;
  static constexpr double MOST = 0x1p128 - 0x1p117;
};
template <>
struct Numbers<half> {
  static constexpr int FRACTION = 10, LEAST = -14;
  static constexpr double MOST = 65504;
};
template <>
struct Numbers<__nv_bfloat16> {
  static constexpr int FRACTION = 7, LEAST = -126;
  static constexpr double MOST = 0x1p128 - 0x1p120;
};

// rounded is the nearest number of a format; of two the even one, but in tf32 the one farther
// from 0.
template <class T>
static double rounded(double v) {
  typedef Numbers<T> N;
  if (v == 0 || v - v != 0) return v;
  const double step = ldexp(1, (int)fmax(ilogb(v), N::LEAST) - N::FRACTION);
  v = (std::is_same<T, float>::value ? round(v / step) : nearbyint(v / step)) * step;
  return fabs(v) > N::MOST ? copysign(INFINITY, v) : v;
}

// columns is how many of T whole steps have that cover so many columns.
template <class T>
static int columns(int in) {
  constexpr int STEP = linear::STEP / sizeof(T);
  return (in + STEP - 1) / STEP * STEP;
}

// prepare rounds a matrix for the products.
template <auto Round, class T>
static Matrix<T> prepare(Matrix<float> &full, int rows, int in) {
  int stride = columns<T>(in), threads = 1;
  while (threads < 32 && 4 * threads < stride) threads *= 2;
  Matrix<T> dst((size_t)rows * stride + !stride, 0);
  T *to = dst.data();
  const float *from = full.data();
  const dim3 block(threads, 256 / threads);
  void *p[] = {&to, &from, &rows, &in, &stride};
  cuemu::Call<Round>::run(dim3((rows + block.y - 1) / block.y), block, 0, p);
  return dst;
}

// Problem is what a test is made of, and what it makes.
struct Problem {
  Matrix<float> x, w, bias, mask, residual, y;
  int span, width;
};

static Problem problem(const Shape &s, unsigned seed) {
  std::mt19937 rng(seed);
  Problem p = {normal((size_t)s.rows * s.in, s.shift, 1, rng),
               normal((size_t)s.out * s.in, s.shift, 1 / sqrt(fmax(s.in, 1)), rng),
               normal(s.bias ? s.out : 0, s.shift, 1, rng),
               normal((size_t)s.variants * s.units, s.shift, 1, rng),
               normal(s.residual ? (size_t)s.rows * s.out : 0, s.shift, 1, rng),
               Matrix<float>((size_t)s.rows * s.out, s.shift),
               s.variants ? s.rows / s.variants : 0,
               s.variants ? s.out / s.units : 0};
  if (s.nan) p.x[p.x.size() / 2] = NAN;
  for (float &v : p.y.memory) v = NAN;
  if (s.in_place) p.y.memory = p.residual.memory;
  return p;
}

// launch makes y of a problem as package cuda does.
template <auto Kernel, auto Round, class T, int SIDE>
static void launch(Problem &m, const Shape &s) {
  Matrix<T> x = prepare<Round, T>(m.x, s.rows, s.in), w = prepare<Round, T>(m.w, s.out, s.in);
  Matrix<float> sums((size_t)s.parts * s.rows * s.out, s.shift);
  for (float &v : sums.memory) v = NAN;
  const unsigned tiles = ((s.out + SIDE - 1) / SIDE) * ((s.rows + SIDE - 1) / SIDE);
  float *y = m.y.data(), *parts = sums.data(), *none = nullptr;
  const void *xs = x.data(), *ws = w.data();
  const float *bias = m.bias.data(), *mask = m.mask.data();
  const float *residual = s.in_place ? y : m.residual.data();
  int rows = s.rows, steps = columns<T>(s.in) * sizeof(T) / linear::STEP, out = s.out, act = s.act;
  int span = m.span, width = m.width, count = s.parts, identity = OPTIN_IDENTITY, one = 1;
  const dim3 grid(tiles, s.parts), block(linear::THREADS);
  constexpr size_t shared = linear::Layout<SIDE>::SHARED;
  if (s.parts == 1) {
    void *p[] = {&y, &xs, &ws, &bias, &mask, &residual, &rows, &steps, &out, &act, &span, &width};
    cuemu::Call<Kernel>::run(grid, block, shared, p);
    return;
  }
  void *p[] = {&parts, &xs, &ws, &none, &none, &none, &rows, &steps, &out, &identity, &one, &one};
  cuemu::Call<Kernel>::run(grid, block, shared, p);
  void *q[] = {&y, &parts, &bias, &mask, &residual, &rows, &out, &act, &span, &width, &count};
  // Blocks go on to further rows and columns where a grid has too few.
  const dim3 few(out > 1024 ? 2 : 1, rows > 100 ? rows - 1 : rows);
  cuemu::Call<optin_linear_sum>::run(few, dim3(256), 0, q);
}

template <auto Kernel, auto Round, class T, int SIDE>
static void check(const char *name, const Shape &s, unsigned seed) {
  Problem m = problem(s, seed);
  launch<Kernel, Round, T, SIDE>(m, s);
  for (int r = 0; r < s.rows; r++) {
    for (int c = 0; c < s.out; c++) {
      double want = s.bias ? m.bias[c] : 0, size = fabs(want);
      for (int k = 0; k < s.in; k++) {
        const double x = rounded<T>(m.x[(size_t)r * s.in + k]);
        const double term = x * rounded<T>(m.w[(size_t)c * s.in + k]);
        want += term;
        size += fabs(term);
      }
      want = activated(s.act, want);
      if (s.variants) {
        const double v = m.mask[(size_t)(r / m.span) * s.units + c / m.width];
        want *= v;
        size *= fabs(v);
      }
      const size_t at = (size_t)r * s.out + c;
      if (s.residual) {
        want += m.residual[at];
        size += fabs(m.residual[at]);
      }
      const double tolerance = 2 * 0x1p-23 * sqrt(fmax(s.in, 1)) * size + 0x1p-125;
      const double difference = fabs(m.y[at] - want);
      if (want != want && m.y[at] != m.y[at]) continue;
      worst = fmax(worst, difference / tolerance);
      if (difference <= tolerance) continue;
      failures++;
      printf(
          "%s, tiles of %d: rows=%d in=%d out=%d bias=%d act=%d variants=%d units=%d residual=%d "
          "shift=%d nan=%d parts=%d in_place=%d: [%d, %d] is %g, want %g within %g\n",
          name, SIDE, s.rows, s.in, s.out, s.bias, s.act, s.variants, s.units, s.residual, s.shift,
          s.nan, s.parts, s.in_place, r, c, m.y[at], want, tolerance);
      return;
    }
  }
}

template <class T, auto Small, auto Large, auto Round>
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
  shapes.push_back({.rows = 66, .in = 70, .out = 68, .residual = true, .in_place = true});
  for (int parts : {2, 3, 7}) {
    const bool all = parts == 3;
    shapes.push_back({.rows = 65,
                      .in = 200,
                      .out = 66 + parts,
                      .bias = all,
                      .act = OPTIN_GELU,
                      .variants = all ? 5 : 0,
                      .units = 23,
                      .residual = all,
                      .shift = parts == 7,
                      .parts = parts,
                      .in_place = all});
    shapes.push_back({.rows = 5, .in = 8, .out = 12, .bias = true, .parts = parts});
  }
  shapes.push_back({.rows = 101, .in = 9, .out = 1028, .bias = true, .parts = 2});
  for (const Shape &s : shapes) check<Small, Round, T, 64>(name, s, seed++);
  for (const Shape &s : shapes) {
    if (s.rows > 64 || s.out > 64 || s.in == 0) check<Large, Round, T, 128>(name, s, seed++);
  }
  check<Large, Round, T, 128>(name, {.rows = 1, .in = 33, .out = 129, .bias = true}, seed++);
  check<Large, Round, T, 128>(name, {.rows = 257, .in = 7, .out = 3, .act = OPTIN_RELU}, seed++);
  // Round the ring more than once.
  for (int in : {127, 160, 161, 500}) {
    check<Large, Round, T, 128>(name, {.rows = 9, .in = in, .out = 10}, seed++);
    check<Small, Round, T, 64>(name, {.rows = 9, .in = in, .out = 10}, seed++);
  }
}

// check_round rounds floats of every kind, aligned and not, in rows of every length, and wants
// zeros behind them.
template <auto Round, class T>
static void check_round(const char *name) {
  const float special[] = {INFINITY,     -INFINITY,       NAN,         0.f,        -0.f,
                           0x1.01p0f,    0x1.03p0f,       0x1.0101p0f, 0x1.002p0f, 0x1.006p0f,
                           0x1.00201p0f, 0x1.fffffep127f, 65519.f,     65520.f,    -65536.f,
                           1e-40f,       0x1p-140f,       0x1.8p-137f, 0x1p-25f,   0x1.8p-24f};
  std::mt19937 rng(1);
  for (int in : {0, 1, 3, 4, 5, 8, 20, 31, 32, 33, 300}) {
    for (int shift : {0, 1}) {
      const int rows = 37, stride = columns<T>(in);
      Matrix<float> src = normal((size_t)rows * in, shift, 1, rng);
      for (size_t i = 0; i < src.size() && i < sizeof special / 4; i++) src[i] = special[i];
      Matrix<T> dst = prepare<Round, T>(src, rows, in);
      for (int i = 0; i < rows * stride; i++) {
        const int r = i / stride, c = i % stride;
        const double want = c < in ? rounded<T>(src[(size_t)r * in + c]) : 0, got = plain(dst[i]);
        if (want == got ? std::signbit(want) == std::signbit(got) : want != want && got != got) {
          continue;
        }
        failures++;
        printf("%s: in=%d shift=%d: [%d, %d] became %g, want %g\n", name, in, shift, r, c, got,
               want);
        return;
      }
    }
  }
}

}  // namespace test

int main() {
  using namespace test;
  check_round<optin_round_tf32, float>("optin_round_tf32");
  check_round<optin_round_f16, half>("optin_round_f16");
  check_round<optin_round_bf16, __nv_bfloat16>("optin_round_bf16");
  check_all<float, optin_linear_tf32_64, optin_linear_tf32_128, optin_round_tf32>("tf32");
  check_all<half, optin_linear_f16_64, optin_linear_f16_128, optin_round_f16>("f16");
  check_all<__nv_bfloat16, optin_linear_bf16_64, optin_linear_bf16_128, optin_round_bf16>("bf16");
  printf("linear_tc: %d failures, worst share of a tolerance %.3g\n", failures, worst);
  return failures != 0;
}
