package count

import (
	"slices"

	"optin/kernels"
)

// ops is the interpreter: checks, counts and makes shapes.
type ops struct {
	dev   *Device
	taken []*kernels.Tensor
	tally kernels.Tally
}

func (o *ops) Tally() kernels.Tally { return o.tally }

func (o *ops) New(t kernels.DType, rows, cols int) *kernels.Tensor {
	kernels.CheckShape("New", rows, cols)
	x := o.dev.take(t, rows, cols)
	o.taken = append(o.taken, x)
	return x
}

// real is a new tensor of type F32.
func (o *ops) real(rows, cols int) *kernels.Tensor { return o.New(kernels.F32, rows, cols) }

// like is a new tensor of the shape of x.
func (o *ops) like(x *kernels.Tensor) *kernels.Tensor { return o.real(x.Rows, x.Cols) }

func (o *ops) Upload(rows, cols int, values []float32) *kernels.Tensor {
	kernels.CheckUpload(rows, cols, len(values))
	return o.real(rows, cols)
}

func (o *ops) UploadInts(values []int32) *kernels.Tensor {
	return o.New(kernels.I32, len(values), 1)
}

// Download gives zeros: there are no values.
func (o *ops) Download(t *kernels.Tensor, dst []float64) {
	kernels.CheckDownload(t, dst)
	clear(dst)
}

func (o *ops) Copy(dst, src *kernels.Tensor) { kernels.CheckCopy(dst, src) }

func (o *ops) Mark() kernels.Mark { return kernels.Mark(len(o.taken)) }

func (o *ops) Release(m kernels.Mark, keep ...*kernels.Tensor) {
	if int(m) > len(o.taken) {
		panic("kernels: Release: the mark was released before")
	}
	kept := o.taken[:m]
	for _, t := range o.taken[m:] {
		if slices.Contains(keep, t) {
			kept = append(kept, t)
		} else {
			o.dev.grow(-size(t))
		}
	}
	clear(o.taken[len(kept):])
	o.taken = kept
}

func (o *ops) Linear(x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue) *kernels.Tensor {
	kernels.CheckLinear(x, w, e)
	o.dev.use(w, e.Bias)
	o.tally.MACs += kernels.LinearMACs(x, w)
	return o.real(x.Rows, w.Rows)
}

func (o *ops) LayerNorm(x, residual *kernels.Tensor, gamma, beta *kernels.Weight, _ float64) *kernels.Tensor {
	kernels.CheckLayerNorm(x, residual, gamma, beta)
	o.dev.use(gamma, beta)
	return o.like(x)
}

func (o *ops) Attention(q, k, v *kernels.Tensor, spec kernels.AttentionSpec) *kernels.Tensor {
	kernels.CheckAttention(q, k, v, spec)
	o.tally.MACs += kernels.AttentionMACs(q, spec)
	return o.like(q)
}

func (o *ops) Activate(x *kernels.Tensor, act kernels.Activation) *kernels.Tensor {
	kernels.CheckActivate(x, act)
	return o.like(x)
}

func (o *ops) Add(x, y *kernels.Tensor) *kernels.Tensor {
	kernels.CheckAdd(x, y)
	return o.like(x)
}

func (o *ops) MaskUnits(x, mask *kernels.Tensor) *kernels.Tensor {
	kernels.CheckMaskUnits(x, mask)
	return o.like(x)
}

func (o *ops) Softmax(x *kernels.Tensor) *kernels.Tensor {
	kernels.CheckSoftmax(x)
	return o.like(x)
}

func (o *ops) Embed(ids *kernels.Tensor, table *kernels.Weight, add *kernels.Tensor) *kernels.Tensor {
	kernels.CheckEmbed(ids, table, add)
	o.dev.use(table)
	return o.real(ids.Rows, table.Cols)
}

func (o *ops) Patchify(images *kernels.Tensor, s kernels.PatchSpec) *kernels.Tensor {
	kernels.CheckPatchify(images, s)
	return o.real(images.Rows*s.Patches(), s.Channels*s.Patch*s.Patch)
}

func (o *ops) Unpack(w *kernels.Weight, transpose bool) *kernels.Tensor {
	kernels.CheckUnpack(w)
	o.dev.use(w)
	if transpose {
		return o.real(w.Cols, w.Rows)
	}
	return o.real(w.Rows, w.Cols)
}

func (o *ops) Gather(x, idx *kernels.Tensor, span int) *kernels.Tensor {
	variants := kernels.CheckGather(x, idx, span)
	return o.real(variants*idx.Rows, x.Cols)
}

func (o *ops) ScatterMean(x, idx *kernels.Tensor, rows int) *kernels.Tensor {
	kernels.CheckScatterMean(x, idx, rows)
	return o.real(rows, x.Cols)
}

func (o *ops) TopK(scores *kernels.Tensor, from, to *kernels.Sequences) *kernels.Tensor {
	variants := kernels.CheckTopK(scores, from, to)
	return o.New(kernels.I32, variants*to.Rows(), 1)
}

func (o *ops) Match(x *kernels.Tensor, from, to *kernels.Sequences, keep int) *kernels.Tensor {
	kernels.CheckMatch(x, from, to, keep)
	o.tally.MACs += kernels.MatchMACs(x, from, keep)
	return o.New(kernels.I32, x.Rows, 1)
}

func (o *ops) Concat(x, y *kernels.Tensor) *kernels.Tensor {
	kernels.CheckConcat(x, y)
	return o.real(x.Rows+y.Rows, x.Cols)
}

func (o *ops) Repeat(x *kernels.Tensor, variants int) *kernels.Tensor {
	kernels.CheckRepeat(x, variants)
	return o.real(variants*x.Rows, x.Cols)
}

func (o *ops) RemoveUnits(sum, values, consumer, units *kernels.Tensor, width int) *kernels.Tensor {
	kernels.CheckRemoveUnits(sum, values, consumer, units, width)
	o.tally.LossMACs += kernels.RemoveUnitsMACs(sum, width)
	return o.like(sum)
}

func (o *ops) NormalizeRows(x *kernels.Tensor) *kernels.Tensor {
	kernels.CheckNormalizeRows(x)
	return o.like(x)
}

func (o *ops) NormalizedDifference(x, phi *kernels.Tensor) *kernels.Tensor {
	kernels.CheckNormalizedDifference(x, phi)
	return o.like(x)
}

func (o *ops) GramAdd(gram, a, b *kernels.Tensor) {
	kernels.CheckGramAdd(gram, a, b)
	o.tally.LossMACs += kernels.GramMACs(a, b)
}

func (o *ops) ManifoldLoss(dst, aa, ae, ee *kernels.Tensor) {
	kernels.CheckManifoldLoss(dst, aa, ae, ee)
	o.tally.LossMACs += kernels.ManifoldMACs(aa)
}

func (o *ops) ManifoldLossRows(dst, a, e *kernels.Tensor) {
	kernels.CheckManifoldLossRows(dst, a, e)
	o.tally.LossMACs += kernels.ManifoldRowsMACs(a)
}

func (o *ops) KLDivergence(dst, x, base *kernels.Tensor, tau float64) {
	kernels.CheckKLDivergence(dst, x, base, tau)
}

func (o *ops) SquaredError(dst, x, base *kernels.Tensor) {
	kernels.CheckSquaredError(dst, x, base)
}
