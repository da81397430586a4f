package kerneltest

import (
	"fmt"
	"math"

	"optin/kernels"
)

// productBackwardPrograms are those of MatMul, LinearBackward, Multiply and
// Scale.
func productBackwardPrograms() []Program {
	var programs []Program
	for _, n := range oddSizes() {
		programs = append(programs,
			product{n, 13, 5, false, false, 1}.program(), product{5, n, 13, true, false, 1}.program(),
			product{13, 5, n, false, true, 1}.program(), product{n, n, n, true, true, 1}.program(),
			product{6, n, 17, false, false, 1}.program(), product{n, 6, 17, true, false, 1}.program(),
			linear{rows: n, in: 13, out: 5}.backward(), linear{rows: 5, in: n, out: 13}.backward(),
			linear{rows: 13, in: 5, out: n}.backward(), linear{rows: n, in: n, out: n}.backward(),
			multiply(6, n, 6, n), multiply(n, 5, 1, 5), multiply(3*n, 4, n, 4), multiply(2*n, 9, n, 1), multiply(6, n, 2, 1),
			scale(5, n, -0.3))
	}
	for _, ta := range []bool{false, true} {
		for _, tb := range []bool{false, true} {
			programs = append(programs,
				product{65, 40, 130, ta, tb, 1}.program(), product{9, 18, 17, ta, tb, 1e30}.program(),
				product{3, 0, 4, ta, tb, 1}.program(), product{0, 3, 4, ta, tb, 1}.program(), product{3, 4, 0, ta, tb, 1}.program())
		}
	}
	return append(programs,
		linear{rows: 300, in: 40, out: 33}.backward(), linear{rows: 3, in: 7, out: 1000}.backward(),
		linear{rows: 0, in: 4, out: 3}.backward(), linear{rows: 3, in: 0, out: 4}.backward(), linear{rows: 3, in: 4, out: 0}.backward(),
		multiply(0, 4, 1, 4), multiply(4, 0, 2, 0), multiply(4, 0, 2, 1), multiply(64, 64, 64, 64),
		scale(64, 64, 1.0/3), scale(2, 3, 0), scale(3, 5, 1e30), scale(0, 5, 2))
}

// product is the shape of a call of MatMul; the elements of a are of the given
// size, those of b of its inverse.
type product struct {
	rows, inner, cols int
	ta, tb            bool
	size              float64
}

func (s product) String() string {
	return fmt.Sprintf("rows=%d inner=%d cols=%d ta=%t tb=%t size=%g", s.rows, s.inner, s.cols, s.ta, s.tb, s.size)
}

// inputs are a and b, transposed where they are to be.
func (s product) inputs(g *gen) (a, b *matrix) {
	shaped := func(rows, cols int, transposed bool, deviation float64) *matrix {
		if transposed {
			rows, cols = cols, rows
		}
		return g.normal(rows, cols, deviation)
	}
	return shaped(s.rows, s.inner, s.ta, s.size), shaped(s.inner, s.cols, s.tb, 1/s.size)
}

func (s product) call(ops kernels.Ops, m []*matrix) *kernels.Tensor {
	return derivatives(ops).MatMul(m[0].on(ops), m[1].on(ops), s.ta, s.tb)
}

func (s product) program() Program {
	return Program{"MatMul", s.String(), func(g *gen) body {
		a, b := s.inputs(g)
		return positive(s.inner, s.call, a, b)
	}}
}

// sampled checks only some elements, by dot products of its own.
func (s product) sampled(samples int) Program {
	return Program{"MatMul", s.String() + fmt.Sprintf(" samples=%d", samples), func(g *gen) body {
		a, b := s.inputs(g)
		at := g.samples(samples, s.rows*s.cols)
		want, scale := sampledDots(at, s.cols, s.inner, func(r, k int) float64 {
			return a.element(r, k, s.ta)
		}, func(k, c int) float64 { return b.element(k, c, s.tb) })
		return body{
			run:   func(ops kernels.Ops) *kernels.Tensor { return s.call(ops, []*matrix{a, b}) },
			terms: s.inner, at: at,
			want:  func(kernels.Ops) []float64 { return want },
			scale: func(kernels.Ops) []float64 { return scale },
		}
	}}
}

