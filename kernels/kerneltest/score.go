package kerneltest

import (
	"fmt"

	"optin/kernels"
)

// scorePrograms are those of RemoveUnits, NormalizeRows, NormalizedDifference
// and GramAdd.
func scorePrograms() []Program {
	var programs []Program
	for _, n := range oddSizes() {
		programs = append(programs,
			removeUnits(n, 1, n, 4, 1), removeUnits(3, 2, 5, n, 1), removeUnits(3, 2, 2, 9, n), removeUnits(2, n, 3, 8, 2),
			normalizeRows(n, 5, 1), normalizeRows(5, n, 1), normalizedDifference(5, n), normalizedDifference(n, 7),
			gramAdd(n, 5, 3, false), gramAdd(6, n, 4, false), gramAdd(6, 4, n, false), gramAdd(n, n, n, true))
	}
	return append(programs,
		removeUnits(10, 5, 6, 33, 8), removeUnits(10, 3, 12, 65, 64),
		normalizeRows(9, 70, 1e-12), normalizeRows(9, 70, 1e12), gramAdd(200, 33, 33, true))
}

func removeUnits(rows, variants, units, cols, width int) Program {
	shape := fmt.Sprintf("rows=%d variants=%d units=%d width=%d cols=%d", rows, variants, units, width, cols)
	return Program{"RemoveUnits", shape, func(g *gen) body {
		sum := g.normal(variants*rows, cols, 1)
		value, consumer := g.normal(variants*rows, units*width, 1), g.normal(units*width, cols, 1)
		removed := g.ints(variants, -1, units)
		removed[variants-1] = int32(units - 1)
		run := func(ops kernels.Ops, sum, value, consumer *matrix) *kernels.Tensor {
			return ops.RemoveUnits(sum.on(ops), value.on(ops), consumer.on(ops), ops.UploadInts(removed), width)
		}
		return body{
			run: func(ops kernels.Ops) *kernels.Tensor { return run(ops, sum, value, consumer) },
			scale: func(ref kernels.Ops) []float64 { // |sum| - |values| (-|consumer|)
				negative := consumer.abs()
				for i := range negative.v {
					negative.v[i] = -negative.v[i]
				}
				return values(ref, run(ref, sum.abs(), value.abs(), negative))
			},
			terms: width + 1,
		}
	}}
}

// zeroRows clears every third row of m, from the second.
func zeroRows(m *matrix) *matrix {
	for r := 1; r < m.rows; r += 3 {
		clear(m.row(r))
	}
	return m
}

func normalizeRows(rows, cols int, deviation float64) Program {
	return Program{"NormalizeRows", fmt.Sprintf("rows=%d cols=%d deviation=%g", rows, cols, deviation), func(g *gen) body {
		x := zeroRows(g.normal(rows, cols, deviation))
		return body{
			run:   func(ops kernels.Ops) *kernels.Tensor { return ops.NormalizeRows(x.on(ops)) },
			scale: func(ref kernels.Ops) []float64 { return values(ref, ref.NormalizeRows(x.abs().on(ref))) },
			terms: cols,
		}
	}}
}

func normalizedDifference(rows, cols int) Program {
	return Program{"NormalizedDifference", fmt.Sprintf("rows=%d cols=%d", rows, cols), func(g *gen) body {
		x, phi := zeroRows(g.normal(rows, cols, 1)), g.normal(rows, cols, 0.3)
		return body{
			run: func(ops kernels.Ops) *kernels.Tensor { return ops.NormalizedDifference(x.on(ops), phi.on(ops)) },
			scale: func(ref kernels.Ops) []float64 {
				return values(ref, ref.Add(ref.NormalizeRows(x.abs().on(ref)), phi.abs().on(ref)))
			},
			terms: cols,
		}
	}}
}

// gramAdd adds to a gram that is not zero; with same, a' a.
func gramAdd(n, cols, more int, same bool) Program {
	return Program{"GramAdd", fmt.Sprintf("rows=%d cols=%d,%d same=%t", n, cols, more, same), func(g *gen) body {
		start, a, b := g.normal(cols, more, 1), g.normal(n, cols, 1), g.normal(n, more, 1)
		run := func(ops kernels.Ops, start, a, b *matrix) *kernels.Tensor {
			gram := ops.New(kernels.F32, cols, more)
			ops.Copy(gram, start.on(ops))
			left := a.on(ops)
			right := left
			if !same {
				right = b.on(ops)
			}
			ops.GramAdd(gram, left, right)
			return gram
		}
		return body{
			run:   func(ops kernels.Ops) *kernels.Tensor { return run(ops, start, a, b) },
			scale: func(ref kernels.Ops) []float64 { return values(ref, run(ref, start.abs(), a.abs(), b.abs())) },
			terms: n + 1,
		}
	}}
}
