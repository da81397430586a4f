//go:build cgo

package cpu

// #include "kernels.h"
import "C"

import "optin/kernels"

func (o *ops) RemoveUnitsBackward(dy, values, consumer, units *kernels.Tensor, width int) *kernels.Tensor {
	stack := kernels.CheckRemoveUnitsBackward(dy, values, consumer, units, width)
	kernels.CheckIndices("RemoveUnitsBackward", units.I32, -1, values.Cols/width)
	o.tally.LossMACs += kernels.RemoveUnitsBackwardMACs(dy, width)
	dx := o.real(stack*values.Rows, values.Cols)
	clear(dx.F32)
	span := values.Rows / units.Rows
	if dx.Len() == 0 || dy.Cols == 0 {
		return dx
	}
	for i := range stack * units.Rows {
		u := int(units.I32[i%units.Rows])
		if u < 0 {
			continue
		}
		column := u * width
		C.optin_cpu_remove_unit_backward_f32(o.isa, at(dx, i*span, column), C.size_t(dx.Cols), at(dy, i*span, 0), at(consumer, column, 0),
			C.size_t(span), C.size_t(dy.Cols), C.size_t(width))
	}
	return dx
}

func (o *ops) NormalizeRowsBackward(dy, x *kernels.Tensor) *kernels.Tensor {
	stack := kernels.CheckNormalizeRowsBackward(dy, x)
	dx := o.real(dy.Rows, dy.Cols)
	C.optin_cpu_normalize_backward_f32(o.isa, floats(dx), floats(dy), floats(x), C.size_t(stack), C.size_t(x.Rows), C.size_t(x.Cols))
	return dx
}

func (o *ops) KLDivergenceBackward(d, x, base *kernels.Tensor, tau float64) *kernels.Tensor {
	stack := kernels.CheckKLDivergenceBackward(d, x, base, tau)
	dx := o.real(stack*x.Rows, x.Cols)
	C.optin_cpu_kl_divergence_backward_f32(o.isa, floats(dx), doubles(d), floats(x), floats(base), C.double(tau),
		C.size_t(stack), variantsOf(x, base), C.size_t(base.Rows), C.size_t(base.Cols))
	return dx
}

func (o *ops) SquaredErrorBackward(d, x, base *kernels.Tensor) *kernels.Tensor {
	stack := kernels.CheckSquaredErrorBackward(d, x, base)
	dx := o.real(stack*x.Rows, x.Cols)
	C.optin_cpu_squared_error_backward_f32(o.isa, floats(dx), doubles(d), floats(x), floats(base),
		C.size_t(stack), variantsOf(x, base), size(base))
	return dx
}

// variantsOf is how often base repeats to x.
func variantsOf(x, base *kernels.Tensor) C.size_t {
	if base.Rows == 0 {
		return 0
	}
	return C.size_t(x.Rows / base.Rows)
}

func (o *ops) ManifoldLossBackward(d, aa, ae, ee *kernels.Tensor) (daa, dae, dee *kernels.Tensor) {
	stack := kernels.CheckManifoldLossBackward(d, aa, ae, ee)
	n := aa.Rows
	daa, dae, dee = o.real(stack*n, n), o.real(stack*n, n), o.real(stack*n, n)
	for part := 0; part < stack && n > 0; part++ {
		C.optin_cpu_manifold_backward_f32(o.isa, at(daa, part*n, 0), at(dae, part*n, 0), at(dee, part*n, 0),
			floats(aa), floats(ae), floats(ee), C.double(d.F64[part]), C.size_t(n))
	}
	return daa, dae, dee
}

// ManifoldLossRowsBackward makes the symmetric M of ManifoldLossRows as that does.
// The gradients are 4 M E and 4 M (A + E), one of which is a summand of the other.
func (o *ops) ManifoldLossRowsBackward(d, a, e *kernels.Tensor) (da, de *kernels.Tensor) {
	stack := kernels.CheckManifoldLossRowsBackward(d, a, e)
	o.tally.LossMACs += kernels.ManifoldRowsBackwardMACs(a)
	da, de = o.real(stack*a.Rows, a.Cols), o.real(stack*a.Rows, a.Cols)
	if a.Len() == 0 {
		return da, de
	}
	mark := o.Mark()
	half, m := o.manifoldHalf(a, e), o.real(a.Rows, a.Rows)
	C.optin_cpu_symmetric_sum_f32(o.isa, floats(m), floats(half), 4, C.size_t(a.Rows))
	first, second := da.Slice(0, a.Rows), de.Slice(0, a.Rows)
	o.gemm(&first, m, e, false, false)
	copy(second.F32, first.F32)
	o.addGemm(&second, m, a, false, false)
	for part := stack - 1; part >= 0; part-- { // the first one is what the others are made of
		factor := C.float(d.F64[part])
		C.optin_cpu_scale_f32(o.isa, at(da, part*a.Rows, 0), floats(&first), factor, size(a))
		C.optin_cpu_scale_f32(o.isa, at(de, part*a.Rows, 0), floats(&second), factor, size(a))
	}
	o.Release(mark)
	return da, de
}
