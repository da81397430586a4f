package train

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"optin/bench/model"
	"optin/bench/model/checkpoint"
)

// Opening says where a training begins.
type Opening struct {
	Dir    string // a Hugging Face model directory; with Random its weights are not read
	Random bool   // begin with random values

	Labels     []string                     // of the task; nil: a regression
	Fits       func(outputs []string) error // whether a model's outputs are the task's labels
	Regression bool

	Seed   uint64           // of new values
	Spread float64          // standard deviation of new weights; 0: initializer_range of config.json, else 0.02
	DType  checkpoint.DType // of what will be written; "": that of what was read, F32 for what is new
}

// Start is the model that a training begins with.
type Start struct {
	Dir    string // of the tokenizer or preprocessor
	Config *model.Config
	Params *model.Params
	Notes  []string // what of the model is new

	opening Opening
	close   func() error
	newHead bool     // config.json has other labels than the file's head
	made    []string // names of new parameters
}

// OpenStart reads the model that a training begins with. A directory without a
// head for the task (a bare encoder, or one trained for other labels) gets a new
// one, and Notes say so.
func OpenStart(o Opening) (*Start, error) {
	s := &Start{Dir: o.Dir, opening: o, close: func() error { return nil }}
	raw, err := readRaw(o.Dir)
	if err != nil {
		return nil, err
	}
	if err := s.configure(raw); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(o.Dir, model.ConfigFile), err)
	}
	if o.Random {
		s.Params = model.NewParams(filepath.Join(o.Dir, model.ConfigFile))
		s.Params.Missing = s.make
		s.Notes = append(s.Notes, "all parameters begin at random values")
		return s, nil
	}
	if err := s.read(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// Close closes the files.
func (s *Start) Close() error { return s.close() }

func readRaw(dir string) (map[string]json.RawMessage, error) {
	path := filepath.Join(dir, model.ConfigFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w; give a folder with a %s", dir, err, model.ConfigFile)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("%s: not a JSON object (%v); download it again", path, err)
	}
	return raw, nil
}

// parse reads config.json's keys. A class that has no head, or another one than
// a classifier, becomes the classifier of its type.
func parse(raw map[string]json.RawMessage) (*model.Config, error) {
	text, err := json.Marshal(raw)
	if err != nil {
		return nil, err
	}
	c, asItIs := model.ParseConfig(text)
	if asItIs == nil {
		return c, nil
	}
	delete(raw, "architectures")
	if text, err = json.Marshal(raw); err != nil {
		return nil, err
	}
	if c, err = model.ParseConfig(text); err != nil {
		return nil, asItIs
	}
	raw["architectures"], _ = json.Marshal([]string{c.Architecture})
	return parse(raw)
}

// configure reads config.json, and gives it the task's labels where its own are
// others.
func (s *Start) configure(raw map[string]json.RawMessage) (err error) {
	var spread float64
	if text, ok := raw["initializer_range"]; ok && s.opening.Spread == 0 {
		if err := json.Unmarshal(text, &spread); err != nil {
			return fmt.Errorf("initializer_range: %w", err)
		}
		s.opening.Spread = spread
	}
	if s.opening.Spread == 0 {
		s.opening.Spread = 0.02
	}
	if s.Config, err = parse(raw); err != nil {
		return err
	}
	if s.Config.Regression == s.opening.Regression && s.opening.Fits(s.Config.Labels) == nil {
		return nil
	}
	relabel(raw, s.opening.Labels, s.opening.Regression)
	s.newHead = true
	s.Notes = append(s.Notes, fmt.Sprintf("the head is new: the model was for %s, the task has %s",
		count(len(s.Config.Labels)), count(max(1, len(s.opening.Labels)))))
	s.Config, err = parse(raw)
	return err
}

func count(labels int) string {
	if labels == 1 {
		return "one value"
	}
	return fmt.Sprintf("%d labels", labels)
}

// relabel writes labels, or a regression, into config.json.
func relabel(raw map[string]json.RawMessage, labels []string, regression bool) {
	names, numbers := map[string]string{}, map[string]int{}
	problem := "single_label_classification"
	if regression {
		labels, problem = []string{"LABEL_0"}, "regression"
	}
	for i, label := range labels {
		names[strconv.Itoa(i)], numbers[label] = label, i
	}
	for key, value := range map[string]any{"id2label": names, "label2id": numbers, "problem_type": problem} {
		raw[key], _ = json.Marshal(value) // maps of texts and numbers always can be written
	}
	delete(raw, "num_labels")
}

// read takes the weights, and makes those of the head where they are missing or
// were for something else.
func (s *Start) read() error {
	params, closeFiles, err := model.OpenParams(s.Dir)
	if err != nil {
		return err
	}
	s.close = closeFiles
	// Bare encoders leave out the encoder's own name.
	root := s.Config.ModelType + "."
	if slices.ContainsFunc(params.Names(), func(name string) bool { return strings.HasPrefix(name, root) }) {
		root = ""
	}
	var list []*model.Param
	for _, name := range params.Names() {
		p := *params.Get(name)
		p.Name = root + name
		if s.newHead && isClassifier(p.Name) {
			continue
		}
		if s.opening.DType != "" {
			p.DType = s.opening.DType
		}
		list = append(list, &p)
	}
	s.Params = model.NewParams(params.Origin, list...)
	s.Params.Missing = func(name string, shape []int) *model.Param {
		if !isClassifier(name) && !strings.HasPrefix(name, "bert.pooler.") {
			return nil
		}
		return s.make(name, shape)
	}
	if _, err := model.New(s.Config, s.Params); err != nil { // finds what is missing
		return err
	}
	if len(s.made) > 0 {
		slices.Sort(s.made)
		s.Notes = append(s.Notes, "begin at random values: "+strings.Join(slices.Compact(s.made), ", "))
	}
	return nil
}

// isClassifier says whether a parameter is of the last layer, whose size is the
// number of labels.
func isClassifier(name string) bool {
	return strings.HasPrefix(name, "classifier.") || strings.HasPrefix(name, "cls_classifier.") ||
		strings.HasPrefix(name, "distillation_classifier.")
}

// make is a new parameter: weights and tables are normal, cut off at two standard
// deviations, biases 0, and the factors of LayerNorm 1. Its values depend on the
// seed and its name alone.
func (s *Start) make(name string, shape []int) *model.Param {
	s.made = append(s.made, name)
	dtype := s.opening.DType
	if dtype == "" {
		dtype = checkpoint.F32
	}
	return &model.Param{Name: name, Shape: slices.Clone(shape), DType: dtype, Read: func(dst []float32) error {
		s.draw(dst, name, len(shape) > 1)
		return nil
	}}
}

func (s *Start) draw(dst []float32, name string, matrix bool) {
	rng := stream(s.opening.Seed, drawValues, nameHash(name), 0)
	for i := range dst {
		switch {
		case matrix:
			v := math.Inf(1)
			for math.Abs(v) > 2 {
				v = rng.NormFloat64()
			}
			dst[i] = float32(s.opening.Spread * v)
		case strings.HasSuffix(name, ".weight"):
			dst[i] = 1
		default:
			dst[i] = 0
		}
	}
}
