package kerneltest

import (
	"fmt"
	"math"

	"optin/kernels"
)

// normBackwardPrograms are those of Derivative, LayerNormBackward,
// LayerNormWeights and SoftmaxBackward.
func normBackwardPrograms() []Program {
	var programs []Program
	for _, act := range activations() {
		for _, n := range oddSizes() {
			programs = append(programs, derivative(act, 1, n, 3), derivative(act, n, 3, 1))
		}
		programs = append(programs, derivative(act, 37, 129, 2), derivative(act, 0, 3, 1),
			Program{"Derivative", fmt.Sprintf("act=%v values=edges", act), func(*gen) body { return derived(act, edges()) }})
		if act != kernels.GELU && act != kernels.GELUTanh { // of which devices may give the limits instead of the formula's NaN
			programs = append(programs, Program{"Derivative", fmt.Sprintf("act=%v values=infinite", act), func(*gen) body {
				return derived(act, infinite())
			}})
		}
	}
	var shapes []layerNorm
	for _, n := range oddSizes() {
		shapes = append(shapes, layerNorm{rows: 5, cols: n, eps: 1e-5, residual: true}, layerNorm{rows: n, cols: 7, eps: 1e-12})
	}
	for _, mean := range []float64{10, 1e3, -1e4} {
		shapes = append(shapes, layerNorm{rows: 9, cols: 65, eps: 1e-12, mean: mean})
	}
	shapes = append(shapes,
		layerNorm{rows: 6, cols: 33, eps: 1e-5, constant: true},
		layerNorm{rows: 6, cols: 33, eps: 1e-5, constant: true, residual: true},
		layerNorm{rows: 6, cols: 33, eps: 0.5},
		layerNorm{rows: 6, cols: 33, eps: 1e-5, deviation: 1e-3},
		layerNorm{rows: 6, cols: 33, eps: 1e-12, deviation: 1e8},
		layerNorm{rows: 0, cols: 3, eps: 1e-5})
	for i, s := range shapes {
		stack := 1 + i%3
		programs = append(programs, s.backward(stack), s.weights(stack, i%4 != 2, i%4 != 3))
	}
	for i, n := range oddSizes() {
		stack := 1 + i%3
		programs = append(programs, softmaxBackward(5, n, 1, stack), softmaxBackward(n, 5, 10, stack))
	}
	return append(programs, softmaxBackward(3, 100, 1e4, 2), softmaxBackward(2, 1000, 1, 1), softmaxBackward(0, 3, 1, 1))
}

func derivative(act kernels.Activation, rows, cols int, deviation float64) Program {
	shape := fmt.Sprintf("act=%v rows=%d cols=%d deviation=%g", act, rows, cols, deviation)
	return Program{"Derivative", shape, func(g *gen) body { return derived(act, g.normal(rows, cols, deviation)) }}
}

// derived: the values are of size 1, whatever x is, and exact where they are
// constant.
func derived(act kernels.Activation, x *matrix) body {
	b := body{run: func(ops kernels.Ops) *kernels.Tensor { return derivatives(ops).Derivative(x.on(ops), act) }}
	if act != kernels.Identity && act != kernels.ReLU {
		b.scale = func(kernels.Ops) []float64 {
			scale := make([]float64, len(x.v))
			for i := range scale {
				scale[i] = 1
			}
			return scale
		}
	}
	return b
}

// backward is the program of LayerNormBackward of a LayerNorm of this shape.
func (s layerNorm) backward(stack int) Program {
	return Program{"LayerNormBackward", fmt.Sprintf("%v stack=%d", s, stack), func(g *gen) body {
		in := s.inputs(g)
		return in.backward(g, g.normal(stack*s.rows, s.cols, 1))
	}}
}

func (in layerNormInputs) backward(g *gen, dy *matrix) body {
	gamma := g.weight(in.gamma)
	return body{
		run: func(ops kernels.Ops) *kernels.Tensor {
			return derivatives(ops).LayerNormBackward(dy.on(ops), in.x.on(ops), in.res.on(ops), gamma, in.eps)
		},
		scale: func(kernels.Ops) []float64 {
			scale := make([]float64, 0, len(dy.v))
			for r := range dy.rows {
				scale = append(scale, in.standardized(r%in.x.rows).magnitude(dy.row(r), in.gamma)...)
			}
			return scale
		},
		terms: in.x.cols,
	}
}

// errors are how far each z moves with an error of relative size 1 in each s,
// itself and by the deviation; more is how far the deviation moves in relation
// to itself.
func (s standardized) errors() (errors []float64, more float64) {
	more = 1
	for c, z := range s.z {
		more += math.Abs(z) * s.moved[c] / float64(len(s.z))
	}
	errors = make([]float64, len(s.z))
	for c, z := range s.z {
		errors[c] = s.moved[c] + math.Abs(z)*more
	}
	return errors, more
}

