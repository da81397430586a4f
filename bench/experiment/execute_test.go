package experiment

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"optin/bench/prune"
	"optin/bench/record"
	"optin/bench/task"
	"optin/kernels"
)

// execute runs a plan over a model and a task with the given settings.
func execute(t *testing.T, dev kernels.Device, output, modelDir string, cfg task.Config, sets ...string) (*record.Record, error) {
	t.Helper()
	sets = append([]string{"output=" + output, "model.path=" + modelDir, "task.name=" + cfg.Name, "task.path=" + cfg.Path,
		"score.samples=4", "measure.batch=[]"}, sets...)
	p, err := ParsePlan("test.toml", nil, sets...)
	if err != nil {
		t.Fatal(err)
	}
	h := &Host{Device: dev, Digest: "test"}
	return h.Execute(context.Background(), p)
}

// miscounting is a device whose tally grows without any work.
type miscounting struct {
	kernels.Device
	calls int64
}

func (d *miscounting) Tally() kernels.Tally {
	d.calls++
	tally := d.Device.Tally()
	tally.MACs += d.calls
	return tally
}

// TestInvalid lets the proof of one run fail.
func TestInvalid(t *testing.T) {
	dir, cfg := texts3(t)
	output := t.TempDir()
	dev := device(t, 1)
	rec, err := execute(t, dev, output, dir, cfg)
	if err != nil || !rec.Runs[0].Verdict.Valid || Invalid(rec) != nil {
		t.Fatalf("%+v %v", rec, err)
	}
	proofs, err := filepath.Glob(filepath.Join(output, "stages", "verify-*.json"))
	if err != nil || len(proofs) != 1 {
		t.Fatalf("%v %v", proofs, err)
	}
	if err := os.Remove(proofs[0]); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the failed proof is stored, too
		rec, err = execute(t, &miscounting{Device: dev}, output, dir, cfg)
		if err != nil {
			t.Fatal(err)
		}
		run := rec.Runs[0]
		if run.Verdict.Valid || len(run.Verdict.Reasons) != 1 || !strings.Contains(run.Verdict.Reasons[0], "executed") || run.Verify.OK {
			t.Errorf("verdict %+v, verified %+v", run.Verdict, run.Verify)
		}
		if !errors.Is(Invalid(rec), ErrInvalid) {
			t.Error("the record passes")
		}
	}
	if _, err := execute(t, &miscounting{Device: dev}, t.TempDir(), dir, cfg); err == nil || !strings.Contains(err.Error(), "dense model: counted") {
		t.Errorf("a dense model that costs more than was counted: %v", err)
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		v     prune.Verification
		valid bool
	}{
		{prune.Verification{Difference: 1e-6, CountedMACs: 5, ExecutedMACs: 5}, true},
		{prune.Verification{Difference: 1e-4}, false},
		{prune.Verification{Difference: math.NaN()}, false},
		{prune.Verification{CountedMACs: 5, ExecutedMACs: 6}, false},
	} {
		var out record.Run
		verdict(&out, c.v.Err())
		if out.Verdict.Valid != c.valid || c.valid == (len(out.Verdict.Reasons) > 0) {
			t.Errorf("%+v: %v %q", c.v, out.Verdict, out.Verdict.Reasons)
		}
	}
}

