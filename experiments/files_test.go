package experiments

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"optin/bench/experiment"
)

// TestFiles reads every file of this folder: each makes sense, writes to a
// results folder of its own, and asks for runs that its report can tell apart.
func TestFiles(t *testing.T) {
	outputs := map[string]string{}
	for _, file := range files(t) {
		t.Run(file, func(t *testing.T) {
			output := ""
			if name := filepath.Base(file); strings.HasPrefix(name, "train-") || strings.HasPrefix(name, "recover-") {
				p, err := experiment.LoadTraining(file)
				if err != nil {
					t.Fatal(err)
				}
				output = p.Output
			} else {
				p, err := experiment.LoadPlan(file)
				if err != nil {
					t.Fatal(err)
				}
				apart(t, p.Expand())
				output = p.Output
			}
			if other, ok := outputs[output]; ok {
				t.Errorf("writes to %s, as %s does", output, other)
			}
			outputs[output] = file
		})
	}
}

// apart fails where two runs would have one name in a record.
func apart(t *testing.T, runs []experiment.Run) {
	t.Helper()
	seen := map[string]bool{}
	for _, r := range runs {
		name := fmt.Sprint(r.Model.Path, r.Task.Name, " ", r.Score.Method, " ", r.Search.Method, " ", r.Rebuild.Method, " ", r.Variant, " ",
			r.Search.Constraint, " seed ", r.Score.Draw(), " keep ", r.Search.Keep)
		if seen[name] {
			t.Errorf("two runs are %s", name)
		}
		seen[name] = true
	}
}

// files are the experiment and training files, published figures apart.
func files(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"*.toml", "ablations/*.toml", "glue/*.toml"} {
		list, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, list...)
	}
	if len(out) < 20 {
		t.Fatalf("only %d files: %v", len(out), out)
	}
	return out
}

// TestGlue: a user's own model and data take the place of those that the files
// name.
func TestGlue(t *testing.T) {
	for _, task := range []string{"sst2", "mrpc", "stsb", "cola"} {
		p, err := experiment.LoadPlan("glue/"+task+".toml", "model.path=mine", "task.path=data")
		if err != nil {
			t.Fatal(err)
		}
		ways := map[string]int{}
		for _, r := range p.Expand() {
			if r.Model.Path != "mine" || r.Task.Path != "data" || r.Task.Name != task {
				t.Errorf("%s: %+v", task, r)
			}
			ways[strings.Join([]string{r.Score.Method, r.Search.Method, r.Rebuild.Method, r.Score.Mode}, "/")]++
		}
		for _, way := range []string{"trajectory/additive/none/correct", "trajectory/additive/none/reference", "fisher/ptf/scale/correct", "trajectory/joint/least-squares/correct", "trajectory/surgeon/least-squares/correct"} {
			if ways[way] != 7 {
				t.Errorf("%s: %d budgets of %s, want 7 of 0.9 to 0.3: %v", task, ways[way], way, ways)
			}
		}
	}
}
