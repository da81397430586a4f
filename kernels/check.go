package kernels

import "fmt"

// The Check functions are the argument checks that every interpreter makes
// before it computes: they panic with a message that begins "kernels: Op:"
// where shapes or types do not fit, and cost nothing to speak of otherwise.
// Any dimension may be 0 unless said otherwise.

// badArgument is the one way out of the checks.
func badArgument(op, format string, args ...any) {
	panic("kernels: " + op + ": " + fmt.Sprintf(format, args...))
}

func needType(op, name string, t *Tensor, want DType) {
	if t == nil {
		badArgument(op, "%s is nil", name)
	}
	if t.Type != want {
		badArgument(op, "%s is %v, want type %v", name, t, want)
	}
}

func needTensor(op, name string, t *Tensor, want DType, rows, cols int) {
	needType(op, name, t, want)
	if t.Rows != rows || t.Cols != cols {
		badArgument(op, "%s is %v, want [%d, %d]", name, t, rows, cols)
	}
}

func needWeight(op, name string, w *Weight, rows, cols int) {
	if w == nil {
		badArgument(op, "%s is nil", name)
	}
	if w.Rows != rows || w.Cols != cols {
		badArgument(op, "%s (%s) is [%d, %d], want [%d, %d]", name, w.Name, w.Rows, w.Cols, rows, cols)
	}
}

// needMask checks that mask has whole units in cols and whole variants in rows.
func needMask(op string, mask *Tensor, rows, cols int) {
	needType(op, "mask", mask, F32)
	if mask.Rows == 0 || rows%mask.Rows != 0 {
		badArgument(op, "mask %v: its rows do not divide %d rows", mask, rows)
	}
	if mask.Cols == 0 && cols != 0 || mask.Cols != 0 && cols%mask.Cols != 0 {
		badArgument(op, "mask %v: its units do not divide %d columns", mask, cols)
	}
}

// CheckShape checks the arguments of New and Alloc.
func CheckShape(op string, rows, cols int) {
	if rows < 0 || cols < 0 {
		badArgument(op, "shape [%d, %d]", rows, cols)
	}
}

// CheckUpload checks that there are rows*cols values.
func CheckUpload(rows, cols, values int) {
	CheckShape("Upload", rows, cols)
	if values != rows*cols {
		badArgument("Upload", "%d values for [%d, %d]", values, rows, cols)
	}
}

// CheckDownload checks that dst has the length of t.
func CheckDownload(t *Tensor, dst []float64) {
	if t == nil || len(dst) != t.Len() {
		badArgument("Download", "%v into %d values", t, len(dst))
	}
}

// CheckCopy checks that dst and src have one shape and one type.
func CheckCopy(dst, src *Tensor) {
	if src == nil {
		badArgument("Copy", "src is nil")
	}
	needTensor("Copy", "dst", dst, src.Type, src.Rows, src.Cols)
}

// CheckLinear checks the arguments of Linear.
func CheckLinear(x *Tensor, w *Weight, e Epilogue) {
	const op = "Linear"
	needType(op, "x", x, F32)
	if w == nil {
		badArgument(op, "w is nil")
	}
	if w.Cols != x.Cols {
		badArgument(op, "x %v does not fit weight %s [%d, %d]", x, w.Name, w.Rows, w.Cols)
	}
	checkActivation(op, e.Act)
	if e.Bias != nil {
		needWeight(op, "bias", e.Bias, 1, w.Rows)
	}
	if e.Mask != nil {
		needMask(op, e.Mask, x.Rows, w.Rows)
	}
	if e.Residual != nil {
		needTensor(op, "residual", e.Residual, F32, x.Rows, w.Rows)
	}
}

// CheckLayerNorm checks the arguments of LayerNorm; x has at least one column.
func CheckLayerNorm(x, residual *Tensor, gamma, beta *Weight) {
	const op = "LayerNorm"
	needType(op, "x", x, F32)
	if x.Cols == 0 {
		badArgument(op, "x %v has no columns", x)
	}
	if residual != nil {
		needTensor(op, "residual", residual, F32, x.Rows, x.Cols)
	}
	needWeight(op, "gamma", gamma, 1, x.Cols)
	needWeight(op, "beta", beta, 1, x.Cols)
}

// CheckAttention checks the arguments of Attention and returns the number of
// variants. Heads may be 0 where there are no columns.
func CheckAttention(q, k, v *Tensor, spec AttentionSpec) (variants int) {
	return checkAttention("Attention", q, k, v, spec)
}

