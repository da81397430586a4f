// Tests elementwise.cu against loops in double precision, on sizes that end everywhere in a
// pack and a tile, and on addresses that cannot be read by 16 bytes.
#include "elementwise.cu"

#include "trial.h"

using namespace trial;

static double act_of(int act, double x) {
  switch (act) {
    case OPTIN_GELU:
      return x / 2 * (1 + erf(x / sqrt(2)));
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

static double slope_of(int act, double x) {
  const double density = exp(-x * x / 2) / sqrt(2 * M_PI), s = sqrt(2 / M_PI);
  const double t = tanh(s * (x + 0.044715 * x * x * x)), q = 1 / (1 + exp(-1.702 * x));
  switch (act) {
    case OPTIN_GELU:
      return (1 + erf(x / sqrt(2))) / 2 + x * density;
    case OPTIN_GELU_TANH:
      return (1 + t) / 2 + x / 2 * (1 - t * t) * s * (1 + 3 * 0.044715 * x * x);
    case OPTIN_GELU_QUICK:
      return q + 1.702 * x * q * (1 - q);
    case OPTIN_RELU:
      return x > 0 ? 1 : (x != x ? x : 0);
    case OPTIN_TANH:
      return 1 - tanh(x) * tanh(x);
  }
  return 1;
}

static dim3 flat(long long n) { return dim3(n ? (unsigned)ceil_div(n, 1024) : 1); }

static dim3 table(long long rows, long long cols) {
  return dim3((unsigned)std::max(1LL, ceil_div(cols, 1024)), (unsigned)std::min(rows, 3LL));
}

static std::vector<double> each(const Floats &x, double (*f)(int, double), int act) {
  std::vector<double> want;
  for (long long i = 0; i < x.n; i++) want.push_back(f(act, x[i]));
  return want;
}

static void functions(long long n, int offset) {
  for (int act = OPTIN_IDENTITY; act <= OPTIN_TANH; act++) {
    Floats x = normal(n, 3, 0, offset), y = fresh(n, offset), d = fresh(n, offset);
    const float edges[] = {0, -0.f, 1e-40f, 1e20f, -1e20f, 3e38f, -3e38f, not_a_number, inf, -inf};
    for (long long i = 0; i < n && i < 10; i++) x[i] = edges[i];
    const std::string what = "act " + std::to_string(act) + " of " + std::to_string(n);
    const auto near = [&](long long i) { return 5e-7 * std::max(1.f, std::fabs(x[i])) + 1e-37; };
    LAUNCH(optin_activate_f32, flat(n), dim3(256), y, x, act, n);
    compare(what, y, each(x, act_of, act), near);
    if (n > 9) x[8] = x[9] = 1;  // the slope at infinity is no number in the formula
    LAUNCH(optin_derivative_f32, flat(n), dim3(256), d, x, act, n);
    compare(what + ", derivative", d, each(x, slope_of, act), [](long long) { return 6e-7; });
  }
  Floats x = normal(n, 1, 0, offset), y = fresh(n, offset);
  LAUNCH(optin_scale_f32, flat(n), dim3(256), y, x, -2.5f, n);
  std::vector<double> want;
  for (long long i = 0; i < n; i++) want.push_back(-2.5f * x[i]);
  same("scale", y, want);
}

static void pairs(long long repeats, long long period, int offset) {
  const long long n = repeats * period;
  Floats x = normal(n, 1, 0, offset), y = normal(period, 1, 0, offset);
  Floats sum = fresh(n, offset), product = fresh(n, offset);
  Floats copies = fresh(n, offset), scaled = fresh(n, offset), column = normal(repeats);
  const dim3 grid = table(repeats, period);
  LAUNCH(optin_add_f32, grid, dim3(256), sum, x, y, repeats, period);
  LAUNCH(optin_multiply_f32, grid, dim3(256), product, x, y, repeats, period);
  LAUNCH(optin_repeat_f32, grid, dim3(256), copies, y, repeats, period);
  LAUNCH(optin_multiply_rows_f32, grid, dim3(256), scaled, x, column, (int)repeats, (int)period,
         (int)repeats);
  std::vector<double> sums, products, repeated, rows;
  for (long long i = 0; i < n; i++) {
    sums.push_back(x[i] + y[i % period]);
    products.push_back(x[i] * y[i % period]);
    repeated.push_back(y[i % period]);
    rows.push_back(x[i] * column[i / period]);
  }
  same("add", sum, sums);
  same("multiply", product, products);
  same("repeat", copies, repeated);
  same("multiply rows", scaled, rows);
}

static void masked(int variants, int span, int units, int width, int offset) {
  const int rows = variants * span, cols = units * width;
  Floats x = normal((long long)rows * cols, 1, 0, offset), y = fresh(x.n, offset);
  Floats mask = normal(variants * units), bias = normal(cols, 1, 0, offset);
  Floats residual = normal(x.n, 1, 0, offset), z = x.copy();
  LAUNCH(optin_mask_units_f32, table(rows, cols), dim3(256), y, x, mask, rows, cols, span, width);
  LAUNCH(optin_epilogue_f32, table(rows, cols), dim3(256), z, bias, mask, residual, rows, cols,
         (int)OPTIN_TANH, span, width);
  std::vector<double> want, whole;
  for (int r = 0; r < rows; r++) {
    for (int c = 0; c < cols; c++) {
      const long long i = (long long)r * cols + c;
      const double m = mask[r / span * units + c / width];
      want.push_back(x[i] * (float)m);
      whole.push_back(m * tanh((double)x[i] + bias[c]) + residual[i]);
    }
  }
  same("mask units", y, want);
  compare("epilogue", z, whole, 1e-6, 1e-6);
  Floats bare = x.copy();
  LAUNCH(optin_epilogue_f32, table(rows, cols), dim3(256), bare, (const float *)nullptr,
         (const float *)nullptr, (const float *)nullptr, rows, cols, (int)OPTIN_IDENTITY, 1, 1);
  same("an epilogue of nothing", bare, std::vector<double>(x.data, x.data + x.n));
}

static void turned(int rows, int cols) {
  Floats x = normal((long long)rows * cols), y = fresh(x.n);
  LAUNCH(optin_transpose_f32, dim3(2, 2), dim3(32, 8), y, x, rows, cols);
  std::vector<double> want(x.n);
  for (int r = 0; r < rows; r++) {
    for (int c = 0; c < cols; c++) want[(long long)c * rows + r] = x[(long long)r * cols + c];
  }
  same("transpose", y, want);
}

int main(int, char **argv) {
  for (int offset : {0, 1}) {
    for (long long n : {0, 1, 3, 4, 5, 16, 1027, 2500}) functions(n, offset);
    for (long long period : {1, 3, 4, 5, 64, 1030}) pairs(5, period, offset);
    masked(3, 2, 7, 1, offset);
    masked(2, 3, 4, 4, offset);
    masked(2, 1, 3, 5, offset);
  }
  for (int rows : {1, 31, 32, 70}) {
    for (int cols : {1, 33, 64, 100}) turned(rows, cols);
  }
  return finish(argv);
}
