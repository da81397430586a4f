// Gradients of attention to q, k and v, tile by tile. With P = softmax(scores), which
// is computed anew, and dP = dy v':
//
//   dv = P' dy,   S = scale P . (dP - sum of each row of P . dP),   dq = S k,   dk = S' q
//
// A tile is BQ queries and all keys that they see. Everything is copied to rows of
// whole vectors, which lie in the second-level cache while a head is computed.

enum { BQ = 60 };  // queries of a tile: ten inner tiles of 6 rows

// What one head computes with, besides its arguments.
typedef struct {
  size_t ldk, ldc;             // distances of rows of scores, and of all others
  float *keys_t, *values_t;    // (d, ldk), transposed
  float *keys;                 // (k, ldc)
  float *queries, *dy;         // (BQ, ldc)
  float *weights, *slopes;     // (BQ, ldk): P; dP and then S
  float *dq;                   // (BQ, ldc)
  float *dkeys, *dvalues;      // (stack, k, ldc)
} attention_slopes;

// Rows of an odd number of vectors fall into all sets of a first-level cache.
static size_t odd_vectors(size_t n) { return (n + W - 1) / W * W + ((n + W - 1) / W % 2 ? 0 : W); }

static size_t attention_backward_scratch(size_t k_max, size_t head_size, size_t stack) {
  const size_t ldk = odd_vectors(k_max), ldc = round_up(head_size, W);
  const size_t keys = (1 + 2 * stack) * k_max * ldc;
  return round_up(2 * head_size * ldk + keys + BQ * (3 * ldc + 2 * ldk), 16);
}

// put_rows copies the first d columns of n rows.
static void put_rows(float *dst, size_t C, const float *src, size_t lds, size_t n, size_t d) {
  for (size_t i = 0; i < n; i++) {
    for (size_t c = 0; c < d; c += W) store(dst + i * C + c, v_load(src + i * lds + c), d - c);
  }
}

// attention_slopes_of lays scratch out.
static attention_slopes attention_slopes_of(float *scratch, size_t keys, size_t d, size_t stack) {
  attention_slopes t = {.ldk = odd_vectors(keys), .ldc = round_up(d, W)};
  t.keys_t = scratch;
  t.values_t = t.keys_t + d * t.ldk;
  t.keys = t.values_t + d * t.ldk;
  t.dkeys = t.keys + keys * t.ldc;
  t.dvalues = t.dkeys + stack * keys * t.ldc;
  t.queries = t.dvalues + stack * keys * t.ldc;
  t.dy = t.queries + BQ * t.ldc;
  t.dq = t.dy + BQ * t.ldc;
  t.weights = t.dq + BQ * t.ldc;
  t.slopes = t.weights + BQ * t.ldk;
  return t;
}

// softmax_row turns n scores into weights, 0 up to width; all are 0 where every key is
// hidden.
static void softmax_row(float *row, size_t n, size_t width, float scale, const float *bias,
                        const float *key_bias) {
  const vf lowest = v_set(-INFINITY), zero = v_set(0.0f);
  vf top = lowest, sum = zero;
  for (size_t j = 0; j < n; j += W) {
    vf x = v_mul(v_load(row + j), v_set(scale));
    if (bias) x = v_add(x, load(bias + j, n - j));
    if (key_bias) x = v_add(x, load(key_bias + j, n - j));
    if (n - j < W) x = v_keep(x, n - j, lowest);
    v_store(row + j, x);
    top = v_max(x, top);  // skips NaN; exp will not
  }
  const float most = v_top(top);
  const vf from = v_set(most == -INFINITY ? 0.0f : most);
  for (size_t j = 0; j < n; j += W) {
    const vf e = v_exp(v_sub(v_load(row + j), from));
    v_store(row + j, e);
    sum = v_add(sum, e);
  }
  const float all = v_sum(sum);
  const vf share = v_set(all == 0 ? 0.0f : 1.0f / all);
  for (size_t j = 0; j < width; j += W) {
    v_store(row + j, j < n ? v_mul(v_load(row + j), share) : zero);
  }
}

// slope_row makes S of dP.
static void slope_row(float *slopes, const float *weights, size_t width, float scale) {
  vf sum = v_set(0.0f);
  for (size_t j = 0; j < width; j += W) sum = v_fma(v_load(slopes + j), v_load(weights + j), sum);
  const vf mean = v_set(v_sum(sum));
  for (size_t j = 0; j < width; j += W) {
    const vf p = v_mul(v_load(weights + j), v_set(scale));
    v_store(slopes + j, v_mul(p, v_sub(v_load(slopes + j), mean)));
  }
}

// One head of one sequence: the forward's arguments, and where the first gradient of the
// stack begins; from one to the next it is more_queries, or more_keys.
typedef struct {
  attention_head forward;
  const float *dy;
  float *dq, *dk, *dv;
  size_t stack, more_queries, more_keys;
} attention_head_backward;

