package model

import (
	"math"

	"optin/kernels"
)

// linear is y = x W' + b; b may be nil. A linear without inputs or outputs
// (nothing left at a site) has no weight.
type linear struct{ w, b *kernels.Weight }

type norm struct{ gamma, beta *kernels.Weight }

// block is one transformer encoder block. Post-norm (BERT):
//
//	h = LN1(x + attention(x));  y = LN2(h + ffn(h))
//
// pre-norm (ViT):
//
//	h = x + attention(LN1(x));  y = h + ffn(LN2(h))
type block struct {
	preNorm         bool
	q, k, v, o      linear
	up, down        linear
	norm1, norm2    norm
	heads, headSize int
	neurons         int
	act             kernels.Activation
	eps             float64
	headSite        int // index into Sites, -1: nothing left to prune
	neuronSite      int
}

// encoder is a stack of blocks with their sites.
type encoder struct {
	blocks []block
	sites  []Site
}

func (e *encoder) Sites() []Site { return e.sites }

func (e *encoder) Block(p *Pass, l int, x *kernels.Tensor) (out, tapped *kernels.Tensor) {
	b := &e.blocks[l]
	mark := p.Ops.Mark()
	sum, residual, _ := b.attention(p, x)
	h := b.afterAttention(p, sum, residual)
	sum, residual, _ = b.ffn(p, h)
	out, tapped = b.afterFFN(p, sum, residual)
	p.release(mark, out, tapped)
	return out, tapped
}

func (e *encoder) Reads(p *Pass, s int, x *kernels.Tensor) *kernels.Tensor {
	b := &e.blocks[e.sites[s].Layer]
	if e.sites[s].Kind == Heads {
		return b.attentionInput(p, x)
	}
	sum, residual, _ := b.attention(p, x)
	return b.ffnInput(p, b.afterAttention(p, sum, residual))
}

func (e *encoder) Capture(p *Pass, s int, x *kernels.Tensor) Captured {
	b := &e.blocks[e.sites[s].Layer]
	var c Captured
	c.Sum, c.Residual, c.Values = b.attention(p, x)
	if e.sites[s].Kind == Neurons {
		h := b.afterAttention(p, c.Sum, c.Residual)
		c.Sum, c.Residual, c.Values = b.ffn(p, h)
	}
	return c
}

func (e *encoder) Finish(p *Pass, s int, sum, residual *kernels.Tensor) (out, tapped *kernels.Tensor) {
	b := &e.blocks[e.sites[s].Layer]
	mark := p.Ops.Mark()
	if e.sites[s].Kind == Heads {
		h := b.afterAttention(p, sum, residual)
		sum, residual, _ = b.ffn(p, h)
	}
	out, tapped = b.afterFFN(p, sum, residual)
	p.release(mark, out, tapped)
	return out, tapped
}

// attentionInput is what query, key and value read.
func (b *block) attentionInput(p *Pass, x *kernels.Tensor) *kernels.Tensor {
	if b.preNorm {
		return p.Ops.LayerNorm(x, nil, b.norm1.gamma, b.norm1.beta, b.eps)
	}
	return x
}

// ffnInput is what the FFN's first linear layer reads.
func (b *block) ffnInput(p *Pass, h *kernels.Tensor) *kernels.Tensor {
	if b.preNorm {
		return p.Ops.LayerNorm(h, nil, b.norm2.gamma, b.norm2.beta, b.eps)
	}
	return h
}

// attention is the block up to the attention's sum. context is what the head
// mask multiplies, already masked; nil where no head is left.
func (b *block) attention(p *Pass, x *kernels.Tensor) (sum, residual, context *kernels.Tensor) {
	if b.heads > 0 {
		in := b.attentionInput(p, x)
		q := p.Ops.Linear(in, b.q.w, kernels.Epilogue{Bias: b.q.b})
		k := p.Ops.Linear(in, b.k.w, kernels.Epilogue{Bias: b.k.b})
		v := p.Ops.Linear(in, b.v.w, kernels.Epilogue{Bias: b.v.b})
		context = p.Ops.Attention(q, k, v, kernels.AttentionSpec{
			Heads: b.heads, Scale: 1 / math.Sqrt(float64(b.headSize)),
			Q: p.Seq, K: p.Seq, HeadMask: p.mask(b.headSite), KeyBias: p.KeyBias,
		})
	} else {
		context = p.Ops.New(kernels.F32, x.Rows, 0)
	}
	sum, residual = b.project(p, context, b.o, x, false)
	p.note(b.headSite, sum)
	return sum, residual, context
}

func (b *block) afterAttention(p *Pass, sum, residual *kernels.Tensor) *kernels.Tensor {
	if b.preNorm {
		return addResidual(p, sum, residual)
	}
	return p.Ops.LayerNorm(sum, residual, b.norm1.gamma, b.norm1.beta, b.eps)
}

// ffn is the block from there to the FFN's sum. active is what the neuron mask
// multiplies, already masked.
func (b *block) ffn(p *Pass, h *kernels.Tensor) (sum, residual, active *kernels.Tensor) {
	if b.neurons > 0 {
		active = p.Ops.Linear(b.ffnInput(p, h), b.up.w, kernels.Epilogue{Bias: b.up.b, Act: b.act, Mask: p.mask(b.neuronSite)})
	} else {
		active = p.Ops.New(kernels.F32, h.Rows, 0)
	}
	sum, residual = b.project(p, active, b.down, h, p.Tap == TapFFN)
	p.note(b.neuronSite, sum)
	return sum, residual, active
}

func (b *block) afterFFN(p *Pass, sum, residual *kernels.Tensor) (out, tapped *kernels.Tensor) {
	if b.preNorm {
		out = addResidual(p, sum, residual)
	} else {
		out = p.Ops.LayerNorm(sum, residual, b.norm2.gamma, b.norm2.beta, b.eps)
	}
	if p.Tap == TapFFN {
		return out, sum
	}
	return out, out
}

// project applies a site's consumer. A post-norm block leaves the residual to
// its LayerNorm; a pre-norm one adds it at once, unless the bare sum is tapped.
// The choice never depends on masks, so that a dense and a pruned pass round
// alike and a dead unit changes no bit.
func (b *block) project(p *Pass, x *kernels.Tensor, l linear, residual *kernels.Tensor, bare bool) (sum, left *kernels.Tensor) {
	if b.preNorm && !bare {
		return p.Ops.Linear(x, l.w, kernels.Epilogue{Bias: l.b, Residual: residual}), nil
	}
	return p.Ops.Linear(x, l.w, kernels.Epilogue{Bias: l.b}), residual
}

func addResidual(p *Pass, sum, residual *kernels.Tensor) *kernels.Tensor {
	if residual == nil {
		return sum
	}
	return p.Ops.Add(sum, residual)
}
