// Kernels that move or combine whole rows.

static void embed_f32(float *dst, const float *table, const int32_t *idx, const float *add,
                      size_t rows, size_t C) {
  for (size_t r = 0; r < rows; r++) {
    const float *row = table + (size_t)idx[r] * C;
    if (add) {
      add_row(dst + r * C, row, add + r * C, C);
    } else {
      memcpy(dst + r * C, row, C * sizeof *dst);
    }
  }
}

static void scatter_mean_f32(float *dst, int32_t *count, const float *src, const int32_t *idx,
                             size_t n, size_t rows, size_t C) {
  memset(dst, 0, rows * C * sizeof *dst);
  memset(count, 0, rows * sizeof *count);
  for (size_t r = 0; r < n; r++) {
    float *sum = dst + (size_t)idx[r] * C;
    count[idx[r]]++;
    add_row(sum, sum, src + r * C, C);
  }
  for (size_t i = 0; i < rows; i++) {
    if (count[i] < 2) continue;
    const vf divisor = v_set((float)count[i]);
    float *row = dst + i * C;
    for (size_t c = 0; c < C; c += W) {
      store(row + c, v_div(load(row + c, C - c), divisor), C - c);
    }
  }
}

static void remove_unit_f32(float *dst, const float *sum, const float *value, size_t stride,
                            const float *consumer, size_t rows, size_t C, size_t width) {
  size_t whole = 0;  // columns that product does
  if (width > 1) {
    whole = C - C % W;
    memcpy(dst, sum, rows * C * sizeof *dst);
    product(dst, C, value, stride, consumer, C, rows, whole / W, width, SUBTRACT);
  }
  for (size_t r = 0; r < rows && whole < C; r++, dst += C, sum += C, value += stride) {
    for (size_t c = whole; c < C; c += W) {
      vf y = load(sum + c, C - c);
      for (size_t i = 0; i < width; i++) {
        y = v_fnma(v_set(value[i]), load(consumer + i * C + c, C - c), y);
      }
      store(dst + c, y, C - c);
    }
  }
}

static void transpose_f32(float *dst, const float *src, size_t rows, size_t C) {
  vf t[W];
  for (size_t r = 0; r < rows; r += W) {
    const size_t down = rows - r < W ? rows - r : W;
    for (size_t c = 0; c < C; c += W) {
      const size_t across = C - c < W ? C - c : W;
      load_transposed(t, src + r * C + c, C, down, across);
      for (size_t i = 0; i < across; i++) store(dst + (c + i) * rows + r, t[i], down);
    }
  }
}
