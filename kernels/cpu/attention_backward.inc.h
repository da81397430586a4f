// Gradients of attention to q, k and v, tile by tile. With P = softmax(scores), which
// is computed anew, and dP = dy v':
//
//   dv = P' dy,   S = scale P . (dP - sum of each row of P . dP),   dq = S k,   dk = S' q
//
// A tile is BQ queries and all keys that they see. What is read more than once lies in
// the second-level cache while a head is computed.

enum { BQ = 48 };  // queries of a tile: eight inner tiles of 6 rows

// What one head computes with, besides its arguments.
typedef struct {
  size_t ldk, ldc;           // distances of rows of scores, and of all other scratch
  float *keys_t, *values_t;  // (d, ldk), transposed
  matrix_rows keys;          // (k, ldc)
  float *queries, *dy, *dq;  // (BQ, ldc)
  float *weights, *slopes;   // (BQ, ldk): P; dP and then S
  float *dk, *dv;            // (stack, k, ldc), where those of the result will not do
} attention_slopes;

// Rows of an odd number of vectors fall into all sets of a first-level cache.
static size_t odd_vectors(size_t n) { return round_up(n, W) + (round_up(n, W) / W % 2 ? 0 : W); }

static size_t attention_backward_scratch(size_t k_max, size_t head_size, size_t stack) {
  const size_t ldk = odd_vectors(k_max), ldc = round_up(head_size, W);
  const size_t sums = head_size % W ? 2 * stack : 0;
  return round_up(2 * head_size * ldk + (1 + sums) * k_max * ldc + BQ * (3 * ldc + 2 * ldk), 16);
}

// One head of one sequence: the forward's arguments, and where the first gradient of the
// stack begins; from one to the next it is more_queries, or more_keys.
typedef struct {
  attention_head forward;
  const float *dy;
  float *dq, *dk, *dv;
  size_t stack, more_queries, more_keys;
} attention_head_backward;

// attention_slopes_of lays scratch out and packs keys and values.
static attention_slopes attention_slopes_of(float *scratch, const attention_head *h, size_t stack) {
  attention_slopes t = {.ldk = odd_vectors(h->keys), .ldc = round_up(h->d, W)};
  t.keys_t = scratch;
  t.values_t = t.keys_t + h->d * t.ldk;
  t.queries = t.values_t + h->d * t.ldk;
  t.dy = t.queries + BQ * t.ldc;
  t.dq = t.dy + BQ * t.ldc;
  t.weights = t.dq + BQ * t.ldc;
  t.slopes = t.weights + BQ * t.ldk;
  float *keys = t.slopes + BQ * t.ldk;
  t.dk = keys + h->keys * t.ldc;
  t.dv = t.dk + stack * h->keys * t.ldc;
  transpose_rows(t.keys_t, t.ldk, h->k, h->C, h->keys, h->d);
  transpose_rows(t.values_t, t.ldk, h->v, h->C, h->keys, h->d);
  t.keys = near_rows(keys, t.ldc, h->k, h->C, h->keys, h->d);
  return t;
}

// put_rows copies the first d columns of n rows.
static void put_rows(float *dst, size_t C, const float *src, size_t lds, size_t n, size_t d) {
  for (size_t i = 0; i < n; i++) {
    for (size_t c = 0; c < d; c += W) store(dst + i * C + c, v_load(src + i * lds + c), d - c);
  }
}

