package ref

import (
	"math"

	"optin/kernels"
)

func (o *ops) LayerNormBackward(dy, x, residual *kernels.Tensor, gamma *kernels.Weight, eps float64) *kernels.Tensor {
	kernels.CheckLayerNormBackward(dy, x, residual, gamma)
	g := o.dev.values(gamma)
	n := float64(x.Cols)
	dx := o.real(dy.Rows, dy.Cols)
	z := make([]float64, x.Cols)
	for r := range dy.Rows {
		deviation := standardize(z, x, residual, r%x.Rows, eps)
		// The part of gamma dy along the ones and along z does not reach x: the
		// mean and the variance follow it.
		mean, along := 0.0, 0.0
		for c, d := range row(dy, r) {
			mean += g[c] * d / n
			along += g[c] * d * z[c] / n
		}
		for c, d := range row(dy, r) {
			row(dx, r)[c] = (g[c]*d - mean - along*z[c]) / deviation
		}
	}
	return dx
}

// standardize writes (s - mean s)/sqrt(var s + eps) of row r of s = x + residual
// to z and returns the root.
func standardize(z []float64, x, residual *kernels.Tensor, r int, eps float64) (deviation float64) {
	copy(z, row(x, r))
	if residual != nil {
		addTo(z, row(residual, r))
	}
	mean, variance := moments(z)
	deviation = math.Sqrt(variance + eps)
	for c, v := range z {
		z[c] = (v - mean) / deviation
	}
	return deviation
}

func (o *ops) LayerNormWeights(dgamma, dbeta, dy, x, residual *kernels.Tensor, eps float64) {
	kernels.CheckLayerNormWeights(dgamma, dbeta, dy, x, residual)
	z := make([]float64, x.Cols)
	for r := range dy.Rows {
		if dbeta != nil {
			addTo(dbeta.F64, row(dy, r))
		}
		if dgamma == nil {
			continue
		}
		standardize(z, x, residual, r%x.Rows, eps)
		for c, d := range row(dy, r) {
			dgamma.F64[c] += d * z[c]
		}
	}
}

func (o *ops) SoftmaxBackward(dy, y *kernels.Tensor) *kernels.Tensor {
	kernels.CheckSoftmaxBackward(dy, y)
	dx := o.real(dy.Rows, dy.Cols)
	for r := range dy.Rows {
		copy(row(dx, r), row(dy, r))
		softmaxBackward(row(dx, r), row(y, r%y.Rows))
	}
	return dx
}

// softmaxBackward replaces d, the gradient to the probabilities p, by that to
// what they are the softmax of.
func softmaxBackward(d, p []float64) {
	mean := dot(p, d)
	for i := range d {
		d[i] = p[i] * (d[i] - mean)
	}
}
