package count

import "optin/kernels"

var _ kernels.Backward = (*ops)(nil)

// stacked is a new tensor of the shape of x, once for each gradient of a stack.
func (o *ops) stacked(stack int, x *kernels.Tensor) *kernels.Tensor {
	return o.real(stack*x.Rows, x.Cols)
}

func (o *ops) MatMul(a, b *kernels.Tensor, ta, tb bool) *kernels.Tensor {
	rows, inner, cols := kernels.CheckMatMul(a, b, ta, tb)
	o.tally.MACs += kernels.MatMulMACs(rows, inner, cols)
	return o.real(rows, cols)
}

func (o *ops) Multiply(x, y *kernels.Tensor) *kernels.Tensor {
	kernels.CheckMultiply(x, y)
	return o.like(x)
}

func (o *ops) Scale(x *kernels.Tensor, _ float64) *kernels.Tensor {
	kernels.CheckScale(x)
	return o.like(x)
}

func (o *ops) SumRows(dst, x *kernels.Tensor) { kernels.CheckSumRows(dst, x) }

func (o *ops) ScatterAdd(dst, x, idx *kernels.Tensor, span int) {
	kernels.CheckScatterAdd(dst, x, idx, span)
}

func (o *ops) UnitSums(dst, x, y *kernels.Tensor, seg *kernels.Sequences) {
	kernels.CheckUnitSums(dst, x, y, seg)
}

func (o *ops) LinearBackward(dy *kernels.Tensor, w *kernels.Weight) *kernels.Tensor {
	kernels.CheckLinearBackward(dy, w)
	o.dev.use(w)
	o.tally.MACs += kernels.LinearBackwardMACs(dy, w)
	return o.real(dy.Rows, w.Cols)
}

func (o *ops) Derivative(x *kernels.Tensor, act kernels.Activation) *kernels.Tensor {
	kernels.CheckDerivative(x, act)
	return o.like(x)
}

func (o *ops) LayerNormBackward(dy, x, residual *kernels.Tensor, gamma *kernels.Weight, _ float64) *kernels.Tensor {
	kernels.CheckLayerNormBackward(dy, x, residual, gamma)
	o.dev.use(gamma)
	return o.like(dy)
}

func (o *ops) LayerNormWeights(dgamma, dbeta, dy, x, residual *kernels.Tensor, _ float64) {
	kernels.CheckLayerNormWeights(dgamma, dbeta, dy, x, residual)
}

func (o *ops) AttentionBackward(dy, q, k, v *kernels.Tensor, spec kernels.AttentionSpec) (dq, dk, dv *kernels.Tensor) {
	_, stack := kernels.CheckAttentionBackward(dy, q, k, v, spec)
	o.tally.MACs += kernels.AttentionBackwardMACs(q, spec, stack)
	return o.stacked(stack, q), o.stacked(stack, k), o.stacked(stack, v)
}

func (o *ops) SoftmaxBackward(dy, y *kernels.Tensor) *kernels.Tensor {
	kernels.CheckSoftmaxBackward(dy, y)
	return o.like(dy)
}

func (o *ops) ScatterMeanBackward(dy, idx *kernels.Tensor, rows int) *kernels.Tensor {
	stack := kernels.CheckScatterMeanBackward(dy, idx, rows)
	return o.real(stack*idx.Rows, dy.Cols)
}

func (o *ops) PatchifyBackward(dy *kernels.Tensor, s kernels.PatchSpec) *kernels.Tensor {
	images := kernels.CheckPatchifyBackward(dy, s)
	return o.real(images, s.Channels*s.Height*s.Width)
}

func (o *ops) RemoveUnitsBackward(dy, values, consumer, units *kernels.Tensor, width int) *kernels.Tensor {
	stack := kernels.CheckRemoveUnitsBackward(dy, values, consumer, units, width)
	o.tally.LossMACs += kernels.RemoveUnitsBackwardMACs(dy, width)
	return o.stacked(stack, values)
}

func (o *ops) NormalizeRowsBackward(dy, x *kernels.Tensor) *kernels.Tensor {
	kernels.CheckNormalizeRowsBackward(dy, x)
	return o.like(dy)
}

func (o *ops) KLDivergenceBackward(d, x, base *kernels.Tensor, tau float64) *kernels.Tensor {
	stack := kernels.CheckKLDivergenceBackward(d, x, base, tau)
	return o.stacked(stack, x)
}

func (o *ops) SquaredErrorBackward(d, x, base *kernels.Tensor) *kernels.Tensor {
	stack := kernels.CheckSquaredErrorBackward(d, x, base)
	return o.stacked(stack, x)
}

func (o *ops) ManifoldLossBackward(d, aa, ae, ee *kernels.Tensor) (daa, dae, dee *kernels.Tensor) {
	stack := kernels.CheckManifoldLossBackward(d, aa, ae, ee)
	return o.stacked(stack, aa), o.stacked(stack, ae), o.stacked(stack, ee)
}

func (o *ops) ManifoldLossRowsBackward(d, a, e *kernels.Tensor) (da, de *kernels.Tensor) {
	stack := kernels.CheckManifoldLossRowsBackward(d, a, e)
	o.tally.LossMACs += kernels.ManifoldRowsBackwardMACs(a)
	return o.stacked(stack, a), o.stacked(stack, e)
}

func (o *ops) AdamW(w, m, v, g *kernels.Tensor, s kernels.AdamWStep) {
	kernels.CheckAdamW(w, m, v, g, s)
}

func (o *ops) SquaredNorm(dst, x *kernels.Tensor) { kernels.CheckSquaredNorm(dst, x) }
