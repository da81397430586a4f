//go:build cuda

package cuda

import "optin/kernels"

func (o *ops) LayerNorm(x, residual *kernels.Tensor, gamma, beta *kernels.Weight, eps float64) *kernels.Tensor {
	kernels.CheckLayerNorm(x, residual, gamma, beta)
	y := o.floats(x.Rows, x.Cols)
	o.teams("optin_layernorm_f32", "optin_layernorm_wide_f32", x.Rows, x.Cols, address(y), address(x), address(residual),
		address(o.plain(gamma)), address(o.plain(beta)), double(eps), number(x.Rows), number(x.Cols))
	return y
}

func (o *ops) LayerNormBackward(dy, x, residual *kernels.Tensor, gamma *kernels.Weight, eps float64) *kernels.Tensor {
	stack := kernels.CheckLayerNormBackward(dy, x, residual, gamma)
	dx := o.floats(dy.Rows, dy.Cols)
	o.teams("optin_layernorm_backward_f32", "optin_layernorm_backward_wide_f32", x.Rows, x.Cols, address(dx), address(dy), address(x),
		address(residual), address(o.plain(gamma)), double(eps), number(x.Rows), number(stack), number(x.Cols))
	return dx
}

// LayerNormWeights sums over chunks of rows, and over the chunks.
func (o *ops) LayerNormWeights(dgamma, dbeta, dy, x, residual *kernels.Tensor, eps float64) {
	stack := kernels.CheckLayerNormWeights(dgamma, dbeta, dy, x, residual)
	if dy.Rows == 0 || dgamma == nil && dbeta == nil {
		return
	}
	if dgamma == nil {
		o.sumRows(dbeta, dy, dy.Rows, dy.Cols)
		return
	}
	mark := o.Mark()
	moments := o.floats(x.Rows, 4)
	o.teams("optin_layernorm_moments_f32", "optin_layernorm_moments_wide_f32", x.Rows, x.Cols, address(moments), address(x), address(residual),
		double(eps), number(x.Rows), number(x.Cols))
	across := ceil(x.Cols, 128)
	chunks := min(ceil(x.Rows, 32), max(1, 512/across))
	partial := o.doubles(chunks * 2 * x.Cols)
	o.launch("optin_layernorm_weights_f32", size{x: across, y: chunks}, size{x: 32, y: 8}, address(partial), address(dy), address(x),
		address(residual), address(moments), number(x.Rows), number(stack), number(x.Cols))
	o.addColumns(dgamma, address(partial), chunks, 2*x.Cols, x.Cols)
	if dbeta != nil {
		o.addColumns(dbeta, address(partial)+uint64(8*x.Cols), chunks, 2*x.Cols, x.Cols)
	}
	o.Release(mark)
}

// addColumns adds to dst [1, cols] the sums of chunks at partial, stride doubles apart.
func (o *ops) addColumns(dst *kernels.Tensor, partial uint64, chunks, stride, cols int) {
	o.launch("optin_add_columns_f32", size{x: ceil(cols, 256)}, size{x: 256},
		address(dst), partial, number(chunks), long(stride), long(cols))
}

func (o *ops) Softmax(x *kernels.Tensor) *kernels.Tensor {
	kernels.CheckSoftmax(x)
	y := o.floats(x.Rows, x.Cols)
	o.teams("optin_softmax_f32", "optin_softmax_wide_f32", x.Rows, x.Cols, address(y), address(x), number(x.Rows), number(x.Cols))
	return y
}

func (o *ops) SoftmaxBackward(dy, y *kernels.Tensor) *kernels.Tensor {
	stack := kernels.CheckSoftmaxBackward(dy, y)
	dx := o.floats(dy.Rows, dy.Cols)
	o.teams("optin_softmax_backward_f32", "optin_softmax_backward_wide_f32", y.Rows, y.Cols, address(dx), address(dy), address(y),
		number(y.Rows), number(stack), number(y.Cols))
	return dx
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
	y := o.floats(x.Rows, x.Cols)
	if y.Len() > 0 {
		o.teams("optin_normalize_f32", "optin_normalize_wide_f32", x.Rows, x.Cols, address(y), address(x), address(phi),
			number(x.Rows), number(x.Cols))
	}
	return y
}

func (o *ops) NormalizeRowsBackward(dy, x *kernels.Tensor) *kernels.Tensor {
	stack := kernels.CheckNormalizeRowsBackward(dy, x)
	dx := o.floats(dy.Rows, dy.Cols)
	if dx.Len() > 0 {
		o.teams("optin_normalize_backward_f32", "optin_normalize_backward_wide_f32", x.Rows, x.Cols, address(dx), address(dy), address(x),
			number(x.Rows), number(stack), number(x.Cols))
	}
	return dx
}
