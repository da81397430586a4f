package grad

import "optin/kernels"

var _ kernels.Ops = (*Tape)(nil)

// New is kernels.Memory's: an undefined tensor, a constant until an op changes it.
func (t *Tape) New(d kernels.DType, rows, cols int) *kernels.Tensor {
	return t.begin().New(d, rows, cols)
}

// Upload is kernels.Memory's.
func (t *Tape) Upload(rows, cols int, values []float32) *kernels.Tensor {
	return t.begin().Upload(rows, cols, values)
}

// UploadInts is kernels.Memory's.
func (t *Tape) UploadInts(values []int32) *kernels.Tensor { return t.begin().UploadInts(values) }

// Download is kernels.Memory's.
func (t *Tape) Download(x *kernels.Tensor, dst []float64) { t.base.Download(x, dst) }

// Copy is kernels.Memory's; gradients of dst go to src.
func (t *Tape) Copy(dst, src *kernels.Tensor) {
	t.begin().Copy(dst, src)
	if src.Type != kernels.I32 {
		t.recordChange(&copied, false, dst, src)
	}
}

// Mark is 0: see Tape.
func (t *Tape) Mark() kernels.Mark { return 0 }

// Release frees nothing: see Tape.
func (t *Tape) Release(kernels.Mark, ...*kernels.Tensor) {}

// Tally is the base's: it counts forward and backward work.
func (t *Tape) Tally() kernels.Tally { return t.base.Tally() }