// attention_weights computes the weights of n queries from first on.
static void attention_weights(const optin_cpu_attention *s, const attention_slopes *t,
                              const attention_head *h, size_t first, size_t n, size_t keys) {
  const size_t width = round_up(keys, W);
  product(t->weights, t->ldk, t->queries, t->ldc, t->keys_t, t->ldk, n, width / W, h->d, SET);
  for (size_t i = 0; i < n; i++) {
    softmax_row(t->weights + i * t->ldk, seen(s, first + i, 0, keys), width, s->scale,
                h->bias ? h->bias + (first + i) * h->k_max : NULL, h->key_bias);
  }
}

static void attention_tile_backward(const optin_cpu_attention *s, const attention_slopes *t,
                                    const attention_head_backward *b, size_t first, size_t n) {
  const attention_head *h = &b->forward;
  const size_t keys = seen(s, first + n - 1, 0, h->keys), width = round_up(keys, W);
  const size_t across = t->ldc / W, at = first * h->C;
  copy_rows(t->queries, t->ldc, h->q + at, h->C, n, h->d);
  attention_weights(s, t, h, first, n, keys);
  for (size_t part = 0; part < b->stack; part++) {
    float *dkeys = t->dkeys + part * h->keys * t->ldc;
    float *dvalues = t->dvalues + part * h->keys * t->ldc;
    copy_rows(t->dy, t->ldc, b->dy + part * b->more_queries + at, h->C, n, h->d);
    product(t->slopes, t->ldk, t->dy, t->ldc, t->values_t, t->ldk, n, width / W, h->d, SET);
    for (size_t i = 0; i < n; i++) {
      slope_row(t->slopes + i * t->ldk, t->weights + i * t->ldk, width, s->scale);
    }
    product_turned(dvalues, t->ldc, t->weights, t->ldk, t->dy, t->ldc, keys, across, n, ADD);
    product_turned(dkeys, t->ldc, t->slopes, t->ldk, t->queries, t->ldc, keys, across, n, ADD);
    product(t->dq, t->ldc, t->slopes, t->ldk, t->keys, t->ldc, n, across, keys, SET);
    put_rows(b->dq + part * b->more_queries + at, h->C, t->dq, t->ldc, n, h->d);
  }
}

static void attention_run_backward(const optin_cpu_attention *s, const attention_head_backward *b,
                                   float *scratch) {
  const attention_head *h = &b->forward;
  const attention_slopes t = attention_slopes_of(scratch, h->keys, h->d, b->stack);
  const size_t size = h->keys * t.ldc;
  transpose_rows(t.keys_t, t.ldk, h->k, h->C, h->keys, h->d);
  transpose_rows(t.values_t, t.ldk, h->v, h->C, h->keys, h->d);
  copy_rows(t.keys, t.ldc, h->k, h->C, h->keys, h->d);
  memset(t.dkeys, 0, b->stack * size * sizeof *t.dkeys);
  memset(t.dvalues, 0, b->stack * size * sizeof *t.dvalues);
  for (size_t i = 0; i < h->queries; i += BQ) {
    attention_tile_backward(s, &t, b, i, h->queries - i < BQ ? h->queries - i : BQ);
  }
  for (size_t part = 0; part < b->stack; part++) {
    put_rows(b->dk + part * b->more_keys, h->C, t.dkeys + part * size, t.ldc, h->keys, h->d);
    put_rows(b->dv + part * b->more_keys, h->C, t.dvalues + part * size, t.ldc, h->keys, h->d);
  }
}

// One head of one sequence of one variant.
static void attention_item_backward(const optin_cpu_attention_slopes *g,
                                    const optin_cpu_attention *s, const int32_t *q_offsets,
                                    const int32_t *k_offsets, size_t item, float *scratch) {
  const attention_head h = attention_head_of(s, q_offsets, k_offsets, item);
  const size_t q = (size_t)(h.q - s->q), k = (size_t)(h.k - s->k);
  const attention_head_backward b = {
      .forward = h,
      .dy = g->dy + q,
      .dq = g->dq + q,
      .dk = g->dk + k,
      .dv = g->dv + k,
      .stack = g->stack,
      .more_queries = s->variants * s->q_rows * h.C,
      .more_keys = s->variants * s->k_rows * h.C,
  };
  attention_run_backward(s, &b, scratch);
}

static void attention_backward_f32(optin_cpu_attention_slopes g, const optin_cpu_attention *s,
                                   const int32_t *q_offsets, const int32_t *k_offsets) {
  const size_t items = s->variants * s->sequences * s->heads;
  if (s->threads == 1) {
    for (size_t i = 0; i < items; i++) {
      attention_item_backward(&g, s, q_offsets, k_offsets, i, s->scratch);
    }
    return;
  }
  const size_t scratch = attention_backward_scratch(s->k_max, s->head_size, g.stack);
#pragma omp parallel for num_threads(s->threads) schedule(dynamic)
  for (size_t i = 0; i < items; i++) {
    float *own = s->scratch + (size_t)omp_get_thread_num() * scratch;
    attention_item_backward(&g, s, q_offsets, k_offsets, i, own);
  }
}
