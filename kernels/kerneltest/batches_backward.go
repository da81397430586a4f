package kerneltest

import "optin/kernels"

// pass is what the network has computed of a micro-batch.
type pass struct {
	x, q, k, v, context, y, inner, sum, removed *kernels.Tensor
	spec                                        kernels.AttentionSpec
}

// backward gives the gradients of the divergence and of the squared error to x
// and to all weights, and to the head masks by sequence.
func (n *network) backward(ops kernels.Backward, p pass) []float64 {
	one := ops.New(kernels.F64, 1, 1)
	unit := ops.Upload(1, 1, []float32{1})
	ops.UnitSums(one, unit, unit, nil)
	dRemoved := ops.Add(ops.KLDivergenceBackward(one, p.removed, p.sum, 4), ops.SquaredErrorBackward(one, p.removed, p.sum))

	before := ops.Linear(p.y, n.up, kernels.Epilogue{Bias: n.bias})
	dBefore := ops.Multiply(ops.LinearBackward(dRemoved, n.down), ops.Derivative(before, kernels.GELU))
	dy := ops.Add(dRemoved, ops.LinearBackward(dBefore, n.up))
	dSum := ops.LayerNormBackward(dy, p.context, p.x, n.gamma, 1e-5)
	whole := p.spec
	whole.HeadMask = nil
	dq, dk, dv := ops.AttentionBackward(ops.MaskUnits(dSum, p.spec.HeadMask), p.q, p.k, p.v, whole)
	dx := dSum
	for _, branch := range []struct {
		gradient *kernels.Tensor
		weight   *kernels.Weight
	}{{dq, n.query}, {dk, n.key}, {dv, n.value}} {
		dx = ops.Add(dx, ops.LinearBackward(branch.gradient, branch.weight))
	}
	results := values(ops, dx)

	gamma, beta, bias := zeros(ops, 1, netCols), zeros(ops, 1, netCols), zeros(ops, 1, netInner)
	ops.LayerNormWeights(gamma, beta, dy, p.context, p.x, 1e-5)
	ops.SumRows(bias, dBefore)
	masks := ops.New(kernels.F64, p.spec.Q.Count(), netHeads)
	ops.UnitSums(masks, dSum, p.context, p.spec.Q)
	for _, t := range []*kernels.Tensor{
		gamma, beta, bias, masks, n.gram(ops, dRemoved, p.inner), n.gram(ops, dBefore, p.y), n.gram(ops, dq, p.x),
	} {
		results = append(results, values(ops, t)...)
	}
	return results
}

// gram is the gradient to the weight of a Linear of x.
func (n *network) gram(ops kernels.Ops, dy, x *kernels.Tensor) *kernels.Tensor {
	dw := zeros(ops, dy.Cols, x.Cols)
	ops.GramAdd(dw, dy, x)
	return dw
}

func zeros(ops kernels.Ops, rows, cols int) *kernels.Tensor {
	return zero(rows, cols).fresh(ops)
}
