package ref

import (
	"math"

	"optin/kernels"
)

func (o *ops) Linear(x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue) *kernels.Tensor {
	kernels.CheckLinear(x, w, e)
	in, out := w.Cols, w.Rows
	weight := o.dev.values(w)
	bias := make([]float64, out)
	if e.Bias != nil {
		bias = o.dev.values(e.Bias)
	}
	y := o.real(x.Rows, out)
	for r := range x.Rows {
		row := x.F64[r*in : (r+1)*in]
		for c := range out {
			y.F64[r*out+c] = activate(e.Act, dot(row, weight[c*in:(c+1)*in])+bias[c])
		}
	}
	if e.Mask != nil {
		maskUnits(y, y, e.Mask)
	}
	if e.Residual != nil {
		for i, v := range e.Residual.F64 {
			y.F64[i] += v
		}
	}
	o.tally.MACs += kernels.LinearMACs(x, w)
	return y
}

// dot is the sum of x[i] y[i]; y is at least as long as x.
func dot(x, y []float64) float64 {
	sum := 0.0
	for i, v := range x {
		sum += v * y[i]
	}
	return sum
}

// activate is act(x).
func activate(act kernels.Activation, x float64) float64 {
	switch act {
	case kernels.GELU:
		return x / 2 * (1 + math.Erf(x/math.Sqrt2))
	case kernels.GELUTanh:
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	case kernels.GELUQuick:
		return x * quickSigmoid(x)
	case kernels.ReLU:
		return max(x, 0) // NaN where x is
	case kernels.Tanh:
		return math.Tanh(x)
	}
	return x
}

// quickSlope is the factor of x in GELUQuick's sigmoid.
const quickSlope = 1.702

// quickSigmoid is 1/(1 + exp(-1.702 x)).
func quickSigmoid(x float64) float64 { return 1 / (1 + math.Exp(-quickSlope*x)) }

func (o *ops) Activate(x *kernels.Tensor, act kernels.Activation) *kernels.Tensor {
	kernels.CheckActivate(x, act)
	y := o.real(x.Rows, x.Cols)
	for i, v := range x.F64 {
		y.F64[i] = activate(act, v)
	}
	return y
}

func (o *ops) Add(x, y *kernels.Tensor) *kernels.Tensor {
	kernels.CheckAdd(x, y)
	z := o.real(x.Rows, x.Cols)
	for i, v := range x.F64 {
		z.F64[i] = v + y.F64[i%len(y.F64)]
	}
	return z
}

func (o *ops) MaskUnits(x, mask *kernels.Tensor) *kernels.Tensor {
	kernels.CheckMaskUnits(x, mask)
	y := o.real(x.Rows, x.Cols)
	maskUnits(y, x, mask)
	return y
}

// maskUnits writes x times mask to dst, which may be x.
func maskUnits(dst, x, mask *kernels.Tensor) {
	if x.Len() == 0 {
		return
	}
	span, width := x.Rows/mask.Rows, x.Cols/mask.Cols
	for r := range x.Rows {
		for c := range x.Cols {
			m := mask.F64[r/span*mask.Cols+c/width]
			dst.F64[r*x.Cols+c] = x.F64[r*x.Cols+c] * m
		}
	}
}
