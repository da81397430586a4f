//go:build cuda

package cuda

import (
	"math"

	"optin/kernels"
)

func (o *ops) Activate(x *kernels.Tensor, act kernels.Activation) *kernels.Tensor {
	kernels.CheckActivate(x, act)
	return o.each("optin_activate_f32", x, number(int(act)))
}

func (o *ops) Derivative(x *kernels.Tensor, act kernels.Activation) *kernels.Tensor {
	kernels.CheckDerivative(x, act)
	return o.each("optin_derivative_f32", x, number(int(act)))
}

func (o *ops) Scale(x *kernels.Tensor, c float64) *kernels.Tensor {
	kernels.CheckScale(x)
	return o.each("optin_scale_f32", x, real(c))
}

// each is a kernel on all elements of x.
func (o *ops) each(name string, x *kernels.Tensor, how uint64) *kernels.Tensor {
	y := o.floats(x.Rows, x.Cols)
	o.flat(name, x.Len(), address(y), address(x), how, long(x.Len()))
	return y
}

func (o *ops) Add(x, y *kernels.Tensor) *kernels.Tensor {
	kernels.CheckAdd(x, y)
	return o.combine("optin_add_f32", x, y)
}

func (o *ops) Multiply(x, y *kernels.Tensor) *kernels.Tensor {
	kernels.CheckMultiply(x, y)
	if y.Cols == x.Cols {
		return o.combine("optin_multiply_f32", x, y)
	}
	z := o.floats(x.Rows, x.Cols)
	o.table("optin_multiply_rows_f32", x.Rows, x.Cols, address(z), address(x), address(y),
		number(x.Rows), number(x.Cols), number(y.Rows))
	return z
}

// combine is a kernel on x and on y, which repeats.
func (o *ops) combine(name string, x, y *kernels.Tensor) *kernels.Tensor {
	z := o.floats(x.Rows, x.Cols)
	if z.Len() > 0 {
		repeats := x.Rows / y.Rows
		o.table(name, repeats, y.Len(), address(z), address(x), address(y), long(repeats), long(y.Len()))
	}
	return z
}

func (o *ops) MaskUnits(x, mask *kernels.Tensor) *kernels.Tensor {
	kernels.CheckMaskUnits(x, mask)
	y := o.floats(x.Rows, x.Cols)
	if y.Len() > 0 {
		o.table("optin_mask_units_f32", x.Rows, x.Cols, address(y), address(x), address(mask),
			number(x.Rows), number(x.Cols), number(x.Rows/mask.Rows), number(x.Cols/mask.Cols))
	}
	return y
}

func (o *ops) Concat(x, y *kernels.Tensor) *kernels.Tensor {
	kernels.CheckConcat(x, y)
	z := o.floats(x.Rows+y.Rows, x.Cols)
	o.copyBytes(z.Device, x.Device, 4*x.Len())
	o.copyBytes(z.Device+uintptr(4*x.Len()), y.Device, 4*y.Len())
	return z
}

func (o *ops) Repeat(x *kernels.Tensor, variants int) *kernels.Tensor {
	kernels.CheckRepeat(x, variants)
	y := o.floats(variants*x.Rows, x.Cols)
	o.table("optin_repeat_f32", variants, x.Len(), address(y), address(x), long(variants), long(x.Len()))
	return y
}

func (o *ops) AdamW(w, m, v, g *kernels.Tensor, s kernels.AdamWStep) {
	kernels.CheckAdamW(w, m, v, g, s)
	correct := func(beta float64) float64 { return 1 / (1 - math.Pow(beta, float64(s.Step))) }
	o.launch("optin_adamw_f32", size{x: ceil(w.Len(), flatPart)}, size{x: flatBlock},
		address(w), address(m), address(v), address(g), real(s.Gradient),
		real(s.Beta1), real(1-s.Beta1), real(correct(s.Beta1)),
		real(s.Beta2), real(1-s.Beta2), real(correct(s.Beta2)),
		real(s.Rate), real(s.Eps), real(s.Decay), long(w.Len()))
}
