package experiment

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/bench/task"
)

// Subject is a model with the task it is pruned for.
type Subject struct {
	Name    string // of the model's folder
	Path    string
	Model   model.Model
	Task    *task.Task
	Encoder *task.Encoder
	Digest  string // of everything in the model's folder that can change a result
	Rows    int    // packed rows that a micro-batch aims at

	close func() error
	feeds map[string]*Feed // evaluation splits that were read

	calibrations map[string]*Calibration // that were drawn
}

// OpenSubject reads a model and gets its task ready. Data is read later.
func OpenSubject(path string, cfg task.Config) (*Subject, error) {
	m, closeModel, err := model.Open(path)
	if err != nil {
		return nil, err
	}
	s := &Subject{Name: baseName(path), Path: path, Model: m, close: closeModel, Rows: prune.MicroRows,
		feeds: map[string]*Feed{}, calibrations: map[string]*Calibration{}}
	if err := s.ready(cfg); err != nil {
		closeModel()
		return nil, err
	}
	return s, nil
}

func (s *Subject) ready(cfg task.Config) (err error) {
	if s.Task, err = task.Open(cfg); err != nil {
		return err
	}
	if s.Encoder, err = task.OpenEncoder(s.Path, s.Task, TaskInputs(s.Model.Config())); err != nil {
		return err
	}
	s.Digest, err = digestFolder(s.Path)
	return err
}

// Close closes the model's files.
func (s *Subject) Close() error { return s.close() }

// TaskInputs is what a model takes and gives, as package task asks for it.
func TaskInputs(c *model.Config) task.Inputs {
	in := task.Inputs{Kind: task.Text, Outputs: c.Labels, VocabSize: c.Vocab, MaxPositions: c.Positions, TypeVocab: c.TypeVocab}
	if !c.Text() {
		in = task.Inputs{Kind: task.Picture, Outputs: c.Labels, Channels: c.Channels, Height: c.ImageHeight, Width: c.ImageWidth}
	}
	return in
}

// digestFolder hashes the files of a model's folder by name. Links count as what
// they lead to: the snapshots that the Hugging Face hub keeps are nothing else.
func digestFolder(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue // a link to nothing is no part of the model
		}
		fmt.Fprintf(h, "file %q\n", e.Name())
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:16]), nil
}

// digest hashes whatever can be written as JSON.
func digest(value any) (string, error) {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(value); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:16]), nil
}

// Calibration is what scores are computed on.
type Calibration struct {
	Split    string
	Batches  []*model.Input
	Targets  [][]float64 // by batch and example: the class, or the value of a regression
	Lengths  prune.Lengths
	Examples int
	Tokens   int    // valid ones
	Digest   string // of the encoded examples
}

// calibrate is Calibrate for a run's scores, once.
func (s *Subject) calibrate(score Score) (*Calibration, error) {
	return s.calibrateOnce(score.Samples, score.Seed, score.MDPadding, score.Group)
}

func (s *Subject) calibrateOnce(samples int, seed uint64, padded bool, group int) (*Calibration, error) {
	key := fmt.Sprint(samples, seed, padded, group)
	if c, ok := s.calibrations[key]; ok {
		return c, nil
	}
	c, err := s.Calibrate(samples, seed, padded, group)
	if err != nil {
		return nil, fmt.Errorf("calibration: %w", err)
	}
	s.calibrations[key] = c
	return c, nil
}

// Calibrate draws examples from the training split and encodes them, in
// micro-batches. group is the number of examples whose padding, if padded, is to
// the longest of them.
func (s *Subject) Calibrate(samples int, seed uint64, padded bool, group int) (*Calibration, error) {
	encoded, err := s.draw(samples, seed)
	if err != nil {
		return nil, err
	}
	c := &Calibration{Split: task.Train, Examples: len(encoded)}
	c.Batches = cutBatches(s.Model.Config(), encoded, s.Rows)
	c.Lengths = prune.LengthsOf(c.Batches...)
	c.Tokens = int(c.Lengths.Tokens)
	if padded && s.Model.Config().Text() {
		c.Batches = padBatches(encoded, s.Rows, group)
	}
	c.Targets = targets(c.Batches, encoded, s.Task.Regression)
	c.Digest, err = digest([]any{encoded, padded, group})
	return c, err
}

// draw encodes examples of the training split.
func (s *Subject) draw(samples int, seed uint64) ([]task.Encoded, error) {
	train, err := s.Task.Load(task.Train)
	if err != nil {
		return nil, err
	}
	drawn := train.Sample(samples, seed)
	encoded := make([]task.Encoded, drawn.Len())
	for i := range encoded {
		ex, err := drawn.Example(i)
		if err != nil {
			return nil, err
		}
		if encoded[i], err = s.Encoder.Encode(ex); err != nil {
			return nil, err
		}
	}
	if len(encoded) == 0 {
		return nil, fmt.Errorf("task %s: the training split is empty; calibration needs examples", s.Task.Name)
	}
	return encoded, nil
}

// targets are the answers to encoded examples, as batches hold them.
func targets(batches []*model.Input, encoded []task.Encoded, regression bool) [][]float64 {
	var out [][]float64
	next := 0
	for _, in := range batches {
		list := make([]float64, in.Examples())
		for i := range list {
			list[i] = float64(encoded[next].Label)
			if regression {
				list[i] = encoded[next].Target
			}
			next++
		}
		out = append(out, list)
	}
	return out
}

// cutBatches packs encoded examples into micro-batches of about rows rows.
func cutBatches(c *model.Config, encoded []task.Encoded, rows int) []*model.Input {
	lengths := make([]int, len(encoded))
	for i, e := range encoded {
		lengths[i] = tokens(c, e)
	}
	var batches []*model.Input
	from := 0
	for _, to := range prune.Cut(lengths, rows) {
		batches = append(batches, pack(c, encoded[from:to]))
		from = to
	}
	return batches
}

func tokens(c *model.Config, e task.Encoded) int {
	if c.Text() {
		return len(e.IDs)
	}
	return c.Tokens()
}

// pack makes one batch of encoded examples.
func pack(c *model.Config, encoded []task.Encoded) *model.Input {
	if c.Text() {
		ids, types := texts(encoded)
		return model.Text(ids, types)
	}
	var pixels []float32
	for _, e := range encoded {
		pixels = append(pixels, e.Pixels...)
	}
	return model.Images(c, pixels)
}

func texts(encoded []task.Encoded) (ids, types [][]int32) {
	for _, e := range encoded {
		ids, types = append(ids, e.IDs), append(types, e.TypeIDs)
	}
	return ids, types
}

// padBatches is cutBatches with every text padded to the longest of its group,
// as the released code of the method runs them.
func padBatches(encoded []task.Encoded, rows, group int) []*model.Input {
	if group == 0 {
		group = len(encoded)
	}
	lengths := make([]int, len(encoded))
	for from := 0; from < len(encoded); from += group {
		to := min(from+group, len(encoded))
		longest := 0
		for _, e := range encoded[from:to] {
			longest = max(longest, len(e.IDs))
		}
		for i := from; i < to; i++ {
			lengths[i] = longest
		}
	}
	var batches []*model.Input
	from := 0
	for _, to := range prune.Cut(lengths, rows) {
		ids, types := texts(encoded[from:to])
		batches = append(batches, model.PaddedText(ids, types, lengths[from:to], 0))
		from = to
	}
	return batches
}
