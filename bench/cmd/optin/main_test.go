package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"optin/bench/experiment"
	"optin/bench/model"
	"optin/bench/record"
	"optin/bench/task"
	"optin/kernels"
	"optin/kernels/ref"
)

func TestSimpleCommands(t *testing.T) {
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{}, []string{"Available Commands", "selftest"}},
		{[]string{"help"}, []string{"prune pretrained transformers in one shot"}},
		{[]string{"run", "--help"}, []string{"Finished stages are kept", "--set key=value", "--threads"}},
		{[]string{"version"}, []string{"optin unknown (revision unknown), go", "machine ", "cpu ", "cuda "}},
		{[]string{"keys"}, []string{"[score]", "index_weights", "Reference true"}},
		{[]string{"info", golden(t, "bert-basic"), "--seq-len", "12"}, []string{"BertForSequenceClassification (bert), 3 labels",
			"hidden 32, head size 8, 2 layers", "for one sequence of 12 tokens"}},
		{[]string{"info", golden(t, "bert-basic")}, []string{"for one sequence of 48 tokens"}}, // as many as it takes
		{[]string{"info", golden(t, "deit-basic")}, []string{"DeiTForImageClassification (deit), 5 labels", "of 18 tokens"}},
	} {
		got := works(t, c.args...)
		for _, w := range c.want {
			if !strings.Contains(got, w) {
				t.Errorf("optin %s: no %q in\n%s", strings.Join(c.args, " "), w, got)
			}
		}
	}
}

func TestSelftest(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	got := works(t, "selftest", "--device", "ref", "--threads", "1", "--quick")
	if !strings.Contains(got, "cases passed") || !strings.Contains(got, "Attention") || strings.Contains(got, "share reached") {
		t.Errorf("got\n%s", got)
	}
	got = works(t, "selftest", "--quick", "--threads", "1", "--batch", "1x4", "--ops", "Attention,LayerNormBackward")
	for _, want := range []string{"a copy moves", "1 sequences of 4 tokens, width 32", "share reached", "\nAttention ", "1 x 4, 2 heads", "\nLayerNormBackward ", "4 x 32, residual"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "Linear") {
		t.Errorf("more ops than were asked for in\n%s", got)
	}
	fails(t, exitFailed, []string{`precision = "tf32": device cpu computes in float32 only`}, "selftest", "--precision", "tf32")
	if got = works(t, "selftest", "--quick", "--threads", "1", "--time=false", "--ops", "Add"); strings.Contains(got, "share reached") {
		t.Errorf("timed all the same:\n%s", got)
	}
}

func TestUsage(t *testing.T) {
	m := golden(t, "bert-basic")
	for _, c := range []struct {
		want string
		args []string
	}{
		{`there is no command "prnue"`, []string{"prnue"}},
		{"unknown flag: --kep", []string{"prune", "--kep", "0.5"}},
		{`invalid argument "x" for "--threads"`, []string{"run", "x.toml", "--threads", "x"}},
		{"optin run takes one experiment file", []string{"run"}},
		{"optin run takes one experiment file", []string{"run", "a.toml", "b.toml"}},
		{"optin info takes one model folder", []string{"info"}},
		{"optin score takes an experiment file, or --model FOLDER and --task NAME", []string{"score"}},
		{"optin eval takes an experiment file, or --model FOLDER and --task NAME", []string{"eval", "--model", m}},
		{"--set samples: want key=value", []string{"run", "x.toml", "--set", "samples"}},
		{"prune needs --out FOLDER", []string{"prune", "--model", m, "--task", "text"}},
		{"--format zip: want compact or masked", []string{"prune", "--model", m, "--task", "text", "--out", "x", "--format", "zip"}},
		{"predict takes --model FOLDER and one of --text, --image and --input", []string{"predict", "--model", m}},
		{"predict takes --model FOLDER and one of --text, --image and --input", []string{"predict", "--model", m, "--text", "a", "--image", "b"}},
		{"--text-pair goes with --text", []string{"predict", "--model", m, "--input", "a", "--text-pair", "b"}},
		{"--seq-len 49: the model takes 1 to 48 tokens", []string{"info", m, "--seq-len", "49"}},
		{`device "gpu": want auto, cpu, cuda or ref`, []string{"selftest", "--device", "gpu"}},
		{"--batch 3: want SEQUENCESxTOKENS, such as 32x128", []string{"selftest", "--batch", "3"}},
		{"--batch 3x1: want SEQUENCESxTOKENS", []string{"selftest", "--batch", "3x1"}},
		{"--batch 3x4x5: want SEQUENCESxTOKENS", []string{"selftest", "--batch", "3x4x5"}},
		{"--batch 99999999999x512: at most 262144 tokens together", []string{"selftest", "--batch", "99999999999x512"}},
		{"--ops Linea: no such op", []string{"selftest", "--ops", "Linea"}},
	} {
		fails(t, exitUsage, []string{"optin: " + c.want, "Try: optin help"}, c.args...)
	}
}

