package grad

import "optin/kernels"

// RemoveUnits is kernels.Ops'.
func (t *Tape) RemoveUnits(sum, values, consumer, units *kernels.Tensor, width int) *kernels.Tensor {
	y := t.begin().RemoveUnits(sum, values, consumer, units, width)
	n := t.record(&removeUnits, y, sum, values, consumer)
	n.aux, n.count = units, width
	return y
}

// NormalizeRows is kernels.Ops'.
func (t *Tape) NormalizeRows(x *kernels.Tensor) *kernels.Tensor {
	y := t.begin().NormalizeRows(x)
	t.record(&normalizeRows, y, x)
	return y
}

// NormalizedDifference is kernels.Ops'.
func (t *Tape) NormalizedDifference(x, phi *kernels.Tensor) *kernels.Tensor {
	y := t.begin().NormalizedDifference(x, phi)
	t.record(&normalizedDifference, y, x, phi)
	return y
}

// GramAdd is kernels.Ops'; gram stands for the sum from here on.
func (t *Tape) GramAdd(gram, a, b *kernels.Tensor) {
	t.begin().GramAdd(gram, a, b)
	t.recordChange(&gramAdd, true, gram, a, b)
}

// ManifoldLoss is kernels.Ops'; dst stands for the sum from here on.
func (t *Tape) ManifoldLoss(dst, aa, ae, ee *kernels.Tensor) {
	t.begin().ManifoldLoss(dst, aa, ae, ee)
	t.recordChange(&manifoldLoss, true, dst, aa, ae, ee)
}

// ManifoldLossRows is kernels.Ops'; dst stands for the sum from here on.
func (t *Tape) ManifoldLossRows(dst, a, e *kernels.Tensor) {
	t.begin().ManifoldLossRows(dst, a, e)
	t.recordChange(&manifoldLossRows, true, dst, a, e)
}

// KLDivergence is kernels.Ops'; dst stands for the sum from here on.
func (t *Tape) KLDivergence(dst, x, base *kernels.Tensor, tau float64) {
	t.begin().KLDivergence(dst, x, base, tau)
	t.recordChange(&klDivergence, true, dst, x, base).number = tau
}

// SquaredError is kernels.Ops'; dst stands for the sum from here on.
func (t *Tape) SquaredError(dst, x, base *kernels.Tensor) {
	t.begin().SquaredError(dst, x, base)
	t.recordChange(&squaredError, true, dst, x, base)
}
