// Problems for the tests of attention and of its backward, and the softmax of each query by
// plain loops in double precision.
#pragma once

#include <cctype>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "attention.cuh"

namespace test {

using std::vector;

struct Shape {
  vector<int> queries, keys;  // lengths; keys empty: those of queries
  int heads, width;
  int variants = 1;
  int mask = 0;  // rows of the head mask, 0: none
  bool bias = false;
  int key_bias = 0;     // 1: shared, 2: per variant
  bool hidden = false;  // the key bias hides some keys, and all of the last sequence
  bool causal = false;
  double size = 1;  // of the scores
  char nan = 0;     // 'q', 'k', 'v', 'd' (dy) has one in its middle, 'Q' to 'D' at its end
  int stack = 1;    // gradients
  int shift = 0;    // floats between the start of memory and of each matrix
};

inline std::string text(const Shape &s) {
  std::string t = "queries=";
  for (int n : s.queries) t += std::to_string(n) + ",";
  t += " keys=";
  for (int n : s.keys) t += std::to_string(n) + ",";
  char rest[256];
  snprintf(rest, sizeof rest,
           " heads=%d width=%d variants=%d mask=%d bias=%d key_bias=%d hidden=%d causal=%d "
           "size=%g nan=%c stack=%d shift=%d",
           s.heads, s.width, s.variants, s.mask, s.bias, s.key_bias, s.hidden, s.causal, s.size,
           s.nan ? s.nan : '-', s.stack, s.shift);
  return t + rest;
}

// Matrix is floats in memory of exactly their size, so that the address sanitizer sees
// every read beyond, after a number of unused ones that spoil its alignment.
class Matrix {
 public:
  Matrix(size_t n, int shift) : memory_(n + shift, NAN), shift_(shift) {}
  float *data() { return memory_.data() + shift_; }
  size_t size() const { return memory_.size() - shift_; }
  float &operator[](size_t i) { return memory_.at(i + shift_); }
  float operator[](size_t i) const { return memory_.at(i + shift_); }

