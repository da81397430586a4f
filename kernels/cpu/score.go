//go:build cgo

package cpu

// #include "kernels.h"
// #include "onednn.h"
import "C"

import (
	"unsafe"

	"optin/kernels"
)

func (o *ops) RemoveUnits(sum, values, consumer, units *kernels.Tensor, width int) *kernels.Tensor {
	kernels.CheckRemoveUnits(sum, values, consumer, units, width)
	kernels.CheckIndices("RemoveUnits", units.I32, -1, values.Cols/width)
	o.tally.LossMACs += kernels.RemoveUnitsMACs(sum, width)
	y := o.real(sum.Rows, sum.Cols)
	if y.Len() == 0 {
		return y
	}
	span := sum.Rows / units.Rows
	for v, u := range units.I32 {
		if u < 0 {
			copy(y.F32[v*span*y.Cols:(v+1)*span*y.Cols], sum.F32[v*span*y.Cols:])
			continue
		}
		column := int(u) * width
		C.optin_cpu_remove_unit_f32(o.isa, at(y, v*span, 0), at(sum, v*span, 0), at(values, v*span, column), C.size_t(values.Cols),
			at(consumer, column, 0), C.size_t(span), C.size_t(y.Cols), C.size_t(width))
	}
	return y
}

// at is the address of t's element [r, c], which exists.
func at(t *kernels.Tensor, r, c int) *C.float {
	return (*C.float)(unsafe.Pointer(&t.F32[r*t.Cols+c]))
}

func (o *ops) NormalizeRows(x *kernels.Tensor) *kernels.Tensor {
	kernels.CheckNormalizeRows(x)
	return o.normalize(x, nil)
}

func (o *ops) NormalizedDifference(x, phi *kernels.Tensor) *kernels.Tensor {
	kernels.CheckNormalizedDifference(x, phi)
	return o.normalize(x, phi)
}

func (o *ops) normalize(x, phi *kernels.Tensor) *kernels.Tensor {
	y := o.real(x.Rows, x.Cols)
	C.optin_cpu_normalize_f32(o.isa, floats(y), floats(x), floats(phi), C.size_t(x.Rows), C.size_t(x.Cols))
	return y
}

// GramAdd computes about half of the product where a is b, and tallies all of it.
func (o *ops) GramAdd(gram, a, b *kernels.Tensor) {
	kernels.CheckGramAdd(gram, a, b)
	o.tally.LossMACs += kernels.GramMACs(a, b)
	if gram.Len() == 0 || a.Rows == 0 {
		return
	}
	if floats(a) == floats(b) && a.Cols == b.Cols {
		mark := o.Mark()
		scratch := o.real(1, int(C.optin_cpu_gram_scratch(C.int64_t(a.Cols))))
		must(C.optin_cpu_gram_f32(floats(gram), floats(a), C.int64_t(a.Rows), C.int64_t(a.Cols), o.isa, floats(scratch)))
		o.Release(mark)
		return
	}
	o.addGemm(gram, a, b, true, false)
}

func (o *ops) ManifoldLoss(dst, aa, ae, ee *kernels.Tensor) {
	kernels.CheckManifoldLoss(dst, aa, ae, ee)
	o.tally.LossMACs += kernels.ManifoldMACs(aa)
	C.optin_cpu_manifold_f64(o.isa, doubles(dst), floats(aa), floats(ae), floats(ee), C.size_t(aa.Rows))
}

// ManifoldLossRows needs one product: with m = (A + E/2) E',
//
//	A E' + E A' + E E' = m + m'
func (o *ops) ManifoldLossRows(dst, a, e *kernels.Tensor) {
	kernels.CheckManifoldLossRows(dst, a, e)
	o.tally.LossMACs += kernels.ManifoldRowsMACs(a)
	if a.Len() == 0 {
		return
	}
	mark := o.Mark()
	C.optin_cpu_symmetric_norm_f64(o.isa, doubles(dst), floats(o.manifoldHalf(a, e)), C.size_t(a.Rows))
	o.Release(mark)
}

// manifoldHalf is (a + e/2) e'.
func (o *ops) manifoldHalf(a, e *kernels.Tensor) *kernels.Tensor {
	m := o.real(a.Rows, a.Rows)
	mark := o.Mark()
	middle := o.real(a.Rows, a.Cols)
	C.optin_cpu_add_half_f32(o.isa, floats(middle), floats(a), floats(e), size(a))
	o.gemm(m, middle, e, false, true)
	o.Release(mark)
	return m
}

func (o *ops) KLDivergence(dst, x, base *kernels.Tensor, tau float64) {
	kernels.CheckKLDivergence(dst, x, base, tau)
	C.optin_cpu_kl_divergence_f64(o.isa, doubles(dst), floats(x), floats(base), C.double(tau),
		C.size_t(dst.Rows), C.size_t(base.Rows), C.size_t(base.Cols))
}

func (o *ops) SquaredError(dst, x, base *kernels.Tensor) {
	kernels.CheckSquaredError(dst, x, base)
	C.optin_cpu_squared_error_f64(o.isa, doubles(dst), floats(x), floats(base), C.size_t(dst.Rows), size(base))
}
