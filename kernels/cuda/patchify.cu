// Patchify and its derivative: images [B, channels*height*width] and their non-overlapping
// squares of a side of patch, [B*patches, channels*patch*patch], patches row by row, channel
// slowest within a patch.
#include "rows.cuh"

// for_pixels calls move(image, patches) with where the calling thread's pixels begin in the
// images and in the patches: 4 of them if wide, else 1.
template <class F>
__device__ __forceinline__ void for_pixels(int images, int channels, int height, int width,
                                           int patch, bool wide, F move) {
  const unsigned size = (unsigned)channels * height * width, area = (unsigned)patch * patch;
  const long long first = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * (wide ? 4 : 1);
  if (first >= size) return;
  const unsigned p = (unsigned)first, column = p % width, line = p / width;
  const unsigned row = line % height, channel = line / height;
  const unsigned square = row / patch * (width / patch) + column / patch;
  const unsigned inside = channel * area + row % patch * patch + column % patch;
  for (long long b = blockIdx.y; b < images; b += gridDim.y) {
    move(b * size + p, b * size + (long long)square * channels * area + inside);
  }
}

__device__ __forceinline__ bool whole_packs(const float *a, const float *b, int patch) {
  return patch % 4 == 0 && aligned16(a, b);
}

// dst, patches, = src, images. channels*height*width < 2^31.
// Launch: grid (ceil(channels height width / 256), min(images, 65535))  block 256, images at
// least 1
// Moves 8 bytes an element; 7 quotients of integers for 4 elements where 4 divides patch.
extern "C" __global__ void __launch_bounds__(256)
    optin_patchify_f32(float *__restrict__ dst, const float *__restrict__ src, int images,
                       int channels, int height, int width, int patch) {
  const bool wide = whole_packs(dst, src, patch);
  for_pixels(images, channels, height, width, patch, wide, [&](long long image, long long patches) {
    store_pack(dst + patches, 0, 1, load_pack(src + image, 0, 1, wide), wide);
  });
}

// dst, images, = src, patches: PatchifyBackward.
// Launch and cost: as optin_patchify_f32
extern "C" __global__ void __launch_bounds__(256)
    optin_patchify_backward_f32(float *__restrict__ dst, const float *__restrict__ src, int images,
                                int channels, int height, int width, int patch) {
  const bool wide = whole_packs(dst, src, patch);
  for_pixels(images, channels, height, width, patch, wide, [&](long long image, long long patches) {
    store_pack(dst + image, 0, 1, load_pack(src + patches, 0, 1, wide), wide);
  });
}
