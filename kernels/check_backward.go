package kernels

// Checks of Backward. Those of methods that take a gradient dy return the number
// of gradients that it stacks, which is at least 1.

// needStack checks that dy is [R*rows, cols] and returns R.
func needStack(op string, dy *Tensor, rows, cols int) (stack int) {
	needType(op, "dy", dy, F32)
	if dy.Cols != cols {
		badArgument(op, "dy is %v, want %d columns", dy, cols)
	}
	return wholeStack(op, "dy", dy, rows)
}

// wholeStack is how often rows go into the rows of t: 1 where there are none.
func wholeStack(op, name string, t *Tensor, rows int) int {
	switch {
	case t.Rows == rows:
		return 1
	case rows == 0 || t.Rows == 0 || t.Rows%rows != 0:
		badArgument(op, "%s %v is not a stack of %d rows each", name, t, rows)
	}
	return t.Rows / rows
}

// needGradients checks that d is [R*losses, 1] of type F64 and returns R.
func needGradients(op string, d *Tensor, losses int) (stack int) {
	needType(op, "d", d, F64)
	if d.Cols != 1 {
		badArgument(op, "d is %v, want 1 column", d)
	}
	return wholeStack(op, "d", d, losses)
}

// CheckMatMul checks the arguments of MatMul and returns the dimensions of its
// product: [rows, inner] by [inner, cols].
func CheckMatMul(a, b *Tensor, ta, tb bool) (rows, inner, cols int) {
	const op = "MatMul"
	needType(op, "a", a, F32)
	needType(op, "b", b, F32)
	rows, inner = a.Rows, a.Cols
	if ta {
		rows, inner = inner, rows
	}
	from, cols := b.Rows, b.Cols
	if tb {
		from, cols = cols, from
	}
	if from != inner {
		badArgument(op, "a %v (transposed: %t) does not fit b %v (%t)", a, ta, b, tb)
	}
	return rows, inner, cols
}

// CheckMultiply checks the arguments of Multiply.
func CheckMultiply(x, y *Tensor) {
	const op = "Multiply"
	needType(op, "x", x, F32)
	needType(op, "y", y, F32)
	if y.Cols != x.Cols && y.Cols != 1 || y.Rows == 0 && x.Rows != 0 || y.Rows != 0 && x.Rows%y.Rows != 0 {
		badArgument(op, "y %v does not repeat to x %v", y, x)
	}
}

// CheckScale checks the argument of Scale.
func CheckScale(x *Tensor) { needType("Scale", "x", x, F32) }

// CheckSumRows checks the arguments of SumRows.
func CheckSumRows(dst, x *Tensor) {
	const op = "SumRows"
	needType(op, "dst", dst, F32)
	needType(op, "x", x, F32)
	needTensor(op, "x", x, F32, x.Rows, dst.Cols)
	if dst.Rows == 0 && x.Rows != 0 || dst.Rows != 0 && x.Rows%dst.Rows != 0 {
		badArgument(op, "x %v is not whole repetitions of dst %v", x, dst)
	}
}

// CheckScatterAdd checks the arguments of ScatterAdd and returns the number of
// variants of dst.
func CheckScatterAdd(dst, x, idx *Tensor, span int) (variants int) {
	const op = "ScatterAdd"
	needType(op, "dst", dst, F32)
	needType(op, "x", x, F32)
	needType(op, "idx", idx, I32)
	needTensor(op, "idx", idx, I32, idx.Rows, 1)
	if span < 1 || dst.Rows%span != 0 {
		badArgument(op, "dst %v is not whole variants of %d rows", dst, span)
	}
	needTensor(op, "x", x, F32, x.Rows, dst.Cols)
	variants = dst.Rows / span
	wholeStack(op, "x", x, variants*idx.Rows)
	return variants
}

// CheckUnitSums checks the arguments of UnitSums.
func CheckUnitSums(dst, x, y *Tensor, seg *Sequences) {
	const op = "UnitSums"
	needType(op, "x", x, F32)
	needType(op, "y", y, F32)
	if dst == nil || dst.Type != F64 {
		needType(op, "dst", dst, F32)
	}
	if x.Cols != y.Cols {
		badArgument(op, "x %v and y %v differ in columns", x, y)
	}
	wholeStack(op, "x", x, y.Rows)
	if dst.Cols == 0 && x.Cols != 0 || dst.Cols != 0 && x.Cols%dst.Cols != 0 {
		badArgument(op, "units of dst %v do not divide the columns of x %v", dst, x)
	}
	segments := 1
	if seg != nil {
		segments = seg.Count()
		if n := seg.Rows(); n == 0 || y.Rows%n != 0 {
			badArgument(op, "y %v is not whole variants of %d rows", y, n)
		}
	}
	if dst.Rows != segments {
		badArgument(op, "dst %v for %d segments", dst, segments)
	}
}

