// Gradients to what several rows share: sums over rows, in a fixed order.

enum { TOGETHER = 8 };  // rows added up before they go to the sum

// dst += the sum of n rows of x, C apart
INLINE void add_rows(float *dst, const float *x, size_t stride, const size_t n, size_t C) {
  for (size_t c = 0; c < C; c += W) {
    vf sum = load(x + c, C - c);
    for (size_t r = 1; r < n; r++) sum = v_add(sum, load(x + r * stride + c, C - c));
    store(dst + c, v_add(load(dst + c, C - c), sum), C - c);
  }
}

static void sum_rows_f32(float *dst, const float *x, size_t repeats, size_t rows, size_t C) {
  const size_t stride = rows * C;
  size_t done = 0;
  for (; done + TOGETHER <= repeats; done += TOGETHER) {
    for (size_t r = 0; r < rows; r++) {
      add_rows(dst + r * C, x + done * stride + r * C, stride, TOGETHER, C);
    }
  }
  for (; done < repeats; done++) add_row(dst, dst, x + done * stride, stride);
}

static void scatter_add_f32(float *dst, const float *x, const int32_t *idx, size_t n, size_t times,
                            size_t variants, size_t span, size_t C) {
  for (size_t t = 0; t < times; t++) {
    float *to = dst + t % variants * span * C;
    for (size_t r = 0; r < n; r++, x += C) {
      float *row = to + (size_t)idx[r] * C;
      add_row(row, row, x, C);
    }
  }
}

static void scatter_mean_backward_f32(float *dst, int32_t *count, const float *dy,
                                      const int32_t *idx, size_t stack, size_t n, size_t rows,
                                      size_t C) {
  memset(count, 0, rows * sizeof *count);
  for (size_t r = 0; r < n; r++) count[idx[r]]++;
  for (size_t s = 0; s < stack; s++, dy += rows * C) {
    for (size_t r = 0; r < n; r++, dst += C) {
      const float *row = dy + (size_t)idx[r] * C;
      const vf divisor = v_set((float)count[idx[r]]);
      for (size_t c = 0; c < C; c += W) {
        store(dst + c, v_div(load(row + c, C - c), divisor), C - c);
      }
    }
  }
}

// sum[c] += the sum over n rows of x y
INLINE void add_products(float *sum, const float *x, const float *y, const size_t n, size_t C) {
  for (size_t c = 0; c < C; c += W) {
    vf s = load(sum + c, C - c);
    for (size_t r = 0; r < n; r++)
      s = v_fma(load(x + r * C + c, C - c), load(y + r * C + c, C - c), s);
    store(sum + c, s, C - c);
  }
}

static float unit_sum(const float *x, size_t width) {
  if (width == 1) return *x;
  vf sum = v_set(0.0f);
  for (size_t c = 0; c < width; c += W) sum = v_add(sum, load(x + c, width - c));
  return v_sum(sum);
}

static void unit_sums_f32(float *dst, double *wide, const float *x, const float *y, size_t rows,
                          size_t C, size_t units, float *scratch) {
  enum { BLOCK = 4 };
  memset(scratch, 0, C * sizeof *scratch);
  size_t r = 0;
  for (; r + BLOCK <= rows; r += BLOCK) add_products(scratch, x + r * C, y + r * C, BLOCK, C);
  for (; r < rows; r++) add_products(scratch, x + r * C, y + r * C, 1, C);
  const size_t width = C / units;
  for (size_t u = 0; u < units; u++) {
    const float sum = unit_sum(scratch + u * width, width);
    if (wide) {
      wide[u] += sum;
    } else {
      dst[u] += sum;
    }
  }
}
