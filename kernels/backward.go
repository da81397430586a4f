package kernels

// Backward are the derivatives of Ops, for package grad: an interpreter that can
// be differentiated implements both on one value. Each method is named after its
// op and takes what that op took. dy is the gradient of some scalar to the op's
// result, what comes out its gradient to an argument.
//
// dy (d of the losses) may stack several gradients of one call: R*n rows, R at
// least 1, where the call's result had n. The call's own tensors then repeat, and
// gradients to tensors have R times the rows of what they are gradients to, part
// after part. Methods that add to a dst, which has the shape of what it is a
// gradient to, take the sum over the stack.
//
// Products count in the Tally like those of the ops: MatMul, LinearBackward and
// AttentionBackward in MACs, RemoveUnitsBackward and ManifoldLossRowsBackward in
// LossMACs. Element-wise work is not counted.
type Backward interface {
	Ops

	// MatMul is op(a) op(b), op being the transposition where ta, tb are set.
	MatMul(a, b *Tensor, ta, tb bool) *Tensor
	// Multiply is x y for each element; y may have fewer rows, which then repeat,
	// or one column, which does.
	Multiply(x, y *Tensor) *Tensor
	// Scale is c x.
	Scale(x *Tensor, c float64) *Tensor
	// SumRows adds to dst [n, C] rows r, r+n, r+2n, ... of x [m*n, C] for each r:
	// the gradient of a repeated argument, and of a bias (n = 1).
	SumRows(dst, x *Tensor)
	// ScatterAdd adds row r of x to row idx[r] of dst: the gradient of Embed to
	// its table and of Gather to x. With V variants of dst (rows = V*span) and
	// V*len(idx) rows of x (R times that in a stack) the same idx applies to each,
	// as in Gather.
	ScatterAdd(dst, x, idx *Tensor, span int)
	// UnitSums adds to dst [S, units], for each of the S segments of seg's rows
	// and each unit of neighbouring columns, the sum of x y over both: the
	// gradient to a mask that multiplied y, x being that to the product. y is
	// [V*N, units*g], N the rows of seg, x a stack of that; variants add up. seg
	// nil: one segment, all rows. dst may be of type F32 or F64.
	UnitSums(dst, x, y *Tensor, seg *Sequences)

	// LinearBackward is dy w, the gradient to x of x w': [rows, out] and
	// [out, in] to [rows, in]. The one to w is GramAdd(dw, dy, x).
	LinearBackward(dy *Tensor, w *Weight) *Tensor
	// Derivative is act'(x): that of ReLU is 0 at 0.
	Derivative(x *Tensor, act Activation) *Tensor
	// LayerNormBackward is the gradient to x, and to residual, of LayerNorm.
	LayerNormBackward(dy, x, residual *Tensor, gamma *Weight, eps float64) *Tensor
	// LayerNormWeights adds the gradients to gamma and beta [1, C], either of
	// which may be nil.
	LayerNormWeights(dgamma, dbeta, dy, x, residual *Tensor, eps float64)
	// AttentionBackward is the gradients to q, k and v of Attention without head
	// mask (spec.HeadMask is nil; see MaskUnits). It stores no matrix of the size
	// queries times keys of a whole sequence and head beyond a worker's scratch. A
	// query all of whose keys are hidden gets and sends 0.
	AttentionBackward(dy, q, k, v *Tensor, spec AttentionSpec) (dq, dk, dv *Tensor)
	// SoftmaxBackward is the gradient to x; y is what Softmax gave.
	SoftmaxBackward(dy, y *Tensor) *Tensor
	// ScatterMeanBackward is the gradient to x [len(idx), C] of
	// ScatterMean(x, idx, rows): dy[idx[r]] over the number of rows there.
	ScatterMeanBackward(dy, idx *Tensor, rows int) *Tensor
	// PatchifyBackward puts patches back into images.
	PatchifyBackward(dy *Tensor, spec PatchSpec) *Tensor
	// RemoveUnitsBackward is the gradient to values of RemoveUnits; that to sum is
	// dy.
	RemoveUnitsBackward(dy, values, consumer, units *Tensor, width int) *Tensor
	// NormalizeRowsBackward is the gradient to x of NormalizeRows, and of
	// NormalizedDifference: 0 for a zero row.
	NormalizeRowsBackward(dy, x *Tensor) *Tensor
	// KLDivergenceBackward is the gradient to x of KLDivergence, times d [V, 1]
	// (F64), the gradient to dst; in a stack d is [R*V, 1] and gives R*V*n rows.
	KLDivergenceBackward(d, x, base *Tensor, tau float64) *Tensor
	// SquaredErrorBackward is the same of SquaredError.
	SquaredErrorBackward(d, x, base *Tensor) *Tensor
	// ManifoldLossBackward is the gradients to aa, ae and ee of ManifoldLoss, each
	// as if the others did not depend on it, times d [R, 1] (F64).
	ManifoldLossBackward(d, aa, ae, ee *Tensor) (daa, dae, dee *Tensor)
	// ManifoldLossRowsBackward is the gradients to a and e of ManifoldLossRows,
	// times d [R, 1] (F64).
	ManifoldLossRowsBackward(d, a, e *Tensor) (da, de *Tensor)

	// AdamW changes w, and the moments m and v of its shape, by one step against
	// gradient g (see AdamWStep).
	AdamW(w, m, v, g *Tensor, s AdamWStep)
	// SquaredNorm adds the sum of squares of x to the F64 scalar dst.
	SquaredNorm(dst, x *Tensor)
}

// AdamWStep is one step of AdamW (Loshchilov and Hutter, ICLR 2019), number Step
// from 1:
//
//	g = Gradient g;  m = Beta1 m + (1-Beta1) g;  v = Beta2 v + (1-Beta2) g g
//	w -= Rate (m/(1-Beta1^Step) / (sqrt(v/(1-Beta2^Step)) + Eps) + Decay w)
type AdamWStep struct {
	Rate, Beta1, Beta2, Eps, Decay float64
	Gradient                       float64 // factor of the gradient: 1/examples, clipping
	Step                           int
}
