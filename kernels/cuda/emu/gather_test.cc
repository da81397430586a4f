// Tests gather.cu, embed.cu, patchify.cu, units.cu, optimizer.cu and merge.cu.
#include "trial.h"

#include "../embed.cu"
#include "../gather.cu"
#include "../merge.cu"
#include "../optimizer.cu"
#include "../patchify.cu"
#include "../units.cu"

using namespace trial;
typedef std::vector<double> Want;

static const double eps32 = 0x1p-23;

static std::string name(const char *op, std::vector<double> values) {
  std::string text = op;
  for (double v : values) text += " " + std::to_string(v);
  return text;
}

// row_block and row_grid are the launch of kernels that move rows.
static dim3 row_block(int C) {
  unsigned x = 1;
  while (x < 32 && x * 4 < (unsigned)C) x *= 2;
  return dim3(x, 256 / x);
}

static dim3 row_grid(long long rows, int C) {
  return dim3((unsigned)ceil_div(rows, row_block(C).y));
}

static void embed(int rows, int vocabulary, int C, bool added, int offset) {
  const std::string what =
      name("embed", {(double)rows, (double)vocabulary, (double)C, (double)added, (double)offset});
  const Floats table = normal((long long)vocabulary * C, 1, 0, offset),
               add = normal((long long)rows * C);
  Ints ids = integers(rows, 0, vocabulary);
  ids[0] = vocabulary - 1;
  Floats dst = fresh((long long)rows * C, offset);
  LAUNCH(optin_embed_f32, row_grid(rows, C), row_block(C), dst, table, ids,
         added ? add.data : nullptr, rows, C);
  Want want;
  for (int r = 0; r < rows; r++) {
    for (int c = 0; c < C; c++) {
      want.push_back(table[(long long)ids[r] * C + c] + (added ? add[(long long)r * C + c] : 0.f));
    }
  }
  same(what, dst, want);
}

static void gather(int variants, int n, int span, int C, int offset) {
  const std::string what =
      name("gather", {(double)variants, (double)n, (double)span, (double)C, (double)offset});
  const Floats x = normal((long long)variants * span * C, 1, 0, offset);
  const Ints idx = integers(n, 0, span);
  Floats dst = fresh((long long)variants * n * C, offset);
  LAUNCH(optin_gather_f32, row_grid((long long)variants * n, C), row_block(C), dst, x, idx,
         variants, n, span, C);
  Want want;
  for (int r = 0; r < variants * n; r++) {
    for (int c = 0; c < C; c++) want.push_back(x[((long long)r / n * span + idx[r % n]) * C + c]);
  }
  same(what, dst, want);
}

// Sorted is idx in order, checked.
struct Sorted {
  Ints key, order;
  explicit Sorted(const Ints &idx) : key(idx.n, -7), order(idx.n, -7) {
    LAUNCH(optin_sort_i32, dim3((unsigned)ceil_div(idx.n, 64)), dim3(256), key, order, idx,
           (int)idx.n);
    std::vector<int> at(idx.n);
    for (size_t i = 0; i < at.size(); i++) at[i] = (int)i;
    std::stable_sort(at.begin(), at.end(), [&](int a, int b) { return idx[a] < idx[b]; });
    Want wantKey, wantOrder;
    for (int i : at) {
      wantKey.push_back(idx[i]);
      wantOrder.push_back(i);
    }
    same("sort keys", key, wantKey);
    same("sort order", order, wantOrder);
  }
};