// TestRun runs a whole experiment, twice, and makes its report again.
func TestRun(t *testing.T) {
	path, results := experimentFile(t, textModel(t, "bert-basic"), textData(t), `
[score]
method = ["trajectory", "magnitude", "activation", "random"]
samples = 4
[search]
keep = [0.8, 0.5]
[measure]
batch = [1, 3]
methods = ["trajectory"]
samples = 6
min_time = 0
`)
	out := works(t, "run", path)
	for _, w := range []string{"VALID", "trajectory", "random", "begin with " + filepath.Join(results, "report.md")} {
		if !strings.Contains(out, w) {
			t.Errorf("no %q in\n%s", w, out)
		}
	}
	for _, file := range []string{"record.json", "report.md", "runs.csv", "timings.csv", "tables.tex"} {
		if len(get(t, filepath.Join(results, file))) == 0 {
			t.Errorf("%s is empty", file)
		}
	}
	first := load(t, results)
	if len(first.Runs) != 8 || len(first.Scores) != 4 || len(first.Models) != 1 {
		t.Fatalf("%d runs, %d scores, %d models; want 8, 4, 1", len(first.Runs), len(first.Scores), len(first.Models))
	}
	for _, r := range first.Runs {
		timings := 0
		if r.Method == "trajectory" {
			timings = 4 // two batch sizes, two kinds
		}
		if !r.Verdict.Valid || !r.Verify.OK || *r.KeptEncoderMACs > r.Keep || len(r.Timings) != timings || r.Metrics[0].N != 15 {
			t.Errorf("run %+v", r)
		}
		if *r.Memory.InferenceBytes <= 0 || *r.Memory.DenseBytes <= 0 {
			t.Errorf("memory %+v", r.Memory)
		}
	}
	works(t, "run", path)
	again := load(t, results)
	for _, r := range again.Runs {
		for _, s := range r.Stages {
			if !s.Cached {
				t.Errorf("%s of %s at %v was done again", s.Name, r.Method, r.Keep)
			}
		}
	}
	sameResults(t, first, again)

	if err := os.Remove(filepath.Join(results, "report.md")); err != nil {
		t.Fatal(err)
	}
	if out := works(t, "report", results); !strings.Contains(out, "VALID") || !strings.Contains(get(t, filepath.Join(results, "report.md")), "trajectory") {
		t.Errorf("report:\n%s", out)
	}
	works(t, "report", filepath.Join(results, "record.json"))
	reportOfTwo(t, results, first.Models[0].Name)

	if len(first.Warnings) != 0 {
		t.Errorf("warnings %q", first.Warnings)
	}
	works(t, "run", path, "--set", "evaluate.split=train", "--set", "score.method=magnitude", "--set", "search.keep=0.5")
	if w := load(t, results).Warnings; len(w) != 1 || !strings.Contains(w[0], "evaluated on the split train, which calibration examples are drawn from") {
		t.Errorf("evaluated on the training split: warnings %q", w)
	}
}

// reportOfTwo makes one report of two folders, the second with another model.
func reportOfTwo(t *testing.T, results, name string) {
	t.Helper()
	other, out := t.TempDir(), filepath.Join(t.TempDir(), "both")
	put(t, other, map[string]string{"record.json": get(t, filepath.Join(results, "record.json"))})
	fails(t, exitFailed, []string{"both have a model " + name}, "report", results, other, "--out", out)
	fails(t, exitUsage, []string{"--out must name one"}, "report", results, other)
	text := strings.ReplaceAll(get(t, filepath.Join(other, "record.json")), `"`+name+`"`, `"another"`)
	put(t, other, map[string]string{"record.json": text})
	works(t, "report", results, other, "--out", out)
	if got := get(t, filepath.Join(out, "report.md")); !strings.Contains(got, "Mean over the 2 models") || !strings.Contains(got, "another") {
		t.Errorf("report of two folders:\n%s", got)
	}
}

