package kerneltest

import (
	"fmt"
	"math"

	"optin/kernels"
)

// elementPrograms are those of Activate, Add and MaskUnits.
func elementPrograms() []Program {
	var programs []Program
	for _, act := range activations() {
		for _, n := range oddSizes() {
			programs = append(programs, activate(act, 1, n, 3), activate(act, n, 3, 1))
		}
		programs = append(programs, activate(act, 37, 129, 2), activateEdges(act), activateInfinite(act))
	}
	for _, n := range oddSizes() {
		programs = append(programs, add(n, 3, n), add(3, n, 3))
	}
	programs = append(programs, add(30, 17, 1), add(30, 17, 10), add(30, 17, 15), add(64, 64, 2))
	for _, v := range []int{1, 2, 3, 5} {
		for _, n := range oddSizes() {
			programs = append(programs, maskUnits(2*v, n, 1, v), maskUnits(v, 5, n, v))
		}
		programs = append(programs, maskUnits(30, 12, 64, v), maskUnits(30, 1, 33, v))
	}
	return programs
}

func activate(act kernels.Activation, rows, cols int, deviation float64) Program {
	return Program{"Activate", fmt.Sprintf("act=%v rows=%d cols=%d deviation=%g", act, rows, cols, deviation), func(g *gen) body {
		return activated(act, g.normal(rows, cols, deviation))
	}}
}

func activateEdges(act kernels.Activation) Program {
	return Program{"Activate", fmt.Sprintf("act=%v values=edges", act), func(*gen) body { return activated(act, edges()) }}
}

func activateInfinite(act kernels.Activation) Program {
	return Program{"Activate", fmt.Sprintf("act=%v values=infinite", act), func(*gen) body {
		b := activated(act, infinite())
		b.scale = nil // exact
		return b
	}}
}

func infinite() *matrix {
	return &matrix{1, 2, []float32{float32(math.Inf(1)), float32(math.Inf(-1))}}
}

// edges is where exp overflows, erf saturates and polynomials end.
func edges() *matrix {
	x := &matrix{rows: 1}
	for _, v := range []float64{
		0, 0x1p-149, 1e-40, 1e-30, 1e-10, 1e-5, 1e-3, 0.1, 0.5, 0.84375, 1, 1.25, 1.5, 2, 2.5, 3, 3.5, 4,
		4.5, 5, 5.5, 6, 8, 9, 10, 13, 20, 30, 40, 44, 52, 53, 88, 89, 104, 1e3, 1e4, 1e10, 1e20, 3e38,
	} {
		x.v = append(x.v, float32(v), float32(-v))
	}
	x.cols = len(x.v)
	return x
}

func activated(act kernels.Activation, x *matrix) body {
	return body{
		run: func(ops kernels.Ops) *kernels.Tensor { return ops.Activate(x.on(ops), act) },
		scale: func(kernels.Ops) []float64 {
			scale := make([]float64, len(x.v))
			for i, v := range x.v {
				scale[i] = math.Abs(float64(v))
				if act == kernels.Tanh {
					scale[i] = min(scale[i], 1)
				}
			}
			return scale
		},
	}
}

func add(rows, cols, repeated int) Program {
	return Program{"Add", fmt.Sprintf("rows=%d cols=%d repeated=%d", rows, cols, repeated), func(g *gen) body {
		x, y := g.normal(rows, cols, 1), g.normal(repeated, cols, 1)
		return body{
			run:   func(ops kernels.Ops) *kernels.Tensor { return ops.Add(x.on(ops), y.on(ops)) },
			scale: func(ref kernels.Ops) []float64 { return values(ref, ref.Add(x.abs().on(ref), y.abs().on(ref))) },
		}
	}}
}

func maskUnits(rows, units, width, variants int) Program {
	shape := fmt.Sprintf("rows=%d units=%d width=%d variants=%d", rows, units, width, variants)
	return Program{"MaskUnits", shape, func(g *gen) body {
		x, mask := g.normal(rows, units*width, 1), g.mask(variants, units)
		return body{
			run: func(ops kernels.Ops) *kernels.Tensor { return ops.MaskUnits(x.on(ops), mask.on(ops)) },
			scale: func(ref kernels.Ops) []float64 {
				return values(ref, ref.MaskUnits(x.abs().on(ref), mask.abs().on(ref)))
			},
		}
	}}
}
