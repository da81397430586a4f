// Tests the gradients of attention against plain loops in double precision.
#include "attention_backward.cu"

#include "attention_problem.h"

namespace test {

struct Gradients {
  Matrix q, k, v;
  explicit Gradients(const Inputs &in)
      : q(in.shape.stack * in.q.size(), in.shape.shift),
        k(in.shape.stack * in.k.size(), in.shape.shift),
        v(in.shape.stack * in.k.size(), in.shape.shift) {}
};

// Kernels is the three of one head size.
struct Kernels32 {
  static constexpr int chunk = 32;
  static constexpr auto statistics = optin_attention_statistics_d32_f32;
  static constexpr auto queries = optin_attention_backward_queries_d32_f32;
  static constexpr auto keys = optin_attention_backward_keys_d32_f32;
};
struct Kernels64 {
  static constexpr int chunk = 64;
  static constexpr auto statistics = optin_attention_statistics_d64_f32;
  static constexpr auto queries = optin_attention_backward_queries_d64_f32;
  static constexpr auto keys = optin_attention_backward_keys_d64_f32;
};

template <class K>
static void run(Inputs &in, Gradients &g) {
  const Shape &s = in.shape;
  const int chunks = (int)tiles(s.width, K::chunk), sequences = (int)s.queries.size();
  const size_t queries = (size_t)s.variants * s.heads * in.q_rows;
  const size_t kept = queries * chunks;
  Matrix top(kept, 0), inverse(kept, 0), delta(s.stack * kept, 0);
  const float *q = in.q.data(), *k = in.k.data(), *v = in.v.data(), *dy = in.dy.data();
  const float *bias = pointer(in.bias), *key_bias = pointer(in.key_bias);
  const float *tops = top.data(), *inverses = inverse.data(), *deltas = delta.data();
  const int *qo = in.q_offsets.data(), *ko = in.k_offsets.data();
  const int key_bias_rows = (int)in.key_bias.size(), causal = s.causal;
  const long long sites = (long long)s.variants * sequences * s.heads * chunks;
  const long long q_tiles = tiles(in.q_max, attention::ROWS);
  const long long k_tiles = tiles(in.k_max, attention::ROWS);
  launch<K::statistics>(sites * q_tiles, top.data(), inverse.data(), delta.data(), dy, q, k, v, qo,
                        ko, bias, key_bias, s.stack, s.variants, sequences, s.heads, s.width,
                        in.q_max, in.k_max, key_bias_rows, in.scale, causal);
  launch<K::queries>(s.stack * sites * q_tiles, g.q.data(), dy, q, k, v, tops, inverses, deltas, qo,
                     ko, bias, key_bias, s.variants, sequences, s.heads, s.width, in.q_max,
                     in.k_max, key_bias_rows, in.scale, causal);
  launch<K::keys>(s.stack * sites * k_tiles, g.k.data(), g.v.data(), dy, q, k, v, tops, inverses,
                  deltas, qo, ko, bias, key_bias, s.variants, sequences, s.heads, s.width, in.q_max,
                  in.k_max, key_bias_rows, in.scale, causal);
}

struct Expected {
  Result q, k, v;
  explicit Expected(const Inputs &in)
      : q(in.shape.stack * in.q.size()), k(in.shape.stack * in.k.size()), v(k) {}
};

// add_query adds what one gradient of the stack sends through a query of a head. With e the
// errors of p and d those of dp = dy v', the mean sum(p dp) is off by m = sum(e d), and
// ds = p (dp - mean) by e |dp - mean| + p (d + m).
static void add_query(Expected &x, const Inputs &in, const Softmax &w, int part, int head) {
  const size_t cols = in.shape.heads * in.shape.width, keys = w.p.size();
  const size_t from = head * in.shape.width, to = from + in.shape.width;
  const size_t query = part * in.q.size() + w.query * cols;
  const size_t key = part * in.k.size() + w.key * cols;
  vector<double> dp(keys), d(keys);
  double mean = 0, mean_moved = 0;
  for (size_t j = 0; j < keys; j++) {
    for (size_t c = from; c < to; c++) {
      const double dy = in.dy[query + c], term = dy * in.v[(w.key + j) * cols + c];
      dp[j] += term;
      d[j] += fabs(term);
      x.v.want[key + j * cols + c] += w.p[j] * dy;
      x.v.moved[key + j * cols + c] += w.moved[j] * fabs(dy);
    }
    mean += w.p[j] * dp[j];
    mean_moved += w.moved[j] * d[j];
  }
  for (size_t j = 0; j < keys; j++) {
    const double ds = in.scale * w.p[j] * (dp[j] - mean);
    const double moved =
        in.scale * (w.moved[j] * fabs(dp[j] - mean) + w.p[j] * (d[j] + mean_moved));
    for (size_t c = from; c < to; c++) {
      const double q = in.q[w.query * cols + c], k = in.k[(w.key + j) * cols + c];
      x.q.want[query + c] += ds * k;
      x.q.moved[query + c] += moved * fabs(k);
      x.k.want[key + j * cols + c] += ds * q;
      x.k.moved[key + j * cols + c] += moved * fabs(q);
    }
  }
}

static Expected expected(const Inputs &in) {
  Expected x(in);
  each(in, [&](const Softmax &w, int, int head) {
    for (int part = 0; part < in.shape.stack; part++) add_query(x, in, w, part, head);
  });
  return x;
}

template <class K>
static void check(Inputs &in, const Expected &x, bool twice) {
  const int terms = max(in.shape.width, max(in.q_max, in.k_max));
  Gradients g(in);
  run<K>(in, g);
  compare("dq", in.shape, g.q, x.q, terms);
  compare("dk", in.shape, g.k, x.k, terms);
  compare("dv", in.shape, g.v, x.v, terms);
  if (!twice) return;
  Gradients again(in);
  run<K>(in, again);
  if (!same(g.q, again.q) || !same(g.k, again.k) || !same(g.v, again.v)) {
    failures++;
    printf("%s: two runs differ\n", text(in.shape).c_str());
  }
}

}  // namespace test

int main() {
  unsigned seed = 1;
  for (const test::Shape &shape : test::shapes()) {
    test::Inputs in = test::inputs(shape, seed);
    const test::Expected want = test::expected(in);
    // A long head tests both kernels; a short one that which it is for, or both in turn.
    if (shape.width <= 32 || seed % 2) test::check<test::Kernels32>(in, want, seed % 16 == 0);
    if (shape.width > 32 || seed % 2) test::check<test::Kernels64>(in, want, seed % 16 == 1);
    seed++;
  }
  printf("attention_backward: %u shapes, %d failures, worst share of a tolerance %.3g\n", seed - 1,
         test::failures, test::worst);
  return test::failures != 0;
}
