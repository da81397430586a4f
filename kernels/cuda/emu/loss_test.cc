// Tests loss.cu, manifold.cu and reduce.cu.
#include "trial.h"

#include "../loss.cu"
#include "../manifold.cu"
#include "../reduce.cu"

using namespace trial;
typedef std::vector<double> Want;

static const double eps32 = 0x1p-23, eps64 = 0x1p-52;

static std::string name(const char *op, std::vector<double> values) {
  std::string text = op;
  for (double v : values) text += " " + std::to_string(v);
  return text;
}

static Doubles accumulator(long long n) {
  Doubles d(n);
  for (long long i = 0; i < n; i++) d[i] = 0.5 * (double)i;
  return d;
}

static void add_sums(Doubles &dst, const Doubles &partial, long long count) {
  LAUNCH(optin_add_sums_f64, dim3((unsigned)dst.n), dim3(256), dst, partial, count);
}

// log_softmax of x/tau.
static Want logs(const float *x, double tau, int C) {
  Want l(C);
  double top = -HUGE_VAL, sum = 0;
  for (int c = 0; c < C; c++) top = fmax(top, x[c] / tau);
  for (int c = 0; c < C; c++) sum += exp(x[c] / tau - top);
  for (int c = 0; c < C; c++) l[c] = x[c] / tau - top - log(sum);
  return l;
}

static void kl(int V, int n, int C, double tau, double size, int stack, float bad, int offset,
               bool wide) {
  const std::string what =
      name("kl", {(double)V, (double)n, (double)C, tau, size, (double)stack, bad, (double)wide});
  Floats x = normal((long long)V * n * C, size, 0, offset), base = normal((long long)n * C, size);
  if (bad != 0) x[C / 2] = bad;
  const int rows = V * n;
  const auto grid = [&](int r) { return wide ? dim3(r) : dim3((r + 3) / 4); };
  Doubles partial = fresh_doubles(rows), dst = accumulator(V), equal(1);
  if (wide) {
    LAUNCH(optin_kl_divergence_wide_f64, grid(rows), dim3(512), partial, x, base, tau, rows, n, C);
  } else {
    LAUNCH(optin_kl_divergence_f64, grid(rows), dim3(128), partial, x, base, tau, rows, n, C);
  }
  add_sums(dst, partial, n);
  Want want(V), most(V, 1);
  for (int r = 0; r < rows; r++) {
    const Want p = logs(base + (long long)(r % n) * C, tau, C),
               q = logs(x + (long long)r * C, tau, C);
    for (int c = 0; c < C; c++) {
      want[r / n] += exp(p[c]) * (p[c] - q[c]);
      most[r / n] = fmax(most[r / n], fabs(p[c]) + fabs(q[c]));
    }
  }
  for (int v = 0; v < V; v++) want[v] += 0.5 * v;
  compare(what, dst, want, [&](long long v) { return 100 * eps64 * C * n * most[v] * most[v]; });

  Doubles own = fresh_doubles(n);
  const float *again = base;
  if (wide) {
    LAUNCH(optin_kl_divergence_wide_f64, grid(n), dim3(512), own, again, base, tau, n, n, C);
  } else {
    LAUNCH(optin_kl_divergence_f64, grid(n), dim3(128), own, again, base, tau, n, n, C);
  }
  same(what + " equal", own, Want(n, 0));

  const int all = stack * rows;
  Doubles d(stack * V);
  for (int i = 0; i < stack * V; i++) d[i] = 0.25 * i - 1;
  Floats dx = fresh((long long)all * C, offset);
  if (wide) {
    LAUNCH(optin_kl_divergence_backward_wide_f32, grid(all), dim3(512), dx, d, x, base, tau, all,
           rows, n, C);
  } else {
    LAUNCH(optin_kl_divergence_backward_f32, grid(all), dim3(128), dx, d, x, base, tau, all, rows,
           n, C);
  }
  Want back;
  for (int r = 0; r < all; r++) {
    const Want p = logs(base + (long long)(r % n) * C, tau, C),
               q = logs(x + (long long)(r % rows) * C, tau, C);
    for (int c = 0; c < C; c++) back.push_back(d[r / n] * (exp(q[c]) - exp(p[c])) / tau);
  }
  compare(what + " backward", dx, back, eps32, 1e-11 * (1 + size));
}

