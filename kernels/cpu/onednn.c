// Matrix products by oneDNN's matmul: x (rows, in) times weights seen as (in, out).
// Unlike its inner product, matmul has one order of weights for any number of rows
// and adds a residual without leaving the fast kernels.
#include "onednn.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

static const int64_t typical_rows = 512;

optin_cpu_status optin_cpu_engine_create(dnnl_engine_t *dst) {
  optin_cpu_status status = {0};
  TRY(dnnl_engine_create, dst, dnnl_cpu, 0);
done:
  return status;
}

optin_cpu_status optin_cpu_stream_create(dnnl_stream_t *dst, dnnl_engine_t engine) {
  optin_cpu_status status = {0};
  TRY(dnnl_stream_create, dst, engine, dnnl_stream_default_flags);
done:
  return status;
}

static dnnl_status_t matrix(dnnl_memory_desc_t *dst, int64_t rows, int64_t cols,
                            dnnl_format_tag_t tag) {
  const dnnl_dims_t dims = {rows, cols};
  return dnnl_memory_desc_init_by_tag(dst, 2, dims, dnnl_f32, tag);
}

static dnnl_status_t append_activation(dnnl_post_ops_t ops, int act) {
  switch (act) {
    case OPTIN_GELU:
      return dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_gelu_erf, 0, 0);
    case OPTIN_GELU_TANH:
      return dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_gelu_tanh, 0, 0);
    case OPTIN_GELU_QUICK:
      return dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_swish, 1.702f, 0);
    case OPTIN_TANH:
      return dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_tanh, 0, 0);
    default:
      return dnnl_success;
  }
}

// describe makes the primitive's description; weights is NULL where oneDNN may
// choose their order.
static optin_cpu_status describe(dnnl_primitive_desc_t *dst, dnnl_engine_t engine,
                                 optin_cpu_linear_shape s, const dnnl_memory_desc_t *weights) {
  optin_cpu_status status = {0};
  dnnl_primitive_attr_t attr = NULL;
  dnnl_post_ops_t ops = NULL;
  dnnl_memory_desc_t x, w, bias, y;
  dnnl_matmul_desc_t desc;
  TRY(matrix, &x, s.rows, s.in, dnnl_ab);
  TRY(matrix, &w, s.in, s.out, dnnl_format_tag_any);
  TRY(matrix, &bias, 1, s.out, dnnl_ab);
  TRY(matrix, &y, s.rows, s.out, dnnl_ab);
  TRY(dnnl_primitive_attr_create, &attr);
  TRY(dnnl_primitive_attr_set_scratchpad_mode, attr, dnnl_scratchpad_mode_user);
  TRY(dnnl_post_ops_create, &ops);
  TRY(append_activation, ops, s.act);
  if (s.residual) TRY(dnnl_post_ops_append_binary, ops, dnnl_binary_add, &y);
  TRY(dnnl_primitive_attr_set_post_ops, attr, ops);
  TRY(dnnl_matmul_desc_init, &desc, &x, weights ? weights : &w, s.bias ? &bias : NULL, &y);
  TRY(dnnl_primitive_desc_create, dst, &desc, attr, engine, NULL);
done:
  dnnl_post_ops_destroy(ops);
  dnnl_primitive_attr_destroy(attr);
  return status;
}

// copy reorders between two memories.
static optin_cpu_status copy(dnnl_memory_t dst, dnnl_memory_t src, dnnl_engine_t engine,
                             dnnl_stream_t stream) {
  optin_cpu_status status = {0};
  const dnnl_memory_desc_t *to, *from;
  dnnl_primitive_desc_t desc = NULL;
  dnnl_primitive_t primitive = NULL;
  TRY(dnnl_memory_get_memory_desc, dst, &to);
  TRY(dnnl_memory_get_memory_desc, src, &from);
  TRY(dnnl_reorder_primitive_desc_create, &desc, from, engine, to, engine, NULL);
  TRY(dnnl_primitive_create, &primitive, desc);
  const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, src}, {DNNL_ARG_TO, dst}};
  TRY(dnnl_primitive_execute, primitive, stream, 2, args);
  TRY(dnnl_stream_wait, stream);
done:
  dnnl_primitive_destroy(primitive);
  dnnl_primitive_desc_destroy(desc);
  return status;
}

optin_cpu_status optin_cpu_weights_pack(optin_cpu_weights *dst, dnnl_engine_t engine,
                                        dnnl_stream_t stream, const float *src, int64_t out,
                                        int64_t in, int transposed) {
  optin_cpu_status status = {0};
  const optin_cpu_linear_shape shape = {.rows = typical_rows, .in = in, .out = out};
  dnnl_primitive_desc_t desc = NULL;
  dnnl_memory_t plain = NULL;
  dnnl_memory_desc_t rows;
  memset(dst, 0, sizeof *dst);
  status = describe(&desc, engine, shape, NULL);
  if (status.code != dnnl_success) goto done;
  const dnnl_memory_desc_t *packed = dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
  dst->bytes = (dnnl_memory_desc_get_size(packed) + 63) / 64 * 64;
  dst->data = aligned_alloc(64, dst->bytes);
  if (!dst->data) {
    status = (optin_cpu_status){dnnl_out_of_memory, "aligned_alloc"};
    goto done;
  }
  TRY(dnnl_memory_create, &dst->memory, packed, engine, dst->data);
  TRY(matrix, &rows, in, out, transposed ? dnnl_ab : dnnl_ba);
  TRY(dnnl_memory_create, &plain, &rows, engine, (void *)src);
  status = copy(dst->memory, plain, engine, stream);
done:
  dnnl_memory_destroy(plain);
  dnnl_primitive_desc_destroy(desc);
  if (status.code != dnnl_success) optin_cpu_weights_free(dst);
  return status;
}

