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

// runOnGPU runs the program on this machine's GPU, or on an emulated one. It must
// succeed.
func runOnGPU(t *testing.T, env []string, args ...string) result {
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
			runOnGPU(t, nil, "run", path, "--output", gpu)
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
	if out := runOnGPU(t, nil, with("prune", "--out", small, "--keep", "0.5", "--method", "fisher")...).out; !strings.Contains(out, "verified on 4 examples, as read back from "+small) {
		t.Errorf("prune:\n%s", out)
	}
	if out := runOnGPU(t, nil, with("score")...).out; !strings.Contains(out, "neurons") {
		t.Errorf("score:\n%s", out)
	}
	evaluated := runOnGPU(t, nil, with("eval", "--model", small)...).out
	if want := works(t, with("eval", "--model", small, "--device", "ref")...); evaluated != want {
		t.Errorf("eval:\n%s\nthe reference\n%s", evaluated, want)
	}
	if out := runOnGPU(t, nil, with("time", "--pruned", small, "--set", "measure.batch=2", "--set", "measure.samples=6", "--set", "measure.min_time=0")...).out; !strings.Contains(out, "end-to-end") {
		t.Errorf("time:\n%s", out)
	}
	args := []string{"predict", "--model", small, "--image", filepath.Join(data, "test", "0", "0.png")}
	nearly(t, predictions(t, runOnGPU(t, nil, args...).out), predictions(t, works(t, append(args, "--device", "ref")...)))
}

// TestGPUTrain trains for a few steps.
func TestGPUTrain(t *testing.T) {
	data := textData(t)
	for _, optimizer := range []string{"adamw", "muon"} {
		path, output := trainingFile(t, textModel(t, "bert-basic"), data, "epochs = 1\n")
		gpu := filepath.Join(t.TempDir(), "gpu")
		works(t, "train", path, "--set", "train.optimizer="+optimizer)
		runOnGPU(t, nil, "train", path, "--set", "train.optimizer="+optimizer, "--output", gpu)
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

// scoresOnly is an experiment that scores and does little else.
const scoresOnly = `
[score]
samples = 8
[search]
keep = 0.6
[measure]
batch = []
`

// TestGPULittleMemory runs out of device memory: the work is done in smaller parts, and
// comes to the same.
func TestGPULittleMemory(t *testing.T) {
	if !emulated() {
		t.Skip("a real device's memory cannot be made smaller")
	}
	dir := t.TempDir()
	put(t, dir, map[string]string{"x.toml": fmt.Sprintf("rows = 2048\n[model]\npath = %q\n[task]\nname = \"text\"\npath = %q\n%s", textModel(t, "bert-basic"), textData(t), scoresOnly)})
	path := filepath.Join(dir, "x.toml")
	runOnGPU(t, nil, "run", path, "--output", filepath.Join(dir, "all"))
	want := load(t, filepath.Join(dir, "all"))
	peak := *want.Runs[0].Memory.ScoringBytes
	halved := 0
	for i, share := range []float64{0.8, 0.4} {
		output := filepath.Join(dir, fmt.Sprint(i))
		r := runOnGPU(t, []string{fmt.Sprintf("CUEMU_MEMORY=%d", int64(share*float64(peak)))}, "run", path, "--output", output)
		got := load(t, output)
		if strings.Contains(r.report, "out of memory; going on with micro-batches of") && len(got.Warnings) == 1 && strings.Contains(got.Warnings[0], "rows instead of 2048") {
			halved++
		}
		sameScores(t, got, want)
		if !reflect.DeepEqual(got.Runs[0].Neurons, want.Runs[0].Neurons) || !got.Runs[0].Verdict.Valid {
			t.Errorf("with %.0f %% of the memory %v neurons are kept: %v", 100*share, got.Runs[0].Neurons, got.Runs[0].Verdict)
		}
	}
	if halved != 2 {
		t.Errorf("%d of 2 runs went on with less", halved)
	}
	r := start(t, filepath.Join(programs(t), "optin"), []string{"CUEMU_MEMORY=100000"}, "run", path, "--output", filepath.Join(dir, "none"), "--device", "cuda")
	if r.code != exitFailed || !strings.Contains(r.report, "the device is out of memory") || !strings.Contains(r.report, "fewer examples (score.samples, rebuild.samples)") {
		t.Errorf("without memory: status %d\n%s", r.code, r.report)
	}
}

// TestGPUs scores on one device and on two, to the same bits.
func TestGPUs(t *testing.T) {
	if !emulated() {
		t.Skip("real devices are what they are; package cuda's tests use them")
	}
	dir := t.TempDir()
	put(t, dir, map[string]string{"x.toml": fmt.Sprintf("[model]\npath = %q\n[task]\nname = \"image-folder\"\npath = %q\n%s", imageModel(t), imageData(t), scoresOnly)})
	var records []*record.Record
	for n := 1; n <= 2; n++ {
		output := filepath.Join(dir, fmt.Sprint(n))
		runOnGPU(t, []string{fmt.Sprintf("CUEMU_DEVICES=%d", n)}, "run", filepath.Join(dir, "x.toml"), "--output", output, "--set", "rows=64")
		records = append(records, load(t, output))
	}
	one, two := records[0], records[1]
	if one.Provenance.Threads != 1 || two.Provenance.Threads != 2 || !strings.Contains(two.Provenance.Device, " + ") {
		t.Errorf("devices %q with %d workers, and %q with %d", one.Provenance.Device, one.Provenance.Threads, two.Provenance.Device, two.Provenance.Threads)
	}
	if !reflect.DeepEqual(one.Scores[0].Sites, two.Scores[0].Sites) || !reflect.DeepEqual(one.Runs[0].Neurons, two.Runs[0].Neurons) {
		t.Error("two devices give other scores than one")
	}
}
