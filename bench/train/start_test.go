package train

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"optin/bench/model"
	"optin/bench/model/checkpoint"
)

// rewrite makes a changed copy of a tiny model: rename gives each tensor its new
// name, "" for none, and change edits config.json.
func rewrite(t *testing.T, name string, rename func(string) string, change func(map[string]any)) string {
	t.Helper()
	from, dir := filepath.Join("..", "model", "testdata", name), t.TempDir()
	weights, err := checkpoint.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer weights.Close()
	var list []checkpoint.Source
	for _, name := range weights.Names() {
		info, _ := weights.Tensor(name)
		if to := rename(name); to != "" {
			list = append(list, checkpoint.Source{Name: to, DType: info.DType, Shape: info.Shape,
				Float32: func(dst []float32) error { return weights.Float32(name, dst) }})
		}
	}
	if err := checkpoint.Write(filepath.Join(dir, checkpoint.SafetensorsFile), list, nil); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(from, model.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	change(config)
	if text, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, model.ConfigFile), text, 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

// wants is an Opening for the labels of bert-basic, or others.
func wants(dir string, labels ...string) Opening {
	return Opening{Dir: dir, Labels: labels, Seed: 5, Fits: func(outputs []string) error {
		if !slices.Equal(outputs, labels) {
			return fmt.Errorf("labels %v", outputs)
		}
		return nil
	}}
}

func asItIs(name string) string { return name }

var threeLabels = []string{"entailment", "neutral", "contradiction"}

// parameter is a parameter's values after model.New has taken it.
func parameter(t *testing.T, s *Start, name string) []float32 {
	t.Helper()
	m, err := model.New(s.Config, s.Params)
	if err != nil {
		t.Fatal(err)
	}
	p := m.Params().Get(name)
	if p == nil {
		t.Fatalf("no parameter %s", name)
	}
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	dst := make([]float32, n)
	if err := p.Read(dst); err != nil {
		t.Fatal(err)
	}
	return dst
}

func open(t *testing.T, o Opening) *Start {
	t.Helper()
	s, err := OpenStart(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestStartAsItIs begins with a model whose head fits.
func TestStartAsItIs(t *testing.T) {
	s := open(t, wants(filepath.Join("..", "model", "testdata", "bert-basic"), threeLabels...))
	if len(s.Notes) != 0 {
		t.Errorf("notes %q", s.Notes)
	}
	if v := parameter(t, s, "classifier.bias"); v[0] == 0 && v[1] == 0 {
		t.Error("the head is new")
	}
}

// TestStartHeads gives a new head to a bare encoder and to one of other labels;
// the body stays.
func TestStartHeads(t *testing.T) {
	whole := open(t, wants(filepath.Join("..", "model", "testdata", "bert-basic"), threeLabels...))
	const body = "bert.encoder.layer.1.output.dense.weight"
	bare := rewrite(t, "bert-basic", func(name string) string {
		if strings.HasPrefix(name, "classifier") {
			return ""
		}
		return strings.TrimPrefix(name, "bert.")
	}, func(c map[string]any) {
		c["architectures"] = []string{"BertModel"}
		delete(c, "id2label")
		delete(c, "label2id")
	})
	for name, c := range map[string]struct {
		o    Opening
		note string
	}{
		"bare":       {wants(bare, threeLabels...), "begin at random values: classifier.bias, classifier.weight"},
		"relabelled": {wants(filepath.Join("..", "model", "testdata", "bert-basic"), "good", "bad"), "the head is new: the model was for 3 labels, the task has 2 labels"},
		"regression": {Opening{Dir: bare, Regression: true, Fits: func(o []string) error { return nil }}, "the task has one value"},
	} {
		s := open(t, c.o)
		if !strings.Contains(strings.Join(s.Notes, "\n"), c.note) {
			t.Errorf("%s: notes %q, want %s", name, s.Notes, c.note)
		}
		if !slices.Equal(parameter(t, s, body), parameter(t, whole, body)) {
			t.Errorf("%s: the body is another one", name)
		}
		want := max(1, len(c.o.Labels))
		if w := parameter(t, s, "classifier.weight"); len(w) != want*s.Config.Hidden || w[0] == 0 || s.Config.Regression != c.o.Regression {
			t.Errorf("%s: a head of %d values, regression %v", name, len(w), s.Config.Regression)
		}
		text, err := s.Config.JSON()
		if err != nil {
			t.Fatal(err)
		}
		written, err := model.ParseConfig(text)
		if err != nil || len(written.Labels) != want || written.Architecture != "BertForSequenceClassification" {
			t.Errorf("%s: config.json would say %+v (%v)", name, written, err)
		}
	}
}

// TestStartRandom draws values that depend on seed and name alone.
func TestStartRandom(t *testing.T) {
	o := wants(filepath.Join("..", "model", "testdata", "bert-basic"), threeLabels...)
	o.Random, o.DType = true, checkpoint.F16
	s := open(t, o)
	w := parameter(t, s, "bert.embeddings.word_embeddings.weight")
	sum := 0.0
	for _, v := range w {
		sum += float64(v) * float64(v)
		if math.Abs(float64(v)) > 0.04 {
			t.Fatalf("%v is more than two standard deviations", v)
		}
	}
	if deviation := math.Sqrt(sum / float64(len(w))); !(deviation > 0.016 && deviation < 0.019) { // 0.88 of 0.02, cut off
		t.Errorf("standard deviation %v", deviation)
	}
	if !slices.Equal(w, parameter(t, open(t, o), "bert.embeddings.word_embeddings.weight")) {
		t.Error("the same seed gives other values")
	}
	if v := parameter(t, s, "bert.embeddings.LayerNorm.weight"); v[0] != 1 {
		t.Error("LayerNorm does not begin at 1")
	}
	if v := parameter(t, s, "classifier.bias"); v[0] != 0 {
		t.Error("a bias does not begin at 0")
	}
	if s.Params.Missing("x", []int{1}).DType != checkpoint.F16 {
		t.Error("the type is not what was asked for")
	}
	o.Seed++
	if slices.Equal(w, parameter(t, open(t, o), "bert.embeddings.word_embeddings.weight")) {
		t.Error("another seed gives the same values")
	}
}

// TestStartRefuses checks messages.
func TestStartRefuses(t *testing.T) {
	lame := rewrite(t, "bert-basic", func(name string) string {
		if strings.Contains(name, "layer.1.output.dense") {
			return ""
		}
		return name
	}, func(map[string]any) {})
	other := rewrite(t, "bert-basic", asItIs, func(c map[string]any) { c["model_type"] = "roberta" })
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, model.ConfigFile), []byte("["), 0o666); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		lame:       `"bert.encoder.layer.1.output.dense.weight": is missing`,
		other:      "does not go with architectures",
		broken:     "not a JSON object",
		"/nowhere": "give a folder with a config.json",
	} {
		if _, err := OpenStart(wants(dir, threeLabels...)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", dir, err, want)
		}
	}
}