optin_cpu_status optin_cpu_weights_unpack(float *dst, dnnl_engine_t engine, dnnl_stream_t stream,
                                          const optin_cpu_weights *src, int transpose) {
  optin_cpu_status status = {0};
  const dnnl_memory_desc_t *packed;
  dnnl_memory_t plain = NULL;
  dnnl_memory_desc_t rows;
  TRY(dnnl_memory_get_memory_desc, src->memory, &packed);
  TRY(matrix, &rows, packed->dims[0], packed->dims[1], transpose ? dnnl_ab : dnnl_ba);
  TRY(dnnl_memory_create, &plain, &rows, engine, dst);
  status = copy(plain, src->memory, engine, stream);
done:
  dnnl_memory_destroy(plain);
  return status;
}

void optin_cpu_weights_free(optin_cpu_weights *w) {
  dnnl_memory_destroy(w->memory);
  free(w->data);
  memset(w, 0, sizeof *w);
}

optin_cpu_status optin_cpu_linear_create(optin_cpu_linear *dst, dnnl_engine_t engine,
                                         optin_cpu_linear_shape shape,
                                         const optin_cpu_weights *weights) {
  optin_cpu_status status = {0};
  const dnnl_memory_desc_t *packed;
  dnnl_memory_desc_t x, bias, y;
  dnnl_primitive_desc_t desc = NULL;
  memset(dst, 0, sizeof *dst);
  TRY(dnnl_memory_get_memory_desc, weights->memory, &packed);
  status = describe(&desc, engine, shape, packed);
  if (status.code != dnnl_success) goto done;
  const dnnl_memory_desc_t *scratch =
      dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
  dst->scratch_bytes = dnnl_memory_desc_get_size(scratch);
  TRY(matrix, &x, shape.rows, shape.in, dnnl_ab);
  TRY(matrix, &bias, 1, shape.out, dnnl_ab);
  TRY(matrix, &y, shape.rows, shape.out, dnnl_ab);
  TRY(dnnl_memory_create, &dst->src, &x, engine, DNNL_MEMORY_NONE);
  TRY(dnnl_memory_create, &dst->dst, &y, engine, DNNL_MEMORY_NONE);
  TRY(dnnl_memory_create, &dst->scratch, scratch, engine, DNNL_MEMORY_NONE);
  if (shape.bias) TRY(dnnl_memory_create, &dst->bias, &bias, engine, DNNL_MEMORY_NONE);
  dst->residual_at = shape.act != OPTIN_IDENTITY;
  if (shape.residual) TRY(dnnl_memory_create, &dst->residual, &y, engine, DNNL_MEMORY_NONE);
  TRY(dnnl_primitive_create, &dst->primitive, desc);
done:
  dnnl_primitive_desc_destroy(desc);
  if (status.code != dnnl_success) optin_cpu_linear_free(dst);
  return status;
}

optin_cpu_status optin_cpu_linear_run(const optin_cpu_linear *l, dnnl_stream_t stream, float *dst,
                                      const float *src, const optin_cpu_weights *weights,
                                      const float *bias, const float *residual, void *scratch) {
  optin_cpu_status status = {0};
  dnnl_exec_arg_t args[6] = {{DNNL_ARG_SRC, l->src},
                             {DNNL_ARG_WEIGHTS, weights->memory},
                             {DNNL_ARG_DST, l->dst},
                             {DNNL_ARG_SCRATCHPAD, l->scratch}};
  int n = 4;
  TRY(dnnl_memory_set_data_handle, l->src, (void *)src);
  TRY(dnnl_memory_set_data_handle, l->dst, dst);
  TRY(dnnl_memory_set_data_handle, l->scratch, scratch);
  if (l->bias) {
    TRY(dnnl_memory_set_data_handle, l->bias, (void *)bias);
    args[n++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, l->bias};
  }
  if (l->residual) {
    TRY(dnnl_memory_set_data_handle, l->residual, (void *)residual);
    args[n++] = (dnnl_exec_arg_t){DNNL_ARG_ATTR_MULTIPLE_POST_OP(l->residual_at) | DNNL_ARG_SRC_1,
                                  l->residual};
  }
  TRY(dnnl_primitive_execute, l->primitive, stream, n, args);
  TRY(dnnl_stream_wait, stream);
done:
  return status;
}

void optin_cpu_linear_free(optin_cpu_linear *l) {
  dnnl_primitive_destroy(l->primitive);
  dnnl_memory_destroy(l->src);
  dnnl_memory_destroy(l->bias);
  dnnl_memory_destroy(l->residual);
  dnnl_memory_destroy(l->dst);
  dnnl_memory_destroy(l->scratch);
  memset(l, 0, sizeof *l);
}

void optin_cpu_threads(int n) { omp_set_num_threads(n); }

int optin_cpu_team_size(void) {
  int size = 0;
#pragma omp parallel
  {
#pragma omp single
    size = omp_get_num_threads();
  }
  return size;
}
