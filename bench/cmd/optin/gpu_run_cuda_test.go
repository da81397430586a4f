//go:build cuda

package main

import (
	"encoding/csv"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"optin/bench/record"
)

// onGPU runs the program on this machine's GPU, or on an emulated one. It must
// succeed.
func onGPU(t *testing.T, env []string, args ...string) result {
	t.Helper()
	r := start(t, filepath.Join(programs(t), "optin"), env, append(args, "--device", "cuda")...)
	if r.code != exitOK {
		t.Fatalf("optin %s: status %d\n%s", strings.Join(args, " "), r.code, r.report)
	}
	return r
}

// whole is every way from scores to a smaller model.
const whole = `
[score]
estimate = ["exact", "probes"]
samples = 4
probes = 8
check = 8
[search]
method = ["additive", "surgeon"]
keep = 0.6
[rebuild]
method = ["none", "least-squares"]
samples = 8
[measure]
batch = []
`

// TestGPURun does whole experiments on the GPU and by the reference.
func TestGPURun(t *testing.T) {
	for _, c := range []struct{ name, model, task, data string }{
		{"bert", textModel(t, "bert-basic"), "text", textData(t)},
		{"deit", imageModel(t), "image-folder", imageData(t)},
	} {
		t.Run("model="+c.name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, map[string]string{"x.toml": fmt.Sprintf("[model]\npath = %q\n[task]\nname = %q\npath = %q\n%s", c.model, c.task, c.data, whole)})
			path, gpu, ref := filepath.Join(dir, "x.toml"), filepath.Join(dir, "gpu"), filepath.Join(dir, "ref")
			onGPU(t, nil, "run", path, "--output", gpu)
			works(t, "run", path, "--output", ref, "--device", "ref")
			got, want := load(t, gpu), load(t, ref)
			if d := got.Provenance.Device; !strings.Contains(d, "CUDA driver") || !strings.Contains(d, "cuBLAS") {
				t.Errorf("the record's device is %q", d)
			}
			if v := got.Provenance.Libraries; v["cuBLAS"] == "" || v["NVIDIA driver"] == "" || v["CUDA (of the driver)"] == "" {
				t.Errorf("the record's libraries are %v", v)
			}
			sameScores(t, got, want)
			sameRuns(t, got, want)
		})
	}
}

// sameScores wants the scores of two records to agree as float32 allows.
func sameScores(t *testing.T, got, want *record.Record) {
	t.Helper()
	if len(got.Scores) != len(want.Scores) || len(want.Scores) == 0 {
		t.Fatalf("%d sets of scores, the reference has %d", len(got.Scores), len(want.Scores))
	}
	for i, s := range want.Scores {
		for j, site := range s.Sites {
			closeTo(t, fmt.Sprintf("scores %s of layer %d, %s", s.Variant, site.Layer, site.Kind), got.Scores[i].Sites[j].Values, site.Values, 1e-4)
		}
	}
}

// closeTo wants got within relative of want, and within as much of a
// thousandth of the largest of want.
func closeTo(t *testing.T, what string, got, want []float64, relative float64) {
	t.Helper()
	largest := 0.0
	for _, w := range want {
		largest = max(largest, math.Abs(w))
	}
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		if !(math.Abs(got[i]-w) <= relative*(math.Abs(w)+1e-3*largest)) {
			t.Errorf("%s: number %d is %v, the reference has %v", what, i, got[i], w)
		}
	}
}

