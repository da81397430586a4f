package model

import (
	"fmt"

	"optin/kernels"
)

// bert is BertForSequenceClassification: Devlin et al., 2019, as Hugging Face
// transformers computes it.
type bert struct {
	encoder
	bound
	words, positions   *kernels.Weight
	types              *kernels.Weight
	norm               norm
	pooler, classifier linear
}

func newBERT(c *Config, p *Params) (Model, error) {
	b := binder{params: p}
	m := &bert{}
	m.words = b.matrix("bert.embeddings.word_embeddings.weight", c.Vocab, c.Hidden)
	m.positions = b.matrix("bert.embeddings.position_embeddings.weight", c.Positions, c.Hidden)
	m.types = b.matrix("bert.embeddings.token_type_embeddings.weight", c.TypeVocab, c.Hidden)
	m.norm = b.norm("bert.embeddings.LayerNorm", c.Hidden)
	m.pooler = b.linear("bert.pooler.dense", c.Hidden, c.Hidden, true)
	m.classifier = b.linear("classifier", len(c.Labels), c.Hidden, true)
	m.encoder = b.encoder(c, layerNames{
		prefix: "bert.encoder.layer.%d.",
		query:  "attention.self.query", key: "attention.self.key", value: "attention.self.value",
		output: "attention.output.dense", norm1: "attention.output.LayerNorm",
		up: "intermediate.dense", down: "output.dense", norm2: "output.LayerNorm",
	}, false)
	m.bound = b.bound(c)
	return m, b.err
}

func (m *bert) Embed(p *Pass, in *Input) *kernels.Tensor {
	mark := p.Ops.Mark()
	x := p.Ops.Embed(p.Ops.UploadInts(in.IDs), m.words, nil)
	x = p.Ops.Embed(p.Ops.UploadInts(in.Types), m.types, x)
	x = p.Ops.Embed(p.Ops.UploadInts(in.Positions), m.positions, x)
	x = p.Ops.LayerNorm(x, nil, m.norm.gamma, m.norm.beta, m.cfg.Eps)
	p.release(mark, x, nil)
	return x
}

func (m *bert) Head(p *Pass, x *kernels.Tensor) *kernels.Tensor {
	mark := p.Ops.Mark()
	cls := p.Ops.Gather(x, first(p, 0), p.Seq.Rows())
	pooled := p.Ops.Linear(cls, m.pooler.w, kernels.Epilogue{Bias: m.pooler.b, Act: kernels.Tanh})
	logits := p.Ops.Linear(pooled, m.classifier.w, kernels.Epilogue{Bias: m.classifier.b})
	p.release(mark, logits, nil)
	return logits
}

func (m *bert) Extra() int64 {
	d := int64(m.cfg.Hidden)
	return d*d + d*int64(len(m.cfg.Labels))
}

// CheckText says whether a text batch fits the model's tables.
func CheckText(c *Config, in *Input) error {
	if in.Seq.Max > c.Positions {
		return fmt.Errorf("a text of %d tokens: the model has %d positions (max_position_embeddings); set max_length", in.Seq.Max, c.Positions)
	}
	for i, id := range in.IDs {
		if id < 0 || int(id) >= c.Vocab {
			return fmt.Errorf("token id %d: the model's vocabulary has %d (vocab_size): does the tokenizer belong to it?", id, c.Vocab)
		}
		if t := in.Types[i]; t < 0 || int(t) >= c.TypeVocab {
			return fmt.Errorf("segment id %d: the model has %d (type_vocab_size)", t, c.TypeVocab)
		}
	}
	return nil
}
