package kerneltest

import (
	"fmt"
	"math"

	"optin/kernels"
)

// lossBackwardPrograms are those of the derivatives of losses.
func lossBackwardPrograms() []Program {
	var programs []Program
	for i, n := range oddSizes() {
		stack := 1 + i%3
		programs = append(programs,
			manifoldBackward(n, stack), manifoldRowsBackward(n, 5, 1, stack), manifoldRowsBackward(6, n, 0.1, stack),
			klBackward(3, 2, n, 1, 1, stack), klBackward(n, 1, 4, 4, 3, stack), klBackward(2, n, 3, 2, 1, stack),
			squaredErrorBackward(3, 2, n, stack), squaredErrorBackward(n, 3, 1, stack))
	}
	for _, size := range []float64{1, 1e-3, 1e-6} {
		programs = append(programs, manifoldRowsBackward(40, 33, size, 1))
	}
	return append(programs,
		klBackward(4, 3, 26, 4, 1e4, 1), klBackward(4, 3, 3, 1, 1e4, 2), klBackward(2, 2, 1000, 4, 10, 1), klBackward(3, 1, 1, 4, 1, 1),
		klBackward(0, 2, 3, 1, 1, 1), squaredErrorBackward(0, 2, 3, 1), squaredErrorBackward(2, 2, 0, 1),
		manifoldBackward(0, 1), manifoldRowsBackward(0, 4, 1, 1), manifoldRowsBackward(4, 0, 1, 2))
}

func manifoldBackward(n, stack int) Program {
	return Program{"ManifoldLossBackward", fmt.Sprintf("cols=%d stack=%d", n, stack), func(g *gen) body {
		square := func() *matrix { return g.normal(n, n, 1) }
		return manifoldDerived(g.normal(stack, 1, 1), square(), square(), square())
	}}
}

func manifoldDerived(d, aa, ae, ee *matrix) body {
	return positive(1, func(ops kernels.Ops, m []*matrix) *kernels.Tensor {
		daa, dae, dee := derivatives(ops).ManifoldLossBackward(m[0].scalars(ops), m[1].on(ops), m[2].on(ops), m[3].on(ops))
		return stacked(ops, daa, dae, dee)
	}, d, aa, ae, ee)
}

func manifoldRowsBackward(rows, cols int, size float64, stack int) Program {
	shape := fmt.Sprintf("rows=%d cols=%d difference=%g stack=%d", rows, cols, size, stack)
	return Program{"ManifoldLossRowsBackward", shape, func(g *gen) body {
		unit := 1 / math.Sqrt(float64(max(cols, 1)))
		return manifoldRowsDerived(g.normal(stack, 1, 1), g.normal(rows, cols, unit), g.normal(rows, cols, size*unit))
	}}
}

func manifoldRowsDerived(d, a, e *matrix) body {
	return positive(a.rows+a.cols, func(ops kernels.Ops, m []*matrix) *kernels.Tensor {
		da, de := derivatives(ops).ManifoldLossRowsBackward(m[0].scalars(ops), m[1].on(ops), m[2].on(ops))
		return stacked(ops, da, de)
	}, d, a, e)
}

func klBackward(rows, variants, classes int, tau, size float64, stack int) Program {
	shape := fmt.Sprintf("rows=%d variants=%d classes=%d tau=%g size=%g stack=%d", rows, variants, classes, tau, size, stack)
	return Program{"KLDivergenceBackward", shape, func(g *gen) body {
		d := g.normal(stack*variants, 1, 1)
		return klDerived(d, g.normal(variants*rows, classes, size), g.normal(rows, classes, size), tau)
	}}
}

// klDerived: d (q - p)/tau, with the errors of p and q as in klScale.
func klDerived(d, x, base *matrix, tau float64) body {
	moved := func(row []float32) []float64 {
		logs, sizes := logSoftmax(row, tau)
		p := make([]float64, len(logs))
		for c, v := range logs {
			p[c] = math.Exp(v)
		}
		return softmaxScale(p, logs, sizes)
	}
	return body{
		run: func(ops kernels.Ops) *kernels.Tensor {
			return derivatives(ops).KLDivergenceBackward(d.scalars(ops), x.on(ops), base.on(ops), tau)
		},
		scale: func(kernels.Ops) []float64 {
			scale := make([]float64, 0, d.rows*len(base.v))
			for r := range d.rows * base.rows {
				q := moved(x.row(r % x.rows))
				for c, p := range moved(base.row(r % base.rows)) {
					scale = append(scale, math.Abs(d.at(r/base.rows, 0))*(p+q[c])/tau)
				}
			}
			return scale
		},
		terms: x.cols,
	}
}

func squaredErrorBackward(rows, variants, cols, stack int) Program {
	shape := fmt.Sprintf("rows=%d variants=%d cols=%d stack=%d", rows, variants, cols, stack)
	return Program{"SquaredErrorBackward", shape, func(g *gen) body {
		d := g.normal(stack*variants, 1, 1)
		return squaredErrorDerived(d, g.normal(variants*rows, cols, 1), g.normal(rows, cols, 1))
	}}
}

// squaredErrorDerived: the difference of two float32 numbers rounds in relation
// to itself.
func squaredErrorDerived(d, x, base *matrix) body {
	run := func(ops kernels.Ops) *kernels.Tensor {
		return derivatives(ops).SquaredErrorBackward(d.scalars(ops), x.on(ops), base.on(ops))
	}
	return body{run: run, scale: func(ref kernels.Ops) []float64 {
		scale := values(ref, run(ref))
		for i, v := range scale {
			scale[i] = math.Abs(v)
		}
		return scale
	}}
}
