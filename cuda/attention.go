//go:build cuda

package cuda

import "optin/kernels"

const (
	attentionBlock = 128 // threads
	attentionRows  = 64  // of queries or keys in the tile of a block
)

// attentionChunk is the columns of a head that a block takes, which is in kernels' names.
func attentionChunk(width int) int {
	if width <= 32 {
		return 32
	}
	return 64
}

func (o *ops) Attention(q, k, v *kernels.Tensor, spec kernels.AttentionSpec) *kernels.Tensor {
	variants := kernels.CheckAttention(q, k, v, spec)
	y := o.floats(q.Rows, q.Cols)
	o.tally.MACs += kernels.AttentionMACs(q, spec)
	if y.Len() == 0 {
		return y
	}
	width := q.Cols / spec.Heads
	maskRows := 1
	if spec.HeadMask != nil {
		maskRows = spec.HeadMask.Rows
	}
	name := "optin_attention_d64_f32"
	if width <= 32 {
		name = "optin_attention_d32_f32"
	}
	o.launch(name, attentionGrid(variants, spec, width, spec.Q.Max), size{x: attentionBlock},
		address(y), address(q), address(k), address(v), o.offsetsOf(spec.Q), o.offsetsOf(spec.K),
		address(spec.HeadMask), address(spec.Bias), address(spec.KeyBias),
		number(variants), number(spec.Q.Count()), number(spec.Heads), number(width), number(spec.Q.Max), number(spec.K.Max),
		number(maskRows), number(keyBiasRows(spec)), real(spec.Scale), causal(spec))
	return y
}

// attentionGrid is a block for each tile of the longest sequence, chunk, head, sequence and
// variant.
func attentionGrid(variants int, spec kernels.AttentionSpec, width, longest int) size {
	chunks := ceil(width, attentionChunk(width))
	return size{x: variants * spec.Q.Count() * spec.Heads * chunks * ceil(longest, attentionRows)}
}

func keyBiasRows(spec kernels.AttentionSpec) int {
	if spec.KeyBias == nil {
		return 0
	}
	return spec.KeyBias.Rows
}

func causal(spec kernels.AttentionSpec) uint64 {
	if spec.Causal {
		return 1
	}
	return 0
}

// AttentionBackward computes the statistics of each query's softmax again, and from them the
// gradient to the queries by tiles of queries and those to keys and values by tiles of keys.
func (o *ops) AttentionBackward(dy, q, k, v *kernels.Tensor, spec kernels.AttentionSpec) (dq, dk, dv *kernels.Tensor) {
	variants, stack := kernels.CheckAttentionBackward(dy, q, k, v, spec)
	o.tally.MACs += kernels.AttentionBackwardMACs(q, spec, stack)
	dq, dk, dv = o.floats(dy.Rows, q.Cols), o.floats(stack*k.Rows, k.Cols), o.floats(stack*k.Rows, k.Cols)
	if q.Cols == 0 || variants == 0 {
		return dq, dk, dv
	}
	mark := o.Mark()
	width := q.Cols / spec.Heads
	statistics, queries, keys := "optin_attention_statistics_d64_f32", "optin_attention_backward_queries_d64_f32", "optin_attention_backward_keys_d64_f32"
	if width <= 32 {
		statistics, queries, keys = "optin_attention_statistics_d32_f32", "optin_attention_backward_queries_d32_f32", "optin_attention_backward_keys_d32_f32"
	}
	lines := spec.Heads * ceil(width, attentionChunk(width))
	top, inverse, delta := o.floats(q.Rows, lines), o.floats(q.Rows, lines), o.floats(dy.Rows, lines)
	qAt, kAt := o.offsetsOf(spec.Q), o.offsetsOf(spec.K)
	sequences, heads, bias, keyBias := number(spec.Q.Count()), number(spec.Heads), address(spec.Bias), address(spec.KeyBias)
	longestQ, longestK, biasRows := number(spec.Q.Max), number(spec.K.Max), number(keyBiasRows(spec))
	block := size{x: attentionBlock}

	o.launch(statistics, attentionGrid(variants, spec, width, spec.Q.Max), block,
		address(top), address(inverse), address(delta), address(dy), address(q), address(k), address(v), qAt, kAt, bias, keyBias,
		number(stack), number(variants), sequences, heads, number(width), longestQ, longestK, biasRows, real(spec.Scale), causal(spec))
	o.launch(queries, attentionGrid(stack*variants, spec, width, spec.Q.Max), block,
		address(dq), address(dy), address(q), address(k), address(v), address(top), address(inverse), address(delta), qAt, kAt, bias, keyBias,
		number(variants), sequences, heads, number(width), longestQ, longestK, biasRows, real(spec.Scale), causal(spec))
	o.launch(keys, attentionGrid(stack*variants, spec, width, spec.K.Max), block,
		address(dk), address(dv), address(dy), address(q), address(k), address(v), address(top), address(inverse), address(delta), qAt, kAt, bias, keyBias,
		number(variants), sequences, heads, number(width), longestQ, longestK, biasRows, real(spec.Scale), causal(spec))
	o.Release(mark)
	return dq, dk, dv
}
