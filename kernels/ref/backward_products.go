package ref

import (
	"math"

	"optin/kernels"
)

var _ kernels.Backward = (*ops)(nil)

func (o *ops) MatMul(a, b *kernels.Tensor, ta, tb bool) *kernels.Tensor {
	rows, inner, cols := kernels.CheckMatMul(a, b, ta, tb)
	o.tally.MACs += kernels.MatMulMACs(rows, inner, cols)
	y := o.real(rows, cols)
	clear(y.F64)
	for i := range rows {
		for k := range inner {
			for j := range cols {
				row(y, i)[j] += element(a, ta, i, k) * element(b, tb, k, j)
			}
		}
	}
	return y
}

// element is the element in row i and column j of t, or of its transpose.
func element(t *kernels.Tensor, transposed bool, i, j int) float64 {
	if transposed {
		i, j = j, i
	}
	return t.F64[i*t.Cols+j]
}

func (o *ops) LinearBackward(dy *kernels.Tensor, w *kernels.Weight) *kernels.Tensor {
	kernels.CheckLinearBackward(dy, w)
	o.tally.MACs += kernels.LinearBackwardMACs(dy, w)
	weight := o.dev.values(w)
	dx := o.real(dy.Rows, w.Cols)
	clear(dx.F64)
	for r := range dy.Rows {
		for j, g := range row(dy, r) {
			addScaled(row(dx, r), g, weight[j*w.Cols:(j+1)*w.Cols])
		}
	}
	return dx
}

func (o *ops) Multiply(x, y *kernels.Tensor) *kernels.Tensor {
	kernels.CheckMultiply(x, y)
	z := o.real(x.Rows, x.Cols)
	for r := range x.Rows {
		factors := row(y, r%y.Rows)
		for c, v := range row(x, r) {
			row(z, r)[c] = v * factors[c%y.Cols] // of one column, the first
		}
	}
	return z
}

func (o *ops) Scale(x *kernels.Tensor, c float64) *kernels.Tensor {
	kernels.CheckScale(x)
	y := o.real(x.Rows, x.Cols)
	for i, v := range x.F64 {
		y.F64[i] = c * v
	}
	return y
}

func (o *ops) Derivative(x *kernels.Tensor, act kernels.Activation) *kernels.Tensor {
	kernels.CheckDerivative(x, act)
	y := o.real(x.Rows, x.Cols)
	for i, v := range x.F64 {
		y.F64[i] = derivative(act, v)
	}
	return y
}

// derivative is act'(x).
func derivative(act kernels.Activation, x float64) float64 {
	switch act {
	case kernels.GELU:
		density := math.Exp(-x*x/2) / math.Sqrt(2*math.Pi)
		return (1+math.Erf(x/math.Sqrt2))/2 + x*density
	case kernels.GELUTanh:
		const cube = 0.044715
		slope := math.Sqrt(2 / math.Pi)
		t := math.Tanh(slope * (x + cube*x*x*x))
		return (1+t)/2 + x/2*(1-t*t)*slope*(1+3*cube*x*x)
	case kernels.GELUQuick:
		s := quickSigmoid(x)
		return s + quickSlope*x*s*(1-s)
	case kernels.ReLU:
		if math.IsNaN(x) {
			return x
		}
		if x > 0 {
			return 1
		}
		return 0
	case kernels.Tanh:
		t := math.Tanh(x)
		return 1 - t*t
	}
	return 1
}