// CheckLinearBackward checks the arguments of LinearBackward.
func CheckLinearBackward(dy *Tensor, w *Weight) {
	const op = "LinearBackward"
	needType(op, "dy", dy, F32)
	if w == nil {
		badArgument(op, "w is nil")
	}
	if w.Rows != dy.Cols {
		badArgument(op, "dy %v does not fit weight %s [%d, %d]", dy, w.Name, w.Rows, w.Cols)
	}
}

// CheckDerivative checks the arguments of Derivative.
func CheckDerivative(x *Tensor, act Activation) {
	needType("Derivative", "x", x, F32)
	checkActivation("Derivative", act)
}

// CheckLayerNormBackward checks the arguments of LayerNormBackward; x has at
// least one column.
func CheckLayerNormBackward(dy, x, residual *Tensor, gamma *Weight) (stack int) {
	const op = "LayerNormBackward"
	stack = checkNormalized(op, dy, x, residual)
	needWeight(op, "gamma", gamma, 1, x.Cols)
	return stack
}

// CheckLayerNormWeights checks the arguments of LayerNormWeights; x has at least
// one column.
func CheckLayerNormWeights(dgamma, dbeta, dy, x, residual *Tensor) (stack int) {
	const op = "LayerNormWeights"
	stack = checkNormalized(op, dy, x, residual)
	if dgamma != nil {
		needTensor(op, "dgamma", dgamma, F32, 1, x.Cols)
	}
	if dbeta != nil {
		needTensor(op, "dbeta", dbeta, F32, 1, x.Cols)
	}
	return stack
}

// checkNormalized checks what the derivatives of LayerNorm have in common.
func checkNormalized(op string, dy, x, residual *Tensor) (stack int) {
	needType(op, "x", x, F32)
	if x.Cols == 0 {
		badArgument(op, "x %v has no columns", x)
	}
	if residual != nil {
		needTensor(op, "residual", residual, F32, x.Rows, x.Cols)
	}
	return needStack(op, dy, x.Rows, x.Cols)
}

// CheckAttentionBackward checks the arguments of AttentionBackward and returns
// the number of variants of q and of gradients in dy.
func CheckAttentionBackward(dy, q, k, v *Tensor, spec AttentionSpec) (variants, stack int) {
	const op = "AttentionBackward"
	if spec.HeadMask != nil {
		badArgument(op, "a head mask: multiply by it in MaskUnits")
	}
	variants = checkAttention(op, q, k, v, spec)
	return variants, needStack(op, dy, q.Rows, q.Cols)
}

// CheckSoftmaxBackward checks the arguments of SoftmaxBackward.
func CheckSoftmaxBackward(dy, y *Tensor) (stack int) {
	const op = "SoftmaxBackward"
	needType(op, "y", y, F32)
	if y.Cols == 0 {
		badArgument(op, "y %v has no columns", y)
	}
	return needStack(op, dy, y.Rows, y.Cols)
}

// CheckScatterMeanBackward checks the arguments of ScatterMeanBackward.
func CheckScatterMeanBackward(dy, idx *Tensor, rows int) (stack int) {
	const op = "ScatterMeanBackward"
	needType(op, "dy", dy, F32)
	needType(op, "idx", idx, I32)
	needTensor(op, "idx", idx, I32, idx.Rows, 1)
	if rows < 0 {
		badArgument(op, "%d rows", rows)
	}
	return needStack(op, dy, rows, dy.Cols)
}

// CheckPatchifyBackward checks the arguments of PatchifyBackward and returns the
// number of images, those of all gradients in dy.
func CheckPatchifyBackward(dy *Tensor, s PatchSpec) (images int) {
	const op = "PatchifyBackward"
	needType(op, "dy", dy, F32)
	checkPatchSpec(op, s)
	if dy.Cols != s.Channels*s.Patch*s.Patch || dy.Rows%s.Patches() != 0 {
		badArgument(op, "dy %v are not patches of %+v", dy, s)
	}
	return dy.Rows / s.Patches()
}

