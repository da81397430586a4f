package ref

import (
	"math"

	"optin/kernels"
)

func (o *ops) RemoveUnits(sum, values, consumer, units *kernels.Tensor, width int) *kernels.Tensor {
	kernels.CheckRemoveUnits(sum, values, consumer, units, width)
	kernels.CheckIndices("RemoveUnits", units.I32, -1, values.Cols/width)
	o.tally.LossMACs += kernels.RemoveUnitsMACs(sum, width)
	y := o.real(sum.Rows, sum.Cols)
	copy(y.F64, sum.F64)
	span := sum.Rows / units.Rows
	for r := range sum.Rows {
		u := int(units.I32[r/span])
		if u < 0 {
			continue
		}
		for c := range sum.Cols {
			share := 0.0
			for i := u * width; i < (u+1)*width; i++ {
				share += row(values, r)[i] * consumer.F64[i*consumer.Cols+c]
			}
			row(y, r)[c] -= share
		}
	}
	return y
}

func (o *ops) NormalizeRows(x *kernels.Tensor) *kernels.Tensor {
	kernels.CheckNormalizeRows(x)
	y := o.real(x.Rows, x.Cols)
	copy(y.F64, x.F64)
	for r := range x.Rows {
		normalize(row(y, r))
	}
	return y
}

// normalize divides x by its length, if it has any.
func normalize(x []float64) {
	length := math.Sqrt(dot(x, x))
	if length == 0 {
		return
	}
	for c := range x {
		x[c] /= length
	}
}

func (o *ops) NormalizedDifference(x, phi *kernels.Tensor) *kernels.Tensor {
	kernels.CheckNormalizedDifference(x, phi)
	y := o.NormalizeRows(x)
	for i, v := range phi.F64 {
		y.F64[i] -= v
	}
	return y
}

func (o *ops) GramAdd(gram, a, b *kernels.Tensor) {
	kernels.CheckGramAdd(gram, a, b)
	o.tally.LossMACs += kernels.GramMACs(a, b)
	for r := range a.Rows {
		for i, v := range row(a, r) {
			for j, w := range row(b, r) {
				row(gram, i)[j] += v * w
			}
		}
	}
}

func (o *ops) ManifoldLoss(dst, aa, ae, ee *kernels.Tensor) {
	kernels.CheckManifoldLoss(dst, aa, ae, ee)
	o.tally.LossMACs += kernels.ManifoldMACs(aa)
	norm := dot(ee.F64, ee.F64)
	dst.F64[0] += 2*trace(aa, ee) + 2*trace(ae, ae) + 4*trace(ae, ee) + norm
}

// trace is tr(x y).
func trace(x, y *kernels.Tensor) float64 {
	sum := 0.0
	for i := range x.Rows {
		for j := range x.Cols {
			sum += row(x, i)[j] * row(y, j)[i]
		}
	}
	return sum
}

func (o *ops) ManifoldLossRows(dst, a, e *kernels.Tensor) {
	kernels.CheckManifoldLossRows(dst, a, e)
	o.tally.LossMACs += kernels.ManifoldRowsMACs(a)
	for i := range a.Rows {
		for j := range a.Rows {
			d := manifoldDifference(a, e, i, j)
			dst.F64[0] += d * d
		}
	}
}

// manifoldDifference is (A E' + E A' + E E')[i, j].
func manifoldDifference(a, e *kernels.Tensor, i, j int) float64 {
	return dot(row(a, i), row(e, j)) + dot(row(e, i), row(a, j)) + dot(row(e, i), row(e, j))
}

func (o *ops) KLDivergence(dst, x, base *kernels.Tensor, tau float64) {
	kernels.CheckKLDivergence(dst, x, base, tau)
	logP, logQ := make([]float64, x.Cols), make([]float64, x.Cols)
	for r := range x.Rows {
		logSoftmax(logP, row(base, r%base.Rows), tau)
		logSoftmax(logQ, row(x, r), tau)
		for c := range logP {
			dst.F64[r/base.Rows] += math.Exp(logP[c]) * (logP[c] - logQ[c])
		}
	}
}

func (o *ops) SquaredError(dst, x, base *kernels.Tensor) {
	kernels.CheckSquaredError(dst, x, base)
	for r := range x.Rows {
		for c, v := range row(x, r) {
			d := v - row(base, r%base.Rows)[c]
			dst.F64[r/base.Rows] += d * d
		}
	}
}