// scatter adds, or takes the mean and its derivative, at idx.
static void scatter(Ints idx, int span, int variants, int stack, int C, bool mean, float bad,
                    int offset) {
  const int n = (int)idx.n;
  const std::string what = name("scatter", {(double)n, (double)span, (double)variants,
                                            (double)stack, (double)C, (double)mean, bad});
  const Sorted sorted(idx);
  Floats x = normal((long long)stack * variants * n * C, 1, 0, offset);
  if (bad != 0) x[x.n / 2] = bad;
  Floats dst = mean ? Floats((long long)span * C, 0, offset)
                    : normal((long long)variants * span * C, 1, 0, offset);
  const Floats start = dst.copy();
  Want want(dst.n), size(dst.n), count(span);
  for (int i = 0; i < n; i++) count[idx[i]]++;
  for (long long r = 0; r < (long long)stack * variants * n; r++) {
    const long long to = (r / n % variants * span + idx[r % n]) * C;
    for (int c = 0; c < C; c++) {
      want[to + c] += x[r * C + c];
      size[to + c] += fabs(x[r * C + c]);
    }
  }
  for (long long i = 0; i < dst.n; i++) {
    if (mean) {
      if (count[i / C] > 0) want[i] /= count[i / C];
    } else {
      want[i] += start[i];
      size[i] += fabs(start[i]);
    }
  }
  const unsigned chunks = (unsigned)ceil_div(n, SORTED_CHUNK);
  const dim3 grid(chunks, (unsigned)ceil_div(C, 512), variants), block(32, 4);
  Doubles edges = fresh_doubles((long long)variants * chunks * 2 * C);
  LAUNCH(optin_scatter_f32, grid, block, dst, edges, x, sorted.key, sorted.order, n, stack, span, C,
         mean);
  if (n > SORTED_CHUNK)
    LAUNCH(optin_scatter_edges_f32, grid, block, dst, edges, sorted.key, n, span, C, mean);
  compare(what, dst, want, [&](long long i) { return eps32 * size[i]; });
  if (!mean) return;

  const Floats dy = normal((long long)stack * span * C, 1, 0, offset);
  Floats dx = fresh((long long)stack * n * C, offset);
  LAUNCH(optin_scatter_mean_backward_f32, row_grid((long long)stack * n, C), row_block(C), dx, dy,
         idx, sorted.key, n, span, stack, C);
  Want back;
  for (int r = 0; r < stack * n; r++) {
    const int at = idx[r % n];
    for (int c = 0; c < C; c++)
      back.push_back((float)(dy[((long long)r / n * span + at) * C + c] / count[at]));
  }
  same(what + " backward", dx, back);
}

static void patchify(int images, int channels, int height, int width, int patch, int offset) {
  const std::string what = name("patchify", {(double)images, (double)channels, (double)height,
                                             (double)width, (double)patch, (double)offset});
  const int size = channels * height * width;
  const Floats image = normal((long long)images * size, 1, 0, offset);
  Floats patches = fresh(image.n, offset), back = fresh(image.n);
  const dim3 grid((size + 255) / 256, images > 2 ? images - 1 : images);
  LAUNCH(optin_patchify_f32, grid, dim3(256), patches, image, images, channels, height, width,
         patch);
  LAUNCH(optin_patchify_backward_f32, grid, dim3(256), back, patches, images, channels, height,
         width, patch);
  Want want, wantBack(image.data, image.data + image.n);
  for (int b = 0; b < images; b++) {
    for (int py = 0; py < height / patch; py++) {
      for (int px = 0; px < width / patch; px++) {
        for (int ch = 0; ch < channels; ch++) {
          for (int y = 0; y < patch; y++) {
            for (int x = 0; x < patch; x++) {
              want.push_back(
                  image[((long long)(b * channels + ch) * height + py * patch + y) * width +
                        px * patch + x]);
            }
          }
        }
      }
    }
  }
  same(what, patches, want);
  same(what + " backward", back, wantBack);
}

