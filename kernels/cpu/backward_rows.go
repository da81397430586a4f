//go:build cgo

package cpu

// #include "kernels.h"
import "C"

import "optin/kernels"

func (o *ops) SumRows(dst, x *kernels.Tensor) {
	kernels.CheckSumRows(dst, x)
	if x.Len() == 0 {
		return
	}
	C.optin_cpu_sum_rows_f32(o.isa, floats(dst), floats(x), C.size_t(x.Rows/dst.Rows), C.size_t(dst.Rows), C.size_t(dst.Cols))
}

func (o *ops) ScatterAdd(dst, x, idx *kernels.Tensor, span int) {
	variants := kernels.CheckScatterAdd(dst, x, idx, span)
	kernels.CheckIndices("ScatterAdd", idx.I32, 0, span)
	if x.Len() == 0 {
		return
	}
	C.optin_cpu_scatter_add_f32(o.isa, floats(dst), floats(x), ints(idx), C.size_t(idx.Rows), C.size_t(x.Rows/idx.Rows),
		C.size_t(variants), C.size_t(span), C.size_t(x.Cols))
}

// UnitSums takes the sums of a segment of one variant in float32, and adds those
// to dst.
func (o *ops) UnitSums(dst, x, y *kernels.Tensor, seg *kernels.Sequences) {
	kernels.CheckUnitSums(dst, x, y, seg)
	if x.Len() == 0 {
		return
	}
	mark := o.Mark()
	scratch := o.real(1, x.Cols)
	if seg == nil {
		for from := 0; from < x.Rows; from += y.Rows {
			o.unitSums(dst, 0, x, y, from, y.Rows, scratch)
		}
		o.Release(mark)
		return
	}
	for from := 0; from < x.Rows; from += seg.Rows() {
		for s := range seg.Count() {
			o.unitSums(dst, s, x, y, from+int(seg.Offsets[s]), seg.Len(s), scratch)
		}
	}
	o.Release(mark)
}

// unitSums adds what rows from x's row from on give to row s of dst; y's rows
// repeat.
func (o *ops) unitSums(dst *kernels.Tensor, s int, x, y *kernels.Tensor, from, rows int, scratch *kernels.Tensor) {
	var narrow *C.float
	var wide *C.double
	if dst.Type == kernels.F64 {
		wide = (*C.double)(&dst.F64[s*dst.Cols])
	} else {
		narrow = at(dst, s, 0)
	}
	C.optin_cpu_unit_sums_f32(o.isa, narrow, wide, at(x, from, 0), at(y, from%y.Rows, 0), C.size_t(rows), C.size_t(x.Cols),
		C.size_t(dst.Cols), floats(scratch))
}

func (o *ops) ScatterMeanBackward(dy, idx *kernels.Tensor, rows int) *kernels.Tensor {
	stack := kernels.CheckScatterMeanBackward(dy, idx, rows)
	kernels.CheckIndices("ScatterMeanBackward", idx.I32, 0, rows)
	dx := o.real(stack*idx.Rows, dy.Cols)
	mark := o.Mark()
	count := o.New(kernels.I32, rows, 1)
	C.optin_cpu_scatter_mean_backward_f32(o.isa, floats(dx), ints(count), floats(dy), ints(idx), C.size_t(stack), C.size_t(idx.Rows),
		C.size_t(rows), C.size_t(dy.Cols))
	o.Release(mark)
	return dx
}

func (o *ops) PatchifyBackward(dy *kernels.Tensor, s kernels.PatchSpec) *kernels.Tensor {
	images := kernels.CheckPatchifyBackward(dy, s)
	dx := o.real(images, s.Channels*s.Height*s.Width)
	src := dy.F32 // shrinks from the front
	for b := range images {
		eachPatchLine(s, func(at int) {
			copy(row(dx, b)[at:], src[:s.Patch])
			src = src[s.Patch:]
		})
	}
	return dx
}
