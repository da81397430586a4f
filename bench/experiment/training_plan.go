package experiment

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"optin/bench/train"
)

// Training is a training file that was read and found to make sense.
// [WriteTrainingKeys] says what may stand in one.
type Training struct {
	File      string   // where it came from, for messages
	Text      string   // as it was read
	Overrides []string // key=value, applied last

	Name    string
	Seed    uint64
	Device  string
	Threads int
	Rows    int // packed rows of a micro-batch; 0: what the device likes
	Output  string

	Model    Beginning
	Task     Task
	Settings train.Settings
	Distill  Distill
	Upkeep   Upkeep
	Evaluate Evaluate
}

// Beginning is the table [model] of a training file.
type Beginning struct {
	Path   string // a model to go on with
	Config string // or a folder that says what a new one is like
	Init   string
	Spread float64
}

// Dir is the folder of config.json and of the tokenizer or preprocessor.
func (b Beginning) Dir() string {
	if b.Path != "" {
		return b.Path
	}
	return b.Config
}

// Distill is the table [distill]; the rest of it is in the settings.
type Distill struct {
	Model string
}

// Upkeep is what of the table [train] does not change the result.
type Upkeep struct {
	Samples   int
	SaveEvery int
	EvalEvery float64
	EvalSplit string
	DType     string
}

// LoadTraining reads a training file; overrides are as those of [LoadPlan].
func LoadTraining(path string, overrides ...string) (*Training, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("training: %w", err)
	}
	return ParseTraining(path, text, overrides...)
}

// ParseTraining reads the text of a training file. The error names every key that
// is unknown, mistyped or out of range, each on a line with file and line.
func ParseTraining(file string, text []byte, overrides ...string) (*Training, error) {
	t := &Training{File: file, Text: string(text), Overrides: overrides}
	src, err := readSource(file, text, overrides, t.keys(), false)
	if err != nil {
		return nil, err
	}
	given := maps.Clone(src.top)
	maps.Copy(given, src.targets[0])
	fill(src, given, t.keys(), "")
	if err := src.err(); err != nil {
		return nil, err
	}
	t.Settings.Seed = t.Seed
	if t.Distill.Model == "" {
		t.Settings.Distill = 0
	}
	if t.Name == "" {
		base := filepath.Base(file)
		t.Name = strings.TrimSuffix(base, filepath.Ext(base))
	}
	if t.Output == "" {
		t.Output = filepath.Join("results", t.Name)
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return t, nil
}

// check looks at keys that must fit each other.
func (t *Training) check() error {
	m := t.Model
	switch {
	case m.Path == "" && m.Config == "":
		return errors.New("model.path is missing: it is the folder of a Hugging Face model to begin with, such as path = \"experiments/models/bert-wordnet\"; for a new model set model.config and model.init instead")
	case m.Path != "" && m.Config != "":
		return errors.New("model.path begins with a model and model.config with a new one: leave out one of them")
	case m.Config != "" && m.Init == "":
		return errors.New("model.config is for a new model: say so with model.init = \"random\"")
	case m.Path != "" && m.Init != "":
		return errors.New("model.init is for a new model: give its folder as model.config, not model.path")
	}
	return nil
}

// keys are all of a training file.
func (t *Training) keys() []key {
	all := headKeys(&t.Name, &t.Seed, &t.Device, &t.Threads, &t.Rows, &t.Output)
	for _, table := range [][]key{t.Model.keys(), t.Task.keys(), t.stepKeys(), t.inputKeys(), t.Upkeep.keys(), t.distillKeys(), t.Evaluate.keys()} {
		all = append(all, table...)
	}
	return all
}

// surroundings are keys that say where a training runs, not what it is.
func surroundings() []string {
	return []string{"name", "device", "threads", "output", "train.save_every"}
}

// irrelevant are keys that do not change the parameters, or whose contents are
// hashed instead of their names, or, as rows, whose meaning is up to the device.
func irrelevant() []string {
	return append(surroundings(), "rows", "model.path", "model.config", "task.path", "distill.model",
		"train.eval_every", "train.eval_split", "train.dtype", "evaluate.split", "evaluate.limit")
}

// facts are the keys that the result depends on, with their values.
func (t *Training) facts() map[string]string {
	facts := map[string]string{}
	for _, k := range t.keys() {
		if !slices.Contains(irrelevant(), k.path()) {
			facts[k.path()] = literal(k.get())
		}
	}
	return facts
}

// Hash names the training: equal for files that ask for the same, however they
// are written.
func (t *Training) Hash() string {
	h := sha256.New()
	fmt.Fprintln(h, "optin training 1")
	for _, k := range t.keys() {
		if !slices.Contains(surroundings(), k.path()) {
			fmt.Fprintf(h, "%s=%s\n", k.path(), literal(k.get()))
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:16])
}
