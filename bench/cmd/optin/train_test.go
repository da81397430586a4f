package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"optin/bench/record"
)

// trainingFile writes a training of a tiny model for a text task, with more
// lines at its end, and returns it and its output folder.
func trainingFile(t *testing.T, modelDir, dataDir, more string) (path, output string) {
	t.Helper()
	dir := t.TempDir()
	output = filepath.Join(dir, "output")
	put(t, dir, map[string]string{"tiny.toml": fmt.Sprintf("output = %q\ndevice = \"ref\"\n[model]\npath = %q\n[task]\nname = \"text\"\npath = %q\n[train]\nbatch = 6\nrate = 1e-3\n%s",
		output, modelDir, dataDir, more)})
	return filepath.Join(dir, "tiny.toml"), output
}

// TestTrain trains a tiny model and evaluates what was written.
func TestTrain(t *testing.T) {
	data := textData(t)
	path, output := trainingFile(t, textModel(t, "bert-basic"), data, "")
	out := works(t, "train", path, "--set", "train.epochs=2")
	for _, want := range []string{"tiny: 8 steps over 24 examples of text", "dev   accuracy", "test  accuracy", "GFLOP/s", "the model is in " + filepath.Join(output, "model")} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	var r record.Training
	if err := json.Unmarshal([]byte(get(t, filepath.Join(output, "train.json"))), &r); err != nil {
		t.Fatal(err)
	}
	if r.Steps != 8 || r.Overrides[0] != "train.epochs=2" || r.Provenance.Device == "" {
		t.Errorf("record %+v", r)
	}
	if lines := strings.Count(get(t, filepath.Join(output, "loss.csv")), "\n"); lines != 9 {
		t.Errorf("%d lines in loss.csv", lines)
	}
	if png := get(t, filepath.Join(output, "loss.png")); !strings.HasPrefix(png, "\x89PNG") {
		t.Error("loss.png is no picture")
	}
	if svg := get(t, filepath.Join(output, "loss.svg")); !strings.Contains(svg, "tiny: training on text") {
		t.Error("loss.svg has no title")
	}
	evaluated := works(t, "eval", "--model", filepath.Join(output, "model"), "--task", "text", "--data", data, "--device", "ref", "--output", t.TempDir())
	final := *r.Final[1].Metrics[0].Value
	if want := fmt.Sprintf("%.2f %%", 100*final); !strings.Contains(evaluated, want) {
		t.Errorf("the record says %s, eval\n%s", want, evaluated)
	}
}

// TestTrainInterrupted stops with a checkpoint and goes on to the same model.
func TestTrainInterrupted(t *testing.T) {
	m, data := textModel(t, "bert-basic"), textData(t)
	whole, wholeOut := trainingFile(t, m, data, "")
	works(t, "train", whole, "--resume") // of nothing yet
	path, output := trainingFile(t, m, data, "")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := optinUntil(t, ctx, &stopAfter{lines: 2, cancel: cancel}, "train", path)
	if r.code != exitInterrupted || !strings.Contains(r.report, "stopped after step 4 of 12") || !strings.Contains(r.report, "--resume") {
		t.Fatalf("status %d\n%s", r.code, r.report)
	}
	fails(t, exitFailed, []string{"add --resume"}, "train", path)
	works(t, "train", path, "--resume")
	if name := filepath.Join("model", "model.safetensors"); get(t, filepath.Join(output, name)) != get(t, filepath.Join(wholeOut, name)) {
		t.Error("the model is another one than without the stop")
	}
	trained := get(t, filepath.Join(output, "train.json"))
	again := optinUntil(t, context.Background(), &bytes.Buffer{}, "train", path, "--resume")
	if again.code != exitOK || !strings.Contains(again.report, "this training is finished") || get(t, filepath.Join(output, "train.json")) != trained {
		t.Errorf("status %d\n%s", again.code, again.report)
	}
	fails(t, exitFailed, []string{"is of another training, which is finished"}, "train", path, "--resume", "--set", "train.rate=2e-3")
	if err := os.RemoveAll(filepath.Join(output, "model")); err != nil {
		t.Fatal(err)
	}
	fails(t, exitFailed, []string{"its model is gone"}, "train", path, "--resume")
}

// TestTrainRefuses checks messages and statuses.
func TestTrainRefuses(t *testing.T) {
	m, data := textModel(t, "bert-basic"), textData(t)
	path, output := trainingFile(t, m, data, "")
	fails(t, exitUsage, []string{"train takes one training file"}, "train")
	fails(t, exitUsage, []string{"--set x", "such as train.epochs=3"}, "train", path, "--set", "x")
	fails(t, exitFailed, []string{"nowhere.toml"}, "train", "nowhere.toml")
	fails(t, exitFailed, []string{"unknown key train.epoch: did you mean train.epochs?"}, "train", path, "--set", "train.epoch=1")
	fails(t, exitFailed, []string{"step 2: the loss is", "lower rate"}, "train", path, "--set", "train.rate=1e30", "--set", "train.warmup=0", "--set", "train.clip=0", "--set", "train.weight_decay=1e30")
	put(t, output, map[string]string{"checkpoint": "garbage"})
	fails(t, exitFailed, []string{"is damaged, or no checkpoint"}, "train", path, "--resume")
	if _, err := os.Stat(filepath.Join(output, "train.json")); err == nil {
		t.Error("a training that failed left a record")
	}
	if out := works(t, "keys", "--train"); !strings.Contains(out, "[distill]") || !strings.Contains(out, "label_smoothing") {
		t.Errorf("keys --train says\n%s", out)
	}
}
