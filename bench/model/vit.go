package model

import (
	"optin/kernels"
)

// vit is ViTForImageClassification (Dosovitskiy et al., 2021) and DeiT with a
// distillation token and one or two heads (Touvron et al., 2021).
type vit struct {
	encoder
	bound
	patches   linear
	special   []*kernels.Weight // class token, and DeiT's distillation token
	positions *kernels.Weight
	norm      norm
	heads     []linear        // head i reads special token i; logits are their mean
	mean      *kernels.Weight // 1/heads for every label
}

func newViT(c *Config, p *Params) (Model, error) {
	b := binder{params: p}
	m := &vit{}
	root := c.ModelType + "."
	area := c.Channels * c.Patch * c.Patch
	m.patches.w = b.tensor(root+"embeddings.patch_embeddings.projection.weight",
		[]int{c.Hidden, c.Channels, c.Patch, c.Patch}, c.Hidden, area)
	m.patches.b = b.vector(root+"embeddings.patch_embeddings.projection.bias", c.Hidden)
	m.special = append(m.special, b.token(root+"embeddings.cls_token", c.Hidden))
	if c.ModelType == "deit" {
		m.special = append(m.special, b.token(root+"embeddings.distillation_token", c.Hidden))
	}
	m.positions = b.tensor(root+"embeddings.position_embeddings",
		[]int{1, c.Tokens(), c.Hidden}, c.Tokens(), c.Hidden)
	m.norm = b.norm(root+"layernorm", c.Hidden)
	names := []string{"classifier"}
	if c.Distilled {
		names = []string{"cls_classifier", "distillation_classifier"}
	}
	for _, name := range names {
		m.heads = append(m.heads, b.linear(name, len(c.Labels), c.Hidden, true))
	}
	m.mean = b.constant("mean of heads", len(c.Labels), 1/float32(len(names)))
	m.encoder = b.encoder(c, layerNames{
		prefix: root + "encoder.layer.%d.",
		query:  "attention.attention.query", key: "attention.attention.key", value: "attention.attention.value",
		output: "attention.output.dense", norm1: "layernorm_before",
		up: "intermediate.dense", down: "output.dense", norm2: "layernorm_after",
	}, true)
	m.bound = b.bound(c)
	return m, b.err
}

// Embed stacks the special tokens above all patches and gathers each image's
// sequence from there, then adds the positions.
func (m *vit) Embed(p *Pass, in *Input) *kernels.Tensor {
	c := m.cfg
	mark := p.Ops.Mark()
	images := p.Ops.Upload(in.Examples(), c.Channels*c.ImageHeight*c.ImageWidth, in.Pixels)
	spec := kernels.PatchSpec{Channels: c.Channels, Height: c.ImageHeight, Width: c.ImageWidth, Patch: c.Patch}
	x := p.Ops.Linear(p.Ops.Patchify(images, spec), m.patches.w, kernels.Epilogue{Bias: m.patches.b})
	for i := len(m.special) - 1; i >= 0; i-- {
		x = p.Ops.Concat(p.Ops.Unpack(m.special[i], false), x)
	}
	rows := p.ints[:0]
	next := int32(len(m.special))
	for range in.Examples() {
		for t := range m.special {
			rows = append(rows, int32(t))
		}
		for range spec.Patches() {
			rows = append(rows, next)
			next++
		}
	}
	p.ints = rows
	x = p.Ops.Gather(x, p.Ops.UploadInts(rows), x.Rows)
	x = p.Ops.Add(x, p.Ops.Unpack(m.positions, false))
	p.release(mark, x, nil)
	return x
}

// Head applies the final LayerNorm to the special tokens only, since nothing
// else is read.
func (m *vit) Head(p *Pass, x *kernels.Tensor) *kernels.Tensor {
	mark := p.Ops.Mark()
	var logits *kernels.Tensor
	for i, head := range m.heads {
		token := p.Ops.Gather(x, first(p, int32(i)), p.Seq.Rows())
		token = p.Ops.LayerNorm(token, nil, m.norm.gamma, m.norm.beta, m.cfg.Eps)
		out := p.Ops.Linear(token, head.w, kernels.Epilogue{Bias: head.b, Residual: logits})
		logits = out
	}
	if len(m.heads) > 1 {
		v := p.Seq.Variants(x.Rows)
		logits = p.Ops.MaskUnits(logits, p.Ops.Repeat(p.Ops.Unpack(m.mean, false), v))
	}
	p.release(mark, logits, nil)
	return logits
}

func (m *vit) Extra() int64 {
	c := m.cfg
	d := int64(c.Hidden)
	patches := int64(c.Tokens() - len(m.special))
	return patches*int64(c.Channels*c.Patch*c.Patch)*d + int64(len(m.heads)*len(c.Labels))*d
}