// magnitude of (g - mean g - z mean(g z))/deviation with g = gamma dy: the terms
// as they are, and with the errors of z and of the deviation.
func (s standardized) magnitude(dy []float32, gamma *matrix) []float64 {
	errors, more := s.errors()
	n := float64(len(s.z))
	sizes := make([]float64, len(s.z))
	var mean, along, alongError float64
	for c, d := range dy {
		sizes[c] = math.Abs(gamma.at(0, c) * float64(d))
		mean += sizes[c] / n
		along += sizes[c] * math.Abs(s.z[c]) / n
		alongError += sizes[c] * errors[c] / n
	}
	scale := make([]float64, len(s.z))
	for c, z := range s.z {
		terms := sizes[c] + mean + math.Abs(z)*along
		scale[c] = (terms*more + errors[c]*along + math.Abs(z)*alongError) / s.deviation
	}
	return scale
}

// weights is the program of LayerNormWeights for gamma, beta or both.
func (s layerNorm) weights(stack int, gamma, beta bool) Program {
	shape := fmt.Sprintf("%v stack=%d gamma=%t beta=%t", s, stack, gamma, beta)
	return Program{"LayerNormWeights", shape, func(g *gen) body {
		in := s.inputs(g)
		dy := g.normal(stack*s.rows, s.cols, 1)
		var starts [2]*matrix
		for i, wanted := range []bool{gamma, beta} {
			if wanted {
				starts[i] = g.normal(1, s.cols, 1)
			}
		}
		return in.weights(dy, starts[0], starts[1])
	}}
}

// weights adds to gamma and beta, either of which may be nil.
func (in layerNormInputs) weights(dy, gamma, beta *matrix) body {
	return body{
		run: func(ops kernels.Ops) *kernels.Tensor {
			var changed []*kernels.Tensor
			fresh := func(m *matrix) *kernels.Tensor {
				if m == nil {
					return nil
				}
				changed = append(changed, m.fresh(ops))
				return changed[len(changed)-1]
			}
			dgamma, dbeta := fresh(gamma), fresh(beta)
			derivatives(ops).LayerNormWeights(dgamma, dbeta, dy.on(ops), in.x.on(ops), in.res.on(ops), in.eps)
			return stacked(ops, changed[0], changed[1:]...)
		},
		scale: func(kernels.Ops) []float64 {
			var scale []float64
			if gamma != nil {
				scale = append(scale, in.weightMagnitude(dy, gamma, func(s standardized, c int, errors []float64) float64 {
					return math.Abs(s.z[c]) + errors[c]
				})...)
			}
			if beta != nil {
				scale = append(scale, in.weightMagnitude(dy, beta, func(standardized, int, []float64) float64 { return 1 })...)
			}
			return scale
		},
		terms: max(dy.rows+1, in.x.cols),
	}
}

// weightMagnitude is what start and dy times size, summed over the rows, come to.
func (in layerNormInputs) weightMagnitude(dy, start *matrix, size func(s standardized, c int, errors []float64) float64) []float64 {
	scale := make([]float64, start.cols)
	for c := range scale {
		scale[c] = math.Abs(start.at(0, c))
	}
	for r := range dy.rows {
		s := in.standardized(r % in.x.rows)
		errors, _ := s.errors()
		for c, d := range dy.row(r) {
			scale[c] += math.Abs(float64(d)) * size(s, c, errors)
		}
	}
	return scale
}

// softmaxBackward takes the probabilities of random scores, rounded to float32.
func softmaxBackward(rows, cols int, deviation float64, stack int) Program {
	shape := fmt.Sprintf("rows=%d cols=%d deviation=%g stack=%d", rows, cols, deviation, stack)
	return Program{"SoftmaxBackward", shape, func(g *gen) body {
		p := g.normal(rows, cols, deviation)
		for r := range rows {
			logs, _ := logSoftmax(p.row(r), 1)
			for c, v := range logs {
				p.set(r, c, math.Exp(v))
			}
		}
		return softmaxDerived(g.normal(stack*rows, cols, 1), p)
	}}
}

// softmaxDerived: p (dy - sum p dy).
func softmaxDerived(dy, p *matrix) body {
	return body{
		run: func(ops kernels.Ops) *kernels.Tensor { return derivatives(ops).SoftmaxBackward(dy.on(ops), p.on(ops)) },
		scale: func(kernels.Ops) []float64 {
			scale := make([]float64, 0, len(dy.v))
			for r := range dy.rows {
				mean := 0.0
				for c, d := range dy.row(r) {
					mean += math.Abs(p.at(r%p.rows, c) * float64(d))
				}
				for c, d := range dy.row(r) {
					scale = append(scale, math.Abs(p.at(r%p.rows, c))*(math.Abs(float64(d))+mean))
				}
			}
			return scale
		},
		terms: p.cols,
	}
}
