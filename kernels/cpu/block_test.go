//go:build cgo

package cpu

import (
	"math/rand/v2"

	"optin/kernels"
)

// block is an encoder block of BERT with random weights.
type block struct {
	width, heads, hidden   int
	query, key, value, out layer
	up, down               layer
	gamma1, beta1          *kernels.Weight
	gamma2, beta2          *kernels.Weight
}

type layer struct{ weight, bias *kernels.Weight }

func randomBlock(width, heads, hidden int) *block {
	rng := rand.New(rand.NewPCG(1, 2))
	weight := func(rows, cols int) *kernels.Weight {
		values := make([]float32, rows*cols)
		for i := range values {
			values[i] = float32(rng.NormFloat64() / 30)
		}
		return kernels.WeightOf("random", rows, cols, values)
	}
	linear := func(out, in int) layer { return layer{weight(out, in), weight(1, out)} }
	return &block{
		width: width, heads: heads, hidden: hidden,
		query: linear(width, width), key: linear(width, width), value: linear(width, width), out: linear(width, width),
		up: linear(hidden, width), down: linear(width, hidden),
		gamma1: weight(1, width), beta1: weight(1, width),
		gamma2: weight(1, width), beta2: weight(1, width),
	}
}

// weights are all parameters of the block.
func (b *block) weights() []*kernels.Weight {
	all := []*kernels.Weight{b.gamma1, b.beta1, b.gamma2, b.beta2}
	for _, l := range []layer{b.query, b.key, b.value, b.out, b.up, b.down} {
		all = append(all, l.weight, l.bias)
	}
	return all
}

// alive is the block with weights that live in tensors of o.
func (b *block) alive(o kernels.Ops) *block {
	live := *b
	vectors := []**kernels.Weight{&live.gamma1, &live.beta1, &live.gamma2, &live.beta2}
	for _, l := range []*layer{&live.query, &live.key, &live.value, &live.out, &live.up, &live.down} {
		vectors = append(vectors, &l.weight, &l.bias)
	}
	for _, w := range vectors {
		values, err := (*w).Values()
		if err != nil {
			panic(err)
		}
		*w = kernels.LiveWeight((*w).Name, o.Upload((*w).Rows, (*w).Cols, values))
	}
	return &live
}

func (l layer) of(o kernels.Ops, x *kernels.Tensor, act kernels.Activation) *kernels.Tensor {
	return o.Linear(x, l.weight, kernels.Epilogue{Bias: l.bias, Act: act})
}

// forward is the block's output.
func (b *block) forward(o kernels.Ops, x *kernels.Tensor, s *kernels.Sequences, mask *kernels.Tensor) *kernels.Tensor {
	context := o.Attention(b.query.of(o, x, kernels.Identity), b.key.of(o, x, kernels.Identity), b.value.of(o, x, kernels.Identity),
		kernels.AttentionSpec{Heads: b.heads, Scale: 0.125, Q: s, K: s, HeadMask: mask})
	x = o.LayerNorm(b.out.of(o, context, kernels.Identity), x, b.gamma1, b.beta1, 1e-12)
	y := b.down.of(o, b.up.of(o, x, kernels.GELU), kernels.Identity)
	return o.LayerNorm(y, x, b.gamma2, b.beta2, 1e-12)
}

// macs of the block's Linears and Attention for sequences s.
func (b *block) macs(s *kernels.Sequences) (macs int64) {
	n := int64(s.Rows())
	macs = n * int64(b.width) * int64(4*b.width+2*b.hidden)
	for i := range s.Count() {
		macs += 2 * int64(s.Len(i)) * int64(s.Len(i)) * int64(b.width)
	}
	return macs
}

// noise fills a new tensor.
func noise(o kernels.Ops, rows, cols int) *kernels.Tensor {
	rng := rand.New(rand.NewPCG(3, uint64(rows)))
	values := make([]float32, rows*cols)
	for i := range values {
		values[i] = float32(rng.NormFloat64())
	}
	return o.Upload(rows, cols, values)
}
