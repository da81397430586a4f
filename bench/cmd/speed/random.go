package main

import (
	"fmt"
	"math/rand/v2"

	"optin/bench/model"
	"optin/bench/model/checkpoint"
)

// The shape of BERT-base (Devlin et al., 2019), but for the number of layers and
// a small vocabulary, which costs nothing to look up.
const (
	hidden     = 768
	heads      = 12
	neurons    = 3072
	positions  = 512
	vocabulary = 2048
)

// randomBERT has random weights of the usual spread, made when they are read.
func randomBERT(layers int) (model.Model, error) {
	c, err := model.ParseConfig(fmt.Appendf(nil, `{"architectures": ["BertForSequenceClassification"], "model_type": "bert",
		"hidden_size": %d, "num_hidden_layers": %d, "num_attention_heads": %d, "intermediate_size": %d,
		"vocab_size": %d, "max_position_embeddings": %d}`, hidden, layers, heads, neurons, vocabulary, positions))
	if err != nil {
		return nil, err
	}
	var params []*model.Param
	add := func(mean float32, name string, shape ...int) {
		params = append(params, &model.Param{Name: name, Shape: shape, DType: checkpoint.F32, Read: normal(uint64(len(params)), mean)})
	}
	linear := func(name string, out, in int) {
		add(0, name+".weight", out, in)
		add(0, name+".bias", out)
	}
	norm := func(name string) {
		add(1, name+".weight", hidden)
		add(0, name+".bias", hidden)
	}
	add(0, "bert.embeddings.word_embeddings.weight", vocabulary, hidden)
	add(0, "bert.embeddings.position_embeddings.weight", positions, hidden)
	add(0, "bert.embeddings.token_type_embeddings.weight", 2, hidden)
	norm("bert.embeddings.LayerNorm")
	for l := range layers {
		at := fmt.Sprintf("bert.encoder.layer.%d.", l)
		for _, part := range []string{"query", "key", "value"} {
			linear(at+"attention.self."+part, hidden, hidden)
		}
		linear(at+"attention.output.dense", hidden, hidden)
		norm(at + "attention.output.LayerNorm")
		linear(at+"intermediate.dense", neurons, hidden)
		linear(at+"output.dense", hidden, neurons)
		norm(at + "output.LayerNorm")
	}
	linear("bert.pooler.dense", hidden, hidden)
	linear("classifier", 2, hidden)
	return model.New(c, model.NewParams("random weights", params...))
}

// normal fills with numbers of standard deviation 0.05.
func normal(seed uint64, mean float32) func(dst []float32) error {
	return func(dst []float32) error {
		rng := rand.New(rand.NewPCG(seed, 0))
		for i := range dst {
			dst[i] = mean + 0.05*float32(rng.NormFloat64())
		}
		return nil
	}
}
