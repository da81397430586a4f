package kerneltest

import (
	"fmt"
	"math"

	"optin/kernels"
)

// rowBackwardPrograms are those of ScatterMeanBackward, PatchifyBackward,
// RemoveUnitsBackward and NormalizeRowsBackward.
func rowBackwardPrograms() []Program {
	programs := []Program{
		patchifyBackward(1, kernels.PatchSpec{Channels: 1, Height: 1, Width: 1, Patch: 1}, 1),
		patchifyBackward(2, kernels.PatchSpec{Channels: 3, Height: 8, Width: 12, Patch: 4}, 2),
		patchifyBackward(3, kernels.PatchSpec{Channels: 1, Height: 28, Width: 28, Patch: 7}, 1),
		patchifyBackward(1, kernels.PatchSpec{Channels: 3, Height: 10, Width: 5, Patch: 5}, 3),
		patchifyBackward(2, kernels.PatchSpec{Channels: 4, Height: 6, Width: 6, Patch: 1}, 1),
		patchifyBackward(0, kernels.PatchSpec{Channels: 3, Height: 4, Width: 4, Patch: 2}, 1),
		scatterBackward(0, 3, 0, 1), scatterBackward(5, 3, 1, 2),
		removeUnitsBackward(10, 5, 6, 33, 8, 1), removeUnitsBackward(10, 3, 12, 65, 64, 2), removeUnitsBackward(0, 2, 3, 4, 1, 1),
		normalizeBackward(9, 70, 1e-12, 1), normalizeBackward(9, 70, 1e12, 2), normalizeBackward(0, 5, 1, 1), normalizeBackward(5, 0, 1, 1),
	}
	for i, n := range oddSizes() {
		stack := 1 + i%3
		programs = append(programs,
			scatterBackward(n, 5, 7, stack), scatterBackward(40, n, 9, stack),
			removeUnitsBackward(n, 1, n, 4, 1, stack), removeUnitsBackward(3, 2, 5, n, 1, stack),
			removeUnitsBackward(3, 2, 2, 9, n, stack), removeUnitsBackward(2, n, 3, 8, 2, stack),
			normalizeBackward(n, 5, 1, stack), normalizeBackward(5, n, 1, stack))
	}
	return programs
}

func scatterBackward(rows, cols, into, stack int) Program {
	shape := fmt.Sprintf("rows=%d cols=%d into=%d stack=%d", rows, cols, into, stack)
	return Program{"ScatterMeanBackward", shape, func(g *gen) body {
		idx := g.ints(rows, 0, into)
		return positive(1, func(ops kernels.Ops, m []*matrix) *kernels.Tensor {
			return derivatives(ops).ScatterMeanBackward(m[0].on(ops), ops.UploadInts(idx), into)
		}, g.normal(stack*into, cols, 1))
	}}
}

func patchifyBackward(batch int, s kernels.PatchSpec, stack int) Program {
	shape := fmt.Sprintf("batch=%d channels=%d height=%d width=%d patch=%d stack=%d",
		batch, s.Channels, s.Height, s.Width, s.Patch, stack)
	return Program{"PatchifyBackward", shape, func(g *gen) body {
		dy := g.normal(stack*batch*s.Patches(), s.Channels*s.Patch*s.Patch, 1)
		return body{run: func(ops kernels.Ops) *kernels.Tensor { return derivatives(ops).PatchifyBackward(dy.on(ops), s) }}
	}}
}

func removeUnitsBackward(rows, variants, units, cols, width, stack int) Program {
	shape := fmt.Sprintf("rows=%d variants=%d units=%d width=%d cols=%d stack=%d", rows, variants, units, width, cols, stack)
	return Program{"RemoveUnitsBackward", shape, func(g *gen) body {
		removed := g.ints(variants, -1, units)
		removed[variants-1] = int32(units - 1)
		dy, value := g.normal(stack*variants*rows, cols, 1), g.normal(variants*rows, units*width, 1)
		return positive(cols, func(ops kernels.Ops, m []*matrix) *kernels.Tensor {
			return derivatives(ops).RemoveUnitsBackward(m[0].on(ops), m[1].on(ops), m[2].on(ops), ops.UploadInts(removed), width)
		}, dy, value, g.normal(units*width, cols, 1))
	}}
}

func normalizeBackward(rows, cols int, deviation float64, stack int) Program {
	shape := fmt.Sprintf("rows=%d cols=%d deviation=%g stack=%d", rows, cols, deviation, stack)
	return Program{"NormalizeRowsBackward", shape, func(g *gen) body {
		x := zeroRows(g.normal(rows, cols, deviation))
		return normalizeDerived(g.normal(stack*rows, cols, 1), x)
	}}
}

// normalizeDerived: (dy - (y dy') y)/length of y = x/length.
func normalizeDerived(dy, x *matrix) body {
	return body{
		run: func(ops kernels.Ops) *kernels.Tensor {
			return derivatives(ops).NormalizeRowsBackward(dy.on(ops), x.on(ops))
		},
		scale: func(kernels.Ops) []float64 {
			scale := make([]float64, 0, len(dy.v))
			for r := range dy.rows {
				var squares, along float64
				for c, d := range dy.row(r) {
					v := x.at(r%x.rows, c)
					squares += v * v
					along += math.Abs(v * float64(d))
				}
				for c, d := range dy.row(r) {
					if squares == 0 {
						scale = append(scale, 0) // exactly 0
						continue
					}
					v := math.Abs(x.at(r%x.rows, c))
					scale = append(scale, (math.Abs(float64(d))+v*along/squares)/math.Sqrt(squares))
				}
			}
			return scale
		},
		terms: x.cols,
	}
}
