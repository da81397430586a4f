package main

import (
	"fmt"

	"optin/bench/model"
	"optin/bench/model/checkpoint"
)

// bert has the shapes of BERT-base (Devlin et al., 2019) and no values: weights read as 0.
func bert(layers int) (model.Model, error) {
	c, err := model.ParseConfig(fmt.Appendf(nil, `{"architectures": ["BertForSequenceClassification"],
		"model_type": "bert", "hidden_size": 768, "num_hidden_layers": %d, "num_attention_heads": 12,
		"intermediate_size": 3072, "vocab_size": 30522, "max_position_embeddings": 512}`, layers))
	if err != nil {
		return nil, err
	}
	params := model.NewParams("shapes alone")
	params.Missing = func(name string, shape []int) *model.Param {
		return &model.Param{Name: name, Shape: shape, DType: checkpoint.F32,
			Read: func(dst []float32) error { clear(dst); return nil }}
	}
	return model.New(c, params)
}

// text is a batch of sequences of one length.
func text(sequences, length int) *model.Input {
	ids := make([][]int32, sequences)
	for i := range ids {
		ids[i] = make([]int32, length)
	}
	return model.Text(ids, ids)
}
