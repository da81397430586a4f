package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"optin/kernels"
)

// ConfigFile is the name of a model's description in its directory.
const ConfigFile = "config.json"

// The keys this program adds to config.json when layers differ in size.
const (
	headsKey   = "heads_per_layer"
	neuronsKey = "neurons_per_layer"
	headKey    = "attention_head_size"
)

// Config is config.json, in this program's words. Sizes are in values.
type Config struct {
	Architecture string // a class of transformers, such as BertForSequenceClassification
	ModelType    string // bert, vit or deit

	Hidden, Layers, HeadSize int
	HeadsPerLayer            []int // heads of each block
	NeuronsPerLayer          []int // FFN neurons of each block
	Act                      kernels.Activation
	Eps                      float64 // of every LayerNorm
	QKVBias                  bool

	Vocab, Positions, TypeVocab              int // text
	ImageHeight, ImageWidth, Patch, Channels int // images, in pixels
	Distilled                                bool

	Labels      []string // names, by class; one: a regression head
	NamedLabels bool     // the file names them (LABEL_0 is no name)
	Regression  bool

	raw map[string]json.RawMessage
}

// Text says whether the model reads texts (otherwise images).
func (c *Config) Text() bool { return c.ModelType == "bert" }

// HeadsIn and NeuronsIn are the units of block l.
func (c *Config) HeadsIn(l int) int   { return c.HeadsPerLayer[l] }
func (c *Config) NeuronsIn(l int) int { return c.NeuronsPerLayer[l] }

// Tokens is the length of an image's sequence: patches and special tokens.
func (c *Config) Tokens() int {
	n := (c.ImageHeight / c.Patch) * (c.ImageWidth / c.Patch)
	if c.ModelType == "deit" {
		return n + 2
	}
	return n + 1
}

type architecture struct {
	modelType string
	build     func(*Config, *Params) (Model, error)
	distilled bool
}

// architectures are the classes that can be run, with config.json's
// model_type. A file without "architectures" means the first of its type.
func architectures() ([]string, map[string]architecture) {
	names := []string{"BertForSequenceClassification", "ViTForImageClassification",
		"DeiTForImageClassification", "DeiTForImageClassificationWithTeacher"}
	return names, map[string]architecture{
		names[0]: {"bert", newBERT, false},
		names[1]: {"vit", newViT, false},
		names[2]: {"deit", newViT, false},
		names[3]: {"deit", newViT, true},
	}
}

func activations() map[string]kernels.Activation {
	return map[string]kernels.Activation{
		"gelu": kernels.GELU, "gelu_python": kernels.GELU,
		"gelu_new": kernels.GELUTanh, "gelu_pytorch_tanh": kernels.GELUTanh,
		"quick_gelu": kernels.GELUQuick,
		"relu":       kernels.ReLU,
	}
}

// ReadConfig reads and checks config.json in dir.
func ReadConfig(dir string) (*Config, error) {
	path := filepath.Join(dir, ConfigFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("model %s: there is no such directory; give a Hugging Face model directory", dir)
		}
		return nil, fmt.Errorf("model %s: there is no %s; give a Hugging Face model directory", dir, ConfigFile)
	}
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", dir, err)
	}
	c, err := ParseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// ParseConfig reads config.json's text. Errors name the key.
func ParseConfig(data []byte) (*Config, error) {
	k := keys{}
	if err := json.Unmarshal(data, &k.raw); err != nil {
		return nil, fmt.Errorf("not a JSON object (%v); download it again", err)
	}
	c := &Config{raw: k.raw, ModelType: k.text("model_type", "")}
	arch, err := k.architecture(c)
	if err != nil {
		return nil, err
	}
	c.Distilled = arch.distilled
	k.sizes(c)
	if c.Text() {
		k.textSizes(c)
	} else {
		k.imageSizes(c)
	}
	k.labels(c)
	if k.err != nil {
		return nil, k.err
	}
	return c, nil
}

func (k *keys) architecture(c *Config) (architecture, error) {
	names, all := architectures()
	var given []string
	k.value("architectures", &given)
	if k.err != nil {
		return architecture{}, k.err
	}
	if len(given) == 0 {
		for _, name := range names {
			if all[name].modelType == c.ModelType {
				given = []string{name}
				break
			}
		}
	}
	var types []string
	for _, name := range names {
		types = append(types, fmt.Sprintf("%s (model_type %s)", name, all[name].modelType))
	}
	if len(given) == 0 {
		return architecture{}, fmt.Errorf("model_type %q is not supported; supported are %s", c.ModelType, strings.Join(types, ", "))
	}
	arch, ok := all[given[0]]
	if !ok {
		return architecture{}, fmt.Errorf("architectures: %q (model_type %q) is not supported; supported are %s", given[0], c.ModelType, strings.Join(types, ", "))
	}
	if c.ModelType != arch.modelType {
		return architecture{}, fmt.Errorf("model_type %q does not go with architectures %q, which has %q", c.ModelType, given[0], arch.modelType)
	}
	c.Architecture = given[0]
	return arch, nil
}

