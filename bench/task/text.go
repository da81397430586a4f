package task

import (
	"errors"
	"fmt"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// openText is a user's own text: one file a split, TSV, CSV or JSON lines,
// with columns (keys) for the text, a second text, and the label.
func openText(cfg Config) (*Task, error) {
	if cfg.Text == "" {
		cfg.Text = "text"
	}
	if cfg.Label == "" {
		cfg.Label = "label"
	}
	t := &Task{Kind: Text, Regression: cfg.Regression}
	if !cfg.Regression {
		labels, err := textLabels(cfg)
		if err != nil {
			return nil, err
		}
		t.Labels = labels
	}
	t.load = func(split string) (*Dataset, error) {
		path, err := textFile(cfg, split)
		if err != nil {
			return nil, err
		}
		examples, err := readTexts(cfg, path, indexOf(t.Labels))
		return memory(examples), err
	}
	return t, nil
}

// textFile is the file of a split: the one named, else SPLIT.tsv, .csv or
// .jsonl, whichever is there.
func textFile(cfg Config, split string) (string, error) {
	named := map[string]string{Train: cfg.Train, Dev: cfg.Dev, Test: cfg.Test}[split]
	if named != "" {
		if !filepath.IsAbs(named) {
			named = filepath.Join(cfg.Path, named)
		}
		if !exists(named) {
			return "", fmt.Errorf("the %s split is not at %s: set path and %s to an existing file", split, named, split)
		}
		return named, nil
	}
	for _, ext := range []string{".tsv", ".csv", ".jsonl"} {
		if path := filepath.Join(cfg.Path, split+ext); exists(path) {
			return path, nil
		}
	}
	return "", &MissingSplit{split, fmt.Sprintf("set %s to its file, or put %s.tsv, .csv or .jsonl into %s", split, split, orDefault(cfg.Path, "the current folder"))}
}

// readTexts reads the examples of one file. A nil map of labels means that
// labels are not wanted.
func readTexts(cfg Config, path string, labels map[string]int) ([]Example, error) {
	format, err := formatOf(cfg.Format, path)
	if err != nil {
		return nil, err
	}
	cols := &columns{text: cfg.Text, pair: cfg.TextPair, label: cfg.Label, regression: cfg.Regression, values: labels}
	var examples []Example
	err = readRows(path, format, !cfg.NoHeader, func(r *rows, rec row) error {
		ex, err := cols.example(r, rec)
		examples = append(examples, ex)
		return err
	})
	return examples, err
}

// ReadTexts reads texts without labels, for prediction. Of the config it uses
// Format, Text (default "text"), TextPair and NoHeader.
func ReadTexts(cfg Config, path string) ([]Example, error) {
	if cfg.Text == "" {
		cfg.Text = "text"
	}
	cfg.Label, cfg.Regression = "", false
	return readTexts(cfg, path, nil)
}

// textLabels are the labels of the config, else those that occur in the
// training split (or the first there is), sorted.
func textLabels(cfg Config) ([]string, error) {
	if len(cfg.Labels) > 0 {
		return cfg.Labels, unique(cfg.Labels)
	}
	var path string
	var err error
	for _, split := range []string{Train, Dev, Test} {
		var e error
		if path, e = textFile(cfg, split); e == nil {
			err = nil
			break
		}
		err = errors.Join(err, e)
	}
	if err != nil {
		return nil, fmt.Errorf("no labels: give them with the key labels, or a training split to take them from (%w)", firstOf(err))
	}
	format, err := formatOf(cfg.Format, path)
	if err != nil {
		return nil, err
	}
	seen := map[string]int{}
	err = readRows(path, format, !cfg.NoHeader, func(r *rows, rec row) error {
		c, err := r.column(cfg.Label)
		if err != nil {
			return err
		}
		v, err := r.value(rec, c)
		if err == nil && strings.TrimSpace(v) == "" {
			err = fmt.Errorf("the label column %q is empty", cfg.Label)
		}
		seen[strings.TrimSpace(v)]++
		return err
	})
	if err != nil {
		return nil, err
	}
	const most = 10000
	if len(seen) < 2 || len(seen) > most {
		return nil, fmt.Errorf("%s: column %q has %d different labels, want 2 to %d: name the right column with the key label, or set regression = true", path, cfg.Label, len(seen), most)
	}
	return sortLabels(seen), nil
}

// firstOf is the first of joined errors.
func firstOf(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return firstOf(many.Unwrap()[0])
	}
	return err
}

// sortLabels sorts by number where all labels are numbers, else by name.
func sortLabels(seen map[string]int) []string {
	labels, numbers := make([]string, 0, len(seen)), map[string]float64{}
	for l := range seen {
		labels = append(labels, l)
		if x, err := strconv.ParseFloat(l, 64); err == nil {
			numbers[l] = x
		}
	}
	sort.Strings(labels)
	if len(numbers) == len(labels) {
		sort.SliceStable(labels, func(i, j int) bool { return numbers[labels[i]] < numbers[labels[j]] })
	}
	return labels
}

// unique refuses a label that is named twice.
func unique(labels []string) error {
	if m := indexOf(labels); len(m) != len(labels) {
		return errors.New("labels: a label is named twice")
	}
	return nil
}