static void squared_error(int V, long long n, int stack, float bad, int offset) {
  const std::string what =
      name("squared_error", {(double)V, (double)n, (double)stack, bad, (double)offset});
  Floats x = normal(V * n, 1, 0, offset), base = normal(n);
  if (bad != 0) x[n - 1] = bad;
  const int chunks = (int)std::min(ceil_div(n, 8192), std::max(1LL, 2048LL / V));
  Doubles partial = fresh_doubles((long long)V * chunks), dst = accumulator(V);
  LAUNCH(optin_squared_error_f64, dim3(V * chunks), dim3(256), partial, x, base, chunks, n);
  add_sums(dst, partial, chunks);
  Want want(V);
  for (int v = 0; v < V; v++) {
    want[v] = 0.5 * v;
    for (long long i = 0; i < n; i++) want[v] += pow((double)x[v * n + i] - base[i], 2);
  }
  compare(what, dst, want, 2 * eps32, 0);

  Doubles d(stack * V);
  for (int i = 0; i < stack * V; i++) d[i] = 0.3 * i - 1;
  Floats dx = fresh(stack * V * n, offset);
  LAUNCH(optin_squared_error_backward_f32, dim3((unsigned)ceil_div(n, 1024), stack * V > 2 ? 2 : 1),
         dim3(256), dx, d, x, base, stack * V, V, n);
  Want back;
  for (int o = 0; o < stack * V; o++) {
    for (long long i = 0; i < n; i++)
      back.push_back(2 * d[o] * ((double)x[o % V * n + i] - base[i]));
  }
  compare(what + " backward", dx, back, 2 * eps32, 0);
}

// gram_loss is the loss by the formula of the Gram matrices, and what its terms come to.
static double gram_loss(const Floats &aa, const Floats &ae, const Floats &ee, int D, double *size) {
  double loss = 0;
  *size = 0;
  for (int i = 0; i < D; i++) {
    for (int j = 0; j < D; j++) {
      const long long ij = (long long)i * D + j, ji = (long long)j * D + i;
      const double terms[] = {2.0 * aa[ij] * ee[ji], 2.0 * ae[ij] * ae[ji], 4.0 * ae[ij] * ee[ji],
                              (double)ee[ij] * ee[ij]};
      for (double t : terms) {
        loss += t;
        *size += fabs(t);
      }
    }
  }
  return loss;
}

static void manifold_grams(int D, int stack, float bad) {
  const std::string what = name("manifold", {(double)D, (double)stack, bad});
  const long long n = (long long)D * D;
  Floats aa = normal(n), ae = normal(n), ee = normal(n);
  if (bad != 0) ae[n / 2] = bad;
  const int tiles = (D + 31) / 32;
  Doubles partial = fresh_doubles(tiles * tiles), dst = accumulator(2), last(1, 2.5);
  LAUNCH(optin_manifold_loss_f64, dim3(tiles, tiles), dim3(32, 8), partial, aa, ae, ee, D);
  add_sums(last, partial, tiles * tiles);
  double size;
  const double want = 2.5 + gram_loss(aa, ae, ee, D, &size);
  compare(what, last, Want{want}, [&](long long) { return 1e-13 * size; });
  const Floats none(n);
  LAUNCH(optin_manifold_loss_f64, dim3(tiles, tiles), dim3(32, 8), partial, bad != 0 ? none : aa,
         none, none, D);
  same(what + " no difference", partial, Want(tiles * tiles, 0));

  Doubles d(stack);
  for (int i = 0; i < stack; i++) d[i] = 0.3 * i - 1;
  Floats daa = fresh(stack * n), dae = fresh(stack * n), dee = fresh(stack * n);
  LAUNCH(optin_manifold_loss_backward_f32, dim3(tiles, tiles), dim3(32, 8), daa, dae, dee, d, aa,
         ae, ee, stack, D);
  Want wantAA, wantAE, wantEE, sizeEE;
  for (int part = 0; part < stack; part++) {
    for (int i = 0; i < D; i++) {
      for (int j = 0; j < D; j++) {
        const long long ij = (long long)i * D + j, ji = (long long)j * D + i;
        wantAA.push_back(d[part] * 2 * ee[ji]);
        wantAE.push_back(d[part] * 4 * ((double)ae[ji] + ee[ji]));
        wantEE.push_back(d[part] * (2.0 * aa[ji] + 4.0 * ae[ji] + 2.0 * ee[ij]));
        sizeEE.push_back(fabs(d[part]) * (2 * fabs(aa[ji]) + 4 * fabs(ae[ji]) + 2 * fabs(ee[ij])));
      }
    }
  }
  compare(what + " daa", daa, wantAA, eps32, 0);
  compare(what + " dae", dae, wantAE, 2 * eps32, 1e-7);
  compare(what + " dee", dee, wantEE, [&](long long i) { return 2 * eps32 * sizeEE[i]; });
}

