package kerneltest

import (
	"fmt"
	"math"

	"optin/kernels"
)

// nanPrograms have one NaN among their inputs. The reference says where the
// result must be NaN; everywhere else it must be as if there were none.
func nanPrograms() []Program {
	var programs []Program
	for _, act := range activations() {
		programs = append(programs, nanActivate(act))
		for _, n := range []int{5, 16, 17} {
			programs = append(programs, nanLinear(act, n))
		}
	}
	for _, at := range []int{0, 5, 16} {
		programs = append(programs,
			layerNorm{rows: 5, cols: 17, eps: 1e-5, nan: true, badRow: 2, badCell: at}.program(),
			nanRows("Softmax", 5, 17, at, func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor { return ops.Softmax(x) }),
			nanRows("NormalizeRows", 5, 17, at, func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor { return ops.NormalizeRows(x) }),
			nanRows("NormalizedDifference", 5, 17, at, func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
				return ops.NormalizedDifference(x, x)
			}),
			nanRows("MaskUnits", 6, 17, at, func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
				return ops.MaskUnits(x, ops.Upload(2, 1, []float32{1, 0.5}))
			}),
			nanRows("RemoveUnits", 17, 17, at, func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
				zero := ops.Upload(17, 17, make([]float32, 17*17))
				return ops.RemoveUnits(zero, x, zero, ops.UploadInts([]int32{int32(at)}), 1)
			}),
			nanRows("ScatterMean", 5, 17, at, func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
				return ops.ScatterMean(x, ops.UploadInts([]int32{0, 1, 2, 2, 1}), 4)
			}),
			nanRows("Add", 6, 17, at, func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
				first := x.Slice(0, 3)
				return ops.Add(x, &first)
			}),
			nanRows("KLDivergence", 6, 17, at, func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
				base := x.Slice(0, 2)
				return accumulated(ops, 3, func(dst *kernels.Tensor) { ops.KLDivergence(dst, x, &base, 2) })
			}),
			nanRows("SquaredError", 6, 17, at, func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
				base := x.Slice(0, 2)
				return accumulated(ops, 3, func(dst *kernels.Tensor) { ops.SquaredError(dst, x, &base) })
			}),
			nanRows("ManifoldLossRows", 6, 17, at, func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
				return accumulated(ops, 1, func(dst *kernels.Tensor) { ops.ManifoldLossRows(dst, x, x) })
			}),
			nanRows("GramAdd", 6, 17, at, func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
				gram := ops.New(kernels.F32, 17, 17)
				ops.Copy(gram, ops.Upload(17, 17, make([]float32, 17*17)))
				ops.GramAdd(gram, x, x)
				return gram
			}),
			nanRows("ManifoldLoss", 17, 17, at, func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor {
				return accumulated(ops, 1, func(dst *kernels.Tensor) { ops.ManifoldLoss(dst, x, x, x) })
			}))
	}
	for _, where := range []string{"q", "k", "v"} {
		for _, width := range []int{8, 9} {
			programs = append(programs, attention{
				queries: []int{3, 9, 1, 17}, heads: 3, width: width, variants: 3, mask: 3, keyBias: 1, nan: where}.program())
		}
	}
	return programs
}

func nanActivate(act kernels.Activation) Program {
	return Program{"Activate", fmt.Sprintf("act=%v nan=every7", act), func(g *gen) body {
		x := g.normal(5, 17, 1)
		for i := 3; i < len(x.v); i += 7 {
			x.v[i] = float32(math.NaN())
		}
		return activated(act, x)
	}}
}

func nanLinear(act kernels.Activation, n int) Program {
	return Program{"Linear", fmt.Sprintf("rows=%d in=%d out=%d act=%v nan=row", n, n, n, act), func(g *gen) body {
		in := linear{rows: n, in: n, out: n, bias: true, act: act}.inputs(g)
		in.x.set(n/2, n-1, math.NaN())
		return body{run: in.call(g), scale: in.magnitude(g), terms: n}
	}}
}

// nanRows calls an op on a matrix with a NaN in row 2.
func nanRows(op string, rows, cols, at int, call func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor) Program {
	return Program{op, fmt.Sprintf("rows=%d cols=%d nan=2,%d", rows, cols, at), func(g *gen) body {
		x := g.normal(rows, cols, 1)
		x.set(2, at, math.NaN())
		return body{
			run: func(ops kernels.Ops) *kernels.Tensor { return call(ops, x.on(ops)) },
			// What is not NaN is of size 1 to 100: a coarse scale will do, other
			// programs look closer.
			scale: func(ref kernels.Ops) []float64 {
				scale := make([]float64, len(values(ref, call(ref, x.on(ref)))))
				for i := range scale {
					scale[i] = 100
				}
				return scale
			},
			terms: cols,
		}
	}}
}
