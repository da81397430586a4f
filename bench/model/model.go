package model

import (
	"fmt"
	"strings"

	"optin/kernels"
)

// Model is an encoder with a head. x is always the packed hidden state
// [V*N, hidden] that enters or leaves a block.
type Model interface {
	Config() *Config
	Params() *Params
	// Weights are the handles of all parameters, for a device to forget.
	Weights() []*kernels.Weight
	// Sites lists the prunable sites, ascending by layer, heads before neurons.
	Sites() []Site

	// Consumer is the weight whose columns belong to the units of site s.
	Consumer(s int) *kernels.Weight

	// Embed turns a batch into the input of block 0.
	Embed(p *Pass, in *Input) *kernels.Tensor
	// Block runs block l. tapped is what Pass.Tap asks for.
	Block(p *Pass, l int, x *kernels.Tensor) (out, tapped *kernels.Tensor)
	// Reads runs the part of a block before site s: what its producers read.
	Reads(p *Pass, s int, x *kernels.Tensor) *kernels.Tensor
	// Capture runs the part of a block that leads to site s and stops before
	// the residual is added, or LayerNorm applied, to its sum.
	Capture(p *Pass, s int, x *kernels.Tensor) Captured
	// Finish runs the rest of the block of site s.
	Finish(p *Pass, s int, sum, residual *kernels.Tensor) (out, tapped *kernels.Tensor)
	// Head turns the output of the last block into logits [V*B, labels].
	Head(p *Pass, x *kernels.Tensor) *kernels.Tensor

	// LayerValues is the number of parameters of block l.
	LayerValues(l int) int64
	// Extra is the multiply-accumulates outside the blocks for one sequence or
	// image: patch embedding, pooler, classifier.
	Extra() int64
}

// Kind is what a site's units are.
type Kind uint8

const (
	Heads   Kind = iota // attention heads: the mask multiplies the context vector
	Neurons             // FFN neurons: the mask multiplies the activation
)

func (k Kind) String() string { return [...]string{"heads", "neurons"}[k] }

// Site is a place where a mask acts (METHOD section 1).
type Site struct {
	Layer int
	Kind  Kind
	Units int // heads or neurons there are
	Width int // rows of a producer that belong to one unit: the head size, or 1

	Producers []string // parameters whose rows belong to units
	Consumer  string   // the parameter whose columns do
}

// ConsumerBias is the parameter that is added to what the consumer gives.
func (s Site) ConsumerBias() string { return strings.TrimSuffix(s.Consumer, ".weight") + ".bias" }

func (s Site) String() string { return fmt.Sprintf("layer %d %s", s.Layer, s.Kind) }

// Tap is where the trajectory is read in every block.
type Tap uint8

const (
	TapBlock Tap = iota // the block's output (BERT: after its last LayerNorm)
	TapFFN              // the FFN's second linear layer, before residual and LayerNorm
)

// Pass is what one run through a model needs beside the hidden state. It
// belongs to one worker.
type Pass struct {
	Ops     kernels.Ops
	Seq     *kernels.Sequences
	KeyBias *kernels.Tensor   // of Input.KeyBias
	Masks   []*kernels.Tensor // per site [V, units], nil: no mask; nil slice: none at all
	Tap     Tap
	Sums    []*kernels.Tensor // if not nil, Block notes the sum of each site here (see Captured), for as long as Ops keeps it

	kept [2]*kernels.Tensor // reused, so that a steady state allocates nothing
	ints []int32
}

// NewPass is a dense pass over a batch. What it uploads lives as long as the
// present scope of ops.
func NewPass(ops kernels.Ops, in *Input) *Pass {
	p := &Pass{Ops: ops, Seq: in.Seq}
	p.Begin(in)
	return p
}

// Begin makes p ready for a batch of the same sequences in a new scope.
func (p *Pass) Begin(in *Input) {
	p.KeyBias = nil
	if in.KeyBias != nil {
		p.KeyBias = p.Ops.Upload(len(in.KeyBias), 1, in.KeyBias)
	}
}

func (p *Pass) mask(site int) *kernels.Tensor {
	if p.Masks == nil || site < 0 {
		return nil
	}
	return p.Masks[site]
}

func (p *Pass) note(site int, sum *kernels.Tensor) {
	if p.Sums != nil && site >= 0 {
		p.Sums[site] = sum
	}
}

// release ends a scope, keeping up to two results.
func (p *Pass) release(m kernels.Mark, a, b *kernels.Tensor) {
	p.kept = [2]*kernels.Tensor{a, b}
	p.Ops.Release(m, p.kept[:]...)
}

// Captured is what removing a unit needs: sum is the site's output,
// values consumer + bias, and a unit's share of it is its columns of values
// times its rows of consumer.
type Captured struct {
	Values   *kernels.Tensor // [N, units*width]
	Sum      *kernels.Tensor // [N, hidden]
	Residual *kernels.Tensor // what is still to be added to Sum; nil: it is in
}

// HeadTokens is how many tokens of every sequence, from the first, Head reads:
// DeiT's two classifiers stand on a special token each.
func (c *Config) HeadTokens() int {
	if c.Distilled {
		return 2
	}
	return 1
}

// Forward runs the whole model on a batch: logits [V*B, labels].
func Forward(m Model, p *Pass, in *Input) *kernels.Tensor {
	mark := p.Ops.Mark()
	x := m.Embed(p, in)
	for l := range m.Config().Layers {
		inner := p.Ops.Mark()
		out, _ := m.Block(p, l, x)
		p.release(inner, out, nil)
		x = out
	}
	logits := m.Head(p, x)
	p.release(mark, logits, nil)
	return logits
}
