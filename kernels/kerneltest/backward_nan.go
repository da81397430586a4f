package kerneltest

import "optin/kernels"

// nanBackwardPrograms have one NaN in a gradient or in what the derivative is
// taken at, in row 2 of a matrix [6, 17].
func nanBackwardPrograms() []Program {
	var programs []Program
	for _, act := range activations() {
		programs = append(programs, nanRows("Derivative", 6, 17, int(act), func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
			return derivatives(ops).Derivative(x, act)
		}))
	}
	for _, at := range []int{0, 5, 16} {
		for _, c := range nanCalls() {
			programs = append(programs, nanRows(c.op, 6, 17, at, c.call))
		}
	}
	for _, width := range []int{8, 9} {
		for _, where := range []string{"q", "k", "v", ""} {
			s := attention{queries: []int{3, 9, 1, 17}, heads: 3, width: width, variants: 3, keyBias: 1, nan: where}
			programs = append(programs, s.backward(2, where == ""))
		}
	}
	return programs
}

// nanCall calls an op with x, which has the NaN.
type nanCall struct {
	op   string
	call func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor
}

func nanCalls() []nanCall {
	weight := kernels.WeightOf("kerneltest", 17, 5, ones(17, 5).v)
	gamma := kernels.WeightOf("kerneltest", 1, 17, ones(1, 17).v)
	scalar := func(ops kernels.Ops, n int) *kernels.Tensor { return ones(n, 1).scalars(ops) }
	return append(nanSums(), []nanCall{
		{"MatMul", func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
			other := derivatives(ops).Scale(ones(17, 6).on(ops), 0.5)
			return stacked(ops, derivatives(ops).MatMul(x, other, false, false), derivatives(ops).MatMul(other, x, true, true))
		}},
		{"LinearBackward", func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
			return derivatives(ops).LinearBackward(x, weight)
		}},
		{"Multiply", func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
			first := x.Slice(0, 3)
			return derivatives(ops).Multiply(x, &first)
		}},
		{"Scale", func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor { return derivatives(ops).Scale(x, 0) }},
		{"LayerNormBackward", func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
			one := ones(6, 17).on(ops)
			return stacked(ops,
				derivatives(ops).LayerNormBackward(one, x, nil, gamma, 1),
				derivatives(ops).LayerNormBackward(one, ops.Activate(x, kernels.ReLU), x, gamma, 1),
				derivatives(ops).LayerNormBackward(x, one, one, gamma, 1))
		}},
		{"SoftmaxBackward", func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
			p := ones(6, 17).on(ops)
			return stacked(ops, derivatives(ops).SoftmaxBackward(x, p), derivatives(ops).SoftmaxBackward(p, x))
		}},
		{"ScatterMeanBackward", func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
			return derivatives(ops).ScatterMeanBackward(x, ops.UploadInts([]int32{2, 0, 2, 1, 0}), 3)
		}},
		{"RemoveUnitsBackward", func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
			one := ones(17, 17).on(ops)
			value := one.Slice(0, 6)
			return derivatives(ops).RemoveUnitsBackward(x, &value, one, ops.UploadInts([]int32{3, 16}), 1)
		}},
		{"NormalizeRowsBackward", func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
			one := ones(6, 17).on(ops)
			return stacked(ops, derivatives(ops).NormalizeRowsBackward(x, one), derivatives(ops).NormalizeRowsBackward(one, x))
		}},
		{"KLDivergenceBackward", func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
			base := x.Slice(0, 3)
			return stacked(ops,
				derivatives(ops).KLDivergenceBackward(scalar(ops, 2), x, &base, 2),
				derivatives(ops).KLDivergenceBackward(scalar(ops, 1), ones(6, 17).on(ops), x, 2))
		}},
		{"SquaredErrorBackward", func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
			base := x.Slice(0, 3)
			return derivatives(ops).SquaredErrorBackward(scalar(ops, 2), x, &base)
		}},
		{"ManifoldLossRowsBackward", func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
			one := ones(6, 17).on(ops)
			da, de := derivatives(ops).ManifoldLossRowsBackward(scalar(ops, 1), x, one)
			return stacked(ops, da, de)
		}},
		{"AdamW", func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
			one := ones(6, 17)
			w, m, v := one.fresh(ops), one.fresh(ops), one.fresh(ops)
			derivatives(ops).AdamW(w, m, v, x, kernels.AdamWStep{Rate: 0.1, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Gradient: 1, Step: 1})
			return stacked(ops, w, m, v)
		}},
	}...)
}

// nanSums are those of ops that add to what is there.
func nanSums() []nanCall {
	return []nanCall{
		{"SumRows", func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
			dst := ones(3, 17).fresh(ops)
			derivatives(ops).SumRows(dst, x)
			return dst
		}},
		{"ScatterAdd", func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
			dst := ones(8, 17).fresh(ops)
			derivatives(ops).ScatterAdd(dst, x, ops.UploadInts([]int32{3, 3, 0}), 4)
			return dst
		}},
		{"UnitSums", func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
			dst := ones(2, 17).fresh(ops)
			derivatives(ops).UnitSums(dst, ones(6, 17).on(ops), x, kernels.NewSequences(2, 4))
			return dst
		}},
		{"LayerNormWeights", func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
			dgamma, dbeta := ones(1, 17).fresh(ops), ones(1, 17).fresh(ops)
			more := ones(1, 17).fresh(ops)
			derivatives(ops).LayerNormWeights(dgamma, dbeta, x, ops.Repeat(more, 6), nil, 1)
			derivatives(ops).LayerNormWeights(more, nil, ones(6, 17).on(ops), x, nil, 1)
			return stacked(ops, dgamma, dbeta, more)
		}},
		{"SquaredNorm", func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
			return accumulated(ops, 1, func(dst *kernels.Tensor) { derivatives(ops).SquaredNorm(dst, x) })
		}},
	}
}
