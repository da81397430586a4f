package record

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"optin/bench/measure"
)

func ptr[T any](v T) *T { return &v }

func example() *Record {
	return &Record{
		Version: Version,
		Name:    `a "quoted \ [1, 2]" name`,
		Models:  []Model{{Name: "tiny", Heads: []int{4, 4}, Metrics: []Metric{{Name: "accuracy", Value: ptr(0.9), N: 10}}}},
		Scores: []Scores{{Model: "tiny", Sites: []Site{{Kind: Heads, Values: []float64{1e-30, -2.5, 3}}, {Kind: Neurons}},
			Estimated: &Estimated{Probes: 64, Heads: "exact", SubsetNeurons: 9, SpearmanNeurons: ptr(0.98)}}},
		Runs: []Run{{Model: "tiny", Keep: 0.5, Heads: []int{1, 2},
			Joint:       &Joint{Probes: 256, Steps: 4, Shrink: ptr(0.5), InSample: ptr(1.0), HeldOut: ptr(2.0), FellBack: true},
			Rebuilt:     []RebuiltSite{{Layer: 1, Kind: Neurons, Before: ptr(0.2), After: ptr(0.1), Ridge: ptr(0.01)}, {Kind: Heads, KeptOld: true}},
			Latency:     &Latency{Target: 0.01, Predicted: ptr(0.011), Rounds: 2},
			Comparisons: []Comparison{{Against: "fisher/ptf/scale", Metric: "accuracy", Difference: 0.01, Low: -0.01, High: 0.03, N: 872}},
			Timings: []Timing{{Kind: ModelOnly, Batch: 1, Speedup: &measure.Estimate{Value: 2, Low: 1.9, High: 2.1, Confidence: 0.95},
				PrunedEnergy: &measure.Energy{Source: "counter", Joules: measure.Estimate{Value: 0.5, Low: 0.4, High: 0.6, Confidence: 0.75}, Watts: 100, Rounds: 3},
				Telemetry:    &measure.Telemetry{Device: "device", Celsius: &measure.Spread{Min: 50, Mean: 60, Max: 70}, Throttles: []measure.Throttle{}}}}}},
	}
}

func TestSaveLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "record.json")
	want := example()
	for range 2 { // the second replaces the first
		if err := Save(path, want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`"values": [1e-30, -2.5, 3]`, `"heads": [4, 4]`, `"std_err": null`} {
		if !strings.Contains(string(text), line) {
			t.Errorf("the file has no %s", line)
		}
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Errorf("files left behind: %v %v", files, err)
	}
}

// TestMerge keeps what both have, and refuses what could not be told apart.
func TestMerge(t *testing.T) {
	a, b := example(), example()
	b.Name, b.Models[0].Name, b.Runs[0].Model, b.Warnings = "b", "small", "small", []string{"busy"}
	b.Provenance.Revision = "other"
	got, err := Merge("both", a, b)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Models) != 2 || len(got.Runs) != 2 || len(got.Scores) != 2 || got.Runs[1].Model != "small" || got.Name != "both" {
		t.Errorf("%+v", got)
	}
	if len(got.Warnings) != 2 || got.Warnings[0] != "b: busy" || !strings.Contains(got.Warnings[1], "b was made by revision other") {
		t.Errorf("%q", got.Warnings)
	}
	if _, err := Merge("twice", a, example()); err == nil || !strings.Contains(err.Error(), "both have a model tiny") {
		t.Errorf("the same model twice: %v", err)
	}
}

// TestWay names runs by how they were pruned, and no more.
func TestWay(t *testing.T) {
	r := Run{Model: "tiny", Method: "trajectory", Search: "joint", Rebuild: "least-squares", Constraint: "macs", Keep: 0.5, Seed: 3}
	if got, want := r.Way(), "trajectory/joint/least-squares"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	r.Variant, r.Constraint = "lambda=0.1", "latency"
	if got, want := r.Way(), "trajectory/joint/least-squares lambda=0.1 by latency"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestComparison: an interval that touches 0 decides nothing.
func TestComparison(t *testing.T) {
	for _, c := range []struct {
		low, high     float64
		better, worse bool
	}{{0.01, 0.02, true, false}, {-0.02, -0.01, false, true}, {-0.01, 0.01, false, false}, {0, 0.01, false, false}, {-0.01, 0, false, false}} {
		x := Comparison{Low: c.low, High: c.high}
		if x.Better() != c.better || x.Worse() != c.worse {
			t.Errorf("%+v: better %v, worse %v", x, x.Better(), x.Worse())
		}
	}
}

func TestSaveKeepsOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record.json")
	if err := Save(path, example()); err != nil {
		t.Fatal(err)
	}
	bad := example()
	bad.Models[0].EncoderMACs = math.NaN()
	if err := Save(path, bad); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a NaN was saved: %v", err)
	}
	if _, err := Load(path); err != nil {
		t.Errorf("the old record is gone: %v", err)
	}
}

func TestLoadErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"newer", `{"version": 99, "models": 3}`, "has version 99, this program reads up to 1: use a newer optin"},
		{"foreign", `{"a": 1}`, "has no version"},
		{"truncated", "{\"version\": 1,\n\"name\": ", "line 2: unexpected end of JSON input: the file is damaged"},
		{"mistyped", "{\"version\": 1,\n\"runs\": {}}", "line 2: runs holds an object, want a list: the file is damaged, run the experiment again"},
		{"a list", "[{\"version\": 1}]\n", "line 1: the file holds a list, want an object: the file is damaged, or no record of an experiment"},
		{"a text", `"record"`, "the file holds a text, want an object"},
		{"list for a run", `{"version": 1, "runs": [[1]]}`, "runs holds a list, want an object"},
		{"text for a share", `{"version": 1, "runs": [{"keep": "half"}]}`, "runs.keep holds a text, want a number"},
		{"half an example", `{"version": 1, "runs": [{"verify": {"examples": 1.5}}]}`, "runs.verify.examples holds a number 1.5, want a whole number"},
		{"negative seed", `{"version": 1, "runs": [{"seed": -1}]}`, "runs.seed holds a number -1, want a whole number from 0"},
		{"nameless", `{"version": 1, "models": [{"name": "a"}], "runs": [{"model": "a", "metrics": [{"n": 3}]}]}`, "runs[0] has a metric without a name: the file is damaged"},
		{"stray run", `{"version": 1, "models": [{"name": "a"}], "runs": [{"model": "b"}]}`, `runs[0] is of the model "b", which is not in it`},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "record.json")
			if err := os.WriteFile(path, []byte(c.text), 0o666); err != nil {
				t.Fatal(err)
			}
			_, err := Load(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "Go ") {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.json")); err == nil || !strings.Contains(err.Error(), "run the experiment first") {
		t.Errorf("missing: %v", err)
	}
}

// TestSaveScores writes over scores, and over nothing else.
func TestSaveScores(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "scores.json")
	scores := []Scores{{Model: "m", Method: "random", Sites: []Site{{Kind: Heads, Values: []float64{1, 2}}}}}
	for range 2 {
		if err := SaveScores(path, scores); err != nil {
			t.Fatal(err)
		}
	}
	own, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(own), `"random"`) {
		t.Fatalf("%s %v", own, err)
	}
	for _, text := range []string{"", "precious", "[]", "[1, 2]", `[{"model": "m"}]`, `{"version": 1}`, string(own) + "more", string(own[:len(own)/2])} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{MayHoldScores(path), SaveScores(path, scores)} {
			if err == nil || !strings.Contains(err.Error(), path+": is there already and holds no scores") {
				t.Errorf("over %q: %v", text, err)
			}
		}
		if got, _ := os.ReadFile(path); string(got) != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	if err := MayHoldScores(dir); err == nil || !strings.Contains(err.Error(), "is no file that scores can be written to") {
		t.Errorf("over a folder: %v", err)
	}
	if err := MayHoldScores(filepath.Join(dir, "none", "scores.json")); err != nil {
		t.Error(err)
	}
}

// TestOpenTrainingErrors says what is wrong in words of JSON.
func TestOpenTrainingErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "train.json")
	for text, want := range map[string]string{
		"[]":                  "the file holds a list, want an object: it is damaged, or no record of a training",
		"{\n\"steps\": true}": "line 2: steps holds true or false, want a whole number",
	} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenTraining(path); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "Go ") {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