static void remove_units(int V, int N, int units, int D, int width, int stack, float bad,
                         int offset) {
  const std::string what = name("remove_units", {(double)V, (double)N, (double)units, (double)D,
                                                 (double)width, (double)stack, bad});
  const int stride = units * width, rows = V * N;
  Floats sum = normal((long long)rows * D, 1, 0, offset), consumer = normal((long long)stride * D),
         values = normal((long long)rows * stride);
  Ints removed = integers(V, -1, units);
  removed[V - 1] = units - 1;
  if (V > 2) removed[1] = -1;
  for (int r = 0; r < rows; r += 3) {  // rows where the last unit is dead
    for (int i = stride - width; i < stride; i++) values[(long long)r * stride + i] = 0;
  }
  if (bad != 0) values[(long long)(rows - 1) * stride + stride - 1] = bad;
  const Floats dy = normal((long long)stack * rows * D, 1, 0, offset);
  Want want, size, back((long long)stack * rows * stride), backSize(back.size());
  for (int r = 0; r < rows; r++) {
    const int u = removed[r / N];
    for (int c = 0; c < D; c++) {
      double v = sum[(long long)r * D + c], s = fabs(v);
      bool any = false;
      for (int i = u * width; u >= 0 && i < (u + 1) * width; i++) {
        const double t = (double)values[(long long)r * stride + i] * consumer[(long long)i * D + c];
        v -= t;
        s += fabs(t);
        any = any || t != 0;
      }
      want.push_back(v);
      size.push_back(any ? s : 0);
    }
  }
  for (int r = 0; r < stack * rows; r++) {
    const int u = removed[r / N % V];
    for (int i = u * width; u >= 0 && i < (u + 1) * width; i++) {
      for (int c = 0; c < D; c++) {
        const double t = (double)dy[(long long)r * D + c] * consumer[(long long)i * D + c];
        back[(long long)r * stride + i] -= t;
        backSize[(long long)r * stride + i] += fabs(t);
      }
    }
  }
  const double roundings = 1 + sqrt(width), terms = 1 + sqrt(D);
  for (bool narrow : {true, false}) {
    if (narrow && width > 4) continue;
    Floats dst = fresh((long long)rows * D, offset), dx((long long)stack * rows * stride, 0);
    if (narrow) {
      LAUNCH(optin_remove_units_f32, dim3(V * ((N + 63) / 64), (D + 127) / 128), dim3(32, 8), dst,
             sum, values, consumer, removed, N, D, stride, width);
      LAUNCH(optin_remove_units_backward_f32, dim3((stack * rows + 3) / 4), dim3(128), dx, dy,
             consumer, removed, stack * rows, V, N, D, stride, width);
    } else {
      LAUNCH(optin_remove_units_wide_f32, dim3(V * ((N + 63) / 64), (D + 63) / 64), dim3(256), dst,
             sum, values, consumer, removed, N, D, stride, width);
      LAUNCH(optin_remove_units_backward_wide_f32,
             dim3(stack * V * ((N + 63) / 64), (width + 63) / 64), dim3(256), dx, dy, consumer,
             removed, V, N, D, stride, width);
    }
    compare(what, dst, want, [&](long long i) { return eps32 * roundings * size[i]; });
    compare(what + " backward", dx, back, [&](long long i) { return eps32 * terms * backSize[i]; });
  }
}

static void adamw(long long n, double size, int step, float bad, int offset) {
  const std::string what = name("adamw", {(double)n, size, (double)step, bad, (double)offset});
  const double gradient = -0.5, beta1 = 0.9, beta2 = 0.999, rate = 1e-2, eps = 1e-8, decay = 0.01;
  Floats w = normal(n, 1, 0, offset), m = normal(n, size), v = normal(n, size), g = normal(n, size);
  for (long long i = 0; i < n; i++) v[i] = (float)((double)v[i] * v[i]);
  if (bad != 0) g[n / 2] = bad;
  Want wantW, wantM, wantV, sizeW, sizeM;
  for (long long i = 0; i < n; i++) {
    const double d = gradient * g[i], first = beta1 * m[i] + (1 - beta1) * d,
                 second = beta2 * v[i] + (1 - beta2) * d * d;
    const double moved =
        first / (1 - pow(beta1, step)) / (sqrt(second / (1 - pow(beta2, step))) + eps);
    wantM.push_back(first);
    wantV.push_back(second);
    wantW.push_back(w[i] - rate * (moved + decay * w[i]));
    sizeM.push_back(fabs(beta1 * m[i]) + fabs((1 - beta1) * d));
    sizeW.push_back(fabs(w[i]) + rate * 2 * sizeM[i] / (1 - pow(beta1, step)) /
                                     (sqrt(second / (1 - pow(beta2, step))) + eps));
  }
  LAUNCH(optin_adamw_f32, dim3((unsigned)ceil_div(n, 1024)), dim3(256), w, m, v, g, (float)gradient,
         (float)beta1, (float)(1 - beta1), (float)(1 / (1 - pow(beta1, step))), (float)beta2,
         (float)(1 - beta2), (float)(1 / (1 - pow(beta2, step))), (float)rate, (float)eps,
         (float)decay, n);
  compare(what + " m", m, wantM, [&](long long i) { return 2 * eps32 * sizeM[i] + 0x1p-125; });
  compare(what + " v", v, wantV, 3 * eps32, 0x1p-125);
  compare(what + " w", w, wantW, [&](long long i) { return 4 * eps32 * sizeW[i]; });
}