// CheckRemoveUnitsBackward checks the arguments of RemoveUnitsBackward.
func CheckRemoveUnitsBackward(dy, values, consumer, units *Tensor, width int) (stack int) {
	const op = "RemoveUnitsBackward"
	needType(op, "dy", dy, F32)
	needType(op, "values", values, F32)
	if width < 1 || values.Cols%width != 0 {
		badArgument(op, "values %v are not whole units of %d columns", values, width)
	}
	needTensor(op, "consumer", consumer, F32, values.Cols, dy.Cols)
	needType(op, "units", units, I32)
	needTensor(op, "units", units, I32, units.Rows, 1)
	if units.Rows == 0 || values.Rows%units.Rows != 0 {
		badArgument(op, "units %v do not divide the rows of values %v", units, values)
	}
	return needStack(op, dy, values.Rows, dy.Cols)
}

// CheckNormalizeRowsBackward checks the arguments of NormalizeRowsBackward.
func CheckNormalizeRowsBackward(dy, x *Tensor) (stack int) {
	const op = "NormalizeRowsBackward"
	needType(op, "x", x, F32)
	return needStack(op, dy, x.Rows, x.Cols)
}

// CheckKLDivergenceBackward checks the arguments of KLDivergenceBackward; x has
// at least one column and tau is positive.
func CheckKLDivergenceBackward(d, x, base *Tensor, tau float64) (stack int) {
	const op = "KLDivergenceBackward"
	stack = checkVariantGradients(op, d, x, base)
	if x.Cols == 0 {
		badArgument(op, "x %v has no columns", x)
	}
	if !(tau > 0) {
		badArgument(op, "tau is %v", tau)
	}
	return stack
}

// CheckSquaredErrorBackward checks the arguments of SquaredErrorBackward.
func CheckSquaredErrorBackward(d, x, base *Tensor) (stack int) {
	return checkVariantGradients("SquaredErrorBackward", d, x, base)
}

// checkVariantGradients: x [V*n, c], base [n, c], d [R*V, 1]. Without rows there
// are as many variants as gradients.
func checkVariantGradients(op string, d, x, base *Tensor) (stack int) {
	needType(op, "base", base, F32)
	needType(op, "x", x, F32)
	needTensor(op, "x", x, F32, x.Rows, base.Cols)
	if base.Rows == 0 && x.Rows == 0 {
		return needGradients(op, d, d.Rows)
	}
	if base.Rows == 0 || x.Rows%base.Rows != 0 {
		badArgument(op, "base %v does not repeat to x %v", base, x)
	}
	return needGradients(op, d, x.Rows/base.Rows)
}

// CheckManifoldLossBackward checks the arguments of ManifoldLossBackward.
func CheckManifoldLossBackward(d, aa, ae, ee *Tensor) (stack int) {
	const op = "ManifoldLossBackward"
	needType(op, "aa", aa, F32)
	needTensor(op, "aa", aa, F32, aa.Rows, aa.Rows)
	needTensor(op, "ae", ae, F32, aa.Rows, aa.Rows)
	needTensor(op, "ee", ee, F32, aa.Rows, aa.Rows)
	return needGradients(op, d, 1)
}

// CheckManifoldLossRowsBackward checks the arguments of
// ManifoldLossRowsBackward.
func CheckManifoldLossRowsBackward(d, a, e *Tensor) (stack int) {
	const op = "ManifoldLossRowsBackward"
	needType(op, "a", a, F32)
	needTensor(op, "e", e, F32, a.Rows, a.Cols)
	return needGradients(op, d, 1)
}

// CheckAdamW checks the arguments of AdamW.
func CheckAdamW(w, m, v, g *Tensor, s AdamWStep) {
	const op = "AdamW"
	needType(op, "w", w, F32)
	needTensor(op, "m", m, F32, w.Rows, w.Cols)
	needTensor(op, "v", v, F32, w.Rows, w.Cols)
	needTensor(op, "g", g, F32, w.Rows, w.Cols)
	if s.Step < 1 {
		badArgument(op, "step %d, want one from 1", s.Step)
	}
	if !(s.Beta1 >= 0 && s.Beta1 < 1 && s.Beta2 >= 0 && s.Beta2 < 1) {
		badArgument(op, "beta %v and %v, want them in [0, 1)", s.Beta1, s.Beta2)
	}
}

// CheckSquaredNorm checks the arguments of SquaredNorm.
func CheckSquaredNorm(dst, x *Tensor) {
	needTensor("SquaredNorm", "dst", dst, F64, 1, 1)
	needType("SquaredNorm", "x", x, F32)
}