// softmax_row turns n scores into weights, with 0 behind them up to width; all are 0
// where every key is hidden.
static void softmax_row(float *row, size_t n, size_t width, float scale, const float *bias,
                        const float *key_bias) {
  const vf lowest = v_set(-INFINITY);
  vf top = lowest, sum = v_set(0.0f);
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
  for (size_t j = 0; j < n; j += W) v_store(row + j, v_mul(v_load(row + j), share));
  for (size_t j = round_up(n, W); j < width; j += W) v_store(row + j, v_set(0.0f));
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

// A tile: n queries from first on, which see so many keys.
typedef struct {
  size_t first, n, keys;
  matrix_rows queries;
} attention_rows;

// attention_weights computes the tile's weights.
static void attention_weights(const optin_cpu_attention *s, const attention_slopes *t,
                              const attention_head *h, const attention_rows *r) {
  const size_t width = round_up(r->keys, W);
  product(t->weights, t->ldk, r->queries.at, r->queries.ld, t->keys_t, t->ldk, r->n, width / W,
          h->d, SET);
  for (size_t i = 0; i < r->n; i++) {
    const size_t query = r->first + i;
    softmax_row(t->weights + i * t->ldk, seen(s, query, 0, r->keys), width, s->scale,
                h->bias ? h->bias + query * h->k_max : NULL, h->key_bias);
  }
}

// add_turned adds a' b to the gradients to h's keys or values, whole vectors being those
// of the result; the first tile sets them.
static void add_turned(float *dst, size_t ld, const float *a, size_t lda, matrix_rows b,
                       const attention_head *h, const attention_rows *r) {
  const size_t across = round_up(h->d, W) / W;
  product_turned(dst, ld, a, lda, b.at, b.ld, r->keys, across, r->n, r->first ? ADD : SET);
  for (size_t i = r->keys; i < h->keys && r->first == 0; i++) {
    memset(dst + i * ld, 0, across * W * sizeof *dst);  // seen by later tiles, if at all
  }
}

// attention_part takes one gradient of the stack through a tile.
static void attention_part(const optin_cpu_attention *s, const attention_slopes *t,
                           const attention_head_backward *b, const attention_rows *r, size_t part) {
  const attention_head *h = &b->forward;
  const size_t at = part * b->more_queries + r->first * h->C, width = round_up(r->keys, W);
  const int direct = h->d % W == 0;
  const matrix_rows dy = near_rows(t->dy, t->ldc, b->dy + at, h->C, r->n, h->d);
  product(t->slopes, t->ldk, dy.at, dy.ld, t->values_t, t->ldk, r->n, width / W, h->d, SET);
  for (size_t i = 0; i < r->n; i++) {
    slope_row(t->slopes + i * t->ldk, t->weights + i * t->ldk, width, s->scale);
  }
  const size_t ld = direct ? h->C : t->ldc, own = part * h->keys * t->ldc;
  float *dq = direct ? b->dq + at : t->dq;
  float *dk = direct ? b->dk + part * b->more_keys : t->dk + own;
  float *dv = direct ? b->dv + part * b->more_keys : t->dv + own;
  add_turned(dv, ld, t->weights, t->ldk, dy, h, r);
  add_turned(dk, ld, t->slopes, t->ldk, r->queries, h, r);
  product(dq, ld, t->slopes, t->ldk, t->keys.at, t->keys.ld, r->n, t->ldc / W, r->keys, SET);
  if (!direct) put_rows(b->dq + at, h->C, dq, ld, r->n, h->d);
}

static void attention_run_backward(const optin_cpu_attention *s, const attention_head_backward *b,
                                   float *scratch) {
  const attention_head *h = &b->forward;
  const attention_slopes t = attention_slopes_of(scratch, h, b->stack);
  for (size_t i = 0; i < h->queries; i += BQ) {
    attention_rows r = {.first = i, .n = h->queries - i < BQ ? h->queries - i : BQ};
    r.keys = seen(s, i + r.n - 1, 0, h->keys);
    r.queries = near_rows(t.queries, t.ldc, h->q + i * h->C, h->C, r.n, h->d);
    attention_weights(s, &t, h, &r);
    for (size_t part = 0; part < b->stack; part++) attention_part(s, &t, b, &r, part);
  }
  for (size_t part = 0; part < b->stack && h->d % W; part++) {
    const size_t own = part * h->keys * t.ldc;
    put_rows(b->dk + part * b->more_keys, h->C, t.dk + own, t.ldc, h->keys, h->d);
    put_rows(b->dv + part * b->more_keys, h->C, t.dv + own, t.ldc, h->keys, h->d);
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
