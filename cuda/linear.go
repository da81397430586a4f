//go:build cuda

package cuda

import "optin/kernels"

// Linear is a product of cuBLAS and one pass of the epilogue over it, or, in a precision below
// float32, what fused does.
func (o *ops) Linear(x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue) *kernels.Tensor {
	kernels.CheckLinear(x, w, e)
	y := o.floats(x.Rows, w.Rows)
	if y.Len() == 0 {
		return y
	}
	o.tally.MACs += kernels.LinearMACs(x, w)
	if o.dev.format != nil {
		o.fused(y, x, w, e)
		return y
	}
	o.product(y, x, o.plain(w), false, true)
	if e != (kernels.Epilogue{}) {
		o.epilogue(y, e)
	}
	return y
}

// epilogue turns the product y into mask act(y + bias) + residual.
func (o *ops) epilogue(y *kernels.Tensor, e kernels.Epilogue) {
	span, width := units(y, e.Mask)
	o.table("optin_epilogue_f32", y.Rows, y.Cols, address(y), address(o.plain(e.Bias)), address(e.Mask), address(e.Residual),
		number(y.Rows), number(y.Cols), number(int(e.Act)), number(span), number(width))
}

// units are the rows of a variant of mask and the columns of a unit of y; 1 where there is
// no mask.
func units(y, mask *kernels.Tensor) (span, width int) {
	if mask == nil {
		return 1, 1
	}
	return y.Rows / mask.Rows, y.Cols / mask.Cols
}

// product is y = op(x) op(z); x and z may be empty.
func (o *ops) product(y, x, z *kernels.Tensor, tx, tz bool) {
	switch {
	case y.Len() == 0:
	case x.Len() == 0:
		o.zero(y)
	default:
		o.multiply(y, x, z, tx, tz, 0)
	}
}

func (o *ops) LinearBackward(dy *kernels.Tensor, w *kernels.Weight) *kernels.Tensor {
	kernels.CheckLinearBackward(dy, w)
	o.tally.MACs += kernels.LinearBackwardMACs(dy, w)
	dx := o.floats(dy.Rows, w.Cols)
	o.product(dx, dy, o.plain(w), false, false)
	return dx
}

func (o *ops) MatMul(a, b *kernels.Tensor, ta, tb bool) *kernels.Tensor {
	rows, inner, cols := kernels.CheckMatMul(a, b, ta, tb)
	o.tally.MACs += kernels.MatMulMACs(rows, inner, cols)
	y := o.floats(rows, cols)
	o.product(y, a, b, ta, tb)
	return y
}

func (o *ops) GramAdd(gram, a, b *kernels.Tensor) {
	kernels.CheckGramAdd(gram, a, b)
	o.tally.LossMACs += kernels.GramMACs(a, b)
	if gram.Len() > 0 && a.Rows > 0 {
		o.multiply(gram, a, b, true, false, 1)
	}
}
