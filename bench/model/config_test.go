package model_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"optin/bench/model"
)

// TestConfigErrors changes one key of a good file at a time.
func TestConfigErrors(t *testing.T) {
	for _, c := range []struct{ from, key, value, want string }{
		{"bert", "model_type", `"gpt2"`, `model_type "gpt2" does not go with architectures "BertForSequenceClassification"`},
		{"bert", "architectures", `["GPT2LMHeadModel"]`, "is not supported; supported are BertForSequenceClassification (model_type bert), ViT"},
		{"bert", "architectures", `3`, "architectures: 3 is not what is expected there"},
		{"bert", "hidden_size", `"wide"`, `hidden_size: "wide" is not what is expected there`},
		{"bert", "hidden_size", `0`, "hidden_size: 0; want 1 to"},
		{"bert", "hidden_size", ``, "hidden_size: is missing"},
		{"bert", "num_hidden_layers", `16777216`, "num_hidden_layers: 16777216; want 1 to 4096"},
		{"bert", "num_attention_heads", `5`, "num_attention_heads: 5 does not divide hidden_size 32"},
		{"bert", "intermediate_size", `-1`, "intermediate_size: -1; want 1 to"},
		{"bert", "heads_per_layer", `[1]`, "heads_per_layer: 1 counts for 2 layers"},
		{"bert", "neurons_per_layer", `[1, -1]`, "neurons_per_layer: a layer with -1; want 0 to"},
		{"bert", "layer_norm_eps", `2`, "layer_norm_eps: 2; want a small positive number"},
		{"bert", "hidden_act", `"swish"`, `hidden_act: "swish" is not supported; supported are gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, relu`},
		{"bert", "position_embedding_type", `"relative_key"`, `position_embedding_type: "relative_key" is not supported`},
		{"bert", "is_decoder", `true`, "is_decoder: true is not supported"},
		{"bert", "vocab_size", `1e3`, "vocab_size: 1e3 is not what is expected there"},
		{"bert", "id2label", `{"0": "a", "2": "b"}`, "id2label: class 1 of 2 has no name"},
		{"bert", "id2label", `{}`, "id2label: 0 labels"},
		{"bert", "problem_type", `"multi_label_classification"`, "problem_type: "},
		{"bert", "problem_type", `"regression"`, "problem_type: regression with 3 labels"},
		{"deit", "image_size", `[16]`, "image_size: [16]; want a size or [height, width]"},
		{"deit", "patch_size", `3`, "patch_size: 3 does not divide image_size 16 x 16"},
		{"deit", "patch_size", `[4, 2]`, "patch_size: 4 x 2: only square patches"},
		{"deit", "qkv_bias", `1`, "qkv_bias: 1 is not what is expected there"},
	} {
		t.Run(c.key+"="+c.value, func(t *testing.T) {
			_, err := model.ParseConfig(changed(t, "testdata/"+c.from+"-basic", c.key, c.value))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
	for _, text := range []string{"", "[]", "{", "null", `{"model_type": "bert"`} {
		if _, err := model.ParseConfig([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

// TestConfigContradictsWeights gives a sound file of another model.
func TestConfigContradictsWeights(t *testing.T) {
	for _, c := range []struct{ from, key, value, want string }{
		{"bert", "hidden_size", `16`, "word_embeddings.weight\": has shape [64 32] where config.json asks for [64 16]"},
		{"bert", "vocab_size", `63`, "has shape [64 32] where config.json asks for [63 32]"},
		{"bert", "intermediate_size", `65`, "has shape [64 32] where config.json asks for [65 32]"},
		{"bert", "heads_per_layer", `[4, 3]`, `"bert.encoder.layer.1.attention.self.query.weight": has shape`},
		{"bert", "id2label", ``, `"classifier.weight": has shape [3 32] where config.json asks for [2 32]`},
		{"bert", "num_hidden_layers", `3`, `layer.2.attention.output.LayerNorm.weight": is missing`},
		{"bert", "num_hidden_layers", `1`, "is there, but num_hidden_layers of config.json is 1"},
		{"deit", "qkv_bias", `false`, `query.bias": is there, but qkv_bias of config.json is false`},
		{"deit", "image_size", `20`, "position_embeddings\": has shape"},
		{"deit", "architectures", `["DeiTForImageClassificationWithTeacher"]`, `"cls_classifier.weight": is missing`},
	} {
		t.Run(c.key+"="+c.value, func(t *testing.T) {
			dir := changedModel(t, "testdata/"+c.from+"-basic", c.key, c.value)
			_, _, err := model.Open(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) ||
				!strings.Contains(err.Error(), "check that config.json belongs to these weights") {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// changedModel is a folder with the weights of a model and its config.json, changed.
func changedModel(t *testing.T, from, key, value string) string {
	t.Helper()
	weights, err := os.ReadFile(filepath.Join(from, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{"config.json": changed(t, from, key, value), "model.safetensors": weights} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// changed is the config.json of a model with another value of one key; none
// takes the key out.
func changed(t *testing.T, dir, key, value string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		t.Fatal(err)
	}
	keys[key] = json.RawMessage(value)
	if value == "" {
		delete(keys, key)
	}
	out, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// FuzzConfig checks that no config.json makes the parser panic, that what it
// lets through has sizes that can be worked with, and that a model without
// weights is an error that costs little memory, whatever was asked for.
func FuzzConfig(f *testing.F) {
	files, err := filepath.Glob("testdata/*/config.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"model_type":"bert","hidden_size":16777216,"num_hidden_layers":16777216,"num_attention_heads":1,"intermediate_size":16777216,"vocab_size":1,"max_position_embeddings":1}`))
	f.Add([]byte(`{"model_type":"vit","hidden_size":1,"num_hidden_layers":1,"num_attention_heads":1,"intermediate_size":1,"image_size":[16777216,16777216],"patch_size":1,"num_channels":16777216}`))
	f.Add([]byte(`{"model_type":"deit","heads_per_layer":[0,9],"neurons_per_layer":null,"attention_head_size":3,"hidden_size":1,"num_hidden_layers":2,"num_attention_heads":1,"intermediate_size":1,"num_labels":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c, err := model.ParseConfig(data)
		if err == nil {
			check(t, c)
			if _, err := model.New(c, model.NewParams("nothing")); err == nil {
				t.Error("a model without weights was built")
			}
		} else if err.Error() == "" {
			t.Error("an error without a message")
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 128<<20 {
			t.Errorf("%d bytes were allocated for a file of %d", used, len(data))
		}
	})
}

// check says whether the sizes of a config that was let through are sound.
func check(t *testing.T, c *model.Config) {
	if c.Layers < 1 || len(c.HeadsPerLayer) != c.Layers || len(c.NeuronsPerLayer) != c.Layers || len(c.Labels) < 1 {
		t.Errorf("%d layers, %d and %d counts, %d labels", c.Layers, len(c.HeadsPerLayer), len(c.NeuronsPerLayer), len(c.Labels))
	}
	for l := range c.Layers {
		if c.HeadsIn(l) < 0 || c.NeuronsIn(l) < 0 {
			t.Errorf("layer %d: %d heads, %d neurons", l, c.HeadsIn(l), c.NeuronsIn(l))
		}
	}
	if c.Hidden < 1 || c.HeadSize < 1 || !c.Text() && c.Tokens() < 2 {
		t.Errorf("sizes %+v", c)
	}
	if _, err := c.JSON(); err != nil {
		t.Errorf("cannot be written: %v", err)
	}
}
