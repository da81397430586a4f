package roofline

import (
	"fmt"

	"optin/kernels"
)

// backward are the derivatives, and what training and probing take beside them.
func (s Shape) backward() []Case {
	n, d, f := s.rows(), s.Hidden, s.Neurons
	cases := []Case{
		binary("MatMul", n, d, d, d, func(ops kernels.Backward, x, y *kernels.Tensor) *kernels.Tensor {
			return ops.MatMul(x, y, false, false)
		}),
		binary("Multiply", n, f, n, f, kernels.Backward.Multiply),
		unary("Scale", n, d, func(ops kernels.Backward, x *kernels.Tensor) *kernels.Tensor { return ops.Scale(x, 0.5) }),
		{"SumRows", shape(n, f), func(in *inputs) call {
			dst, x := in.real(1, f), in.real(n, f)
			return func(ops kernels.Backward) *kernels.Tensor { ops.SumRows(dst, x); return dst }
		}},
		{"ScatterAdd", fmt.Sprintf("%d into %d x %d", n, s.Vocabulary, d), func(in *inputs) call {
			dst, x, idx := in.real(s.Vocabulary, d), in.real(n, d), in.ints(n, s.Vocabulary)
			return func(ops kernels.Backward) *kernels.Tensor { ops.ScatterAdd(dst, x, idx, s.Vocabulary); return dst }
		}},
		{"UnitSums", fmt.Sprintf("%d x %d by sequence", n, f), func(in *inputs) call {
			dst, x, y, seg := in.real(s.Sequences, f), in.real(n, f), in.real(n, f), s.attention().Q
			return func(ops kernels.Backward) *kernels.Tensor { ops.UnitSums(dst, x, y, seg); return dst }
		}},
		{"LinearBackward", fmt.Sprintf("%d x %d to %d", n, f, d), func(in *inputs) call {
			dy, w := in.real(n, f), in.weight(f, d)
			return func(ops kernels.Backward) *kernels.Tensor { return ops.LinearBackward(dy, w) }
		}},
		unary("Derivative", n, f, func(ops kernels.Backward, x *kernels.Tensor) *kernels.Tensor { return ops.Derivative(x, kernels.GELU) }),
		{"LayerNormBackward", shape(n, d) + ", residual", func(in *inputs) call {
			dy, x, residual, gamma := in.real(n, d), in.real(n, d), in.real(n, d), in.weight(1, d)
			return func(ops kernels.Backward) *kernels.Tensor {
				return ops.LayerNormBackward(dy, x, residual, gamma, 1e-12)
			}
		}},
		{"LayerNormWeights", shape(n, d) + ", residual", func(in *inputs) call {
			dgamma, dbeta, dy, x, residual := in.real(1, d), in.real(1, d), in.real(n, d), in.real(n, d), in.real(n, d)
			return func(ops kernels.Backward) *kernels.Tensor {
				ops.LayerNormWeights(dgamma, dbeta, dy, x, residual, 1e-12)
				return dgamma
			}
		}},
		{"AttentionBackward", fmt.Sprintf("%d x %d, %d heads", s.Sequences, s.Length, s.Heads), func(in *inputs) call {
			dy, q, k, v, spec := in.real(n, d), in.real(n, d), in.real(n, d), in.real(n, d), s.attention()
			return func(ops kernels.Backward) *kernels.Tensor {
				dq, _, _ := ops.AttentionBackward(dy, q, k, v, spec)
				return dq
			}
		}},
		binary("SoftmaxBackward", n, f, n, f, kernels.Backward.SoftmaxBackward),
		{"ScatterMeanBackward", shape(n, d) + " from half the rows", func(in *inputs) call {
			dy, idx := in.real(n/2, d), in.ints(n, n/2)
			return func(ops kernels.Backward) *kernels.Tensor { return ops.ScatterMeanBackward(dy, idx, n/2) }
		}},
		{"PatchifyBackward", fmt.Sprintf("%d pictures of %d x %d", s.Sequences, s.Image.Height, s.Image.Width), func(in *inputs) call {
			dy := in.real(s.Sequences*s.Image.Patches(), s.Image.Channels*s.Image.Patch*s.Image.Patch)
			return func(ops kernels.Backward) *kernels.Tensor { return ops.PatchifyBackward(dy, s.Image) }
		}},
	}
	return append(append(cases, s.scoringBackward()...), s.optimizer()...)
}

// scoringBackward are the derivatives of the ops that score.
func (s Shape) scoringBackward() []Case {
	d, part, side := s.Hidden, s.part(), s.side()
	return []Case{
		s.removal("RemoveUnitsBackward", "neuron", s.Neurons, 1, func(ops kernels.Backward, dy, values, consumer, units *kernels.Tensor, width int) *kernels.Tensor {
			return ops.RemoveUnitsBackward(dy, values, consumer, units, width)
		}),
		binary("NormalizeRowsBackward", s.rows(), d, s.rows(), d, kernels.Backward.NormalizeRowsBackward),
		{"KLDivergenceBackward", shape(variants*part, s.Classes), func(in *inputs) call {
			g, x, base := in.losses(variants), in.real(variants*part, s.Classes), in.real(part, s.Classes)
			return func(ops kernels.Backward) *kernels.Tensor { return ops.KLDivergenceBackward(g, x, base, 4) }
		}},
		{"SquaredErrorBackward", shape(variants*part, d), func(in *inputs) call {
			g, x, base := in.losses(variants), in.real(variants*part, d), in.real(part, d)
			return func(ops kernels.Backward) *kernels.Tensor { return ops.SquaredErrorBackward(g, x, base) }
		}},
		{"ManifoldLossBackward", shape(d, d), func(in *inputs) call {
			g, aa, ae, ee := in.losses(1), in.real(d, d), in.real(d, d), in.real(d, d)
			return func(ops kernels.Backward) *kernels.Tensor {
				_, dae, _ := ops.ManifoldLossBackward(g, aa, ae, ee)
				return dae
			}
		}},
		{"ManifoldLossRowsBackward", shape(side, d), func(in *inputs) call {
			g, a, e := in.losses(1), in.real(side, d), in.real(side, d)
			return func(ops kernels.Backward) *kernels.Tensor {
				_, de := ops.ManifoldLossRowsBackward(g, a, e)
				return de
			}
		}},
	}
}

// optimizer are the ops of a step of training.
func (s Shape) optimizer() []Case {
	d, f := s.Hidden, s.Neurons
	step := kernels.AdamWStep{Rate: 1e-5, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.01, Gradient: 1, Step: 100}
	return []Case{
		{"AdamW", shape(f, d), func(in *inputs) call {
			w, m, v, g := in.real(f, d), in.real(f, d), in.alloc(kernels.F32, f, d), in.real(f, d)
			in.set(func(ops kernels.Backward) { ops.Copy(v, ops.Multiply(w, w)) }) // squares are not negative
			return func(ops kernels.Backward) *kernels.Tensor { ops.AdamW(w, m, v, g, step); return w }
		}},
		{"SquaredNorm", shape(f, d), func(in *inputs) call {
			dst, x := in.losses(1), in.real(f, d)
			return func(ops kernels.Backward) *kernels.Tensor { ops.SquaredNorm(dst, x); return dst }
		}},
	}
}
