// Tests the emulator itself on kernels whose results are known.
#include <cstdio>

#include "platform.cuh"

extern "C" __global__ void sum_f32(float *dst, const float *src, int n) {
  DYNAMIC_SHARED(float, part, 4 * sizeof(float));
  float sum = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) sum += src[i];
  for (int o = 16; o; o >>= 1) sum += __shfl_xor_sync(0xffffffffu, sum, o);
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x) return;
  for (unsigned w = 1; w < blockDim.x / 32; w++) sum += part[w];
  dst[blockIdx.x] = sum;
}
CUEMU_KERNEL(sum_f32)

extern "C" __global__ void late_f32(float *dst, const float *src) {
  __shared__ float tile[32];
  tile[threadIdx.x] = -1;
  __pipeline_memcpy_async(&tile[threadIdx.x], &src[threadIdx.x], 4);
  __pipeline_commit();
  const float before = tile[threadIdx.x];
  __pipeline_wait_prior(0);
  dst[threadIdx.x] = before == -1 ? tile[threadIdx.x] : 0;
}
CUEMU_KERNEL(late_f32)

// A product of 16 by 8 rows of 32 bytes, each lane writing what it has.
template <class T>
static void product(float *dst, const T *a, const T *b) {
  constexpr int N = 32 / sizeof(T);
  __shared__ __align__(16) T x[32][N];
  const int lane = threadIdx.x, g = lane / 4, t = lane % 4;
  for (int k = 0; k < N; k++)
    x[lane][k] = lane < 24 ? (lane < 16 ? a : b - 16 * N)[lane * N + k] : T();
  __syncwarp();
  unsigned left[4], right[4];
  float sums[4] = {1, 1, 1, 1};
  ldmatrix(left, &x[lane % 16][lane / 16 * N / 2]);
  ldmatrix(right, &x[16 + lane / 16 * 8 + lane % 8][lane / 8 % 2 * N / 2]);
  mma<T>(sums, left, right[0], right[1]);
  for (int i = 0; i < 4; i++) dst[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = sums[i];
}
extern "C" __global__ void product_bf16(float *dst, const __nv_bfloat16 *a,
                                        const __nv_bfloat16 *b) {
  product(dst, a, b);
}
extern "C" __global__ void product_tf32(float *dst, const float *a, const float *b) {
  product(dst, a, b);
}
CUEMU_KERNEL(product_bf16)
CUEMU_KERNEL(product_tf32)

static int failures;

static void expect(const char *what, double got, double want) {
  if (got == want) return;
  printf("%s: %g, want %g\n", what, got, want);
  failures++;
}

template <class... A>
static void run(const char *kernel, dim3 grid, dim3 block, size_t shared, A... args) {
  void *p[] = {(void *)&args...};
  cuemu::table().at(kernel)(grid, block, shared, p);
}

int main() {
  float src[256], dst[256];
  for (int i = 0; i < 256; i++) src[i] = (float)(i % 16);

  run("sum_f32", dim3(2), dim3(128), 4 * sizeof(float), dst, (const float *)src, 100);
  expect("sum, block 0", dst[0], 726);
  expect("sum, block 1", dst[1], 726);

  run("late_f32", dim3(1), dim3(32), 0, dst, (const float *)src);
  for (int i = 0; i < 32; i++) expect("asynchronous copy", dst[i], src[i]);

  // A[i, k] = i + 16 k and B[j, k] = (j == k): columns 0 to 7 of A.
  __nv_bfloat16 a[256], b[128];
  float c[128], d[64];
  for (int i = 0; i < 256; i++) a[i] = __float2bfloat16((float)(i / 16 + 16 * (i % 16)));
  for (int i = 0; i < 128; i++) b[i] = __float2bfloat16(i / 16 == i % 16);
  for (int i = 0; i < 128; i++)
    c[i] = (float)(1 + i / 8 + 16 * (i % 8)) + 0x1p-11f;  // more than tf32 has
  for (int i = 0; i < 64; i++) d[i] = i / 8 == i % 8;
  run("product_bf16", dim3(1), dim3(32), 0, dst, (const __nv_bfloat16 *)a,
      (const __nv_bfloat16 *)b);
  for (int i = 0; i < 128; i++) expect("product in bfloat16", dst[i], 1 + i / 8 + 16 * (i % 8));
  run("product_tf32", dim3(1), dim3(32), 0, dst, (const float *)c, (const float *)d);
  for (int i = 0; i < 128; i++) expect("product in tf32", dst[i], 2 + i / 8 + 16 * (i % 8));

  expect("bfloat16 rounds to even", __bfloat162float(__float2bfloat16(1.00390625f)), 1);
  return failures != 0;
}