// TestNotFinite gives results that no file of a stage can hold.
func TestNotFinite(t *testing.T) {
	s, err := openStore(t.TempDir(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, err = stage(s, StepVerify, "x", func() (prune.Verification, error) { return prune.Verification{Difference: math.Inf(1)}, nil })
	if err == nil || !strings.Contains(err.Error(), "not a finite number") {
		t.Errorf("got %v", err)
	}
	if files, _ := os.ReadDir(s.dir); len(files) != 0 {
		t.Errorf("%d files are left", len(files))
	}
}

// TestNotes passes on what a task says of its data: lines of QQP are broken.
func TestNotes(t *testing.T) {
	dir := tinyModel(t, "bert-odd")
	put(t, filepath.Join(dir, "vocab.txt"), vocabulary(67))
	data := t.TempDir()
	rows := "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\tbroken\n"
	for i := range 8 {
		rows += fmt.Sprintf("1\t2\t3\tw%d w1\tw2 w%d\t%d\n", i, 2*i, i%2)
	}
	put(t, filepath.Join(data, "train.tsv"), rows)
	put(t, filepath.Join(data, "dev.tsv"), rows)
	rec, err := execute(t, device(t, 1), t.TempDir(), dir, task.Config{Name: "qqp", Path: data})
	if err != nil {
		t.Fatal(err)
	}
	if len(rec.Warnings) != 1 || !strings.Contains(rec.Warnings[0], "bert-odd: 1 lines of") {
		t.Errorf("warnings %q", rec.Warnings)
	}
	if m := rec.Models[0]; m.Split != task.Dev || m.Metrics[0].N != 8 || len(m.Metrics) != 2 || m.Calibration.Split != task.Train || m.Calibration.Examples != 4 {
		t.Errorf("model %+v", m)
	}
}

// TestDenseOfVariants evaluates a dense model for every length of its texts.
func TestDenseOfVariants(t *testing.T) {
	dir, cfg := texts3(t)
	rec, err := execute(t, device(t, 1), t.TempDir(), dir, cfg, "task.max_length=[3, 8]", "search.seq_len=8")
	if err != nil {
		t.Fatal(err)
	}
	if len(rec.Models) != 2 || len(rec.Runs) != 2 || rec.Models[0].Calibration.Tokens >= rec.Models[1].Calibration.Tokens {
		t.Fatalf("models %+v", rec.Models)
	}
	for i, r := range rec.Runs {
		if m := rec.Models[i]; r.Model != m.Name || m.SeqLen != 8 || *m.ExecutedMACs <= 0 {
			t.Errorf("run of %s, model %+v", r.Model, m)
		}
	}
}

// TestPieces cuts batches for the workers.
func TestPieces(t *testing.T) {
	s := openSubject(t, texts3)
	f := openFeed(t, s, 0)
	for workers := 1; workers <= 4; workers++ {
		timer := &Timer{Device: device(t, workers), Subject: s, Feed: f}
		for batch := 1; batch <= f.Len(); batch++ {
			encoded, err := timer.encode(batch)
			if err != nil {
				t.Fatal(err)
			}
			pieces, examples := timer.pieces(encoded), 0
			var ids []int32
			for _, p := range pieces {
				examples += p.Examples()
				ids = append(ids, p.IDs...)
			}
			var want []int32
			for _, e := range encoded {
				want = append(want, e.IDs...)
			}
			if examples != batch || !slices.Equal(ids, want) {
				t.Errorf("%d workers, batch %d: %d examples in %d pieces, or in another order", workers, batch, examples, len(pieces))
			}
			if batch < workers && len(pieces) != 1 || len(pieces) > workers {
				t.Errorf("%d workers, batch %d: %d pieces", workers, batch, len(pieces))
			}
			if batch >= 2*workers && len(pieces) < workers {
				t.Errorf("%d workers, batch %d: only %d pieces", workers, batch, len(pieces))
			}
		}
	}
}

// TestTimer times a model against itself, and refuses batches that are too
// large.
func TestTimer(t *testing.T) {
	s := openSubject(t, pictures5)
	f := openFeed(t, s, 0)
	peak := 1e9
	timer := &Timer{Device: device(t, 2), Subject: s, Feed: f, Peak: &peak,
		Settings: Measure{Batch: []int{1, 3}, Samples: 6, EndToEnd: true}}
	all, err := timer.Compare(context.Background(), s.Model, s.Model)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 4 {
		t.Fatalf("%d timings, want 4", len(all))
	}
	for i, got := range all {
		wantKind, wantBatch := []string{record.ModelOnly, record.EndToEnd}[i%2], []int{1, 3}[i/2]
		if got.Kind != wantKind || got.Batch != wantBatch || got.Rounds < 6 || got.Dense.Value <= 0 || got.Speedup.Value <= 0 {
			t.Errorf("timing %d: %+v", i, got)
		}
		if rate := got.FLOPS != nil; rate != (wantKind == record.ModelOnly) {
			t.Errorf("timing %d: executed FLOP/s are there: %v", i, rate)
		}
	}
	timer.Settings.Batch = []int{21}
	if _, err := timer.Compare(context.Background(), s.Model, s.Model); err == nil || !strings.Contains(err.Error(), "set measure.batch to at most 20") {
		t.Errorf("a batch of 21 of 20 examples: %v", err)
	}
}

func TestClassify(t *testing.T) {
	logits := [][]float64{{1, 3, 2, -1, -2, -3}, {}, {0, 0, 5}}
	if got := classify(logits, 3); !slices.Equal(got, []int{1, 0, 2}) {
		t.Errorf("classes %v", got)
	}
	if got := classify([][]float64{{2, 2, 1}}, 3); !slices.Equal(got, []int{0}) {
		t.Errorf("of equal logits the first wins, got %v", got)
	}
}

func TestBaseName(t *testing.T) {
	for path, want := range map[string]string{
		"experiments/models/deit-fashion/": "deit-fashion", "results/minilm-sst2/model": "minilm-sst2",
		"model": "model", "../model": "model", "/model": "model",
	} {
		if got := baseName(path); got != want {
			t.Errorf("%s is called %s, want %s", path, got, want)
		}
	}
}

// TestHeadline says of a slow-down what it is.
func TestHeadline(t *testing.T) {
	share, accuracy, err := 0.5, 0.9, 0.01
	out := &record.Run{KeptEncoderMACs: &share, Metrics: []record.Metric{{Name: "accuracy", Value: &accuracy, StdErr: &err}}, Verdict: record.Verdict{Valid: true},
		Timings: []record.Timing{
			{Kind: record.ModelOnly, Batch: 1, Speedup: &record.Estimate{Value: 0.313, Low: 0.3, High: 0.34}},
			{Kind: record.EndToEnd, Batch: 1, Speedup: &record.Estimate{Value: 0.9, Low: 0.8, High: 1}},
			{Kind: record.ModelOnly, Batch: 32, Speedup: &record.Estimate{Value: 1.839, Low: 1.7, High: 1.95}},
		}}
	want := "50.0 % of MACs, accuracy 90.00 % (± 1.00), 0.31 times as fast as dense (0.30 to 0.34) at batch 1, 1.84 times as fast as dense (1.70 to 1.95) at batch 32"
	if got := headline(out); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