func checkAttention(op string, q, k, v *Tensor, spec AttentionSpec) (variants int) {
	needType(op, "q", q, F32)
	needType(op, "k", k, F32)
	needTensor(op, "v", v, F32, k.Rows, q.Cols)
	if k.Cols != q.Cols {
		badArgument(op, "q %v and k %v differ in columns", q, k)
	}
	if spec.Heads < 0 || spec.Heads == 0 && q.Cols != 0 || spec.Heads > 0 && q.Cols%spec.Heads != 0 {
		badArgument(op, "%d heads do not divide the columns of q %v", spec.Heads, q)
	}
	if spec.Q == nil || spec.K == nil {
		badArgument(op, "no sequences")
	}
	if spec.Q.Count() != spec.K.Count() {
		badArgument(op, "%d sequences of queries, %d of keys", spec.Q.Count(), spec.K.Count())
	}
	variants = spec.Q.Variants(q.Rows)
	if k.Rows != variants*spec.K.Rows() {
		badArgument(op, "k %v, want %d variants of %d rows", k, variants, spec.K.Rows())
	}
	if m := spec.HeadMask; m != nil {
		needType(op, "head mask", m, F32)
		if m.Cols != spec.Heads || m.Rows == 0 || variants%m.Rows != 0 {
			badArgument(op, "head mask %v for %d variants of %d heads", m, variants, spec.Heads)
		}
	}
	if spec.Bias != nil {
		needTensor(op, "bias", spec.Bias, F32, spec.Heads*spec.Q.Max, spec.K.Max)
	}
	if b := spec.KeyBias; b != nil {
		needType(op, "key bias", b, F32)
		if b.Cols != 1 || b.Rows != k.Rows && b.Rows != spec.K.Rows() {
			badArgument(op, "key bias %v, want [%d, 1] or [%d, 1]", b, k.Rows, spec.K.Rows())
		}
	}
	return variants
}

func checkActivation(op string, act Activation) {
	if act > Tanh {
		badArgument(op, "activation %d", uint8(act))
	}
}

// CheckActivate checks the arguments of Activate.
func CheckActivate(x *Tensor, act Activation) {
	needType("Activate", "x", x, F32)
	checkActivation("Activate", act)
}

// CheckAdd checks the arguments of Add.
func CheckAdd(x, y *Tensor) {
	needType("Add", "x", x, F32)
	needType("Add", "y", y, F32)
	if x.Cols != y.Cols || y.Rows == 0 && x.Rows != 0 || y.Rows != 0 && x.Rows%y.Rows != 0 {
		badArgument("Add", "y %v does not repeat to x %v", y, x)
	}
}

// CheckMaskUnits checks the arguments of MaskUnits.
func CheckMaskUnits(x, mask *Tensor) {
	needType("MaskUnits", "x", x, F32)
	needMask("MaskUnits", mask, x.Rows, x.Cols)
}

// CheckSoftmax checks the argument of Softmax, which has at least one column.
func CheckSoftmax(x *Tensor) {
	needType("Softmax", "x", x, F32)
	if x.Cols == 0 {
		badArgument("Softmax", "x %v has no columns", x)
	}
}

// CheckEmbed checks the arguments of Embed.
func CheckEmbed(ids *Tensor, table *Weight, add *Tensor) {
	const op = "Embed"
	needType(op, "ids", ids, I32)
	needTensor(op, "ids", ids, I32, ids.Rows, 1)
	if table == nil {
		badArgument(op, "table is nil")
	}
	if add != nil {
		needTensor(op, "add", add, F32, ids.Rows, table.Cols)
	}
}

// CheckIndices checks that each index lies in [from, to). Interpreters whose
// integers are in host memory call it for Embed, Gather, ScatterMean, ScatterAdd,
// ScatterMeanBackward (from 0), RemoveUnits and RemoveUnitsBackward (from -1).
func CheckIndices(op string, idx []int32, from, to int) {
	for r, i := range idx {
		if int(i) < from || int(i) >= to {
			badArgument(op, "index %d in row %d is not in [%d, %d)", i, r, from, to)
		}
	}
}

// CheckPatchify checks the arguments of Patchify.
func CheckPatchify(images *Tensor, s PatchSpec) {
	const op = "Patchify"
	needType(op, "images", images, F32)
	checkPatchSpec(op, s)
	if images.Cols != s.Channels*s.Height*s.Width {
		badArgument(op, "images %v are not %+v", images, s)
	}
}

func checkPatchSpec(op string, s PatchSpec) {
	if s.Channels < 1 || s.Height < 1 || s.Width < 1 || s.Patch < 1 || s.Height%s.Patch != 0 || s.Width%s.Patch != 0 {
		badArgument(op, "%+v does not cut into whole patches", s)
	}
}

// CheckUnpack checks the argument of Unpack.
func CheckUnpack(w *Weight) {
	if w == nil {
		badArgument("Unpack", "w is nil")
	}
}
