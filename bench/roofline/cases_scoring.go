package roofline

import (
	"fmt"

	"optin/kernels"
)

// part is a variant's share of the rows.
func (s Shape) part() int { return max(1, s.rows()/variants) }

// side is the number of rows for which products of rows are cheaper than those of columns.
func (s Shape) side() int { return min(s.rows(), s.Hidden/2) }

// scoring are the ops that score.
func (s Shape) scoring() []Case {
	n, d, f, part, side := s.rows(), s.Hidden, s.Neurons, s.part(), s.side()
	return []Case{
		s.removal("RemoveUnits", "neuron", f, 1, func(ops kernels.Backward, sum, values, consumer, units *kernels.Tensor, width int) *kernels.Tensor {
			return ops.RemoveUnits(sum, values, consumer, units, width)
		}),
		s.removal("RemoveUnits", "head", d, d/s.Heads, func(ops kernels.Backward, sum, values, consumer, units *kernels.Tensor, width int) *kernels.Tensor {
			return ops.RemoveUnits(sum, values, consumer, units, width)
		}),
		unary("NormalizeRows", n, d, kernels.Backward.NormalizeRows),
		binary("NormalizedDifference", n, d, n, d, kernels.Backward.NormalizedDifference),
		{"GramAdd", shape(n, d), func(in *inputs) call {
			gram, a, b := in.real(d, d), in.real(n, d), in.real(n, d)
			return func(ops kernels.Backward) *kernels.Tensor { ops.GramAdd(gram, a, b); return gram }
		}},
		{"ManifoldLoss", shape(d, d), func(in *inputs) call {
			dst, aa, ae, ee := in.losses(1), in.real(d, d), in.real(d, d), in.real(d, d)
			return func(ops kernels.Backward) *kernels.Tensor { ops.ManifoldLoss(dst, aa, ae, ee); return dst }
		}},
		{"ManifoldLossRows", shape(side, d), func(in *inputs) call {
			dst, a, e := in.losses(1), in.real(side, d), in.real(side, d)
			return func(ops kernels.Backward) *kernels.Tensor { ops.ManifoldLossRows(dst, a, e); return dst }
		}},
		{"KLDivergence", shape(variants*part, s.Classes), func(in *inputs) call {
			dst, x, base := in.losses(variants), in.real(variants*part, s.Classes), in.real(part, s.Classes)
			return func(ops kernels.Backward) *kernels.Tensor { ops.KLDivergence(dst, x, base, 4); return dst }
		}},
		{"SquaredError", shape(variants*part, d), func(in *inputs) call {
			dst, x, base := in.losses(variants), in.real(variants*part, d), in.real(part, d)
			return func(ops kernels.Backward) *kernels.Tensor { ops.SquaredError(dst, x, base); return dst }
		}},
	}
}

// removal takes one unit away from each variant, or is the gradient of that.
func (s Shape) removal(op, unit string, cols, width int, f func(ops kernels.Backward, sum, values, consumer, units *kernels.Tensor, width int) *kernels.Tensor) Case {
	rows := variants * s.part()
	return Case{op, fmt.Sprintf("a %s, %d x %d", unit, rows, s.Hidden), func(in *inputs) call {
		sum, values, consumer := in.real(rows, s.Hidden), in.real(rows, cols), in.real(cols, s.Hidden)
		units := in.ints(variants, cols/width)
		return func(ops kernels.Backward) *kernels.Tensor { return f(ops, sum, values, consumer, units, width) }
	}}
}
