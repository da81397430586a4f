package kerneltest_test

import (
	"math"

	"optin/kernels"
)

func backwardNormMutants() []mutant {
	return []mutant{
		slope("GELU's derivative without the density", func(act kernels.Activation, x, y float64) float64 {
			if act == kernels.GELU {
				return (1 + math.Erf(x/math.Sqrt2)) / 2
			}
			return y
		}),
		slope("the other GELU's derivative", func(act kernels.Activation, x, y float64) float64 {
			if act == kernels.GELUTanh {
				return (1+math.Erf(x/math.Sqrt2))/2 + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
			}
			return y
		}),
		slope("GELU's derivative overflows", func(act kernels.Activation, x, y float64) float64 {
			if float32(x)*float32(x) > math.MaxFloat32 && act == kernels.GELUTanh {
				return math.NaN()
			}
			return y
		}),
		slope("the quick GELU's derivative without its factor", func(act kernels.Activation, x, y float64) float64 {
			if act == kernels.GELUQuick && !math.IsNaN(y) {
				s := 1 / (1 + math.Exp(-1.702*x))
				return s + x*s*(1-s)
			}
			return y
		}),
		slope("the quick GELU's derivative overflows", func(act kernels.Activation, x, y float64) float64 {
			if act == kernels.GELUQuick && math.IsInf(float64(float32(1.702)*float32(x)), 0) {
				return math.NaN()
			}
			return y
		}),
		slope("the quick GELU's derivative at infinity is its limit", func(act kernels.Activation, x, y float64) float64 {
			if act == kernels.GELUQuick && math.IsInf(x, 0) {
				return max(0, math.Copysign(1, x))
			}
			return y
		}),
		slope("ReLU's derivative at 0 is 1", func(act kernels.Activation, x, y float64) float64 {
			if x == 0 && act == kernels.ReLU {
				return 1
			}
			return y
		}),
		slope("ReLU's derivative swallows NaN", func(act kernels.Activation, x, y float64) float64 {
			if math.IsNaN(x) && act == kernels.ReLU {
				return 0
			}
			return y
		}),
		slope("the derivative of tanh good to 5 digits", func(act kernels.Activation, _, y float64) float64 {
			if act == kernels.Tanh {
				return y + 1e-5
			}
			return y
		}),
		normed("LayerNormBackward without eps", func(m *derived, dy, x, res *kernels.Tensor, gamma *kernels.Weight, _ float64) *kernels.Tensor {
			return m.Backward.LayerNormBackward(dy, x, res, gamma, 0)
		}),
		normed("LayerNormBackward forgets the residual", func(m *derived, dy, x, _ *kernels.Tensor, gamma *kernels.Weight, eps float64) *kernels.Tensor {
			return m.Backward.LayerNormBackward(dy, x, nil, gamma, eps)
		}),
		normed("LayerNormBackward forgets gamma", func(m *derived, dy, x, res *kernels.Tensor, gamma *kernels.Weight, eps float64) *kernels.Tensor {
			values := make([]float32, gamma.Cols)
			for i := range values {
				values[i] = 1
			}
			return m.Backward.LayerNormBackward(dy, x, res, kernels.WeightOf("ones", 1, gamma.Cols, values), eps)
		}),
		normed("LayerNormBackward forgets that the mean moves", func(m *derived, dy, x, res *kernels.Tensor, gamma *kernels.Weight, eps float64) *kernels.Tensor {
			dx := m.Backward.LayerNormBackward(dy, x, res, gamma, eps)
			for r := range dx.Rows {
				at(dx)[r*dx.Cols] += 1e-4 * at(dy)[r*dx.Cols]
			}
			return dx
		}),
		normed("LayerNormBackward of the first of a stack for all", func(m *derived, dy, x, res *kernels.Tensor, gamma *kernels.Weight, eps float64) *kernels.Tensor {
			first := dy.Slice(0, x.Rows)
			return m.Repeat(m.Backward.LayerNormBackward(&first, x, res, gamma, eps), max(dy.Rows, 1)/max(x.Rows, 1))
		}),
		backwards("LayerNormWeights gives beta gamma's", "LayerNormWeights", func(d derived) kernels.Ops { return &gammaTwice{d} }),
		backwards("LayerNormWeights overwrites", "LayerNormWeights", func(d derived) kernels.Ops { return &weightsOverwritten{d} }),
		backwards("LayerNormWeights of the first of a stack", "LayerNormWeights", func(d derived) kernels.Ops { return &firstWeights{d} }),
		backwards("SoftmaxBackward is p dy", "SoftmaxBackward", func(d derived) kernels.Ops { return &diagonalOnly{d} }),
		backwards("SoftmaxBackward leaves the tail of the mean", "SoftmaxBackward", func(d derived) kernels.Ops { return &meanWithoutTail{d} }),
	}
}