func (k *keys) sizes(c *Config) {
	c.Hidden = k.size("hidden_size", 0)
	c.Layers = k.sizeTo("num_hidden_layers", 0, maxLayers)
	heads := k.size("num_attention_heads", 0)
	neurons := k.size("intermediate_size", 0)
	if k.err == nil && k.raw[headKey] == nil && c.Hidden%heads != 0 {
		k.fail("num_attention_heads", "%d does not divide hidden_size %d", heads, c.Hidden)
		return
	}
	if k.err == nil {
		c.HeadSize = k.size(headKey, c.Hidden/heads)
		c.HeadsPerLayer = k.perLayer(headsKey, c.Layers, heads)
		c.NeuronsPerLayer = k.perLayer(neuronsKey, c.Layers, neurons)
	}
	c.Eps = 1e-12
	k.value("layer_norm_eps", &c.Eps)
	if !(c.Eps >= 0 && c.Eps < 1) {
		k.fail("layer_norm_eps", "%v; want a small positive number", c.Eps)
	}
	act, ok := activations()[k.text("hidden_act", "gelu")]
	if !ok {
		k.fail("hidden_act", "%q is not supported; supported are gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, relu", k.text("hidden_act", ""))
	}
	c.Act = act
	c.QKVBias = true
	if !c.Text() {
		k.value("qkv_bias", &c.QKVBias)
	}
}

func (k *keys) textSizes(c *Config) {
	c.Vocab = k.size("vocab_size", 0)
	c.Positions = k.size("max_position_embeddings", 0)
	c.TypeVocab = k.size("type_vocab_size", 2)
	if p := k.text("position_embedding_type", "absolute"); p != "absolute" {
		k.fail("position_embedding_type", "%q is not supported; only absolute is", p)
	}
	for _, key := range []string{"is_decoder", "add_cross_attention"} {
		var on bool
		if k.value(key, &on); on {
			k.fail(key, "true is not supported: only encoders can be run")
		}
	}
}

func (k *keys) imageSizes(c *Config) {
	c.Channels = k.size("num_channels", 3)
	c.ImageHeight, c.ImageWidth = k.square("image_size", 224)
	patchHeight, patchWidth := k.square("patch_size", 16)
	c.Patch = patchHeight
	switch {
	case k.err != nil:
	case patchHeight != patchWidth:
		k.fail("patch_size", "%d x %d: only square patches are supported", patchHeight, patchWidth)
	case c.ImageHeight%c.Patch != 0 || c.ImageWidth%c.Patch != 0:
		k.fail("patch_size", "%d does not divide image_size %d x %d", c.Patch, c.ImageHeight, c.ImageWidth)
	}
}

func (k *keys) labels(c *Config) {
	n := k.sizeTo("num_labels", 2, maxLabels)
	var names map[string]string
	k.value("id2label", &names)
	if names != nil {
		n = len(names)
	}
	if k.err != nil {
		return
	}
	if n < 1 || n > maxLabels {
		k.fail("id2label", "%d labels; want 1 to %d", n, maxLabels)
		return
	}
	c.Labels = make([]string, n)
	for i := range c.Labels {
		name, ok := names[strconv.Itoa(i)]
		if names != nil && !ok {
			k.fail("id2label", "class %d of %d has no name", i, n)
			return
		}
		if name == "" {
			name = fmt.Sprintf("LABEL_%d", i)
		}
		c.Labels[i] = name
		c.NamedLabels = c.NamedLabels || name != fmt.Sprintf("LABEL_%d", i)
	}
	problem := k.text("problem_type", "")
	if problem == "multi_label_classification" {
		k.fail("problem_type", "%q is not supported", problem)
	}
	c.Regression = n == 1 || problem == "regression"
	if c.Regression && n != 1 {
		k.fail("problem_type", "regression with %d labels is not supported; one is", n)
	}
}

// Resized is c with other units per layer, as config.json will say it.
func (c *Config) Resized(heads, neurons []int) (*Config, error) {
	d := *c
	d.HeadsPerLayer, d.NeuronsPerLayer = heads, neurons
	d.raw = maps.Clone(c.raw)
	for key, value := range map[string]any{headsKey: heads, neuronsKey: neurons, headKey: c.HeadSize} {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		d.raw[key] = text
	}
	return &d, nil
}

// JSON is config.json: what was read, with the changes since.
func (c *Config) JSON() ([]byte, error) {
	data, err := json.MarshalIndent(c.raw, "", "  ")
	return append(data, '\n'), err
}
