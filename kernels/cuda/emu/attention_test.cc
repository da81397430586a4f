// Tests attention against plain loops in double precision.
#include "attention.cu"

#include "attention_problem.h"

namespace test {

static void run(Inputs &in, Matrix &y, int chunk) {
  const Shape &s = in.shape;
  const long long blocks = (long long)s.variants * s.queries.size() * s.heads *
                           tiles(s.width, chunk) * tiles(in.q_max, attention::ROWS);
  auto call = [&]<auto Kernel>() {
    launch<Kernel>(blocks, y.data(), (const float *)in.q.data(), (const float *)in.k.data(),
                   (const float *)in.v.data(), (const int *)in.q_offsets.data(),
                   (const int *)in.k_offsets.data(), (const float *)pointer(in.mask),
                   (const float *)pointer(in.bias), (const float *)pointer(in.key_bias), s.variants,
                   (int)s.queries.size(), s.heads, s.width, in.q_max, in.k_max, s.mask,
                   (int)in.key_bias.size(), in.scale, (int)s.causal);
  };
  if (chunk == 32) {
    call.operator()<optin_attention_d32_f32>();
  } else {
    call.operator()<optin_attention_d64_f32>();
  }
}

static Result expected(const Inputs &in) {
  const Shape &s = in.shape;
  const size_t cols = s.heads * s.width;
  Result r(in.q.size());
  each(in, [&](const Softmax &w, int variant, int head) {
    const double mask =
        s.mask ? in.mask[(size_t)variant / (s.variants / s.mask) * s.heads + head] : 1;
    for (int c = head * s.width; c < (head + 1) * s.width; c++) {
      const size_t at = w.query * cols + c;
      for (size_t j = 0; j < w.p.size(); j++) {
        const double v = in.v[(w.key + j) * cols + c];
        r.want[at] += w.p[j] * v * mask;
        r.moved[at] += w.moved[j] * fabs(v * mask);
      }
    }
  });
  return r;
}

static void check(const Shape &shape, unsigned seed) {
  Inputs in = inputs(shape, seed);
  const Result want = expected(in);
  for (int chunk : {32, 64}) {
    Matrix y(in.q.size(), shape.shift);
    run(in, y, chunk);
    compare(chunk == 32 ? "d32" : "d64", in.shape, y, want, max(shape.width, in.k_max));
    Matrix again(in.q.size(), shape.shift);
    if (seed % 8) continue;
    run(in, again, chunk);
    if (!same(y, again)) {
      failures++;
      printf("%s: two runs differ\n", text(in.shape).c_str());
    }
  }
}

}  // namespace test

int main() {
  unsigned seed = 1;
  for (const test::Shape &s : test::shapes()) test::check(s, seed++);
  printf("attention: %u shapes, %d failures, worst share of a tolerance %.3g\n", seed - 1,
         test::failures, test::worst);
  return test::failures != 0;
}
