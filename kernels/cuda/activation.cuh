// Activations and their derivatives, numbered as kernels.Activation numbers them.
#pragma once

#include "platform.cuh"

enum { OPTIN_IDENTITY, OPTIN_GELU, OPTIN_GELU_TANH, OPTIN_GELU_QUICK, OPTIN_RELU, OPTIN_TANH };

constexpr float SQRT_HALF = 0.70710678118654752f;       // 1/sqrt(2)
constexpr float INV_SQRT_2PI = 0.39894228040143268f;    // 1/sqrt(2 pi)
constexpr float SQRT_2_OVER_PI = 0.79788456080286536f;  // sqrt(2/pi)
constexpr float GELU_CUBE = 0.044715f;
constexpr float GELU_QUICK = 1.702f;

// gelu_tanh_inner is the t of GELUTanh: tanh(sqrt(2/pi) (x + 0.044715 x^3)).
__device__ __forceinline__ float gelu_tanh_inner(float x) {
  return tanhf(SQRT_2_OVER_PI * (x + GELU_CUBE * x * x * x));
}

// activate is act(x).
__device__ __forceinline__ float activate(int act, float x) {
  switch (act) {
    case OPTIN_GELU:
      return 0.5f * x * (1.f + erff(x * SQRT_HALF));
    case OPTIN_GELU_TANH:
      return 0.5f * x * (1.f + gelu_tanh_inner(x));
    case OPTIN_GELU_QUICK:
      return x / (1.f + expf(-GELU_QUICK * x));
    case OPTIN_RELU:
      return x > 0.f || x != x ? x : 0.f;  // fmaxf would lose a NaN
    case OPTIN_TANH:
      return tanhf(x);
  }
  return x;
}

// activate makes N values act of themselves: act is looked at once, so that their chains of
// operations run beside each other.
template <int N>
__device__ __forceinline__ void activate(int act, float (&x)[N]) {
  const auto each = [&](int known) {
#pragma unroll
    for (int i = 0; i < N; i++) x[i] = activate(known, x[i]);
  };
  switch (act) {
    case OPTIN_GELU:
      return each(OPTIN_GELU);
    case OPTIN_GELU_TANH:
      return each(OPTIN_GELU_TANH);
    case OPTIN_GELU_QUICK:
      return each(OPTIN_GELU_QUICK);
    case OPTIN_RELU:
      return each(OPTIN_RELU);
    case OPTIN_TANH:
      return each(OPTIN_TANH);
  }
}

// derivative is act'(x).
__device__ __forceinline__ float derivative(int act, float x) {
  switch (act) {
    case OPTIN_GELU:
      return 0.5f * (1.f + erff(x * SQRT_HALF)) + x * (INV_SQRT_2PI * expf(-0.5f * x * x));
    case OPTIN_GELU_TANH: {
      // 1 - tanh^2 = 4e/(1+e)^2 and (1 + tanh)/2 without a difference of equal numbers.
      const float u = SQRT_2_OVER_PI * (x + GELU_CUBE * x * x * x);
      const float e = expf(-2.f * fabsf(u)), sum = 1.f + e;
      const float half = (u >= 0.f ? 1.f : e) / sum, rest = 4.f * e / (sum * sum);
      // Where rest is 0 in float32, x^2 may be infinite.
      const float inner = SQRT_2_OVER_PI * (1.f + 3.f * GELU_CUBE * x * x);
      return rest == 0.f ? half : half + 0.5f * x * rest * inner;
    }
    case OPTIN_GELU_QUICK: {
      // With s = 1/(1+e) the slope at |x| is 1 - low, at -|x| it is low; |x| meets 1 - s first,
      // since 1.702 |x| may be infinite.
      const float e = expf(-GELU_QUICK * fabsf(x)), s = 1.f / (1.f + e), rest = e * s;
      const float low = rest - GELU_QUICK * s * (fabsf(x) * rest);
      return x < 0.f ? low : 1.f - low;
    }
    case OPTIN_RELU:
      return x > 0.f ? 1.f : (x != x ? x : 0.f);
    case OPTIN_TANH: {
      const float t = tanhf(x);
      return 1.f - t * t;
    }
  }
  return 1.f;
}