static void manifold_rows_all(int n, int D, double size, int stack, float bad) {
  const std::string what = name("manifold_rows", {(double)n, (double)D, size, (double)stack, bad});
  Floats a = normal((long long)n * D, 1 / sqrt(D)), e = normal((long long)n * D, size / sqrt(D));
  if (bad != 0) e[(long long)(n / 2) * D + D / 2] = bad;
  Want m;
  double loss = 0, sizes = 0;
  for (int i = 0; i < n; i++) {
    for (int j = 0; j < n; j++) {
      double d = 0, terms = 0;
      for (int c = 0; c < D; c++) {
        const double ai = a[(long long)i * D + c], aj = a[(long long)j * D + c],
                     ei = e[(long long)i * D + c], ej = e[(long long)j * D + c];
        d += ai * ej + ei * aj + ei * ej;
        terms += fabs(ai * ej) + fabs(ei * aj) + fabs(ei * ej);
      }
      m.push_back(4 * d);
      loss += d * d;
      sizes += fabs(d) * terms + terms * terms * eps32;
    }
  }
  for (bool large : {false, true}) {
    const int tiles = large ? (n + 63) / 64 : (n + 31) / 32;
    Doubles partial = fresh_doubles(tiles * tiles), dst(1, 0.75);
    if (large) {
      LAUNCH(optin_manifold_rows_large_f64, dim3(tiles, tiles), dim3(256), partial, a, e, n, D);
    } else {
      LAUNCH(optin_manifold_rows_f64, dim3(tiles, tiles), dim3(256), partial, a, e, n, D);
    }
    add_sums(dst, partial, tiles * tiles);
    compare(what, dst, Want{0.75 + loss}, [&](long long) { return 2 * eps32 * sizes; });
    if (large) continue;
    const Floats none((long long)n * D), full = normal((long long)n * D);
    LAUNCH(optin_manifold_rows_f64, dim3(tiles, tiles), dim3(256), partial, full, none, n, D);
    same(what + " no difference", partial, Want(tiles * tiles, 0));
  }
  const int tiles = (n + 31) / 32;
  Floats got = fresh((long long)n * n);
  LAUNCH(optin_manifold_rows_matrix_f32, dim3(tiles, tiles), dim3(256), got, a, e, n, D);
  compare(what + " matrix", got, m, 4 * eps32, 8 * eps32 * size * sqrt(D) * 4);

  const long long all = (long long)n * D;
  const Floats me = normal(all), ma = normal(all);
  Doubles d(stack);
  for (int i = 0; i < stack; i++) d[i] = 0.3 * i - 1;
  Floats da = fresh(stack * all), de = fresh(stack * all);
  LAUNCH(optin_manifold_rows_scale_f32, dim3((unsigned)ceil_div(all, 256)), dim3(256), da, de, d,
         me, ma, stack, all);
  Want wantA, wantE;
  for (int part = 0; part < stack; part++) {
    for (long long i = 0; i < all; i++) {
      wantA.push_back(d[part] * me[i]);
      wantE.push_back(d[part] * ((double)me[i] + ma[i]));
    }
  }
  compare(what + " da", da, wantA, eps32, 0);
  compare(what + " de", de, wantE, 2 * eps32, 1e-7);
}