func load(t *testing.T, results string) *record.Record {
	t.Helper()
	rec, err := record.Load(filepath.Join(results, "record.json"))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// TestStages goes from scores to a pruned model in use, one command at a time.
func TestStages(t *testing.T) {
	m, data := imageModel(t), imageData(t)
	dir := t.TempDir()
	common := []string{"--model", m, "--task", "image-folder", "--data", data, "--device", "ref", "--threads", "1",
		"--output", filepath.Join(dir, "results"), "--set", "score.samples=4"}
	with := func(command string, more ...string) []string {
		return append(append([]string{command}, common...), more...)
	}

	scores := filepath.Join(dir, "new", "scores.json")
	if out := works(t, with("score", "--out", scores)...); !strings.Contains(out, "all scores are in "+scores) || !strings.Contains(out, "neurons") {
		t.Errorf("score:\n%s", out)
	}
	var list []record.Scores
	if err := json.Unmarshal([]byte(get(t, scores)), &list); err != nil || len(list) != 1 || len(list[0].Sites) != 4 || len(list[0].Sites[1].Values) != 64 {
		t.Errorf("scores: %v %+v", err, list)
	}

	pruned, masked := filepath.Join(dir, "pruned"), filepath.Join(dir, "masked")
	for format, folder := range map[string]string{"compact": pruned, "masked": masked} {
		out := works(t, with("prune", "--out", folder, "--format", format, "--keep", "0.5", "--method", "magnitude")...)
		if !strings.Contains(out, "pruned by magnitude/additive/none for image-folder\n") || !strings.Contains(out, "verified on 10 examples, as read back from "+folder) {
			t.Errorf("prune %s:\n%s", format, out)
		}
	}
	if a, b := works(t, "info", m), works(t, "info", masked); a != b {
		t.Errorf("the masked model has other sizes:\n%s%s", a, b)
	}
	if a, b := works(t, "info", m), works(t, "info", pruned); a == b {
		t.Errorf("the pruned model has all its units:\n%s", b)
	}
	evalOf := func(model string) string {
		out := works(t, with("eval", "--model", model, "--set", "evaluate.limit=7")...)
		if !strings.Contains(out, "on image-folder test") || !strings.Contains(out, "(7 examples)") {
			t.Errorf("eval:\n%s", out)
		}
		_, figures, _ := strings.Cut(out, "\n")
		figures, _, _ = strings.Cut(figures, "\n")
		return figures
	}
	if a, b := evalOf(pruned), evalOf(masked); a != b {
		t.Errorf("the pruned model reaches %s, the masked one %s", a, b)
	}
	out := works(t, with("time", "--pruned", pruned, "--set", "measure.batch=2", "--set", "measure.samples=6", "--set", "measure.min_time=0")...)
	if !strings.Contains(out, pruned) || !strings.Contains(out, "end-to-end") {
		t.Errorf("time:\n%s", out)
	}
	out = works(t, "predict", "--model", pruned, "--image", filepath.Join(data, "test", "0", "0.png"), "--device", "ref", "--threads", "1")
	if p := predictions(t, out); len(p) != 1 || len(p[0].Logits) != 5 || !strings.HasPrefix(p[0].Label, "LABEL_") || *p[0].Probability < 0.2 {
		t.Errorf("predict: %s", out)
	}
}

// TestEvalNeedsNoTraining evaluates where there is nothing but the test split.
func TestEvalNeedsNoTraining(t *testing.T) {
	data := textData(t)
	for _, split := range []string{"train.tsv", "dev.tsv"} {
		if err := os.Remove(filepath.Join(data, split)); err != nil {
			t.Fatal(err)
		}
	}
	out := works(t, "eval", "--model", textModel(t, "bert-basic"), "--task", "text", "--data", data, "--device", "ref", "--output", t.TempDir(), "--split", "test")
	if !strings.Contains(out, "accuracy") || !strings.Contains(out, "(15 examples)") {
		t.Errorf("got\n%s", out)
	}
}

func predictions(t *testing.T, out string) []prediction {
	t.Helper()
	var list []prediction
	for line := range strings.Lines(out) {
		var p prediction
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&p); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		list = append(list, p)
	}
	return list
}

