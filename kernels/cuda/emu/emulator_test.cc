// Tests the emulator itself on kernels whose results are known.
#include <cstdio>

#include "platform.cuh"

extern "C" __global__ void sum_f32(float *dst, const float *src, int n) {
  DYNAMIC_SHARED(float, part);
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

extern "C" __global__ void product_bf16(float *dst, const float *a, const float *b) {
  using namespace nvcuda;
  __shared__ __nv_bfloat16 x[256], y[256];
  for (int i = threadIdx.x; i < 256; i += 32) {
    x[i] = __float2bfloat16(a[i]);
    y[i] = __float2bfloat16(b[i]);
  }
  __syncwarp();
  wmma::fragment<wmma::matrix_a, 16, 16, 16, __nv_bfloat16, wmma::row_major> fa;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, __nv_bfloat16, wmma::col_major> fb;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> fc;
  wmma::fill_fragment(fc, 0.f);
  wmma::load_matrix_sync(fa, x, 16);
  wmma::load_matrix_sync(fb, y, 16);
  wmma::mma_sync(fc, fa, fb, fc);
  wmma::store_matrix_sync(dst, fc, 16, wmma::mem_row_major);
}
CUEMU_KERNEL(product_bf16)

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

  run("product_bf16", dim3(1), dim3(32), 0, dst, (const float *)src, (const float *)src);
  for (int i = 0; i < 256; i++) expect("product", dst[i], 1240);

  expect("bfloat16 rounds to even", __bfloat162float(__float2bfloat16(1.00390625f)), 1);
  expect("tf32 rounds", nvcuda::wmma::__float_to_tf32(1.00048828125f), 1.0009765625f);
  return failures != 0;
}