// sameRuns wants the runs of two records to keep the same and to reach the same.
func sameRuns(t *testing.T, got, want *record.Record) {
	t.Helper()
	if len(got.Runs) != len(want.Runs) || len(want.Runs) != 6 {
		t.Fatalf("%d runs, the reference has %d", len(got.Runs), len(want.Runs))
	}
	for i, w := range want.Runs {
		g, name := got.Runs[i], want.Runs[i].Way()+" "+want.Runs[i].Variant
		if !g.Verdict.Valid || !w.Verdict.Valid {
			t.Errorf("%s: %v, the reference %v", name, g.Verdict, w.Verdict)
		}
		if !reflect.DeepEqual(g.Heads, w.Heads) || !reflect.DeepEqual(g.Neurons, w.Neurons) {
			t.Errorf("%s keeps %v and %v, the reference %v and %v", name, g.Heads, g.Neurons, w.Heads, w.Neurons)
		}
		if *g.Verify.ExecutedMACs != *w.Verify.ExecutedMACs {
			t.Errorf("%s executes %v MACs, the reference %v", name, *g.Verify.ExecutedMACs, *w.Verify.ExecutedMACs)
		}
		for j, m := range w.Metrics {
			if *g.Metrics[j].Value != *m.Value {
				t.Errorf("%s: %s %v, the reference has %v", name, m.Name, *g.Metrics[j].Value, *m.Value)
			}
		}
		if len(g.Rebuilt) != len(w.Rebuilt) {
			t.Errorf("%s fits %d weights, the reference %d", name, len(g.Rebuilt), len(w.Rebuilt))
		}
	}
}

// TestGPUStages prunes, evaluates, times and predicts on the GPU.
func TestGPUStages(t *testing.T) {
	m, data, dir := imageModel(t), imageData(t), t.TempDir()
	common := []string{"--model", m, "--task", "image-folder", "--data", data, "--output", filepath.Join(dir, "results"), "--set", "score.samples=4"}
	with := func(command string, more ...string) []string {
		return append(append([]string{command}, common...), more...)
	}
	small := filepath.Join(dir, "small")
	if out := onGPU(t, nil, with("prune", "--out", small, "--keep", "0.5", "--method", "fisher")...).out; !strings.Contains(out, "verified on 4 examples, as read back from "+small) {
		t.Errorf("prune:\n%s", out)
	}
	if out := onGPU(t, nil, with("score")...).out; !strings.Contains(out, "neurons") {
		t.Errorf("score:\n%s", out)
	}
	evaluated := onGPU(t, nil, with("eval", "--model", small)...).out
	if want := works(t, with("eval", "--model", small, "--device", "ref")...); evaluated != want {
		t.Errorf("eval:\n%s\nthe reference\n%s", evaluated, want)
	}
	if out := onGPU(t, nil, with("time", "--pruned", small, "--set", "measure.batch=2", "--set", "measure.samples=6", "--set", "measure.min_time=0")...).out; !strings.Contains(out, "end-to-end") {
		t.Errorf("time:\n%s", out)
	}
	args := []string{"predict", "--model", small, "--image", filepath.Join(data, "test", "0", "0.png")}
	nearly(t, predictions(t, onGPU(t, nil, args...).out), predictions(t, works(t, append(args, "--device", "ref")...)))
}

// TestGPUTrain trains for a few steps.
func TestGPUTrain(t *testing.T) {
	data := textData(t)
	for _, optimizer := range []string{"adamw", "muon"} {
		path, output := trainingFile(t, textModel(t, "bert-basic"), data, "epochs = 1\n")
		gpu := filepath.Join(t.TempDir(), "gpu")
		works(t, "train", path, "--set", "train.optimizer="+optimizer)
		onGPU(t, nil, "train", path, "--set", "train.optimizer="+optimizer, "--output", gpu)
		want, got := curve(t, output), curve(t, gpu)
		for i := range want {
			closeTo(t, fmt.Sprintf("%s, row %d of loss.csv", optimizer, i+1), got[i], want[i], 1e-4)
		}
	}
}

// curve is the numbers of a training's loss.csv.
func curve(t *testing.T, output string) (rows [][]float64) {
	t.Helper()
	lines, err := csv.NewReader(strings.NewReader(get(t, filepath.Join(output, "loss.csv")))).ReadAll()
	if err != nil || len(lines) < 3 {
		t.Fatalf("loss.csv: %v: %v", lines, err)
	}
	for _, line := range lines[1:] {
		var row []float64
		for _, field := range line {
			v, err := strconv.ParseFloat(field, 64)
			if err != nil {
				t.Fatal(err)
			}
			row = append(row, v)
		}
		rows = append(rows, row)
	}
	return rows
}