// merge runs the matching, the order and the merge of sequences, which each lose up to k tokens.
static void merge(std::vector<int> lengths, int V, int C, int k, int keep, float bad) {
  const std::string what = name("merge", {(double)lengths.size(), (double)lengths[0], (double)V,
                                          (double)C, (double)k, (double)keep, bad});
  const int B = (int)lengths.size(), odd = keep | 1;
  Ints offsets(B + 1), behind(B + 1);
  int longest = 0;
  for (int b = 0; b < B; b++) {
    offsets[b + 1] = offsets[b] + lengths[b];
    longest = std::max(longest, lengths[b]);
    const int matched = odd < lengths[b] ? (lengths[b] + 1) / 2 - (keep + 1) / 2 : 0;
    behind[b + 1] = behind[b] + lengths[b] - std::min(k, matched);
  }
  const int rows = V * offsets[B];
  Floats x((long long)rows * C);
  for (long long i = 0; i < x.n; i++)
    x[i] = (float)((int)(generator()() % 5) - 2);  // exact products, many ties
  if (bad != 0) x[(long long)(rows / 2) * C] = bad;

  Floats score = fresh(rows);
  Ints partner(rows, -7), place(rows, -7), best(V * behind[B], -7), idx(rows, -7);
  LAUNCH(optin_match_f32, dim3((longest + 63) / 64, V * B), dim3(256), score, partner, x, offsets,
         B, C, keep);
  LAUNCH(optin_top_k_f32, dim3((longest + 255) / 256, V * B), dim3(256), place, nullptr, score,
         offsets, nullptr, B);
  LAUNCH(optin_top_k_f32, dim3(1, V * B), dim3(256), nullptr, best, score, offsets, behind, B);
  LAUNCH(optin_merge_i32, dim3(V * B), dim3(256), idx, place, partner, offsets, behind, B);

  Want wantScore, wantPartner, wantPlace(rows), wantBest, wantIdx(rows);
  for (int sequence = 0; sequence < V * B; sequence++) {
    const int b = sequence % B, begin = sequence / B * offsets[B] + offsets[b], length = lengths[b];
    for (int i = 0; i < length; i++) {
      double best = -HUGE_VAL;
      int at = i;
      if (i % 2 == 0 && i >= keep && odd < length) {
        at = odd;
        best = -std::numeric_limits<float>::max();
        for (int j = odd; j < length; j += 2) {
          double dot = 0;
          for (int c = 0; c < C; c++)
            dot += (double)x[(long long)(begin + i) * C + c] * x[(long long)(begin + j) * C + c];
          if (dot > best) {
            best = dot;
            at = j;
          }
        }
      }
      wantScore.push_back(best);
      wantPartner.push_back(begin + at);
    }
    const int left = behind[b + 1] - behind[b];
    std::vector<int> order(length);
    for (int i = 0; i < length; i++) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](int i, int j) { return wantScore[begin + i] > wantScore[begin + j]; });
    for (int i = 0; i < length; i++) {
      wantPlace[begin + order[i]] = i;
      if (i < left) wantBest.push_back(begin + order[i]);
    }
    int next = sequence / B * behind[B] + behind[b];
    for (int i = 0; i < length; i++) {
      if (wantPlace[begin + i] >= length - left) wantIdx[begin + i] = next++;
    }
    for (int i = 0; i < length; i++) {
      if (wantPlace[begin + i] < length - left)
        wantIdx[begin + i] = wantIdx[(size_t)wantPartner[begin + i]];
    }
  }
  same(what + " score", score, wantScore);
  same(what + " partner", partner, wantPartner);
  same(what + " place", place, wantPlace);
  same(what + " best", best, wantBest);
  same(what + " idx", idx, wantIdx);
}

// top_k orders numbers that a matching does not give: NaN, infinities.
static void top_k_edges() {
  const float values[] = {not_a_number, 1, -inf, inf, 1, not_a_number, -0.f, 0.f, -2};
  Floats score(9);
  std::copy(values, values + 9, score.data);
  Ints offsets(2), place(9, -7), best(9, -7);
  offsets[1] = 9;
  LAUNCH(optin_top_k_f32, dim3(1, 1), dim3(256), place, best, score, offsets, offsets, 1);
  same("top_k edges", best, Want{3, 1, 4, 6, 7, 8, 2, 0, 5});
}

