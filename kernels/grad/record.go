package grad

import "optin/kernels"

// Linear is kernels.Ops'. Bias and residual stay fused with the product, unless
// an activation or a mask lies between.
func (t *Tape) Linear(x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue) *kernels.Tensor {
	kernels.CheckLinear(x, w, e)
	fused := e.Act == kernels.Identity && e.Mask == nil
	if fused {
		return t.linear(x, w, e.Bias, e.Residual)
	}
	mark := t.begin().Mark()
	y := t.linear(x, w, e.Bias, nil)
	if e.Act != kernels.Identity {
		sum := y
		y = t.activate(sum, e.Act)
		// The derivative is all that is ever needed of the sum.
		t.keep = append(t.keep[:0], y, t.nodes[len(t.nodes)-1].aux)
		t.forget(sum)
		t.base.Release(mark, t.keep...)
	}
	if e.Mask != nil {
		y = t.MaskUnits(y, e.Mask)
	}
	if e.Residual != nil {
		y = t.Add(y, e.Residual)
	}
	return y
}

func (t *Tape) linear(x *kernels.Tensor, w, bias *kernels.Weight, residual *kernels.Tensor) *kernels.Tensor {
	y := t.begin().Linear(x, w, kernels.Epilogue{Bias: bias, Residual: residual})
	t.record(&linear, y, x, residual).weights = [2]*kernels.Weight{w, bias}
	return y
}

// LayerNorm is kernels.Ops'.
func (t *Tape) LayerNorm(x, residual *kernels.Tensor, gamma, beta *kernels.Weight, eps float64) *kernels.Tensor {
	y := t.begin().LayerNorm(x, residual, gamma, beta, eps)
	n := t.record(&layerNorm, y, x, residual)
	n.weights, n.number = [2]*kernels.Weight{gamma, beta}, eps
	return y
}

// Attention is kernels.Ops'.
func (t *Tape) Attention(q, k, v *kernels.Tensor, spec kernels.AttentionSpec) *kernels.Tensor {
	kernels.CheckAttention(q, k, v, spec)
	mask := spec.HeadMask
	spec.HeadMask = nil
	y := t.begin().Attention(q, k, v, spec)
	t.record(&attention, y, q, k, v, spec.Bias, spec.KeyBias).spec = spec
	if mask != nil {
		y = t.MaskUnits(y, mask)
	}
	return y
}

// Activate is kernels.Ops'.
func (t *Tape) Activate(x *kernels.Tensor, act kernels.Activation) *kernels.Tensor {
	if act == kernels.Identity {
		y := t.begin().Activate(x, act)
		t.record(&copied, y, x)
		return y
	}
	return t.activate(x, act)
}

// activate computes the derivative along with the value, while x is at hand: it
// depends on nothing else, and every Pull multiplies by it.
func (t *Tape) activate(x *kernels.Tensor, act kernels.Activation) *kernels.Tensor {
	y := t.begin().Activate(x, act)
	derivative := t.base.Derivative(x, act)
	t.record(&activate, y, x).aux = derivative
	return y
}

// Add is kernels.Ops'.
func (t *Tape) Add(x, y *kernels.Tensor) *kernels.Tensor {
	z := t.begin().Add(x, y)
	t.record(&add, z, x, y)
	return z
}

// MaskUnits is kernels.Ops'. A mask made by Mask costs nothing.
func (t *Tape) MaskUnits(x, mask *kernels.Tensor) *kernels.Tensor {
	kernels.CheckMaskUnits(x, mask)
	var y *kernels.Tensor
	if t.values[t.slot(mask)].ones {
		y = t.view(x)
	} else {
		y = t.begin().MaskUnits(x, mask)
	}
	t.record(&maskUnits, y, x, mask)
	return y
}

// Softmax is kernels.Ops'.
func (t *Tape) Softmax(x *kernels.Tensor) *kernels.Tensor {
	y := t.begin().Softmax(x)
	t.record(&softmax, y, x)
	return y
}

// Embed is kernels.Ops'.
func (t *Tape) Embed(ids *kernels.Tensor, table *kernels.Weight, sum *kernels.Tensor) *kernels.Tensor {
	y := t.begin().Embed(ids, table, sum)
	n := t.record(&embed, y, sum)
	n.aux, n.weights[0] = ids, table
	return y
}

// Patchify is kernels.Ops'.
func (t *Tape) Patchify(images *kernels.Tensor, spec kernels.PatchSpec) *kernels.Tensor {
	y := t.begin().Patchify(images, spec)
	t.record(&patchify, y, images).patches = spec
	return y
}

// Unpack is kernels.Ops'.
func (t *Tape) Unpack(w *kernels.Weight, transpose bool) *kernels.Tensor {
	y := t.begin().Unpack(w, transpose)
	n := t.record(&unpack, y)
	n.weights[0], n.flip = w, transpose
	return y
}

// Gather is kernels.Ops'.
func (t *Tape) Gather(x, idx *kernels.Tensor, span int) *kernels.Tensor {
	y := t.begin().Gather(x, idx, span)
	n := t.record(&gather, y, x)
	n.aux, n.count = idx, span
	return y
}

// ScatterMean is kernels.Ops'.
func (t *Tape) ScatterMean(x, idx *kernels.Tensor, rows int) *kernels.Tensor {
	y := t.begin().ScatterMean(x, idx, rows)
	n := t.record(&scatterMean, y, x)
	n.aux, n.count = idx, rows
	return y
}

// TopK is kernels.Ops'. What is chosen does not change with scores that change a little:
// the gradient to them is 0, and nothing is recorded but that the tape has seen them.
func (t *Tape) TopK(scores *kernels.Tensor, from, to *kernels.Sequences) *kernels.Tensor {
	y := t.begin().TopK(scores, from, to)
	t.slot(scores)
	return y
}

// Match is kernels.Ops'. The gradient to x is 0, as that of TopK.
func (t *Tape) Match(x *kernels.Tensor, from, to *kernels.Sequences, keep int) *kernels.Tensor {
	y := t.begin().Match(x, from, to, keep)
	t.slot(x)
	return y
}

// Concat is kernels.Ops'.
func (t *Tape) Concat(x, y *kernels.Tensor) *kernels.Tensor {
	z := t.begin().Concat(x, y)
	t.record(&concat, z, x, y)
	return z
}

// Repeat is kernels.Ops'.
func (t *Tape) Repeat(x *kernels.Tensor, variants int) *kernels.Tensor {
	y := t.begin().Repeat(x, variants)
	t.record(&repeat, y, x)
	return y
}
