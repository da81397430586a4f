package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"optin/bench/record"
)

// TestWriteTraining draws the loss, and what was reached where that is known.
func TestWriteTraining(t *testing.T) {
	value := 0.75
	r := &record.Training{Name: "recovery", Task: "wordnet", Steps: 4, Epochs: 2, Examples: 8,
		Curve: []record.TrainingPoint{{Step: 2, Epoch: 1, Loss: 3.25}, {Step: 4, Epoch: 2, Loss: 0.5}}}
	for _, reached := range [][]record.TrainingEvaluation{nil, {{Step: 4, Split: "dev", Metrics: []record.Metric{{Name: "accuracy", Value: &value}}}}} {
		r.Evaluations = reached
		dir := t.TempDir()
		files, err := WriteTraining(r, dir)
		if err != nil || len(files) != 2 {
			t.Fatal(files, err)
		}
		svg, err := os.ReadFile(filepath.Join(dir, "loss.svg"))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"recovery: training on wordnet", "4 steps over 8 examples", ">Loss<"} {
			if !strings.Contains(string(svg), want) {
				t.Errorf("no %s", want)
			}
		}
		if strings.Contains(string(svg), "accuracy on dev") != (reached != nil) {
			t.Errorf("accuracy is shown: %v", reached == nil)
		}
	}
	if _, err := WriteTraining(r, "/dev/null/x"); err == nil || !strings.Contains(err.Error(), "cannot write") {
		t.Errorf("no folder: %v", err)
	}
}
