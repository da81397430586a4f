//go:build cgo

package cpu

// #include "kernels.h"
// #include "onednn.h"
import "C"

import "optin/kernels"

var _ kernels.Backward = (*ops)(nil)

func (o *ops) MatMul(a, b *kernels.Tensor, ta, tb bool) *kernels.Tensor {
	rows, inner, cols := kernels.CheckMatMul(a, b, ta, tb)
	o.tally.MACs += kernels.MatMulMACs(rows, inner, cols)
	y := o.real(rows, cols)
	if inner == 0 {
		clear(y.F32)
	} else if y.Len() > 0 {
		o.gemm(y, a, b, ta, tb)
	}
	return y
}

// gemm is y = op(a) op(b), none of which is empty.
func (o *ops) gemm(y, a, b *kernels.Tensor, ta, tb bool) { multiply(y, a, b, ta, tb, 0) }

// addGemm is y += op(a) op(b), none of which is empty.
func (o *ops) addGemm(y, a, b *kernels.Tensor, ta, tb bool) { multiply(y, a, b, ta, tb, 1) }

func multiply(y, a, b *kernels.Tensor, ta, tb bool, add C.int) {
	g := C.optin_cpu_gemm{
		add: add,
		M:   C.int64_t(y.Rows), N: C.int64_t(y.Cols), K: C.int64_t(a.Cols),
		lda: C.int64_t(a.Cols), ldb: C.int64_t(b.Cols), ldc: C.int64_t(y.Cols),
	}
	if ta {
		g.ta, g.K = 1, C.int64_t(a.Rows)
	}
	if tb {
		g.tb = 1
	}
	must(C.optin_cpu_gemm_f32(floats(y), floats(a), floats(b), g))
}

func (o *ops) Multiply(x, y *kernels.Tensor) *kernels.Tensor {
	kernels.CheckMultiply(x, y)
	z := o.real(x.Rows, x.Cols)
	switch {
	case z.Len() == 0:
	case y.Cols == x.Cols:
		C.optin_cpu_multiply_f32(o.isa, floats(z), floats(x), floats(y), size(x), size(y))
	default:
		C.optin_cpu_multiply_rows_f32(o.isa, floats(z), floats(x), floats(y), C.size_t(x.Rows), C.size_t(x.Cols), C.size_t(y.Rows))
	}
	return z
}

func (o *ops) Scale(x *kernels.Tensor, c float64) *kernels.Tensor {
	kernels.CheckScale(x)
	y := o.real(x.Rows, x.Cols)
	C.optin_cpu_scale_f32(o.isa, floats(y), floats(x), C.float(c), size(x))
	return y
}

func (o *ops) Derivative(x *kernels.Tensor, act kernels.Activation) *kernels.Tensor {
	kernels.CheckDerivative(x, act)
	y := o.real(x.Rows, x.Cols)
	C.optin_cpu_derivative_f32(o.isa, floats(y), floats(x), C.int(act), size(x))
	return y
}

func (o *ops) LayerNormBackward(dy, x, residual *kernels.Tensor, gamma *kernels.Weight, eps float64) *kernels.Tensor {
	stack := kernels.CheckLayerNormBackward(dy, x, residual, gamma)
	dx := o.real(dy.Rows, dy.Cols)
	mark := o.Mark()
	scratch := o.real(C.OPTIN_NORM_ROWS, x.Cols)
	C.optin_cpu_layernorm_backward_f32(o.isa, floats(dx), floats(dy), floats(x), floats(residual), o.plain(gamma), C.double(eps),
		C.size_t(stack), C.size_t(x.Rows), C.size_t(x.Cols), floats(scratch))
	o.Release(mark)
	return dx
}

func (o *ops) LayerNormWeights(dgamma, dbeta, dy, x, residual *kernels.Tensor, eps float64) {
	stack := kernels.CheckLayerNormWeights(dgamma, dbeta, dy, x, residual)
	mark := o.Mark()
	scratch := o.real(1, x.Cols)
	C.optin_cpu_layernorm_weights_f32(o.isa, floats(dgamma), floats(dbeta), floats(dy), floats(x), floats(residual), C.double(eps),
		C.size_t(stack), C.size_t(x.Rows), C.size_t(x.Cols), floats(scratch))
	o.Release(mark)
}

func (o *ops) SoftmaxBackward(dy, y *kernels.Tensor) *kernels.Tensor {
	stack := kernels.CheckSoftmaxBackward(dy, y)
	dx := o.real(dy.Rows, dy.Cols)
	C.optin_cpu_softmax_backward_f32(o.isa, floats(dx), floats(dy), floats(y), C.size_t(stack), C.size_t(y.Rows), C.size_t(y.Cols))
	return dx
}