static void sum_rows(int rows, long long C, float bad, int offset) {
  const std::string what = name("sum_rows", {(double)rows, (double)C, bad, (double)offset});
  Floats x = normal(rows * C, 1, 0, offset), dst = normal(C, 1, 0, offset);
  if (bad != 0) x[rows * C / 2] = bad;
  Want want(C), size(C);
  for (long long c = 0; c < C; c++) {
    want[c] = dst[c];
    size[c] = fabs(want[c]);
    for (int r = 0; r < rows; r++) {
      want[c] += x[r * C + c];
      size[c] += fabs(x[r * C + c]);
    }
  }
  const long long tiles = ceil_div(C, 128);
  const int chunks = (int)std::min(ceil_div(rows, 64), std::max(1LL, 512 / tiles));
  Doubles partial = fresh_doubles(chunks * C);
  LAUNCH(optin_sum_rows_f32, dim3((unsigned)tiles, chunks), dim3(32, 8), dst, partial, x, rows, C);
  if (chunks > 1) {
    LAUNCH(optin_add_columns_f32, dim3((unsigned)ceil_div(C, 256)), dim3(256), dst, partial, chunks,
           C, C);
  }
  compare(what, dst, want, [&](long long c) { return eps32 * size[c]; });
}

static void unit_sums(std::vector<int> lengths, int span, int copies, int yCopies, int units,
                      int width, float bad) {
  const std::string what = name("unit_sums", {(double)lengths.size(), (double)span, (double)copies,
                                              (double)yCopies, (double)units, (double)width, bad});
  const int segments = lengths.empty() ? 1 : (int)lengths.size(), C = units * width;
  Ints offsets(segments + 1);
  int longest = 0;
  for (size_t s = 0; s < lengths.size(); s++) {
    offsets[s + 1] = offsets[s] + lengths[s];
    longest = std::max(longest, lengths[s]);
  }
  if (lengths.empty()) {
    longest = offsets[1] = span;
  } else {
    span = offsets[segments];
  }
  Floats x = normal((long long)copies * span * C), dst = normal((long long)segments * units);
  const Floats y = normal((long long)yCopies * span * C);
  if (bad != 0) x[x.n / 2] = bad;
  Want want((long long)segments * units), size(want.size());
  Want added(want.size());
  for (size_t i = 0; i < want.size(); i++) size[i] = fabs(want[i] = dst[i]);
  for (int copy = 0; copy < copies; copy++) {
    for (int s = 0; s < segments; s++) {
      for (int at = offsets[s]; at < offsets[s + 1]; at++) {
        for (int c = 0; c < C; c++) {
          const double t = (double)x[((long long)copy * span + at) * C + c] *
                           y[((long long)(copy % yCopies) * span + at) * C + c];
          added[(long long)s * units + c / width] += t;
          size[(long long)s * units + c / width] += fabs(t);
        }
      }
    }
  }
  Doubles wide = accumulator(want.size());
  Want wantWide(want.size());
  for (size_t i = 0; i < want.size(); i++) {
    want[i] += added[i];
    wantWide[i] = wide[i] + added[i];
  }
  const long long tiles = ceil_div(C, 128);
  const int chunks = (int)std::min(std::max(1LL, ceil_div((long long)copies * longest, 64)),
                                   std::max(1LL, 512 / (tiles * segments)));
  Doubles partial = fresh_doubles((long long)segments * chunks * C);
  const int *at = lengths.empty() ? nullptr : offsets.data;
  LAUNCH(optin_unit_products_f32, dim3((unsigned)tiles, chunks, segments), dim3(32, 8), partial, x,
         y, at, span, copies, yCopies, C);
  const dim3 grid((unsigned)ceil_div((long long)segments * units, 8));
  LAUNCH(optin_unit_sums_f32, grid, dim3(32, 8), dst, partial, segments, chunks, units, width);
  LAUNCH(optin_unit_sums_f64, grid, dim3(32, 8), wide, partial, segments, chunks, units, width);
  compare(what + " f32", dst, want, [&](long long i) { return eps32 * size[i]; });
  compare(what + " f64", wide, wantWide, [&](long long i) { return 1e-13 * size[i]; });
}

