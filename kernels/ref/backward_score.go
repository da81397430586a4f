package ref

import (
	"math"

	"optin/kernels"
)

func (o *ops) RemoveUnitsBackward(dy, values, consumer, units *kernels.Tensor, width int) *kernels.Tensor {
	stack := kernels.CheckRemoveUnitsBackward(dy, values, consumer, units, width)
	kernels.CheckIndices("RemoveUnitsBackward", units.I32, -1, values.Cols/width)
	o.tally.LossMACs += kernels.RemoveUnitsBackwardMACs(dy, width)
	dx := o.real(stack*values.Rows, values.Cols)
	clear(dx.F64)
	span := values.Rows / units.Rows
	for r := range dx.Rows {
		u := int(units.I32[r%values.Rows/span])
		if u < 0 {
			continue
		}
		for i := u * width; i < (u+1)*width; i++ {
			row(dx, r)[i] = -dot(row(dy, r), row(consumer, i))
		}
	}
	return dx
}

func (o *ops) NormalizeRowsBackward(dy, x *kernels.Tensor) *kernels.Tensor {
	kernels.CheckNormalizeRowsBackward(dy, x)
	dx := o.real(dy.Rows, dy.Cols)
	clear(dx.F64)
	y := make([]float64, x.Cols)
	for r := range dy.Rows {
		length := math.Sqrt(dot(row(x, r%x.Rows), row(x, r%x.Rows)))
		if length == 0 {
			continue
		}
		copy(y, row(x, r%x.Rows))
		normalize(y)
		along := dot(y, row(dy, r))
		for c, d := range row(dy, r) {
			row(dx, r)[c] = (d - along*y[c]) / length
		}
	}
	return dx
}

func (o *ops) KLDivergenceBackward(d, x, base *kernels.Tensor, tau float64) *kernels.Tensor {
	stack := kernels.CheckKLDivergenceBackward(d, x, base, tau)
	dx := o.real(stack*x.Rows, x.Cols)
	logP, logQ := make([]float64, x.Cols), make([]float64, x.Cols)
	for r := range dx.Rows {
		logSoftmax(logP, row(base, r%base.Rows), tau)
		logSoftmax(logQ, row(x, r%x.Rows), tau)
		for c := range logP {
			row(dx, r)[c] = d.F64[r/base.Rows] * (math.Exp(logQ[c]) - math.Exp(logP[c])) / tau
		}
	}
	return dx
}

func (o *ops) SquaredErrorBackward(d, x, base *kernels.Tensor) *kernels.Tensor {
	stack := kernels.CheckSquaredErrorBackward(d, x, base)
	dx := o.real(stack*x.Rows, x.Cols)
	for r := range dx.Rows {
		for c, v := range row(x, r%x.Rows) {
			row(dx, r)[c] = 2 * d.F64[r/base.Rows] * (v - row(base, r%base.Rows)[c])
		}
	}
	return dx
}

func (o *ops) ManifoldLossBackward(d, aa, ae, ee *kernels.Tensor) (daa, dae, dee *kernels.Tensor) {
	stack := kernels.CheckManifoldLossBackward(d, aa, ae, ee)
	n := aa.Rows
	daa, dae, dee = o.real(stack*n, n), o.real(stack*n, n), o.real(stack*n, n)
	for r := range daa.Rows {
		g, i := d.F64[r/n], r%n
		for j := range n {
			// tr(x y) has the derivative y[j, i] to x[i, j].
			row(daa, r)[j] = g * 2 * row(ee, j)[i]
			row(dae, r)[j] = g * 4 * (row(ae, j)[i] + row(ee, j)[i])
			row(dee, r)[j] = g * (2*row(aa, j)[i] + 4*row(ae, j)[i] + 2*row(ee, i)[j])
		}
	}
	return daa, dae, dee
}

// ManifoldLossRowsBackward: the loss is |M|_F^2 of the symmetric matrix
// M = A E' + E A' + E E', which gives 4 M E and 4 M (A + E).
func (o *ops) ManifoldLossRowsBackward(d, a, e *kernels.Tensor) (da, de *kernels.Tensor) {
	stack := kernels.CheckManifoldLossRowsBackward(d, a, e)
	o.tally.LossMACs += kernels.ManifoldRowsBackwardMACs(a)
	n := a.Rows
	da, de = o.real(stack*n, a.Cols), o.real(stack*n, a.Cols)
	clear(da.F64)
	clear(de.F64)
	for r := range da.Rows {
		i := r % n
		for j := range n {
			factor := 4 * d.F64[r/n] * manifoldDifference(a, e, i, j)
			addScaled(row(da, r), factor, row(e, j))
			addScaled(row(de, r), factor, row(a, j))
			addScaled(row(de, r), factor, row(e, j))
		}
	}
	return da, de
}
