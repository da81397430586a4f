package task

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"optin/bench/task/metric"
)

// Kind is what a task's inputs are.
type Kind string

// The kinds of input.
const (
	Text    Kind = "text"
	Picture Kind = "image"
)

// The names of the splits.
const (
	Train = "train"
	Dev   = "dev"
	Test  = "test"
)

// Task is a data set with its labels and metrics.
type Task struct {
	Name       string
	Kind       Kind
	Labels     []string // in canonical order; nil for a regression
	Regression bool
	Metrics    []string // the headline first
	EvalSplit  string   // the split that figures are reported on: dev where the test labels are not public
	Config     Config   // as given

	load func(split string) (*Dataset, error)
}

// Load reads one split: "train", "dev" or "test".
func (t *Task) Load(split string) (*Dataset, error) {
	if split != Train && split != Dev && split != Test {
		return nil, fmt.Errorf("task %s: no split %q: there are train, dev and test", t.Name, split)
	}
	d, err := t.load(split)
	if err != nil {
		return nil, fmt.Errorf("task %s: %w", t.Name, err)
	}
	if d.Len() == 0 {
		return nil, fmt.Errorf("task %s: the %s split is empty", t.Name, split)
	}
	d.Task, d.Split = t.Name, split
	return d, nil
}

// Accumulator returns an empty accumulator of the task's metrics for a model
// whose outputs have the given names (see MapLabels). Of a task with two
// labels F1 is that of the second, wherever the model has it.
func (t *Task) Accumulator(outputs []string) (*metric.Accumulator, error) {
	labels, err := t.MapLabels(outputs)
	if err != nil {
		return nil, err
	}
	if t.Regression {
		return metric.New(t.Metrics, 0)
	}
	a, err := metric.New(t.Metrics, len(outputs))
	if err == nil && len(labels) == 2 {
		a.SetPositive(labels[1])
	}
	return a, err
}

// opener makes a task of a config.
type opener func(Config) (*Task, error)

// entry is a task's name and how to open it.
type entry struct {
	name string
	open opener
}

// catalogue lists the tasks in the order in which they are shown.
func catalogue() []entry {
	list := []entry{{"fashion-mnist", openFashion}, {wordNetName, openWordNet}}
	for _, g := range glueTasks() {
		list = append(list, entry{g.name, g.open})
	}
	return append(list,
		entry{"cifar10", openCIFAR10}, entry{"cifar100", openCIFAR100},
		entry{"imagenet", openImageNet}, entry{"image-folder", openImageFolder}, entry{"text", openText})
}

// Names lists the tasks.
func Names() []string {
	var names []string
	for _, e := range catalogue() {
		names = append(names, e.name)
	}
	return names
}

// Open returns the task of a config. Data is read when a split is loaded; the
// tasks text and image-folder read their labels at once.
func Open(cfg Config) (*Task, error) {
	if cfg.Name == "" {
		return nil, errors.New("task: no name given: there are " + strings.Join(Names(), ", "))
	}
	if cfg.MaxLength < 0 {
		return nil, fmt.Errorf("task %s: max_length is %d, want 1 or more", cfg.Name, cfg.MaxLength)
	}
	for _, e := range catalogue() {
		if e.name != strings.ToLower(cfg.Name) {
			continue
		}
		t, err := e.open(cfg)
		if err == nil {
			err = t.settle(e.name, cfg)
		}
		if err != nil {
			return nil, fmt.Errorf("task %s: %w", e.name, err)
		}
		return t, nil
	}
	return nil, fmt.Errorf("task: no task %q: there are %s", cfg.Name, strings.Join(Names(), ", "))
}

// settle fills in what every task has and checks the keys of the config.
func (t *Task) settle(name string, cfg Config) error {
	t.Name, t.Config = name, cfg
	if t.EvalSplit == "" {
		t.EvalSplit = Test
	}
	if cfg.Regression && !t.Regression {
		return errors.New("regression = true is for the task text alone")
	}
	if cfg.Words && name != wordNetName {
		return errors.New("words = true is for the task wordnet alone")
	}
	if len(t.Metrics) == 0 {
		t.Metrics = []string{metric.Accuracy}
		if t.Regression {
			t.Metrics = []string{metric.Pearson, metric.Spearman}
		}
	}
	if len(cfg.Metrics) > 0 {
		t.Metrics = slices.Clone(cfg.Metrics)
	}
	if err := t.checkOrder(); err != nil {
		return err
	}
	classes := len(t.Labels)
	if t.Regression {
		classes = 0
	}
	_, err := metric.New(t.Metrics, classes)
	return err
}

// checkOrder checks the key labels: the task's own labels, in any order.
func (t *Task) checkOrder() error {
	order := t.Config.Labels
	if len(order) == 0 {
		return nil
	}
	if t.Regression {
		return errors.New("labels are given, but a regression has none")
	}
	if _, err := match(t.Labels, order); err != nil || len(order) != len(t.Labels) {
		return fmt.Errorf("labels are %s, want the task's in the model's order: %s", quoteSome(order), quoteSome(t.Labels))
	}
	return nil
}