static void squared_norm(long long n, double size, float bad, int offset) {
  const std::string what = name("squared_norm", {(double)n, size, bad, (double)offset});
  Floats x = normal(n, size, 0, offset);
  if (bad != 0) x[n - 1] = bad;
  double want = 1;
  for (long long i = 0; i < n; i++) want += (double)x[i] * x[i];
  const int blocks = (int)std::min(ceil_div(n, 8192), 1024LL);
  Doubles partial = fresh_doubles(blocks), dst(1, 1);
  LAUNCH(optin_squared_norm_f64, dim3(blocks), dim3(256), partial, x, n);
  add_sums(dst, partial, blocks);
  compare(what, dst, Want{want}, 1e-13, 0);
}

int main(int, char **argv) {
  for (int C : {1, 2, 3, 4, 5, 33, 127, 128, 130}) kl(3, 5, C, 4, 2, 1 + C % 3, 0, C % 2, false);
  // 1/3 is rounded, as is what is multiplied by it: equal rows must be rounded alike.
  for (bool wide : {false, true}) kl(2, 40, 10, 3, 3, 1, 0, 0, wide);
  for (int C : {1, 3, 1025, 2050}) kl(2, 2, C, 1, 10, 2, 0, 0, true);
  for (float bad : {0.f, not_a_number, inf, -inf}) kl(2, 3, 7, 2, 1, 1, bad, 0, bad == inf);
  kl(2, 3, 26, 4, 1e4, 2, 0, 0, false);
  kl(1, 1, 4, 1, 1e-4, 1, 0, 0, false);

  for (long long n : {1, 3, 4, 5, 1023, 1024, 1025}) squared_error(3, n, 2, 0, n % 2);
  squared_error(2, 20000, 1, 0, 0);
  squared_error(2, 20001, 1, 0, 1);
  for (float bad : {not_a_number, inf}) squared_error(2, 9, 1, bad, 0);

  for (int D : {1, 2, 31, 32, 33, 65}) manifold_grams(D, 1 + D % 3, 0);
  manifold_grams(33, 2, not_a_number);
  for (int n : {1, 31, 32, 33, 64, 65}) manifold_rows_all(n, n % 7 + 3, 0.1, 1 + n % 3, 0);
  for (int D : {1, 7, 8, 9, 15, 16, 17, 40}) manifold_rows_all(5, D, 1, 1, 0);
  for (double size : {1e-3, 1e-6}) manifold_rows_all(40, 33, size, 1, 0);
  manifold_rows_all(34, 5, 1, 1, not_a_number);

  for (int rows : {1, 2, 7, 8, 9, 64, 65, 300}) sum_rows(rows, rows % 5 + 1, 0, 0);
  for (long long C : {1, 3, 4, 127, 128, 129, 513}) sum_rows(70, C, 0, C % 2);
  sum_rows(3, 70000, 0, 0);
  for (float bad : {not_a_number, inf}) sum_rows(70, 9, bad, 0);

  unit_sums({37, 130, 2}, 0, 4, 2, 4, 64, 0);
  unit_sums({1}, 0, 1, 1, 1, 1, 0);
  unit_sums({5, 1, 9}, 0, 6, 3, 33, 1, 0);
  unit_sums({5, 1, 9}, 0, 3, 1, 5, 3, not_a_number);
  unit_sums({}, 300, 1, 1, 33, 3, 0);
  unit_sums({}, 6, 3, 1, 2, 17, 0);
  unit_sums({}, 2, 2, 2, 130, 1, inf);

  for (long long n : {1, 3, 4, 5, 1023, 8192, 8193, 20001}) squared_norm(n, 1, 0, n % 2);
  squared_norm(63, 1e-15, 0, 0);
  squared_norm(63, 1e17, 0, 0);
  for (float bad : {not_a_number, inf, -inf}) squared_norm(9, 1, bad, 0);
  return finish(argv);
}