// slope makes a mutant of Derivative: y is the right value for x.
func slope(name string, change func(act kernels.Activation, x, y float64) float64) mutant {
	return backwards(name, "Derivative", func(d derived) kernels.Ops { return &slopeChanged{d, change} })
}

type slopeChanged struct {
	derived
	change func(act kernels.Activation, x, y float64) float64
}

func (m *slopeChanged) Derivative(x *kernels.Tensor, act kernels.Activation) *kernels.Tensor {
	y := m.Backward.Derivative(x, act)
	for i, v := range at(x) {
		at(y)[i] = m.change(act, v, at(y)[i])
	}
	return y
}

type normBackward func(m *derived, dy, x, res *kernels.Tensor, gamma *kernels.Weight, eps float64) *kernels.Tensor

// normed makes a mutant with another LayerNormBackward.
func normed(name string, call normBackward) mutant {
	return backwards(name, "LayerNormBackward", func(d derived) kernels.Ops { return &normChanged{d, call} })
}

type normChanged struct {
	derived
	call normBackward
}

func (m *normChanged) LayerNormBackward(dy, x, res *kernels.Tensor, gamma *kernels.Weight, eps float64) *kernels.Tensor {
	return m.call(&m.derived, dy, x, res, gamma, eps)
}

type gammaTwice struct{ derived }

func (m *gammaTwice) LayerNormWeights(dgamma, dbeta, dy, x, res *kernels.Tensor, eps float64) {
	if dbeta != nil {
		m.Backward.LayerNormWeights(dbeta, nil, dy, x, res, eps)
	}
	m.Backward.LayerNormWeights(dgamma, nil, dy, x, res, eps)
}

type weightsOverwritten struct{ derived }

func (m *weightsOverwritten) LayerNormWeights(dgamma, dbeta, dy, x, res *kernels.Tensor, eps float64) {
	for _, t := range []*kernels.Tensor{dgamma, dbeta} {
		if t != nil {
			clear(at(t))
		}
	}
	m.Backward.LayerNormWeights(dgamma, dbeta, dy, x, res, eps)
}

type firstWeights struct{ derived }

func (m *firstWeights) LayerNormWeights(dgamma, dbeta, dy, x, res *kernels.Tensor, eps float64) {
	first := dy.Slice(0, x.Rows)
	m.Backward.LayerNormWeights(dgamma, dbeta, &first, x, res, eps)
}

type diagonalOnly struct{ derived }

func (m *diagonalOnly) SoftmaxBackward(dy, y *kernels.Tensor) *kernels.Tensor {
	return m.Multiply(dy, y)
}

type meanWithoutTail struct{ derived }

func (m *meanWithoutTail) SoftmaxBackward(dy, y *kernels.Tensor) *kernels.Tensor {
	dx := m.Backward.SoftmaxBackward(dy, y)
	if c := dx.Cols; c > 8 && c%8 != 0 {
		for i, p := range at(m.Repeat(y, dx.Rows/y.Rows)) {
			last := i/c*c + c - 1
			at(dx)[i] += p * at(y)[last%y.Len()] * at(dy)[last]
		}
	}
	return dx
}
