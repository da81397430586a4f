//go:build cuda

package cuda

import "optin/kernels"

func (o *ops) KLDivergence(dst, x, base *kernels.Tensor, tau float64) {
	kernels.CheckKLDivergence(dst, x, base, tau)
	if x.Rows == 0 {
		return
	}
	mark := o.Mark()
	partial := o.doubles(x.Rows)
	o.teams("optin_kl_divergence_f64", "optin_kl_divergence_wide_f64", x.Rows, x.Cols, address(partial), address(x), address(base),
		double(tau), number(x.Rows), number(base.Rows), number(x.Cols))
	o.addSums(dst, partial, dst.Rows, base.Rows)
	o.Release(mark)
}

func (o *ops) KLDivergenceBackward(d, x, base *kernels.Tensor, tau float64) *kernels.Tensor {
	stack := kernels.CheckKLDivergenceBackward(d, x, base, tau)
	dx := o.floats(stack*x.Rows, x.Cols)
	o.teams("optin_kl_divergence_backward_f32", "optin_kl_divergence_backward_wide_f32", dx.Rows, dx.Cols, address(dx), address(d), address(x),
		address(base), double(tau), number(dx.Rows), number(x.Rows), number(base.Rows), number(x.Cols))
	return dx
}

func (o *ops) SquaredError(dst, x, base *kernels.Tensor) {
	kernels.CheckSquaredError(dst, x, base)
	if x.Len() == 0 {
		return
	}
	mark := o.Mark()
	chunks := min(ceil(base.Len(), 8192), max(1, 2048/dst.Rows))
	partial := o.doubles(dst.Rows * chunks)
	o.launch("optin_squared_error_f64", size{x: dst.Rows * chunks}, size{x: 256}, address(partial), address(x), address(base),
		number(chunks), long(base.Len()))
	o.addSums(dst, partial, dst.Rows, chunks)
	o.Release(mark)
}

func (o *ops) SquaredErrorBackward(d, x, base *kernels.Tensor) *kernels.Tensor {
	stack := kernels.CheckSquaredErrorBackward(d, x, base)
	dx := o.floats(stack*x.Rows, x.Cols)
	if dx.Len() == 0 {
		return dx
	}
	variants := x.Rows / base.Rows
	o.launch("optin_squared_error_backward_f32", size{x: ceil(base.Len(), 1024), y: min(stack*variants, maxGridY)}, size{x: 256},
		address(dx), address(d), address(x), address(base), number(stack*variants), number(variants), long(base.Len()))
	return dx
}

// removedAsTheyCome is the widest unit whose columns the kernels of RemoveUnits take one by
// one, and not by tiles.
const removedAsTheyCome = 4

func (o *ops) RemoveUnits(sum, values, consumer, units *kernels.Tensor, width int) *kernels.Tensor {
	kernels.CheckRemoveUnits(sum, values, consumer, units, width)
	o.checkIndices("RemoveUnits", units, -1, values.Cols/width)
	o.tally.LossMACs += kernels.RemoveUnitsMACs(sum, width)
	y := o.floats(sum.Rows, sum.Cols)
	if y.Len() == 0 {
		return y
	}
	span := sum.Rows / units.Rows
	name, across, block := "optin_remove_units_f32", 128, size{x: 32, y: 8}
	if width > removedAsTheyCome {
		name, across, block = "optin_remove_units_wide_f32", 64, size{x: 256}
	}
	o.launch(name, size{x: units.Rows * ceil(span, 64), y: ceil(sum.Cols, across)}, block, address(y), address(sum), address(values),
		address(consumer), address(units), number(span), number(sum.Cols), number(values.Cols), number(width))
	return y
}

func (o *ops) RemoveUnitsBackward(dy, values, consumer, units *kernels.Tensor, width int) *kernels.Tensor {
	stack := kernels.CheckRemoveUnitsBackward(dy, values, consumer, units, width)
	o.checkIndices("RemoveUnitsBackward", units, -1, values.Cols/width)
	o.tally.LossMACs += kernels.RemoveUnitsBackwardMACs(dy, width)
	dx := o.floats(stack*values.Rows, values.Cols)
	o.zero(dx)
	if dx.Len() == 0 || dy.Cols == 0 {
		return dx
	}
	variants, span := units.Rows, values.Rows/units.Rows
	if width <= removedAsTheyCome {
		o.launch("optin_remove_units_backward_f32", size{x: ceil(dx.Rows, 4)}, size{x: 128}, address(dx), address(dy), address(consumer),
			address(units), number(dx.Rows), number(variants), number(span), number(dy.Cols), number(values.Cols), number(width))
		return dx
	}
	o.launch("optin_remove_units_backward_wide_f32", size{x: stack * variants * ceil(span, 64), y: ceil(width, 64)}, size{x: 256},
		address(dx), address(dy), address(consumer), address(units),
		number(variants), number(span), number(dy.Cols), number(values.Cols), number(width))
	return dx
}