// backward is the program of LinearBackward of a Linear of this shape.
func (s linear) backward() Program {
	return Program{"LinearBackward", fmt.Sprintf("rows=%d in=%d out=%d", s.rows, s.in, s.out), func(g *gen) body {
		dy, w := g.normal(s.rows, s.out, 1), g.normal(s.out, s.in, 1)
		return linearBackward(g, dy, w)
	}}
}

func linearBackward(g *gen, dy, w *matrix) body {
	weight, size := g.weight(w), g.weight(w.abs())
	return body{
		run: func(ops kernels.Ops) *kernels.Tensor { return derivatives(ops).LinearBackward(dy.on(ops), weight) },
		scale: func(ref kernels.Ops) []float64 {
			return values(ref, derivatives(ref).LinearBackward(dy.abs().on(ref), size))
		},
		terms: w.rows,
	}
}

// sampledBackward checks only some elements, by dot products of its own.
func (s linear) sampledBackward(samples int) Program {
	shape := fmt.Sprintf("rows=%d in=%d out=%d samples=%d", s.rows, s.in, s.out, samples)
	return Program{"LinearBackward", shape, func(g *gen) body {
		dy, w := g.normal(s.rows, s.out, 1), g.normal(s.out, s.in, 1/math.Sqrt(float64(s.out)))
		at := g.samples(samples, s.rows*s.in)
		want, scale := sampledDots(at, s.in, s.out, dy.at, w.at)
		b := linearBackward(g, dy, w)
		b.at = at
		b.want = func(kernels.Ops) []float64 { return want }
		b.scale = func(kernels.Ops) []float64 { return scale }
		return b
	}}
}

// samples are indices below n, the first and the last among them.
func (g *gen) samples(samples, n int) []int {
	at := make([]int, samples)
	for i := range at {
		at[i] = g.rng.IntN(n)
	}
	at[0], at[1] = 0, n-1
	return at
}

// element is the element of m in row r and column c, or of its transpose.
func (m *matrix) element(r, c int, transposed bool) float64 {
	if transposed {
		r, c = c, r
	}
	return m.at(r, c)
}

// sampledDots are the elements at the given indices of the product of a
// [, inner] and b [inner, cols], and their magnitudes.
func sampledDots(at []int, cols, inner int, a, b func(r, c int) float64) (want, scale []float64) {
	for _, i := range at {
		var sum, size float64
		for k := range inner {
			term := a(i/cols, k) * b(k, i%cols)
			sum += term
			size += math.Abs(term)
		}
		want, scale = append(want, sum), append(scale, size)
	}
	return want, scale
}

func multiply(rows, cols, factorRows, factorCols int) Program {
	shape := fmt.Sprintf("rows=%d cols=%d factors=%dx%d", rows, cols, factorRows, factorCols)
	return Program{"Multiply", shape, func(g *gen) body {
		x, y := g.normal(rows, cols, 1), g.normal(factorRows, factorCols, 1)
		return positive(1, func(ops kernels.Ops, m []*matrix) *kernels.Tensor {
			return derivatives(ops).Multiply(m[0].on(ops), m[1].on(ops))
		}, x, y)
	}}
}

func scale(rows, cols int, factor float64) Program {
	return Program{"Scale", fmt.Sprintf("rows=%d cols=%d factor=%g", rows, cols, factor), func(g *gen) body {
		return positive(1, func(ops kernels.Ops, m []*matrix) *kernels.Tensor {
			return derivatives(ops).Scale(m[0].on(ops), factor)
		}, g.normal(rows, cols, 1))
	}}
}
