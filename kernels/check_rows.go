package kernels

// Checks of the ops that move rows and of those that score.

// CheckGather checks the arguments of Gather and returns the number of variants.
func CheckGather(x, idx *Tensor, span int) (variants int) {
	const op = "Gather"
	needType(op, "x", x, F32)
	needType(op, "idx", idx, I32)
	needTensor(op, "idx", idx, I32, idx.Rows, 1)
	if span < 1 || x.Rows%span != 0 {
		badArgument(op, "x %v is not whole variants of %d rows", x, span)
	}
	return x.Rows / span
}

// CheckScatterMean checks the arguments of ScatterMean.
func CheckScatterMean(x, idx *Tensor, rows int) {
	const op = "ScatterMean"
	needType(op, "x", x, F32)
	needTensor(op, "idx", idx, I32, x.Rows, 1)
	if rows < 0 {
		badArgument(op, "%d rows", rows)
	}
}

// CheckTopK checks the arguments of TopK and returns the number of variants.
func CheckTopK(scores *Tensor, from, to *Sequences) (variants int) {
	const op = "TopK"
	needType(op, "scores", scores, F32)
	needTensor(op, "scores", scores, F32, scores.Rows, 1)
	return needShorter(op, "scores", scores, from, to, func(n int) int { return n })
}

// MatchSides is how many of n tokens Match may merge into others, at even places, and how
// many may take them in, at odd ones, where the first keep stay themselves. There are none of
// the one without some of the other.
func MatchSides(n, keep int) (moving, taking int) {
	moving, taking = (n+1)/2-(keep+1)/2, n/2-keep/2
	if moving <= 0 || taking <= 0 {
		return 0, 0
	}
	return moving, taking
}

// CheckMatch checks the arguments of Match and returns the number of variants.
func CheckMatch(x *Tensor, from, to *Sequences, keep int) (variants int) {
	const op = "Match"
	needType(op, "x", x, F32)
	if keep < 0 {
		badArgument(op, "the first %d tokens stay themselves", keep)
	}
	return needShorter(op, "x", x, from, to, func(n int) int {
		moving, _ := MatchSides(n, keep)
		return moving
	})
}

// needShorter checks that each sequence loses from none to most(n) of its n rows, and that x
// is whole variants of them.
func needShorter(op, name string, x *Tensor, from, to *Sequences, most func(n int) int) (variants int) {
	if from == nil || to == nil {
		badArgument(op, "no sequences")
	}
	if from.Count() != to.Count() {
		badArgument(op, "%d sequences become %d", from.Count(), to.Count())
	}
	for b := range from.Count() {
		if n, left := from.Len(b), to.Len(b); left > n || n-left > most(n) {
			badArgument(op, "sequence %d of %d rows becomes one of %d: it can lose 0 to %d", b, n, left, most(n))
		}
	}
	if n := from.Rows(); n == 0 || x.Rows%n != 0 {
		badArgument(op, "%s %v is not whole variants of %d rows", name, x, n)
	}
	return x.Rows / from.Rows()
}

// CheckConcat checks the arguments of Concat.
func CheckConcat(x, y *Tensor) {
	needType("Concat", "x", x, F32)
	needType("Concat", "y", y, F32)
	if x.Cols != y.Cols {
		badArgument("Concat", "x %v and y %v differ in columns", x, y)
	}
}

// CheckRepeat checks the arguments of Repeat.
func CheckRepeat(x *Tensor, variants int) {
	needType("Repeat", "x", x, F32)
	if variants < 1 {
		badArgument("Repeat", "%d variants", variants)
	}
}

// CheckRemoveUnits checks the arguments of RemoveUnits.
func CheckRemoveUnits(sum, values, consumer, units *Tensor, width int) {
	const op = "RemoveUnits"
	needType(op, "sum", sum, F32)
	needType(op, "values", values, F32)
	if values.Rows != sum.Rows {
		badArgument(op, "values %v and sum %v differ in rows", values, sum)
	}
	if width < 1 || values.Cols%width != 0 {
		badArgument(op, "values %v are not whole units of %d columns", values, width)
	}
	needTensor(op, "consumer", consumer, F32, values.Cols, sum.Cols)
	needType(op, "units", units, I32)
	needTensor(op, "units", units, I32, units.Rows, 1)
	if units.Rows == 0 || sum.Rows%units.Rows != 0 {
		badArgument(op, "units %v do not divide the rows of sum %v", units, sum)
	}
}

// CheckNormalizeRows checks the argument of NormalizeRows.
func CheckNormalizeRows(x *Tensor) { needType("NormalizeRows", "x", x, F32) }

// CheckNormalizedDifference checks the arguments of NormalizedDifference.
func CheckNormalizedDifference(x, phi *Tensor) {
	needType("NormalizedDifference", "x", x, F32)
	needTensor("NormalizedDifference", "phi", phi, F32, x.Rows, x.Cols)
}

// CheckGramAdd checks the arguments of GramAdd.
func CheckGramAdd(gram, a, b *Tensor) {
	const op = "GramAdd"
	needType(op, "a", a, F32)
	needType(op, "b", b, F32)
	if a.Rows != b.Rows {
		badArgument(op, "a %v and b %v differ in rows", a, b)
	}
	needTensor(op, "gram", gram, F32, a.Cols, b.Cols)
}

// CheckManifoldLoss checks the arguments of ManifoldLoss.
func CheckManifoldLoss(dst, aa, ae, ee *Tensor) {
	const op = "ManifoldLoss"
	needTensor(op, "dst", dst, F64, 1, 1)
	needType(op, "aa", aa, F32)
	needTensor(op, "aa", aa, F32, aa.Rows, aa.Rows)
	needTensor(op, "ae", ae, F32, aa.Rows, aa.Rows)
	needTensor(op, "ee", ee, F32, aa.Rows, aa.Rows)
}

// CheckManifoldLossRows checks the arguments of ManifoldLossRows.
func CheckManifoldLossRows(dst, a, e *Tensor) {
	const op = "ManifoldLossRows"
	needTensor(op, "dst", dst, F64, 1, 1)
	needType(op, "a", a, F32)
	needTensor(op, "e", e, F32, a.Rows, a.Cols)
}

// CheckKLDivergence checks the arguments of KLDivergence; x has at least one
// column and tau is positive.
func CheckKLDivergence(dst, x, base *Tensor, tau float64) {
	const op = "KLDivergence"
	checkVariantLoss(op, dst, x, base)
	if x.Cols == 0 {
		badArgument(op, "x %v has no columns", x)
	}
	if !(tau > 0) {
		badArgument(op, "tau is %v", tau)
	}
}

// CheckSquaredError checks the arguments of SquaredError.
func CheckSquaredError(dst, x, base *Tensor) { checkVariantLoss("SquaredError", dst, x, base) }

// checkVariantLoss: x [V*n, c], base [n, c], dst [V, 1].
func checkVariantLoss(op string, dst, x, base *Tensor) {
	needType(op, "x", x, F32)
	needType(op, "base", base, F32)
	needType(op, "dst", dst, F64)
	needTensor(op, "dst", dst, F64, dst.Rows, 1)
	needTensor(op, "x", x, F32, dst.Rows*base.Rows, base.Cols)
}
