package roofline

import "optin/kernels"

func (t *traced) MatMul(a, b *kernels.Tensor, ta, tb bool) (y *kernels.Tensor) {
	t.counted("MatMul", Plain, func() int64 {
		y = t.Backward.MatMul(a, b, ta, tb)
		return size(a, b, y)
	})
	return y
}

func (t *traced) Multiply(x, y *kernels.Tensor) *kernels.Tensor {
	return t.moved("Multiply", t.Backward.Multiply(x, y), x, y)
}

func (t *traced) Scale(x *kernels.Tensor, c float64) *kernels.Tensor {
	return t.moved("Scale", t.Backward.Scale(x, c), x)
}

func (t *traced) SumRows(dst, x *kernels.Tensor) {
	t.Backward.SumRows(dst, x)
	t.added("SumRows", dst, x)
}

// ScatterAdd reads and writes the rows of dst that x falls into, at most as many as x has.
func (t *traced) ScatterAdd(dst, x, idx *kernels.Tensor, span int) {
	t.Backward.ScatterAdd(dst, x, idx, span)
	t.enter("ScatterAdd", Launch{Bytes: 2*min(size(dst), size(x)) + size(x, idx)})
}

func (t *traced) UnitSums(dst, x, y *kernels.Tensor, seg *kernels.Sequences) {
	t.Backward.UnitSums(dst, x, y, seg)
	t.added("UnitSums", dst, x, y)
}

func (t *traced) LinearBackward(dy *kernels.Tensor, w *kernels.Weight) (dx *kernels.Tensor) {
	t.counted("LinearBackward", Plain, func() int64 {
		dx = t.Backward.LinearBackward(dy, w)
		return size(dy, dx) + weigh(w)
	})
	return dx
}

func (t *traced) Derivative(x *kernels.Tensor, act kernels.Activation) *kernels.Tensor {
	return t.moved("Derivative", t.Backward.Derivative(x, act), x)
}

func (t *traced) LayerNormBackward(dy, x, residual *kernels.Tensor, gamma *kernels.Weight, eps float64) *kernels.Tensor {
	dx := t.Backward.LayerNormBackward(dy, x, residual, gamma, eps)
	t.enter("LayerNormBackward", Launch{Bytes: size(dy, x, residual, dx) + weigh(gamma)})
	return dx
}

func (t *traced) LayerNormWeights(dgamma, dbeta, dy, x, residual *kernels.Tensor, eps float64) {
	t.Backward.LayerNormWeights(dgamma, dbeta, dy, x, residual, eps)
	t.enter("LayerNormWeights", Launch{Bytes: 2*size(dgamma, dbeta) + size(dy, x, residual)})
}

func (t *traced) AttentionBackward(dy, q, k, v *kernels.Tensor, s kernels.AttentionSpec) (dq, dk, dv *kernels.Tensor) {
	t.counted("AttentionBackward", Plain, func() int64 {
		dq, dk, dv = t.Backward.AttentionBackward(dy, q, k, v, s)
		return size(dy, q, k, v, s.Bias, s.KeyBias, dq, dk, dv)
	})
	return dq, dk, dv
}

func (t *traced) SoftmaxBackward(dy, y *kernels.Tensor) *kernels.Tensor {
	return t.moved("SoftmaxBackward", t.Backward.SoftmaxBackward(dy, y), dy, y)
}

func (t *traced) ScatterMeanBackward(dy, idx *kernels.Tensor, rows int) *kernels.Tensor {
	return t.moved("ScatterMeanBackward", t.Backward.ScatterMeanBackward(dy, idx, rows), dy, idx)
}

func (t *traced) PatchifyBackward(dy *kernels.Tensor, s kernels.PatchSpec) *kernels.Tensor {
	return t.moved("PatchifyBackward", t.Backward.PatchifyBackward(dy, s), dy)
}

// RemoveUnitsBackward writes the gradient to one unit of each variant's values, and zeros
// beside it.
func (t *traced) RemoveUnitsBackward(dy, values, consumer, units *kernels.Tensor, width int) (d *kernels.Tensor) {
	t.counted("RemoveUnitsBackward", Plain, func() int64 {
		d = t.Backward.RemoveUnitsBackward(dy, values, consumer, units, width)
		return size(dy, units, d) + 4*int64(width)*int64(consumer.Cols)*int64(units.Rows)
	})
	return d
}

func (t *traced) NormalizeRowsBackward(dy, x *kernels.Tensor) *kernels.Tensor {
	return t.moved("NormalizeRowsBackward", t.Backward.NormalizeRowsBackward(dy, x), dy, x)
}

func (t *traced) KLDivergenceBackward(d, x, base *kernels.Tensor, tau float64) *kernels.Tensor {
	return t.moved("KLDivergenceBackward", t.Backward.KLDivergenceBackward(d, x, base, tau), d, x, base)
}

func (t *traced) SquaredErrorBackward(d, x, base *kernels.Tensor) *kernels.Tensor {
	return t.moved("SquaredErrorBackward", t.Backward.SquaredErrorBackward(d, x, base), d, x, base)
}

func (t *traced) ManifoldLossBackward(d, aa, ae, ee *kernels.Tensor) (daa, dae, dee *kernels.Tensor) {
	daa, dae, dee = t.Backward.ManifoldLossBackward(d, aa, ae, ee)
	t.enter("ManifoldLossBackward", Launch{Bytes: size(d, aa, ae, ee, daa, dae, dee)})
	return daa, dae, dee
}

func (t *traced) ManifoldLossRowsBackward(d, a, e *kernels.Tensor) (da, de *kernels.Tensor) {
	t.counted("ManifoldLossRowsBackward", Plain, func() int64 {
		da, de = t.Backward.ManifoldLossRowsBackward(d, a, e)
		return size(d, a, e, da, de)
	})
	return da, de
}

func (t *traced) AdamW(w, m, v, g *kernels.Tensor, s kernels.AdamWStep) {
	t.Backward.AdamW(w, m, v, g, s)
	t.enter("AdamW", Launch{Bytes: 2*size(w, m, v) + size(g)})
}

func (t *traced) SquaredNorm(dst, x *kernels.Tensor) {
	t.Backward.SquaredNorm(dst, x)
	t.added("SquaredNorm", dst, x)
}
