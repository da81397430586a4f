package roofline

import (
	"fmt"

	"optin/kernels"
)

// Case is an op at one shape.
type Case struct {
	Op    string // its name in kernels.Ops or kernels.Backward
	Shape string // what it works on, for people

	open func(in *inputs) call
}

// call runs the op and returns its result, or what it added to.
type call func(ops kernels.Backward) *kernels.Tensor

// variants of the scoring ops: each has a quarter of the batch, so that together they have
// as many rows as the batch.
const variants = 4

// Cases are all ops, forward and then backward, at the shape of a batch.
func Cases(s Shape) []Case { return append(s.forward(), s.backward()...) }

// shape writes a matrix.
func shape(rows, cols int) string { return fmt.Sprintf("%d x %d", rows, cols) }

func (s Shape) forward() []Case {
	n, d, f := s.rows(), s.Hidden, s.Neurons
	merged, _ := kernels.MatchSides(s.Length, 1) // tokens of a sequence that go into others: all that can
	less := s.Length - merged
	cases := []Case{
		{"Embed", fmt.Sprintf("%d of %d x %d", n, s.Vocabulary, d), func(in *inputs) call {
			ids, table, add := in.ints(n, s.Vocabulary), in.weight(s.Vocabulary, d), in.real(n, d)
			return func(ops kernels.Backward) *kernels.Tensor { return ops.Embed(ids, table, add) }
		}},
		{"LayerNorm", shape(n, d) + ", residual", func(in *inputs) call {
			x, residual, gamma, beta := in.real(n, d), in.real(n, d), in.weight(1, d), in.weight(1, d)
			return func(ops kernels.Backward) *kernels.Tensor { return ops.LayerNorm(x, residual, gamma, beta, 1e-12) }
		}},
		s.linear("", d, d, func(*inputs) kernels.Epilogue { return kernels.Epilogue{} }),
		s.linear(", bias, residual", d, d, func(in *inputs) kernels.Epilogue {
			return kernels.Epilogue{Bias: in.weight(1, d), Residual: in.real(n, d)}
		}),
		s.linear(", bias, gelu, mask", d, f, func(in *inputs) kernels.Epilogue {
			return kernels.Epilogue{Bias: in.weight(1, f), Act: kernels.GELU, Mask: in.real(1, f)}
		}),
		s.linear(", bias, residual", f, d, func(in *inputs) kernels.Epilogue {
			return kernels.Epilogue{Bias: in.weight(1, d), Residual: in.real(n, d)}
		}),
		{"Attention", fmt.Sprintf("%d x %d, %d heads", s.Sequences, s.Length, s.Heads), func(in *inputs) call {
			q, k, v, spec := in.real(n, d), in.real(n, d), in.real(n, d), s.attention()
			spec.HeadMask = in.real(1, s.Heads)
			return func(ops kernels.Backward) *kernels.Tensor { return ops.Attention(q, k, v, spec) }
		}},
		unary("Activate", n, f, func(ops kernels.Backward, x *kernels.Tensor) *kernels.Tensor { return ops.Activate(x, kernels.GELU) }),
		binary("Add", n, d, n, d, kernels.Backward.Add),
		binary("MaskUnits", n, f, 1, f, kernels.Backward.MaskUnits),
		unary("Softmax", n, f, kernels.Backward.Softmax),
		{"Patchify", fmt.Sprintf("%d pictures of %d x %d", s.Sequences, s.Image.Height, s.Image.Width), func(in *inputs) call {
			images := in.real(s.Sequences, s.Image.Channels*s.Image.Height*s.Image.Width)
			return func(ops kernels.Backward) *kernels.Tensor { return ops.Patchify(images, s.Image) }
		}},
		{"Unpack", shape(f, d) + ", transposed", func(in *inputs) call {
			w := in.weight(f, d)
			return func(ops kernels.Backward) *kernels.Tensor { return ops.Unpack(w, true) }
		}},
		{"Gather", shape(n, d), func(in *inputs) call {
			x, idx := in.real(n, d), in.ints(n, n)
			return func(ops kernels.Backward) *kernels.Tensor { return ops.Gather(x, idx, n) }
		}},
		{"ScatterMean", shape(n, d) + " to half the rows", func(in *inputs) call {
			x, idx := in.real(n, d), in.ints(n, n/2)
			return func(ops kernels.Backward) *kernels.Tensor { return ops.ScatterMean(x, idx, n/2) }
		}},
		{"TopK", fmt.Sprintf("%d of %d rows", s.Sequences*less, n), func(in *inputs) call {
			scores, from, to := in.real(n, 1), s.sequences(s.Length), s.sequences(less)
			return func(ops kernels.Backward) *kernels.Tensor { return ops.TopK(scores, from, to) }
		}},
		{"Match", fmt.Sprintf("%s to %d rows", shape(n, d), s.Sequences*less), func(in *inputs) call {
			x, from, to := in.real(n, d), s.sequences(s.Length), s.sequences(less)
			return func(ops kernels.Backward) *kernels.Tensor { return ops.Match(x, from, to, 1) }
		}},
		binary("Concat", n, d, n, d, kernels.Backward.Concat),
		unary("Repeat", n, d, func(ops kernels.Backward, x *kernels.Tensor) *kernels.Tensor { return ops.Repeat(x, variants) }),
		{"Copy", shape(n, d), func(in *inputs) call {
			x := in.real(n, d)
			return func(ops kernels.Backward) *kernels.Tensor {
				y := ops.New(kernels.F32, n, d)
				ops.Copy(y, x)
				return y
			}
		}},
	}
	return append(cases, s.scoring()...)
}

// linear is a product with an epilogue.
func (s Shape) linear(with string, in, out int, epilogue func(*inputs) kernels.Epilogue) Case {
	n := s.rows()
	return Case{"Linear", fmt.Sprintf("%d x %d to %d%s", n, in, out, with), func(i *inputs) call {
		x, w, e := i.real(n, in), i.weight(out, in), epilogue(i)
		return func(ops kernels.Backward) *kernels.Tensor { return ops.Linear(x, w, e) }
	}}
}

// unary is an op of one matrix.
func unary(op string, rows, cols int, f func(kernels.Backward, *kernels.Tensor) *kernels.Tensor) Case {
	return Case{op, shape(rows, cols), func(in *inputs) call {
		x := in.real(rows, cols)
		return func(ops kernels.Backward) *kernels.Tensor { return f(ops, x) }
	}}
}

// binary is an op of two matrices.
func binary(op string, rows, cols, rows2, cols2 int, f func(ops kernels.Backward, x, y *kernels.Tensor) *kernels.Tensor) Case {
	text := shape(rows, cols)
	if rows != rows2 || cols != cols2 {
		text += ", " + shape(rows2, cols2)
	}
	return Case{op, text, func(in *inputs) call {
		x, y := in.real(rows, cols), in.real(rows2, cols2)
		return func(ops kernels.Backward) *kernels.Tensor { return f(ops, x, y) }
	}}
}
