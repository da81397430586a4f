package ref

import (
	"math"
	"slices"

	"optin/kernels"
)

// ops is the interpreter of one worker. taken is its arena: the tensors that
// live, in the order in which they were taken.
type ops struct {
	dev   *device
	taken []*kernels.Tensor
	tally kernels.Tally
}

func (o *ops) Tally() kernels.Tally { return o.tally }

// poison makes every value of t one that no result can come from unnoticed.
func poison(t *kernels.Tensor) {
	for i := range t.F64 {
		t.F64[i] = math.NaN()
	}
	for i := range t.I32 {
		t.I32[i] = math.MinInt32
	}
}

// alloc makes a tensor whose values are poisoned, or zero for type F64.
func (d *device) alloc(t kernels.DType, rows, cols int) *kernels.Tensor {
	x := &kernels.Tensor{Rows: rows, Cols: cols, Type: t}
	if t == kernels.I32 {
		x.I32 = make([]int32, rows*cols)
	} else {
		x.F64 = make([]float64, rows*cols)
	}
	if t != kernels.F64 {
		poison(x)
	}
	d.grow(size(x))
	return x
}

// free poisons x and gives its storage back to the garbage collector.
func (d *device) free(x *kernels.Tensor) {
	poison(x)
	d.grow(-size(x))
}

// size is the bytes that t takes.
func size(t *kernels.Tensor) int { return 8*len(t.F64) + 4*len(t.I32) }

func (d *device) Alloc(t kernels.DType, rows, cols int) (*kernels.Tensor, error) {
	kernels.CheckShape("Alloc", rows, cols)
	return d.alloc(t, rows, cols), nil
}

func (d *device) Free(t *kernels.Tensor) {
	if t != nil {
		d.free(t)
	}
}

func (o *ops) New(t kernels.DType, rows, cols int) *kernels.Tensor {
	kernels.CheckShape("New", rows, cols)
	x := o.dev.alloc(t, rows, cols)
	o.taken = append(o.taken, x)
	return x
}

// real is a new tensor of type F32.
func (o *ops) real(rows, cols int) *kernels.Tensor { return o.New(kernels.F32, rows, cols) }

func (o *ops) Upload(rows, cols int, values []float32) *kernels.Tensor {
	kernels.CheckUpload(rows, cols, len(values))
	y := o.real(rows, cols)
	for i, v := range values {
		y.F64[i] = float64(v)
	}
	return y
}

func (o *ops) UploadInts(values []int32) *kernels.Tensor {
	y := o.New(kernels.I32, len(values), 1)
	copy(y.I32, values)
	return y
}

func (o *ops) Download(t *kernels.Tensor, dst []float64) {
	kernels.CheckDownload(t, dst)
	copy(dst, t.F64)
	for i, v := range t.I32 {
		dst[i] = float64(v)
	}
}

func (o *ops) Copy(dst, src *kernels.Tensor) {
	kernels.CheckCopy(dst, src)
	copy(dst.F64, src.F64)
	copy(dst.I32, src.I32)
}

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
			o.dev.free(t)
		}
	}
	clear(o.taken[len(kept):])
	o.taken = kept
}
