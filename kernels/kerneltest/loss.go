package kerneltest

import (
	"fmt"
	"math"

	"optin/kernels"
)

// lossPrograms are those of ManifoldLoss, ManifoldLossRows, KLDivergence and
// SquaredError.
func lossPrograms() []Program {
	var programs []Program
	for _, n := range oddSizes() {
		programs = append(programs,
			manifold("ManifoldLoss", n, 5, 1), manifold("ManifoldLoss", 6, n, 0.1),
			manifold("ManifoldLossRows", n, 5, 1), manifold("ManifoldLossRows", 6, n, 0.1),
			klDivergence(3, 2, n, 1, 1), klDivergence(n, 1, 4, 4, 3), klDivergence(2, n, 3, 2, 1),
			squaredError(3, 2, n), squaredError(n, 3, 1))
	}
	for _, size := range []float64{1, 1e-3, 1e-6} {
		programs = append(programs,
			manifold("ManifoldLoss", 40, 33, size), manifold("ManifoldLossRows", 40, 33, size))
	}
	return append(programs,
		klDivergence(4, 3, 26, 4, 1e4), klDivergence(4, 3, 3, 1, 1e4), klDivergence(2, 2, 1000, 4, 10), klDivergence(3, 1, 1, 4, 1))
}

// accumulated runs add twice on a new F64 accumulator, so that it must start
// from 0 and add.
func accumulated(ops kernels.Ops, rows int, add func(dst *kernels.Tensor)) *kernels.Tensor {
	dst := ops.New(kernels.F64, rows, 1)
	add(dst)
	add(dst)
	return dst
}

// manifold computes the loss of [rows, cols] with differences of the given
// size, by op, and expects the definition: |A A' - (A+E)(A+E)'|_F^2.
func manifold(op string, rows, cols int, size float64) Program {
	return Program{op, fmt.Sprintf("rows=%d cols=%d difference=%g", rows, cols, size), func(g *gen) body {
		a, e := g.normal(rows, cols, 1/math.Sqrt(float64(cols))), g.normal(rows, cols, size/math.Sqrt(float64(cols)))
		loss := func(ops kernels.Ops, a, e *matrix) *kernels.Tensor {
			ta, te := a.on(ops), e.on(ops)
			if op == "ManifoldLossRows" {
				return accumulated(ops, 1, func(dst *kernels.Tensor) { ops.ManifoldLossRows(dst, ta, te) })
			}
			gram := func(x, y *kernels.Tensor) *kernels.Tensor {
				z := ops.New(kernels.F32, cols, cols)
				ops.Copy(z, ops.Upload(cols, cols, make([]float32, cols*cols)))
				ops.GramAdd(z, x, y)
				return z
			}
			aa, ae, ee := gram(ta, ta), gram(ta, te), gram(te, te)
			return accumulated(ops, 1, func(dst *kernels.Tensor) { ops.ManifoldLoss(dst, aa, ae, ee) })
		}
		terms := rows * cols
		if op == "ManifoldLossRows" {
			terms = rows * rows * cols
		}
		return body{
			run:   func(ops kernels.Ops) *kernels.Tensor { return loss(ops, a, e) },
			want:  func(kernels.Ops) []float64 { return []float64{2 * manifoldByDefinition(a, e)} },
			scale: func(ref kernels.Ops) []float64 { return values(ref, loss(ref, a.abs(), e.abs())) },
			terms: terms,
		}
	}}
}

// manifoldByDefinition forms both n x n products.
func manifoldByDefinition(a, e *matrix) float64 {
	loss := 0.0
	for i := range a.rows {
		for j := range a.rows {
			d := 0.0
			for c := range a.cols {
				d += a.at(i, c)*a.at(j, c) - (a.at(i, c)+e.at(i, c))*(a.at(j, c)+e.at(j, c))
			}
			loss += d * d
		}
	}
	return loss
}

func klDivergence(rows, variants, classes int, tau, size float64) Program {
	shape := fmt.Sprintf("rows=%d variants=%d classes=%d tau=%g size=%g", rows, variants, classes, tau, size)
	return Program{"KLDivergence", shape, func(g *gen) body {
		x, base := g.normal(variants*rows, classes, size), g.normal(rows, classes, size)
		return body{
			run: func(ops kernels.Ops) *kernels.Tensor {
				tx, tb := x.on(ops), base.on(ops)
				return accumulated(ops, variants, func(dst *kernels.Tensor) { ops.KLDivergence(dst, tx, tb, tau) })
			},
			scale: func(kernels.Ops) []float64 { return klScale(x, base, tau, variants) },
			terms: classes,
		}
	}}
}

// klScale: an error of relative size 1 in what a logarithm of p or q is made
// of moves it by that size, and moves p as in softmaxScale.
func klScale(x, base *matrix, tau float64, variants int) []float64 {
	scale := make([]float64, variants)
	for r := range x.rows {
		logP, sizeP := logSoftmax(base.row(r%base.rows), tau)
		logQ, sizeQ := logSoftmax(x.row(r), tau)
		p := make([]float64, len(logP))
		for c := range p {
			p[c] = math.Exp(logP[c])
		}
		moved := softmaxScale(p, logP, sizeP)
		for c := range p {
			difference := math.Abs(logP[c] - logQ[c])
			scale[r/base.rows] += 2 * (moved[c]*difference + p[c]*(difference+sizeP[c]+sizeQ[c]))
		}
	}
	return scale
}

// logSoftmax is the logarithm of softmax(x/tau) and the sizes of what it is
// made of.
func logSoftmax(x []float32, tau float64) (logs, sizes []float64) {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, float64(v)/tau)
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v)/tau - top)
	}
	for _, v := range x {
		scaled := float64(v) / tau
		logs = append(logs, scaled-top-math.Log(sum))
		sizes = append(sizes, math.Abs(scaled)+math.Abs(top)+math.Log(sum))
	}
	return logs, sizes
}

func squaredError(rows, variants, cols int) Program {
	return Program{"SquaredError", fmt.Sprintf("rows=%d variants=%d cols=%d", rows, variants, cols), func(g *gen) body {
		x, base := g.normal(variants*rows, cols, 1), g.normal(rows, cols, 1)
		return body{
			run: func(ops kernels.Ops) *kernels.Tensor {
				tx, tb := x.on(ops), base.on(ops)
				return accumulated(ops, variants, func(dst *kernels.Tensor) { ops.SquaredError(dst, tx, tb) })
			},
			scale: func(kernels.Ops) []float64 {
				scale := make([]float64, variants)
				for r := range x.rows {
					for c := range cols {
						d := x.at(r, c) - base.at(r%rows, c)
						scale[r/rows] += 2 * math.Abs(d) * (math.Abs(x.at(r, c)) + math.Abs(base.at(r%rows, c)) + math.Abs(d))
					}
				}
				return scale
			},
			terms: rows * cols,
		}
	}}
}
