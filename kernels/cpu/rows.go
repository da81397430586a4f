//go:build cgo

package cpu

// #include "kernels.h"
import "C"

import "optin/kernels"

func (o *ops) LayerNorm(x, residual *kernels.Tensor, gamma, beta *kernels.Weight, eps float64) *kernels.Tensor {
	kernels.CheckLayerNorm(x, residual, gamma, beta)
	y := o.real(x.Rows, x.Cols)
	C.optin_cpu_layernorm_f32(o.isa, floats(y), floats(x), floats(residual), o.plain(gamma), o.plain(beta),
		C.double(eps), C.size_t(x.Rows), C.size_t(x.Cols))
	return y
}

func (o *ops) Activate(x *kernels.Tensor, act kernels.Activation) *kernels.Tensor {
	kernels.CheckActivate(x, act)
	y := o.real(x.Rows, x.Cols)
	C.optin_cpu_activate_f32(o.isa, floats(y), floats(x), C.int(act), size(x))
	return y
}

func (o *ops) Add(x, y *kernels.Tensor) *kernels.Tensor {
	kernels.CheckAdd(x, y)
	z := o.real(x.Rows, x.Cols)
	if z.Len() > 0 {
		C.optin_cpu_add_f32(o.isa, floats(z), floats(x), floats(y), size(x), size(y))
	}
	return z
}

func (o *ops) MaskUnits(x, mask *kernels.Tensor) *kernels.Tensor {
	kernels.CheckMaskUnits(x, mask)
	y := o.real(x.Rows, x.Cols)
	o.maskUnits(y, x, mask)
	return y
}

// maskUnits writes x times mask to dst, which may be x.
func (o *ops) maskUnits(dst, x, mask *kernels.Tensor) {
	if x.Len() == 0 {
		return
	}
	C.optin_cpu_mask_units_f32(o.isa, floats(dst), floats(x), floats(mask), C.size_t(x.Rows), C.size_t(x.Cols),
		C.size_t(x.Rows/mask.Rows), C.size_t(x.Cols/mask.Cols))
}

func (o *ops) Softmax(x *kernels.Tensor) *kernels.Tensor {
	kernels.CheckSoftmax(x)
	y := o.real(x.Rows, x.Cols)
	C.optin_cpu_softmax_f32(o.isa, floats(y), floats(x), C.size_t(x.Rows), C.size_t(x.Cols))
	return y
}