 private:
  vector<float> memory_;
  int shift_;
};

struct Inputs {
  Shape shape;
  vector<int> q_offsets, k_offsets;
  int q_rows, k_rows, q_max, k_max;  // rows of a variant
  Matrix q, k, v, dy, mask, bias, key_bias;
  float scale;
};

inline vector<int> offsets(const vector<int> &lengths) {
  vector<int> o{0};
  for (int n : lengths) o.push_back(o.back() + n);
  return o;
}

inline void fill(Matrix &m, double deviation, std::mt19937 &rng) {
  std::normal_distribution<float> normal(0, (float)deviation);
  for (size_t i = 0; i < m.size(); i++) m[i] = normal(rng);
}

inline void hide(Inputs &in, std::mt19937 &rng) {
  const int last = in.k_offsets[in.k_offsets.size() - 2];
  for (size_t r = 0; r < in.key_bias.size(); r++) {
    if ((int)r % in.k_rows >= last || rng() % 3 == 0) in.key_bias[r] = -INFINITY;
  }
}

inline Inputs inputs(Shape s, unsigned seed) {
  if (s.keys.empty()) s.keys = s.queries;
  std::mt19937 rng(seed);
  const vector<int> qo = offsets(s.queries), ko = offsets(s.keys);
  int q_max = 0, k_max = 0;
  for (int n : s.queries) q_max = max(q_max, n);
  for (int n : s.keys) k_max = max(k_max, n);
  const size_t cols = s.heads * s.width, n = s.variants * qo.back() * cols,
               m = s.variants * ko.back() * cols;
  auto matrix = [&](size_t size) { return Matrix(size, s.shift); };
  Inputs in{s,
            qo,
            ko,
            qo.back(),
            ko.back(),
            q_max,
            k_max,
            matrix(n),
            matrix(m),
            matrix(m),
            matrix(s.stack * n),
            matrix(s.mask * s.heads),
            matrix(s.bias ? (size_t)s.heads * q_max * k_max : 0),
            matrix(s.key_bias == 0   ? 0
                   : s.key_bias == 1 ? ko.back()
                                     : s.variants * ko.back()),
            (float)(1 / sqrt((double)s.width))};
  for (Matrix *x : {&in.q, &in.k}) fill(*x, sqrt(s.size), rng);
  for (Matrix *x : {&in.v, &in.dy, &in.mask, &in.bias, &in.key_bias}) fill(*x, 1, rng);
  if (s.hidden) hide(in, rng);
  for (auto [name, x] : {std::pair{'q', &in.q}, {'k', &in.k}, {'v', &in.v}, {'d', &in.dy}}) {
    if (s.nan == name) (*x)[x->size() / 2] = NAN;
    if (s.nan == toupper(name)) (*x)[x->size() - 1] = NAN;
  }
  return in;
}

inline float *pointer(Matrix &m) { return m.size() ? m.data() : nullptr; }

// Softmax is the weights of the keys that a query of a head may see, and how far errors of
// relative size 1 in every product move them; empty where all keys are hidden.
struct Softmax {
  long long query, key;  // rows of the query and of the sequence's first key
  vector<double> p, moved;
};

inline Softmax softmax(const Inputs &in, int variant, int sequence, int head, int i) {
  const Shape &s = in.shape;
  const size_t cols = s.heads * s.width;
  Softmax w{(long long)variant * in.q_rows + in.q_offsets[sequence] + i,
            (long long)variant * in.k_rows + in.k_offsets[sequence],
            {},
            {}};
  int keys = s.keys[sequence];
  if (s.causal) keys = min(keys, i + 1);
  vector<double> scores(keys), errors(keys);
  double top = -INFINITY;
  for (int j = 0; j < keys; j++) {
    for (int c = head * s.width; c < (head + 1) * s.width; c++) {
      const double term =
          (double)in.scale * in.q[w.query * cols + c] * in.k[(w.key + j) * cols + c];
      scores[j] += term;
      errors[j] += fabs(term);
    }
    if (s.bias) {
      const double b = in.bias[((size_t)head * in.q_max + i) * in.k_max + j];
      scores[j] += b;
      errors[j] += fabs(b);
    }
    if (s.key_bias) {
      const double b = in.key_bias[(w.key + j) % in.key_bias.size()];
      scores[j] += b;
      if (b > -INFINITY) errors[j] += fabs(b);
    }
    if (top == top && !(scores[j] <= top)) top = scores[j];  // NaN, once there, stays
  }
  if (top == -INFINITY) return w;
  double sum = 0, mean = 0;
  for (int j = 0; j < keys; j++) {
    w.p.push_back(exp(scores[j] - top));
    sum += w.p[j];
  }
  for (int j = 0; j < keys; j++) {
    w.p[j] /= sum;
    errors[j] = w.p[j] > 0 ? errors[j] + top - scores[j] : 0;
    mean += w.p[j] * errors[j];
  }
  for (int j = 0; j < keys; j++) {
    const double p = w.p[j], others = fmax(mean - p * errors[j], 0);
    w.moved.push_back(p > 0 ? p * (1 + (1 - p) * errors[j] + others) : 0);
  }
  return w;
}

// each calls f(softmax of a query, variant, head) for all queries of all heads.
template <class F>
inline void each(const Inputs &in, F f) {
  for (int variant = 0; variant < in.shape.variants; variant++) {
    for (size_t b = 0; b < in.shape.queries.size(); b++) {
      for (int head = 0; head < in.shape.heads; head++) {
        for (int i = 0; i < in.shape.queries[b]; i++) {
          f(softmax(in, variant, (int)b, head, i), variant, head);
        }
      }
    }
  }
}

// Result is what is wanted, and how far errors of relative size 1 move it.
struct Result {
  vector<double> want, moved;
  explicit Result(size_t n) : want(n), moved(n) {}
};

inline int failures;
inline double worst;  // share of a tolerance that was used

// compare holds got against want within 2 eps sqrt(terms) moved: NaN agrees with NaN alone.
inline void compare(const char *what, const Shape &s, const Matrix &got, const Result &r,
                    int terms) {
  for (size_t i = 0; i < r.want.size(); i++) {
    const double tolerance = 2 * 0x1p-23 * sqrt((double)terms) * r.moved[i] + 0x1p-125;
    const double want = r.want[i], difference = fabs(got[i] - want);
    if (want != want && got[i] != got[i]) continue;
    worst = fmax(worst, difference / tolerance);
    if (difference <= tolerance) continue;
    failures++;
    printf("%s: %s: element %zu is %g, want %g within %g\n", text(s).c_str(), what, i, got[i], want,
           tolerance);
    return;
  }
}

inline bool same(const Matrix &a, const Matrix &b) {
  for (size_t i = 0; i < a.size(); i++) {
    if (__float_as_int(a[i]) != __float_as_int(b[i]) && (a[i] == a[i] || b[i] == b[i])) {
      return false;
    }
  }
  return true;
}

template <auto Kernel, class... A>
inline void launch(long long blocks, A... args) {
  if (blocks == 0) return;
  void *p[] = {(void *)&args...};
  cuemu::Call<Kernel>::run(dim3((unsigned)blocks), dim3(attention::THREADS), 0, p);
}

inline long long tiles(long long n, int of) { return (n + of - 1) / of; }

// shapes are those that both directions are tested with.
inline vector<Shape> shapes() {
  vector<Shape> all;
  auto add = [&](Shape s) { all.push_back(s); };
  for (int n : {1, 2, 3, 4, 5, 8, 13, 31, 32, 33, 36, 37, 63, 64}) {
    add({.queries = {5, 1, 9}, .keys = {}, .heads = 3, .width = n});
    add({.queries = {6, 17}, .keys = {}, .heads = 2, .width = n, .causal = true});
  }
  for (int n : {65, 80, 96, 128, 130, 193}) {
    add({.queries = {5, 35}, .keys = {}, .heads = 2, .width = n, .bias = true});
    add({.queries = {7, 3},
         .keys = {34, 2},
         .heads = 1,
         .width = n,
         .key_bias = 1,
         .causal = true});
  }
  for (int n : {1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 96, 97, 128, 130}) {
    add({.queries = {n, 4}, .keys = {}, .heads = 2, .width = 8});
    add({.queries = {3, n}, .keys = {}, .heads = 1, .width = 36, .causal = true});
    add({.queries = {1, n, 2}, .keys = {n, 3, 1}, .heads = 1, .width = 5, .bias = true});
    add({.queries = {n, 70},
         .keys = {70, n},
         .heads = 1,
         .width = 8,
         .bias = true,
         .key_bias = 1,
         .causal = true});
  }
  for (int v : {1, 2, 3, 6}) {
    add({.queries = {7, 1, 19, 2},
         .keys = {},
         .heads = 4,
         .width = 8,
         .variants = v,
         .mask = v,
         .stack = 2});
    add({.queries = {7, 1, 19, 2},
         .keys = {},
         .heads = 4,
         .width = 8,
         .variants = v,
         .mask = 1,
         .key_bias = 2});
    add({.queries = {7, 1, 19, 2},
         .keys = {2, 8, 1, 33},
         .heads = 3,
         .width = 9,
         .variants = v,
         .mask = v,
         .bias = true,
         .key_bias = 2,
         .hidden = true,
         .causal = true,
         .stack = 3});
    add({.queries = {7, 40, 2},
         .keys = {},
         .heads = 2,
         .width = 32,
         .variants = v,
         .key_bias = 1,
         .hidden = true});
  }
  add({.queries = {20}, .keys = {}, .heads = 2, .width = 12, .variants = 6, .mask = 3});
  add({.queries = {20, 70}, .keys = {}, .heads = 2, .width = 64, .variants = 2, .shift = 1});
  add({.queries = {20, 70}, .keys = {}, .heads = 2, .width = 32, .variants = 2, .shift = 4});
  add({.queries = {20, 70}, .keys = {}, .heads = 2, .width = 66, .stack = 2, .shift = 3});
  add({.queries = {40, 7},
       .keys = {},
       .heads = 2,
       .width = 16,
       .bias = true,
       .key_bias = 1,
       .hidden = true,
       .causal = true,
       .size = 1e4});
  add({.queries = {40, 7},
       .keys = {},
       .heads = 2,
       .width = 100,
       .key_bias = 1,
       .hidden = true,
       .size = 1e4,
       .stack = 2});
  add({.queries = {3, 2}, .keys = {}, .heads = 0, .width = 4});
  for (char nan : {'q', 'k', 'v', 'd'}) {
    for (bool causal : {false, true}) {
      for (bool hidden : {false, true}) {
        for (int width : {8, 9}) {
          add({.queries = {3, 66, 2},
               .keys = {},
               .heads = 2,
               .width = width,
               .key_bias = 2,
               .hidden = hidden,
               .causal = causal,
               .nan = nan,
               .stack = 2});
        }
      }
    }
    add({.queries = {5}, .keys = {}, .heads = 1, .width = 70, .causal = true, .nan = nan});
    for (int width : {6, 40}) {  // one in a sequence that sees nothing
      add({.queries = {3, 20},
           .keys = {},
           .heads = 1,
           .width = width,
           .key_bias = 1,
           .hidden = true,
           .nan = (char)toupper(nan),
           .stack = 2});
    }
  }
  return all;
}

}  // namespace test
