package kernels

// What each op adds to its interpreter's Tally, so that all count alike.

// LinearMACs is the product of Linear: goes to Tally.MACs.
func LinearMACs(x *Tensor, w *Weight) int64 {
	return int64(x.Rows) * int64(w.Rows) * int64(w.Cols)
}

// AttentionMACs is both products of Attention over the pairs of query and key
// that Causal leaves; what masks and key biases hide is counted. Goes to
// Tally.MACs.
func AttentionMACs(q *Tensor, spec AttentionSpec) int64 { return 2 * attentionProduct(q, spec) }

// attentionProduct is one product of Attention, over all heads and variants.
func attentionProduct(q *Tensor, spec AttentionSpec) int64 {
	var pairs int64
	for b := range spec.Q.Count() {
		queries, keys := int64(spec.Q.Len(b)), int64(spec.K.Len(b))
		if !spec.Causal {
			pairs += queries * keys
			continue
		}
		ramp := min(queries, keys) // query i < ramp sees i+1 keys, later ones all
		pairs += ramp*(ramp+1)/2 + (queries-ramp)*keys
	}
	return pairs * int64(spec.Q.Variants(q.Rows)) * int64(q.Cols)
}

// MatchMACs is the products of the tokens that Match may merge with those that may
// take them in, however many it does merge: goes to Tally.MACs.
func MatchMACs(x *Tensor, from *Sequences, keep int) int64 {
	var pairs int64
	for b := range from.Count() {
		moving, taking := MatchSides(from.Len(b), keep)
		pairs += int64(moving) * int64(taking)
	}
	return pairs * int64(from.Variants(x.Rows)) * int64(x.Cols)
}

// RemoveUnitsMACs goes to Tally.LossMACs; unit -1 counts like any other.
func RemoveUnitsMACs(sum *Tensor, width int) int64 { return int64(sum.Len()) * int64(width) }

// GramMACs goes to Tally.LossMACs.
func GramMACs(a, b *Tensor) int64 { return int64(a.Len()) * int64(b.Cols) }

// ManifoldMACs is the four sums of ManifoldLoss: goes to Tally.LossMACs.
func ManifoldMACs(aa *Tensor) int64 { return 4 * int64(aa.Len()) }

// ManifoldRowsMACs is the products a e' and e e' of ManifoldLossRows and the
// sum of squares: goes to Tally.LossMACs.
func ManifoldRowsMACs(a *Tensor) int64 {
	n := int64(a.Rows)
	return 2*n*n*int64(a.Cols) + n*n
}

// MatMulMACs is the product of MatMul by its dimensions (see CheckMatMul): goes
// to Tally.MACs.
func MatMulMACs(rows, inner, cols int) int64 { return int64(rows) * int64(inner) * int64(cols) }

// LinearBackwardMACs is the product of LinearBackward: goes to Tally.MACs.
func LinearBackwardMACs(dy *Tensor, w *Weight) int64 {
	return int64(dy.Rows) * int64(w.Rows) * int64(w.Cols)
}

// AttentionBackwardMACs is five products over the pairs that AttentionMACs
// counts: the scores, which are computed again, once for the whole stack; and for
// each gradient in it those that give the gradients to the probabilities, q, k
// and v. Goes to Tally.MACs.
func AttentionBackwardMACs(q *Tensor, spec AttentionSpec, stack int) int64 {
	return (1 + 4*int64(stack)) * attentionProduct(q, spec)
}

// RemoveUnitsBackwardMACs goes to Tally.LossMACs; unit -1 counts like any other.
func RemoveUnitsBackwardMACs(dy *Tensor, width int) int64 { return RemoveUnitsMACs(dy, width) }

// ManifoldRowsBackwardMACs is the products a e' and e e' of
// ManifoldLossRowsBackward and those of what they give with e and with a + e,
// once for the whole stack: goes to Tally.LossMACs.
func ManifoldRowsBackwardMACs(a *Tensor) int64 {
	n := int64(a.Rows)
	return 4 * n * n * int64(a.Cols)
}
