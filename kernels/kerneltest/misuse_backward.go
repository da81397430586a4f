package kerneltest

import "optin/kernels"

// misuseBackward calls each derivative with shapes that do not fit; x is [6, 4]
// of F32.
func misuseBackward() []misused {
	w := func(rows, cols int) *kernels.Weight {
		return kernels.WeightOf("misuse", rows, cols, make([]float32, rows*cols))
	}
	seqs := kernels.NewSequences(4, 2)
	tensor := func(ops kernels.Ops, rows, cols int) *kernels.Tensor { return ops.New(kernels.F32, rows, cols) }
	scalars := func(ops kernels.Ops, n int) *kernels.Tensor { return ops.New(kernels.F64, n, 1) }
	usual := kernels.AdamWStep{Rate: 1, Beta1: 0.9, Beta2: 0.99, Eps: 1, Step: 1}
	calls := []struct {
		op   string
		call func(b kernels.Backward, x *kernels.Tensor)
	}{
		{"MatMul", func(b kernels.Backward, x *kernels.Tensor) { b.MatMul(x, x, false, false) }},
		{"MatMul", func(b kernels.Backward, x *kernels.Tensor) { b.MatMul(x, tensor(b, 4, 6), true, false) }},
		{"Multiply", func(b kernels.Backward, x *kernels.Tensor) { b.Multiply(x, tensor(b, 4, 4)) }},
		{"Multiply", func(b kernels.Backward, x *kernels.Tensor) { b.Multiply(x, tensor(b, 6, 2)) }},
		{"Scale", func(b kernels.Backward, _ *kernels.Tensor) { b.Scale(scalars(b, 1), 2) }},
		{"SumRows", func(b kernels.Backward, x *kernels.Tensor) { b.SumRows(tensor(b, 4, 4), x) }},
		{"ScatterAdd", func(b kernels.Backward, x *kernels.Tensor) {
			b.ScatterAdd(tensor(b, 8, 4), x, b.UploadInts([]int32{0, 1}), 4)
		}},
		{"ScatterAdd", func(b kernels.Backward, x *kernels.Tensor) {
			b.ScatterAdd(tensor(b, 6, 4), x, b.UploadInts([]int32{0}), 4)
		}},
		{"UnitSums", func(b kernels.Backward, x *kernels.Tensor) { b.UnitSums(tensor(b, 1, 3), x, x, nil) }},
		{"UnitSums", func(b kernels.Backward, x *kernels.Tensor) { b.UnitSums(tensor(b, 3, 2), x, x, seqs) }},
		{"UnitSums", func(b kernels.Backward, x *kernels.Tensor) { b.UnitSums(tensor(b, 1, 2), x, tensor(b, 4, 4), nil) }},
		{"LinearBackward", func(b kernels.Backward, x *kernels.Tensor) { b.LinearBackward(x, w(3, 4)) }},
		{"Derivative", func(b kernels.Backward, _ *kernels.Tensor) { b.Derivative(scalars(b, 1), kernels.ReLU) }},
		{"LayerNormBackward", func(b kernels.Backward, x *kernels.Tensor) {
			b.LayerNormBackward(tensor(b, 9, 4), x, nil, w(1, 4), 1e-5)
		}},
		{"LayerNormBackward", func(b kernels.Backward, x *kernels.Tensor) { b.LayerNormBackward(x, x, nil, w(4, 1), 1e-5) }},
		{"LayerNormWeights", func(b kernels.Backward, x *kernels.Tensor) {
			b.LayerNormWeights(tensor(b, 1, 3), nil, x, x, nil, 1e-5)
		}},
		{"AttentionBackward", func(b kernels.Backward, x *kernels.Tensor) {
			b.AttentionBackward(tensor(b, 9, 4), x, x, x, kernels.AttentionSpec{Heads: 2, Q: seqs, K: seqs})
		}},
		{"AttentionBackward", func(b kernels.Backward, x *kernels.Tensor) {
			b.AttentionBackward(x, x, x, x, kernels.AttentionSpec{Heads: 3, Q: seqs, K: seqs})
		}},
		{"AttentionBackward", func(b kernels.Backward, x *kernels.Tensor) {
			b.AttentionBackward(x, x, x, x, kernels.AttentionSpec{Heads: 2, Q: seqs, K: seqs, HeadMask: tensor(b, 1, 2)})
		}},
		{"SoftmaxBackward", func(b kernels.Backward, x *kernels.Tensor) { b.SoftmaxBackward(x, tensor(b, 4, 4)) }},
		{"ScatterMeanBackward", func(b kernels.Backward, x *kernels.Tensor) {
			b.ScatterMeanBackward(x, b.UploadInts([]int32{0}), 4)
		}},
		{"PatchifyBackward", func(b kernels.Backward, x *kernels.Tensor) {
			b.PatchifyBackward(x, kernels.PatchSpec{Channels: 1, Height: 4, Width: 4, Patch: 2})
		}},
		{"RemoveUnitsBackward", func(b kernels.Backward, x *kernels.Tensor) {
			b.RemoveUnitsBackward(x, x, tensor(b, 4, 3), b.UploadInts([]int32{0}), 1)
		}},
		{"NormalizeRowsBackward", func(b kernels.Backward, x *kernels.Tensor) { b.NormalizeRowsBackward(x, tensor(b, 4, 4)) }},
		{"KLDivergenceBackward", func(b kernels.Backward, x *kernels.Tensor) { b.KLDivergenceBackward(scalars(b, 1), x, x, 0) }},
		{"KLDivergenceBackward", func(b kernels.Backward, x *kernels.Tensor) {
			b.KLDivergenceBackward(scalars(b, 3), x, tensor(b, 3, 4), 1)
		}},
		{"SquaredErrorBackward", func(b kernels.Backward, x *kernels.Tensor) {
			b.SquaredErrorBackward(tensor(b, 1, 1), x, x)
		}},
		{"ManifoldLossBackward", func(b kernels.Backward, x *kernels.Tensor) { b.ManifoldLossBackward(scalars(b, 1), x, x, x) }},
		{"ManifoldLossRowsBackward", func(b kernels.Backward, x *kernels.Tensor) {
			b.ManifoldLossRowsBackward(scalars(b, 1), x, tensor(b, 4, 6))
		}},
		{"AdamW", func(b kernels.Backward, x *kernels.Tensor) { b.AdamW(x, x, x, tensor(b, 4, 6), usual) }},
		{"AdamW", func(b kernels.Backward, x *kernels.Tensor) { b.AdamW(x, x, x, x, kernels.AdamWStep{}) }},
		{"SquaredNorm", func(b kernels.Backward, x *kernels.Tensor) { b.SquaredNorm(x, x) }},
	}
	all := make([]misused, 0, len(calls))
	for _, c := range calls {
		all = append(all, misused{c.op, func(ops kernels.Ops, x *kernels.Tensor) { c.call(derivatives(ops), x) }})
	}
	return all
}