func TestPredict(t *testing.T) {
	dir := textModel(t, "bert-basic")
	file := filepath.Join(t.TempDir(), "in.tsv")
	put(t, filepath.Dir(file), map[string]string{"in.tsv": "sentence\tother\na b\tc\nword0 <x>\td e f\n"})
	out := works(t, "predict", "--model", dir, "--input", file, "--text-column", "sentence", "--text-pair-column", "other", "--device", "ref", "--threads", "1")
	list := predictions(t, out)
	if len(list) != 2 || list[1].Input != "word0 <x>" || list[0].Value != nil {
		t.Fatalf("predicted %s", out)
	}
	want := forward(t, dir, task.Example{Text: "a b", TextPair: "c", HasPair: true, Label: -1})
	best := 0
	for i, v := range want {
		if list[0].Logits[i] != v {
			t.Errorf("logits %v, want %v", list[0].Logits, want)
		}
		if v > want[best] {
			best = i
		}
	}
	if label := []string{"entailment", "neutral", "contradiction"}[best]; list[0].Label != label {
		t.Errorf("label %s, want %s", list[0].Label, label)
	}

	long := strings.Repeat("a ", 40)
	all := predictions(t, works(t, "predict", "--model", dir, "--text", long, "--device", "ref"))
	cut := predictions(t, works(t, "predict", "--model", dir, "--text", long, "--device", "ref", "--max-length", "7"))
	short := predictions(t, works(t, "predict", "--model", dir, "--text", "a a a a a", "--device", "ref"))
	if cut[0].Logits[0] != short[0].Logits[0] || all[0].Logits[0] == short[0].Logits[0] {
		t.Errorf("--max-length does not cut: %v %v %v", all, cut, short)
	}
	if p := predictions(t, works(t, "predict", "--model", dir, "--text", "", "--device", "ref")); len(p) != 1 {
		t.Errorf("the empty text: %v", p)
	}
	if p := predictions(t, works(t, "predict", "--model", textModel(t, "bert-regression"), "--text", "a", "--device", "cpu", "--threads", "1")); p[0].Value == nil || p[0].Label != "" || *p[0].Value != p[0].Logits[0] {
		t.Errorf("a regression: %+v", p[0])
	}
	if r := optin(t, "predict", "--model", dir, "--text", "a", "--device", "ref"); r.code != 0 || r.report != "" {
		t.Errorf("a prediction reports %q", r.report)
	}
}

// forward is what the model says, without the program.
func forward(t *testing.T, dir string, ex task.Example) []float64 {
	t.Helper()
	m, closeModel, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer closeModel()
	enc, err := task.OpenEncoder(dir, nil, experiment.TaskInputs(m.Config()))
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := enc.Encode(ex)
	if err != nil {
		t.Fatal(err)
	}
	dev, err := ref.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	in := model.Text([][]int32{encoded.IDs}, [][]int32{encoded.TypeIDs})
	logits := make([]float64, len(m.Config().Labels))
	if err := dev.One(context.Background(), func(ops kernels.Ops) error {
		ops.Download(model.Forward(m, model.NewPass(ops, in), in), logits)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, v := range logits {
		if math.IsNaN(v) {
			t.Fatal("not a number")
		}
	}
	return logits
}

// TestPredictPictures takes a file of paths, relative to it.
func TestPredictPictures(t *testing.T) {
	data := imageData(t)
	put(t, data, map[string]string{"list.txt": "test/0/0.png\n\n" + filepath.Join(data, "test/1/1.png") + "\n"})
	list := predictions(t, works(t, "predict", "--model", imageModel(t), "--input", filepath.Join(data, "list.txt"), "--device", "ref"))
	if len(list) != 2 || list[0].Input != "test/0/0.png" {
		t.Errorf("predicted %+v", list)
	}
}

func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	path, results := experimentFile(t, textModel(t, "bert-basic"), textData(t), small)
	r := optinUntil(t, ctx, &bytes.Buffer{}, "run", path)
	if r.code != exitInterrupted || !strings.Contains(r.report, "what was finished is kept") {
		t.Errorf("status %d: %s", r.code, r.report)
	}
	if _, err := os.Stat(filepath.Join(results, "record.json")); err == nil {
		t.Error("a stopped run has a record")
	}
}

// TestThreads asks for more workers than any machine has use for.
func TestThreads(t *testing.T) {
	var out, errs bytes.Buffer
	if status := run(context.Background(), &out, &errs, []string{"selftest", "--threads", "100000"}); status != exitFailed || !strings.Contains(errs.String(), "threads = 100000") {
		t.Errorf("status %d: %s", status, errs.String())
	}
}

// TestFullStandardOutput prints to a disk that is full.
func TestFullStandardOutput(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	defer full.Close()
	var errs bytes.Buffer
	if status := run(context.Background(), full, &errs, []string{"version"}); status != exitFailed || !strings.Contains(errs.String(), "standard output") {
		t.Errorf("status %d: %s", status, errs.String())
	}
}
