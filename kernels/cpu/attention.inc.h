// Multi-head attention, tile by tile: the scores of MQ queries and MK keys at a
// time, with the softmax kept as running maximum and sum (Dao et al., 2022). Keys
// are transposed and values copied once per head, so that both products are
//
//   c[i, j] = sum over k of a[i, k] b[k, j]
//
// the product of product.inc.h.

enum {
  MQ = 24,   // queries of a tile: four inner tiles of 6 rows
  MK = 256,  // keys of a tile, at most
};

// Rows of a matrix, and how far apart they are.
typedef struct {
  const float *at;
  size_t ld;
} matrix_rows;

// What one head computes with, besides its arguments.
typedef struct {
  size_t ldk, ldc;     // distances of rows of keys and context
  float *keys;         // (d, ldk), transposed
  matrix_rows values;  // (k, ldc)
  float *scores;       // (MQ, MK)
  float *context;      // (MQ, ldc)
  float *top, *sum;    // (MQ): running maximum, and sum of e^(score - maximum)
} attention_tiles;

static size_t attention_scratch(size_t k_max, size_t head_size) {
  const size_t ldk = round_up(k_max, W), ldc = round_up(head_size, W);
  return round_up(head_size * ldk + k_max * ldc + MQ * (MK + ldc + 2), 16);
}

// copy_rows copies n rows of d columns and fills up vectors with 0.
static void copy_rows(float *dst, size_t ldd, const float *src, size_t C, size_t n, size_t d) {
  for (size_t i = 0; i < n; i++) {
    for (size_t c = 0; c < d; c += W) v_store(dst + i * ldd + c, load(src + i * C + c, d - c));
  }
}

// near_rows is n rows of d columns as whole vectors: those of src, or a copy where they
// are not, or where a first-level cache does not hold them as they lie.
static matrix_rows near_rows(float *copy, size_t ldd, const float *src, size_t C, size_t n,
                             size_t d) {
  enum { FEW = 48, ALIKE = 512 };  // rows; columns after which rows compete for a place
  if (n <= FEW && d % W == 0 && C % ALIKE != 0) return (matrix_rows){src, C};
  copy_rows(copy, ldd, src, C, n, d);
  return (matrix_rows){copy, ldd};
}

// transpose_rows is the transpose of n rows of d columns, vectors filled up with 0.
static void transpose_rows(float *dst, size_t ldd, const float *src, size_t C, size_t n, size_t d) {
  vf block[W];
  for (size_t c = 0; c < d; c += W) {
    for (size_t j = 0; j < n; j += W) {
      load_transposed(block, src + j * C + c, C, n - j < W ? n - j : W, d - c);
      for (size_t i = 0; i < W && c + i < d; i++) v_store(dst + (c + i) * ldd + j, block[i]);
    }
  }
}

// attention_pack lays scratch out, transposes n rows of k and brings those of v near.
// Rows of k and v are C apart.
static attention_tiles attention_pack(float *scratch, const float *k, const float *v, size_t C,
                                      size_t n, size_t d) {
  attention_tiles t = {.ldk = round_up(n, W), .ldc = round_up(d, W)};
  t.scores = scratch;
  t.context = t.scores + MQ * MK;
  t.top = t.context + MQ * t.ldc;
  t.sum = t.top + MQ;
  t.keys = t.sum + MQ;
  transpose_rows(t.keys, t.ldk, k, C, n, d);
  t.values = near_rows(t.keys + d * t.ldk, t.ldc, v, C, n, d);
  return t;
}

// The keys from "from" on that query i of n sees.
static inline size_t seen(const optin_cpu_attention *s, size_t i, size_t from, size_t to) {
  if (s->causal && i + 1 < to) to = i + 1;
  return to > from ? to - from : 0;
}

// softmax_tile turns a row of n scores into e^(score - maximum), moving the row's
// maximum and sum, and the context so far with them.
static void softmax_tile(const attention_tiles *t, size_t i, size_t n, size_t width, float scale,
                         const float *bias, const float *key_bias) {
  float *row = t->scores + i * MK;
  const vf lowest = v_set(-INFINITY);
  vf top = v_set(t->top[i]);
  for (size_t j = 0; j < width; j += W) {
    if (j >= n) {
      v_store(row + j, lowest);
      continue;
    }
    vf x = v_mul(v_load(row + j), v_set(scale));
    if (bias) x = v_add(x, load(bias + j, n - j));
    if (key_bias) x = v_add(x, load(key_bias + j, n - j));
    if (n - j < W) x = v_keep(x, n - j, lowest);
    v_store(row + j, x);
    top = v_max(x, top);  // skips NaN; exp will not
  }
  const float before = t->top[i], now = v_top(top);
  const vf from = v_set(now == -INFINITY ? 0.0f : now);  // all hidden so far: e^-inf, not NaN
  vf sum = v_set(0.0f);
  for (size_t j = 0; j < width; j += W) {
    const vf e = v_exp(v_sub(v_load(row + j), from));
    v_store(row + j, e);
    sum = v_add(sum, e);
  }
  if (now > before && before != -INFINITY) {
    const vf shrink = v_exp(v_set(before - now));
    float one[W];
    v_store(one, shrink);
    t->sum[i] *= one[0];
    for (size_t c = 0; c < t->ldc; c += W) {
      float *o = t->context + i * t->ldc + c;
      v_store(o, v_mul(v_load(o), shrink));
    }
  }
  t->top[i] = now;
  t->sum[i] += v_sum(sum);
}

// One head of one sequence.
typedef struct {
  const float *q, *k, *v, *bias, *key_bias;
  float *dst;
  size_t C, d, queries, keys, k_max;  // C: columns of q, k, v, dst; k_max: of bias
  float mask;
} attention_head;

