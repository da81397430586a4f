package ref

import (
	"math"

	"optin/kernels"
)

func (o *ops) LayerNorm(x, residual *kernels.Tensor, gamma, beta *kernels.Weight, eps float64) *kernels.Tensor {
	kernels.CheckLayerNorm(x, residual, gamma, beta)
	g, b := o.dev.values(gamma), o.dev.values(beta)
	n := x.Cols
	y := o.real(x.Rows, n)
	copy(y.F64, x.F64)
	if residual != nil {
		for i, v := range residual.F64 {
			y.F64[i] += v
		}
	}
	for r := range x.Rows {
		row := y.F64[r*n : (r+1)*n]
		mean, variance := moments(row)
		for c, v := range row {
			row[c] = g[c]*(v-mean)/math.Sqrt(variance+eps) + b[c]
		}
	}
	return y
}

// moments are the mean of row and its biased variance.
func moments(row []float64) (mean, variance float64) {
	n := float64(len(row))
	for _, v := range row {
		mean += v
	}
	mean /= n
	for _, v := range row {
		variance += (v - mean) * (v - mean)
	}
	return mean, variance / n
}

func (o *ops) Softmax(x *kernels.Tensor) *kernels.Tensor {
	kernels.CheckSoftmax(x)
	y := o.real(x.Rows, x.Cols)
	for r := range x.Rows {
		row := y.F64[r*x.Cols : (r+1)*x.Cols]
		copy(row, x.F64[r*x.Cols:])
		softmax(row)
	}
	return y
}

// softmax replaces row by its softmax. A NaN makes the whole row NaN, as does
// a row of nothing but -Inf.
func softmax(row []float64) {
	top := maximum(row)
	sum := 0.0
	for i, v := range row {
		row[i] = math.Exp(v - top)
		sum += row[i]
	}
	for i := range row {
		row[i] /= sum
	}
}

// maximum is the largest value of row, NaN where one is NaN.
func maximum(row []float64) float64 {
	top := math.Inf(-1)
	for _, v := range row {
		top = max(top, v)
	}
	return top
}

// logSoftmax writes the logarithm of softmax(x/tau) to dst.
func logSoftmax(dst, x []float64, tau float64) {
	for i, v := range x {
		dst[i] = v / tau
	}
	top := maximum(dst)
	sum := 0.0
	for _, v := range dst {
		sum += math.Exp(v - top)
	}
	for i := range dst {
		dst[i] -= top + math.Log(sum)
	}
}