static Ints repeated(std::vector<int> values) {
  Ints idx((long long)values.size());
  std::copy(values.begin(), values.end(), idx.data);
  return idx;
}

static void scatters() {
  for (int n : {1, 2, 7, 31, 32, 33, 64, 65, 130}) {
    scatter(integers(n, 0, 5), 5, 1 + n % 3, 1 + n % 2, n % 9 + 1, false, 0, n % 2);
    scatter(integers(n, 0, 9), 9, 1, 1 + n % 3, n % 6 + 1, true, 0, n % 2);
    scatter(integers(n, 2, 3), 4, 1, 1, 5, n % 2, 0, 0);  // all at one
  }
  for (int C : {1, 3, 4, 127, 128, 129, 516, 1030})
    scatter(integers(40, 0, 3), 3, 1, 1, C, C % 2, 0, 0);
  std::vector<int> runs;
  for (int i = 0; i < 128; i++)
    runs.push_back(i < 32 ? 1 : i < 96 ? 3 : i < 97 ? 4 : 6);  // ends where chunks end, and not
  scatter(repeated(runs), 8, 2, 2, 6, false, 0, 0);
  scatter(repeated(runs), 8, 1, 1, 6, true, 0, 0);
  std::reverse(runs.begin(), runs.end());
  scatter(repeated(runs), 8, 1, 2, 6, false, 0, 0);
  for (float bad : {not_a_number, inf}) {
    scatter(integers(70, 0, 3), 3, 1, 1, 5, false, bad, 0);
    scatter(integers(70, 0, 3), 3, 1, 1, 5, true, bad, 0);
  }
}

int main(int, char **argv) {
  for (int C : {1, 2, 3, 4, 5, 63, 64, 65, 128, 129, 260}) {
    embed(C % 11 + 1, 11, C, C % 2, C % 3 == 0);
    gather(1 + C % 3, C % 7 + 1, 5, C, C % 3 == 0);
  }
  embed(1, 1, 1, true, 0);
  embed(300, 30, 5, true, 0);
  scatters();

  patchify(1, 1, 1, 1, 1, 0);
  patchify(2, 3, 8, 12, 4, 0);
  patchify(2, 3, 8, 12, 4, 1);
  patchify(3, 1, 28, 28, 7, 0);
  patchify(1, 3, 10, 5, 5, 0);
  patchify(4, 2, 6, 6, 1, 0);
  patchify(5, 2, 48, 32, 16, 0);

  for (int D : {1, 3, 4, 5, 63, 64, 65, 127, 128, 129})
    remove_units(3, 3, 5, D, 1 + D % 4, 1 + D % 3, 0, D % 2);
  for (int N : {1, 7, 8, 9, 63, 64, 65}) remove_units(2, N, 3, 9, 1 + N % 2, 1, 0, 0);
  for (int width : {1, 2, 3, 4, 5, 15, 16, 17, 64, 65}) remove_units(3, 5, 2, 70, width, 2, 0, 0);
  for (float bad : {not_a_number, inf}) remove_units(2, 3, 4, 9, 2, 1, bad, 0);

  for (long long n : {1, 3, 4, 5, 1023, 1024, 1027}) adamw(n, 1, 1 + (int)n, 0, n % 2);
  adamw(63, 1e-24, 10, 0, 0);
  adamw(63, 1e12, 10, 0, 0);
  adamw(9, 1, 1, not_a_number, 0);

  for (int length : {1, 2, 3, 4, 5, 64, 65, 66, 130}) {
    merge({length, 1, 7, 2}, 1 + length % 3, length % 5 + 1, 1 + length / 3, length % 4, 0);
  }
  merge({300, 260, 20}, 2, 9, 40, 1, 0);
  merge({5, 6}, 1, 3, 9, 0, 0);
  merge({70, 7}, 1, 3, 9, 0, not_a_number);
  merge({9}, 1, 3, 9, 0, not_a_number);   // all of them merge, NaN too
  merge({9, 4}, 3, 3, 2, 2, -HUGE_VALF);  // products of -Inf, and NaN
  merge({5, 40, 6}, 2, 3, 9, 7, 0);       // most sequences keep all
  merge({6, 5}, 1, 3, 0, 1, 0);
  top_k_edges();
  return finish(argv);
}
