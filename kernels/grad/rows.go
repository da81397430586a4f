package grad

import "optin/kernels"

// cut is a view of rows [from, to) of x, valid until the next cut of that number.
func (t *Tape) cut(i int, x *kernels.Tensor, from, to int) *kernels.Tensor {
	t.cuts[i] = x.Slice(from, to)
	return &t.cuts[i]
}

// zero is a new tensor of zeros.
func (t *Tape) zero(rows, cols int) *kernels.Tensor {
	n := rows * cols
	if len(t.zeros) < n {
		t.zeros = make([]float32, n)
	}
	return t.base.Upload(rows, cols, t.zeros[:n])
}

// fold is the sum [rows, C] of the gradients that g stacks.
func (t *Tape) fold(g *kernels.Tensor, rows int) *kernels.Tensor {
	if g.Rows == rows {
		return g
	}
	sum := t.base.Add(t.cut(0, g, 0, rows), t.cut(1, g, rows, 2*rows))
	if g.Rows > 2*rows {
		t.base.SumRows(sum, t.cut(1, g, 2*rows, g.Rows))
	}
	return sum
}

// foldEach is fold for each of g's equal parts: [parts*rows, C].
func (t *Tape) foldEach(g *kernels.Tensor, parts, rows int) *kernels.Tensor {
	if parts == 1 || g.Rows == parts*rows {
		return t.fold(g, rows*parts)
	}
	sums := t.zero(parts*rows, g.Cols)
	span := g.Rows / parts
	for p := range parts {
		t.base.SumRows(t.cut(0, sums, p*rows, (p+1)*rows), t.cut(1, g, p*span, (p+1)*span))
	}
	return sums
}

// pick is a new tensor of rows [from, from+rows) of each of g's equal parts.
func (t *Tape) pick(g *kernels.Tensor, parts, from, rows int) *kernels.Tensor {
	picked := t.base.New(kernels.F32, parts*rows, g.Cols)
	span := g.Rows / parts
	for p := range parts {
		at := p*span + from
		t.base.Copy(t.cut(0, picked, p*rows, (p+1)*rows), t.cut(1, g, at, at+rows))
	}
	return picked
}

// products stacks x b, or x b', for each b of g's equal parts.
func (t *Tape) products(x, g *kernels.Tensor, parts int, transposed bool) *kernels.Tensor {
	if parts == 1 {
		return t.base.MatMul(x, g, false, transposed)
	}
	span := g.Rows / parts
	cols := g.Cols
	if transposed {
		cols = span
	}
	stack := t.base.New(kernels.F32, parts*x.Rows, cols)
	for p := range parts {
		product := t.base.MatMul(x, t.cut(0, g, p*span, (p+1)*span), false, transposed)
		t.base.Copy(t.cut(0, stack, p*x.Rows, (p+1)*x.Rows), product)
	}
	return stack
}

// transpose is g' for g [rows, cols]: an image of rows channels, each cols high,
// in patches of one pixel.
func (t *Tape) transpose(g *kernels.Tensor) *kernels.Tensor {
	t.cuts[0] = *g
	t.cuts[0].Rows, t.cuts[0].Cols = 1, g.Len()
	return t.base.Patchify(&t.cuts[0], kernels.PatchSpec{Channels: g.Rows, Height: g.Cols, Width: 1, Patch: 1})
}