static void attention_tile(const optin_cpu_attention *s, const attention_tiles *t,
                           const attention_head *h, size_t first_query, size_t queries) {
  for (size_t i = 0; i < queries; i++) {
    t->top[i] = -INFINITY;
    t->sum[i] = 0;
  }
  const size_t all = seen(s, first_query + queries - 1, 0, h->keys);
  for (size_t key = 0; key < all; key += MK) {
    const size_t n = all - key < MK ? all - key : MK, width = round_up(n, W);
    product(t->scores, MK, h->q + first_query * h->C, h->C, t->keys + key, t->ldk, queries,
            width / W, h->d, SET);
    for (size_t i = 0; i < queries; i++) {
      const size_t query = first_query + i;
      softmax_tile(t, i, seen(s, query, key, key + n), width, s->scale,
                   h->bias ? h->bias + query * h->k_max + key : NULL,
                   h->key_bias ? h->key_bias + key : NULL);
    }
    product(t->context, t->ldc, t->scores, MK, t->values.at + key * t->values.ld, t->values.ld,
            queries, t->ldc / W, n, key > 0 ? ADD : SET);
  }
  for (size_t i = 0; i < queries; i++) {
    const vf scale = v_set(t->sum[i] == 0 ? 0.0f : h->mask / t->sum[i]);
    float *dst = h->dst + (first_query + i) * h->C;
    for (size_t c = 0; c < h->d; c += W) {
      store(dst + c, v_mul(v_load(t->context + i * t->ldc + c), scale), h->d - c);
    }
  }
}

// bounded is whether all of n rows of x, C apart, are below +Inf: a NaN is not.
static int bounded(const float *x, size_t C, size_t n, size_t d, int magnitude) {
  const vf limit = v_set(INFINITY), zero = v_set(0.0f);
  vf bad = zero;
  for (size_t i = 0; i < n; i++) {
    for (size_t c = 0; c < d; c += W) {
      const vf v = load(x + i * C + c, d - c);
      bad = v_max(v_select(v_less(magnitude ? v_abs(v) : v, limit), zero, v_set(1.0f)), bad);
    }
  }
  return v_top(bad) == 0;
}

// ordinary is whether nothing that goes into the head can make its context NaN.
static int ordinary(const attention_head *h) {
  return bounded(h->q, h->C, h->queries, h->d, 1) && bounded(h->k, h->C, h->keys, h->d, 1) &&
         bounded(h->v, h->C, h->keys, h->d, 1) &&
         (!h->bias || bounded(h->bias, h->k_max, h->queries, h->keys, 0)) &&
         (!h->key_bias || bounded(h->key_bias, 0, 1, h->keys, 0));
}

// A head whose mask is 0 is not computed, unless 0 times its context might be NaN.
static void attention_run(const optin_cpu_attention *s, const attention_head *h, float *scratch) {
  if (h->mask == 0.0f && ordinary(h)) {
    for (size_t i = 0; i < h->queries; i++) memset(h->dst + i * h->C, 0, h->d * sizeof *h->dst);
    return;
  }
  const attention_tiles t = attention_pack(scratch, h->k, h->v, h->C, h->keys, h->d);
  for (size_t i = 0; i < h->queries; i += MQ) {
    attention_tile(s, &t, h, i, h->queries - i < MQ ? h->queries - i : MQ);
  }
}

// attention_head_of is the arguments of one head of one sequence of one variant, but
// for where the result goes.
static attention_head attention_head_of(const optin_cpu_attention *s, const int32_t *q_offsets,
                                        const int32_t *k_offsets, size_t item) {
  const size_t C = s->heads * s->head_size;
  const size_t head = item % s->heads, b = item / s->heads % s->sequences;
  const size_t variant = item / s->heads / s->sequences;
  const size_t q = variant * s->q_rows + (size_t)q_offsets[b];
  const size_t k = variant * s->k_rows + (size_t)k_offsets[b];
  const size_t column = head * s->head_size;
  attention_head h = {
      .q = s->q + q * C + column,
      .k = s->k + k * C + column,
      .v = s->v + k * C + column,
      .C = C,
      .d = s->head_size,
      .queries = (size_t)(q_offsets[b + 1] - q_offsets[b]),
      .keys = (size_t)(k_offsets[b + 1] - k_offsets[b]),
      .k_max = s->k_max,
      .mask = 1.0f,
  };
  if (s->bias) h.bias = s->bias + head * s->q_max * s->k_max;
  if (s->key_bias) h.key_bias = s->key_bias + k % s->bias_rows;
  if (s->head_mask) {
    h.mask = s->head_mask[variant / (s->variants / s->mask_rows) * s->heads + head];
  }
  return h;
}

static void attention_item(float *dst, const optin_cpu_attention *s, const int32_t *q_offsets,
                           const int32_t *k_offsets, size_t item, float *scratch) {
  attention_head h = attention_head_of(s, q_offsets, k_offsets, item);
  h.dst = dst + (h.q - s->q);
  attention_run(s, &h, scratch);
}

static void attention_f32(float *dst, const optin_cpu_attention *s, const int32_t *q_offsets,
                          const int32_t *k_offsets) {
  const size_t items = s->variants * s->sequences * s->heads;
  if (s->threads == 1) {
    for (size_t i = 0; i < items; i++) {
      attention_item(dst, s, q_offsets, k_offsets, i, s->scratch);
    }
    return;
  }
  const size_t scratch = attention_scratch(s->k_max, s->head_size);
#pragma omp parallel for num_threads(s->threads) schedule(dynamic)
  for (size_t i = 0; i < items; i++) {
    float *own = s->scratch + (size_t)omp_get_thread_num() * scratch;
    attention_item(dst, s, q_offsets, k_offsets, i, own);
  }
}
