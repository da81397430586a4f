// Tests norm.cu, softmax.cu and normalize.cu.
#include "trial.h"

#include "../norm.cu"
#include "../normalize.cu"
#include "../reduce.cu"
#include "../softmax.cu"

using namespace trial;
typedef std::vector<double> Want;

static const double eps32 = 0x1p-23;

// shape is rows of C columns, of which dy stacks a number; where is how a case spoils x.
struct Shape {
  int rows, C, stack;
  bool residual;
  double deviation, mean, eps;
  int offset;  // of x and the results in memory
  float bad;   // put into row rows/2, unless 0
  bool wide;   // by the block team

  std::string name(const char *kernel) const {
    char text[200];
    snprintf(
        text, sizeof text,
        "%s rows=%d C=%d stack=%d residual=%d deviation=%g mean=%g eps=%g offset=%d bad=%g wide=%d",
        kernel, rows, C, stack, residual, deviation, mean, eps, offset, bad, wide);
    return text;
  }
  dim3 grid() const { return wide ? dim3(rows) : dim3((rows + 3) / 4); }
  dim3 block() const { return wide ? dim3(512) : dim3(128); }
};

#define BY_TEAM(kernel, ...)                                               \
  do {                                                                     \
    if (s.wide) {                                                          \
      LAUNCH(optin_##kernel##_wide_f32, s.grid(), s.block(), __VA_ARGS__); \
    } else {                                                               \
      LAUNCH(optin_##kernel##_f32, s.grid(), s.block(), __VA_ARGS__);      \
    }                                                                      \
  } while (0)

// Row is one row in double precision.
struct Row {
  Want v, z;
  double deviation = 0, size = 0;  // size: the largest |v| over the deviation
};

static Row standardized(const Shape &s, const Floats &x, const Floats &residual, int r) {
  Row row{Want(s.C), Want(s.C)};
  double mean = 0, variance = 0, most = 0;
  for (int c = 0; c < s.C; c++) {
    row.v[c] = x[(long long)r * s.C + c];
    if (s.residual) row.v[c] += residual[(long long)r * s.C + c];
    mean += row.v[c] / s.C;
    most = fmax(most, fabs(row.v[c]));
  }
  for (double v : row.v) variance += (v - mean) * (v - mean) / s.C;
  row.deviation = sqrt(variance + s.eps);
  row.size = most / row.deviation;
  for (int c = 0; c < s.C; c++) row.z[c] = (row.v[c] - mean) / row.deviation;
  return row;
}

static void layernorm_all(const Shape &s) {
  const long long n = (long long)s.rows * s.C;
  Floats x = normal(n, s.deviation, s.mean, s.offset), residual = normal(n, s.deviation);
  if (s.bad != 0) x[(long long)(s.rows / 2) * s.C + s.C / 3] = s.bad;
  const Floats gamma = normal(s.C), beta = normal(s.C), dy = normal(s.stack * n);
  const float *more = s.residual ? residual.data : nullptr;
  std::vector<Row> row;
  for (int r = 0; r < s.rows; r++) row.push_back(standardized(s, x, residual, r));

  Floats y = fresh(n, s.offset);
  BY_TEAM(layernorm, y, x, more, gamma, beta, s.eps, s.rows, s.C);
  Want want, scale;
  for (const Row &r : row) {
    for (int c = 0; c < s.C; c++) {
      want.push_back(gamma[c] * r.z[c] + beta[c]);
      scale.push_back((fabs(gamma[c]) * (r.size + 1) * (1 + fabs(r.z[c])) + fabs(beta[c])) * 2 *
                      eps32);
    }
  }
  compare(s.name("layernorm"), y, want, [&](long long i) { return scale[i]; });

  Floats dx = fresh(s.stack * n, s.offset);
  BY_TEAM(layernorm_backward, dx, dy, x, more, gamma, s.eps, s.rows, s.stack, s.C);
  want.clear();
  scale.clear();
  for (int i = 0; i < s.stack * s.rows; i++) {
    const Row &r = row[i % s.rows];
    double mean = 0, along = 0, most = 0;
    for (int c = 0; c < s.C; c++) {
      const double g = (double)gamma[c] * dy[(long long)i * s.C + c];
      mean += g / s.C;
      along += g * r.z[c] / s.C;
      most = fmax(most, fabs(g) * (1 + fabs(r.z[c])));
    }
    for (int c = 0; c < s.C; c++) {
      const double g = (double)gamma[c] * dy[(long long)i * s.C + c];
      want.push_back((g - mean - along * r.z[c]) / r.deviation);
      scale.push_back(most * (1 + fabs(r.z[c])) * (1 + r.size) / r.deviation * 3 * eps32);
    }
  }
  compare(s.name("layernorm_backward"), dx, want, [&](long long i) { return scale[i]; });

  Floats moments = fresh(4 * s.rows);
  pack *packs = (pack *)moments.data;
  BY_TEAM(layernorm_moments, packs, x, more, s.eps, s.rows, s.C);
  const int tiles = (int)ceil_div(s.C, 128),
            chunks = std::min((s.rows + 31) / 32, std::max(1, 512 / tiles));
  Doubles partial = fresh_doubles((long long)chunks * 2 * s.C);
  LAUNCH(optin_layernorm_weights_f32, dim3(tiles, chunks), dim3(32, 8), partial, dy, x, more, packs,
         s.rows, s.stack, s.C);
  Floats dgamma = normal(s.C), dbeta = normal(s.C);
  const Floats gamma0 = dgamma.copy(), beta0 = dbeta.copy();
  const dim3 grid((s.C + 255) / 256);
  LAUNCH(optin_add_columns_f32, grid, dim3(256), dgamma, partial, chunks, 2LL * s.C,
         (long long)s.C);
  LAUNCH(optin_add_columns_f32, grid, dim3(256), dbeta, partial.data + s.C, chunks, 2LL * s.C,
         (long long)s.C);
  Want wantGamma(s.C), wantBeta(s.C), size(s.C, 1), sizeBeta(s.C, 1);
  for (int c = 0; c < s.C; c++) {
    wantGamma[c] = gamma0[c];
    wantBeta[c] = beta0[c];
  }
  for (int i = 0; i < s.stack * s.rows; i++) {
    const Row &r = row[i % s.rows];
    for (int c = 0; c < s.C; c++) {
      const double d = dy[(long long)i * s.C + c];
      wantGamma[c] += d * r.z[c];
      wantBeta[c] += d;
      sizeBeta[c] += fabs(d);
      size[c] += fabs(d) * (1 + fabs(r.z[c])) * (1 + r.size);
    }
  }
  compare(s.name("layernorm_weights gamma"), dgamma, wantGamma,
          [&](long long i) { return size[i] * 2 * eps32; });
  compare(s.name("layernorm_weights beta"), dbeta, wantBeta,
          [&](long long i) { return sizeBeta[i] * eps32; });
}

static Want softmax_of(const float *x, int C) {
  Want p(C);
  double top = -HUGE_VAL, sum = 0;
  for (int c = 0; c < C; c++) {
    top = fmax(top, x[c]);
    if (std::isnan(x[c])) sum = not_a_number;
  }
  for (int c = 0; c < C; c++) sum += p[c] = exp(x[c] - top);
  for (double &v : p) v /= sum;
  return p;
}

static void softmax_all(const Shape &s) {
  const long long n = (long long)s.rows * s.C;
  Floats x = normal(n, s.deviation, s.mean, s.offset);
  if (s.bad != 0) x[(long long)(s.rows / 2) * s.C + s.C / 3] = s.bad;
  if (s.rows > 1) std::fill(x.data, x.data + s.C, -inf);  // a row of which nothing is left
  Floats y = fresh(n, s.offset);
  BY_TEAM(softmax, y, x, s.rows, s.C);
  Want want;
  for (int r = 0; r < s.rows; r++) {
    for (double v : softmax_of(x + (long long)r * s.C, s.C)) want.push_back(v);
  }
  compare(s.name("softmax"), y, want, (4 + 2 * s.deviation) * eps32, 1e-37);

  Floats p = normal(n, 0.1);
  if (s.bad != 0) p[(long long)(s.rows / 2) * s.C] = s.bad;
  const Floats dy = normal(s.stack * n);
  Floats dx = fresh(s.stack * n, s.offset);
  BY_TEAM(softmax_backward, dx, dy, p, s.rows, s.stack, s.C);
  want.clear();
  Want scale;
  for (int i = 0; i < s.stack * s.rows; i++) {
    const float *row = p + (long long)(i % s.rows) * s.C, *d = dy + (long long)i * s.C;
    double mean = 0, size = 0;
    for (int c = 0; c < s.C; c++) {
      mean += (double)row[c] * d[c];
      size += fabs((double)row[c] * d[c]);
    }
    for (int c = 0; c < s.C; c++) {
      want.push_back(row[c] * (d[c] - mean));
      scale.push_back(fabs(row[c]) * (fabs(d[c]) + size) * 2 * eps32);
    }
  }
  compare(s.name("softmax_backward"), dx, want, [&](long long i) { return scale[i]; });
}

static void normalize_all(const Shape &s) {
  const long long n = (long long)s.rows * s.C;
  Floats x = normal(n, s.deviation, s.mean, s.offset);
  if (s.bad != 0) x[(long long)(s.rows / 2) * s.C + s.C / 3] = s.bad;
  if (s.rows > 1) std::fill(x.data, x.data + s.C, 0.f);
  Floats phi = fresh(n), y = fresh(n, s.offset), none = fresh(n);
  BY_TEAM(normalize, phi, x, (const float *)nullptr, s.rows, s.C);
  BY_TEAM(normalize, none, x, (const float *)phi, s.rows, s.C);
  const Floats other = normal(n);
  BY_TEAM(normalize, y, x, (const float *)other, s.rows, s.C);
  const Floats dy = normal(s.stack * n);
  Floats dx = fresh(s.stack * n, s.offset);
  BY_TEAM(normalize_backward, dx, dy, x, s.rows, s.stack, s.C);

  Want length(s.rows), want, difference, zero;
  for (int r = 0; r < s.rows; r++) {
    const float *row = x + (long long)r * s.C;
    for (int c = 0; c < s.C; c++) length[r] += (double)row[c] * row[c];
    length[r] = sqrt(length[r]);
    for (int c = 0; c < s.C; c++) {
      want.push_back(length[r] == 0 ? 0 : row[c] / length[r]);
      difference.push_back(want.back() - other[(long long)r * s.C + c]);
      zero.push_back(std::isnan(want.back()) ? not_a_number : 0);
    }
  }
  compare(s.name("normalize"), phi, want, 1.5 * eps32, 0x1p-125);
  compare(s.name("normalize own phi"), none, zero, 0, 0);
  compare(s.name("normalize phi"), y, difference,
          [&](long long i) { return 2 * eps32 * (fabs(want[i]) + fabs(other[i])); });

  Want back, scale;
  for (int i = 0; i < s.stack * s.rows; i++) {
    const float *row = x + (long long)(i % s.rows) * s.C, *d = dy + (long long)i * s.C;
    const double l = length[i % s.rows];
    double along = 0, size = 0;
    for (int c = 0; c < s.C; c++) {
      along += row[c] / l * d[c];
      size += fabs(row[c] / l * d[c]);
    }
    for (int c = 0; c < s.C; c++) {
      back.push_back(l == 0 ? 0 : (d[c] - along * row[c] / l) / l);
      scale.push_back(l == 0 ? 0
                             : (fabs(d[c]) + size * fabs(row[c] / l)) / l * 4 * eps32 + 0x1p-125);
    }
  }
  compare(s.name("normalize_backward"), dx, back, [&](long long i) { return scale[i]; });
}

static void all(const Shape &s) {
  layernorm_all(s);
  softmax_all(s);
  normalize_all(s);
}

int main(int, char **argv) {
  int stack = 0;
  for (int C : {1, 2, 3, 4, 5, 31, 32, 33, 127, 128, 129, 192, 1023, 1024}) {
    stack = stack % 3 + 1;
    for (bool residual : {false, true})
      all({5, C, stack, residual, 1, 0, 1e-5, residual, 0, false});
  }
  for (int C : {1, 7, 1025, 2047, 2048, 2049, 4100}) all({3, C, 2, true, 1, 0, 1e-5, 0, 0, true});
  for (int rows : {1, 2, 3, 4, 9, 70}) all({rows, 20, 1, false, 1, 0, 1e-12, 0, 0, false});
  for (double mean : {1e3, -1e4}) all({9, 65, 1, false, 1, mean, 1e-12, 0, 0, false});
  for (double deviation : {1e-12, 1e12}) {
    normalize_all({9, 70, 2, false, deviation, 0, 0, 0, 0, false});
    layernorm_all({6, 33, 1, true, deviation * 1e-4, 0, 0.5, 0, 0, false});
  }
  layernorm_all({6, 33, 1, true, 0, 2.75, 1e-12, 0, 0, false});  // rows of one value
  layernorm_all({300, 130, 2, true, 1, 0, 1e-5, 0, 0, false});   // several chunks
  for (float bad : {not_a_number, inf, -inf}) {
    for (bool wide : {false, true}) all({5, 17, 2, true, 1, 0, 1e-5, 0, bad, wide});
  }
  return finish(argv);
}
