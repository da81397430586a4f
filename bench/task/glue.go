package task

import (
	"fmt"
	"path/filepath"
	"strconv"

	"optin/bench/task/metric"
)

// glue describes one GLUE task: its official folder, files and columns.
type glue struct {
	name   string
	dir    string // the folder of the official archive
	files  map[string]string
	bare   bool // no header line: columns are numbers
	text   string
	pair   string
	label  string
	labels []string // nil for the regression, STS-B
	// named says that the label column holds the labels' names; otherwise it
	// holds their numbers.
	named   bool
	metrics []string
	// broken says that the official file has lines cut in two, which every
	// reader of it leaves out: QQP.
	broken bool
}

// glueTasks are the tasks of GLUE. The test labels are not public, so figures
// are reported on dev; MRPC's own test file has labels and can be loaded.
func glueTasks() []glue {
	plain := map[string]string{Train: "train.tsv", Dev: "dev.tsv"}
	withTest := map[string]string{Train: "train.tsv", Dev: "dev.tsv", Test: "msr_paraphrase_test.txt"}
	mnli := func(dev string) map[string]string { return map[string]string{Train: "train.tsv", Dev: dev} }
	accuracy, both := []string{metric.Accuracy}, []string{metric.Accuracy, metric.F1}
	entailment := []string{"entailment", "not_entailment"}
	return []glue{
		{
			name: "cola", dir: "CoLA", files: plain, bare: true, text: "4", label: "2",
			labels: []string{"unacceptable", "acceptable"}, metrics: []string{metric.Matthews},
		},
		{
			name: "sst2", dir: "SST-2", files: plain, text: "sentence", label: "label",
			labels: []string{"negative", "positive"}, metrics: accuracy,
		},
		{
			name: "mrpc", dir: "MRPC", files: withTest, text: "#1 String", pair: "#2 String", label: "Quality",
			labels: []string{"not_equivalent", "equivalent"}, metrics: both,
		},
		{
			name: "stsb", dir: "STS-B", files: plain, text: "sentence1", pair: "sentence2", label: "score",
			metrics: []string{metric.Spearman, metric.Pearson},
		},
		{
			name: "qqp", dir: "QQP", files: plain, text: "question1", pair: "question2", label: "is_duplicate",
			labels: []string{"not_duplicate", "duplicate"}, metrics: both, broken: true,
		},
		{
			name: "mnli", dir: "MNLI", files: mnli("dev_matched.tsv"), text: "sentence1", pair: "sentence2",
			label: "gold_label", labels: []string{"entailment", "neutral", "contradiction"}, named: true, metrics: accuracy,
		},
		{
			name: "mnli-mm", dir: "MNLI", files: mnli("dev_mismatched.tsv"), text: "sentence1", pair: "sentence2",
			label: "gold_label", labels: []string{"entailment", "neutral", "contradiction"}, named: true, metrics: accuracy,
		},
		{
			name: "qnli", dir: "QNLI", files: plain, text: "question", pair: "sentence", label: "label",
			labels: entailment, named: true, metrics: accuracy,
		},
		{
			name: "rte", dir: "RTE", files: plain, text: "sentence1", pair: "sentence2", label: "label",
			labels: entailment, named: true, metrics: accuracy,
		},
	}
}

func (g glue) open(cfg Config) (*Task, error) {
	dir := orDefault(cfg.Path, filepath.Join("data", "glue", g.dir))
	if inside := filepath.Join(dir, g.dir); exists(inside) {
		dir = inside
	}
	return &Task{
		Kind: Text, Labels: g.labels, Regression: g.labels == nil, Metrics: g.metrics, EvalSplit: Dev,
		load: func(split string) (*Dataset, error) { return g.load(dir, split) },
	}, nil
}

func (g glue) load(dir, split string) (*Dataset, error) {
	name, ok := g.files[split]
	if !ok {
		return nil, fmt.Errorf("the labels of GLUE's %s split are not public: use dev", split)
	}
	path := filepath.Join(dir, name)
	cols := g.columns()
	var examples []Example
	skipped := 0
	err := readRows(path, "tsv", !g.bare, func(r *rows, rec row) error {
		if g.broken && len(rec.fields) != len(r.header) {
			skipped++
			return nil
		}
		ex, err := cols.example(r, rec)
		examples = append(examples, ex)
		return err
	})
	if err != nil {
		return nil, orMissing(err, "GLUE's "+g.dir, path, g.remedy())
	}
	d := memory(examples)
	if skipped > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d lines of %s are broken in the official file and left out", skipped, path))
	}
	return d, nil
}

// remedy says where the files are to be had.
func (g glue) remedy() string {
	archive := g.dir + ".zip"
	switch g.dir {
	case "MRPC":
		return "make train.tsv and dev.tsv with download_glue_data.py of https://github.com/nyu-mll/GLUE-baselines, and set path to the folder MRPC"
	case "QNLI":
		archive = "QNLIv2.zip"
	case "QQP":
		archive = "QQP-clean.zip"
	}
	return fmt.Sprintf("download https://dl.fbaipublicfiles.com/glue/data/%s, unpack it, and set path to the folder %s", archive, g.dir)
}

func (g glue) columns() *columns {
	c := &columns{text: g.text, pair: g.pair, label: g.label, regression: g.labels == nil, low: 0, high: 5, values: map[string]int{}}
	for i, l := range g.labels {
		if g.named {
			c.values[l] = i
		} else {
			c.values[strconv.Itoa(i)] = i
		}
	}
	return c
}
