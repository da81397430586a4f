package train

import (
	"optin/bench/model"
	"optin/kernels"
)

// words is the head that guesses hidden tokens, with the embedding table as its
// last weight (Devlin et al., 2019). It is trained with the model and not kept.
type words struct {
	dense, bias, gamma, beta, table, offsets *kernels.Weight
	eps                                      float64
}

// The parameters of the head, as transformers names them.
const (
	wordsPrefix = "cls.predictions."
	wordTable   = "bert.embeddings.word_embeddings.weight"
)

// wordsParams are the head's parameters, new.
func wordsParams(s *Start) []*model.Param {
	const at = wordsPrefix + "transform."
	d := s.Config.Hidden
	return []*model.Param{
		s.make(at+"dense.weight", []int{d, d}), s.make(at+"dense.bias", []int{d}),
		s.make(at+"LayerNorm.weight", []int{d}), s.make(at+"LayerNorm.bias", []int{d}),
		s.make(wordsPrefix+"bias", []int{s.Config.Vocab}),
	}
}

// newWords binds the head to its live parameters and to the model's table.
func newWords(m model.Model, live []*model.Param) *words {
	w := &words{eps: m.Config().Eps}
	const at = wordsPrefix + "transform."
	to := map[string]**kernels.Weight{
		at + "dense.weight": &w.dense, at + "dense.bias": &w.bias,
		at + "LayerNorm.weight": &w.gamma, at + "LayerNorm.bias": &w.beta, wordsPrefix + "bias": &w.offsets,
	}
	for _, p := range live {
		t := *p.Live
		t.Rows, t.Cols = 1, p.Shape[0]
		if len(p.Shape) == 2 {
			t.Rows, t.Cols = p.Shape[0], p.Shape[1]
		}
		*to[p.Name] = kernels.LiveWeight(p.Name, &t)
	}
	for _, weight := range m.Weights() {
		if weight.Name == wordTable {
			w.table = weight
		}
	}
	return w
}

// weights are those of the head alone.
func (w *words) weights() []*kernels.Weight {
	return []*kernels.Weight{w.dense, w.bias, w.gamma, w.beta, w.offsets}
}

// run guesses the tokens of the given rows of x: [rows, vocabulary].
func (w *words) run(ops kernels.Ops, x *kernels.Tensor, rows []int32) *kernels.Tensor {
	h := ops.Gather(x, ops.UploadInts(rows), x.Rows)
	h = ops.Linear(h, w.dense, kernels.Epilogue{Bias: w.bias, Act: kernels.GELU})
	h = ops.LayerNorm(h, nil, w.gamma, w.beta, w.eps)
	return ops.Linear(h, w.table, kernels.Epilogue{Bias: w.offsets})
}
