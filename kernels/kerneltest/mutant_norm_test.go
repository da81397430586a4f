package kerneltest_test

import (
	"math"

	"optin/kernels"
)

func normMutants() []mutant {
	return []mutant{
		{"LayerNorm without eps", "LayerNorm", func(ops kernels.Ops) kernels.Ops {
			return &layerNormEps{plain{ops}, func(float64) float64 { return 0 }}
		}},
		{"LayerNorm with eps 1e-5 always", "LayerNorm", func(ops kernels.Ops) kernels.Ops {
			return &layerNormEps{plain{ops}, func(float64) float64 { return 1e-5 }}
		}},
		{"LayerNorm by mean of squares", "LayerNorm", func(ops kernels.Ops) kernels.Ops { return &meanOfSquares{plain{ops}, 0} }},
		{"LayerNorm with the unbiased variance", "LayerNorm", func(ops kernels.Ops) kernels.Ops { return &meanOfSquares{plain{ops}, 1} }},
		activated("ReLU swallows NaN", func(act kernels.Activation, x, y float64) float64 {
			if act == kernels.ReLU && !(x > 0) {
				return 0
			}
			return y
		}),
		activated("GELU clamps", func(act kernels.Activation, x, y float64) float64 {
			if act == kernels.GELU && x > 20 {
				return 20
			}
			return y
		}),
		activated("GELU overflows", func(act kernels.Activation, x, y float64) float64 {
			if act == kernels.GELUTanh && x < -88 {
				return math.NaN()
			}
			return y
		}),
		activated("quick GELU of 1.7 x", func(act kernels.Activation, x, y float64) float64 {
			if act == kernels.GELUQuick {
				return x / (1 + math.Exp(-1.7*x))
			}
			return y
		}),
		activated("quick GELU overflows", func(act kernels.Activation, x, y float64) float64 {
			if act == kernels.GELUQuick { // x e/(1 + e) in float32
				e := float32(math.Exp(1.702 * x))
				return x * float64(e/(1+e))
			}
			return y
		}),
		activated("quick GELU is 0 at -Inf", func(act kernels.Activation, x, y float64) float64 {
			if act == kernels.GELUQuick && math.IsInf(x, -1) {
				return 0
			}
			return y
		}),
		activated("tanh of small values", func(act kernels.Activation, x, y float64) float64 {
			if act == kernels.Tanh { // 1 - 2/(exp(2x) + 1) in float32
				return 1 - 2/float64(float32(math.Exp(2*x))+1)
			}
			return y
		}),
		activated("erf good to 5 digits", func(act kernels.Activation, x, y float64) float64 {
			if act == kernels.GELU {
				return y + 1e-5*x
			}
			return y
		}),
		softmaxed("Softmax without its maximum", func(row []float64) {
			var sum float32
			for i, v := range row {
				e := float32(math.Exp(v))
				row[i] = float64(e)
				sum += e
			}
			for i := range row {
				row[i] = float64(float32(row[i]) / sum)
			}
		}),
		softmaxed("Softmax leaves the tail", func(row []float64) {
			top, sum := math.Inf(-1), 0.0
			for _, v := range row {
				top = max(top, v)
			}
			for i, v := range row {
				row[i] = math.Exp(v - top)
				if i < len(row)/8*8 || len(row) < 8 {
					sum += row[i]
				}
			}
			for i := range row {
				row[i] /= sum
			}
		}),
	}
}

type layerNormEps struct {
	plain
	eps func(float64) float64
}

func (m *layerNormEps) LayerNorm(x, residual *kernels.Tensor, gamma, beta *kernels.Weight, eps float64) *kernels.Tensor {
	return m.Ops.LayerNorm(x, residual, gamma, beta, m.eps(eps))
}

// meanOfSquares takes the variance as E[s s] - E[s] E[s] in float32, or divides
// it by n - less.
type meanOfSquares struct {
	plain
	less float64
}

func (m *meanOfSquares) LayerNorm(x, residual *kernels.Tensor, gamma, beta *kernels.Weight, eps float64) *kernels.Tensor {
	y := m.Ops.LayerNorm(x, residual, gamma, beta, eps)
	g, _ := gamma.Values()
	b, _ := beta.Values()
	n := float64(x.Cols)
	for r := range x.Rows {
		s := append([]float64(nil), at(x)[r*x.Cols:(r+1)*x.Cols]...)
		var sum, squares float32
		for c := range s {
			if residual != nil {
				s[c] += at(residual)[r*x.Cols+c]
			}
			sum += float32(s[c])
			squares += float32(s[c]) * float32(s[c])
		}
		mean := sum / float32(n)
		variance := float64(squares/float32(n) - mean*mean)
		if m.less > 0 && n > 1 {
			variance = 0
			for _, v := range s {
				variance += (v - float64(mean)) * (v - float64(mean)) / (n - m.less)
			}
		}
		for c, v := range s {
			at(y)[r*x.Cols+c] = float64(g[c])*(v-float64(mean))/math.Sqrt(variance+eps) + float64(b[c])
		}
	}
	return y
}

// activated makes a mutant of Activate: y is the right value for x.
func activated(name string, change func(act kernels.Activation, x, y float64) float64) mutant {
	return mutant{name, "Activate", func(ops kernels.Ops) kernels.Ops { return &activateChanged{plain{ops}, change} }}
}

type activateChanged struct {
	plain
	change func(act kernels.Activation, x, y float64) float64
}

func (m *activateChanged) Activate(x *kernels.Tensor, act kernels.Activation) *kernels.Tensor {
	y := m.Ops.Activate(x, act)
	for i, v := range at(x) {
		at(y)[i] = m.change(act, v, at(y)[i])
	}
	return y
}

// softmaxed makes a mutant with another softmax of a row.
func softmaxed(name string, softmax func(row []float64)) mutant {
	return mutant{name, "Softmax", func(ops kernels.Ops) kernels.Ops { return &softmaxChanged{plain{ops}, softmax} }}
}

type softmaxChanged struct {
	plain
	softmax func(row []float64)
}

func (m *softmaxChanged) Softmax(x *kernels.Tensor) *kernels.Tensor {
	y := m.Ops.Activate(x, kernels.Identity)
	for r := range y.Rows {
		m.softmax(at(y)[r*y.Cols : (r+1)*y.Cols])
	}
	return y
}
