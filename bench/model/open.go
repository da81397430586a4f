package model

import (
	"strings"
)

// Open reads a Hugging Face model directory. Weights are read from it when a
// device first needs them, so the files must stay until the model is closed.
func Open(dir string) (Model, func() error, error) {
	c, err := ReadConfig(dir)
	if err != nil {
		return nil, nil, err
	}
	params, closeFiles, err := OpenParams(dir)
	if err != nil {
		return nil, nil, err
	}
	m, err := New(c, params)
	if err != nil {
		closeFiles()
		return nil, nil, err
	}
	return m, closeFiles, nil
}

// New builds the model that c describes from p. Parameters that it does not
// know are dropped.
func New(c *Config, p *Params) (Model, error) {
	_, all := architectures()
	return all[c.Architecture].build(c, p)
}

// modernName is the name that transformers gives today to a parameter of an
// old file: TensorFlow's names of LayerNorm weights.
func modernName(name string) string {
	if base, ok := strings.CutSuffix(name, "LayerNorm.gamma"); ok {
		return base + "LayerNorm.weight"
	}
	if base, ok := strings.CutSuffix(name, "LayerNorm.beta"); ok {
		return base + "LayerNorm.bias"
	}
	return name
}
