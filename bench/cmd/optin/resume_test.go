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

// stopAfter cancels a context once it was given n lines.
type stopAfter struct {
	bytes.Buffer
	lines  int
	cancel context.CancelFunc
}

func (s *stopAfter) Write(line []byte) (int, error) {
	if s.lines--; s.lines == 0 {
		s.cancel()
	}
	return s.Buffer.Write(line)
}

// TestResume stops a run at every place where it reports and starts it again.
func TestResume(t *testing.T) {
	m, data := textModel(t, "bert-basic"), textData(t)
	const grid = "[score]\nsamples = 4\nmethod = [\"trajectory\", \"magnitude\"]\nlambda = [0.1, 1]\n[search]\nkeep = [0.8, 0.5]\n[measure]\nbatch = []\n"
	path, results := experimentFile(t, m, data, grid)
	works(t, "run", path)
	want := load(t, results)
	if len(want.Runs) != 6 || len(want.Scores) != 3 {
		t.Fatalf("%d runs, %d scores", len(want.Runs), len(want.Scores))
	}
	for _, lines := range []int{1, 3, 6} {
		path, results := experimentFile(t, m, data, grid)
		ctx, cancel := context.WithCancel(context.Background())
		r := optinUntil(t, ctx, &stopAfter{lines: lines, cancel: cancel}, "run", path)
		if r.code != exitInterrupted {
			t.Fatalf("stopped after %d lines: status %d\n%s", lines, r.code, r.report)
		}
		before := stages(t, results)
		works(t, "run", path)
		sameResults(t, want, load(t, results))
		after := stages(t, results)
		for name, text := range before {
			if after[name] != text {
				t.Errorf("stopped after %d lines: %s was done again", lines, name)
			}
		}
	}
}

// stages are the files of finished stages.
func stages(t *testing.T, results string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(results, "stages", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, f := range files {
		texts[filepath.Base(f)] = get(t, f)
	}
	return texts
}

// count is the number of finished stages of one kind.
func count(t *testing.T, results, step string) int {
	t.Helper()
	n := 0
	for name := range stages(t, results) {
		if strings.HasPrefix(name, step+"-") {
			n++
		}
	}
	return n
}

// sameResults expects records that differ in nothing but time and memory: what
// scratch memory a device has kept depends on what it did before.
func sameResults(t *testing.T, want, got *record.Record) {
	t.Helper()
	plain := func(r *record.Record) string {
		c := *r
		c.Scores, c.Runs = nil, nil
		for _, s := range r.Scores {
			s.Seconds = nil
			c.Scores = append(c.Scores, s)
		}
		for _, run := range r.Runs {
			run.Stages, run.Memory = nil, nil
			c.Runs = append(c.Runs, run)
		}
		text, err := json.MarshalIndent(struct {
			Models, Scores, Runs, Warnings any
		}{c.Models, c.Scores, c.Runs, c.Warnings}, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	a, b := strings.Split(plain(want), "\n"), strings.Split(plain(got), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Errorf("line %d: %s, want %s", i+1, b[i], a[i])
			return
		}
	}
	if len(a) != len(b) {
		t.Errorf("%d lines, want %d", len(b), len(a))
	}
}

// TestReuse changes keys and counts what is measured again.
func TestReuse(t *testing.T) {
	path, results := experimentFile(t, textModel(t, "bert-basic"), textData(t), small)
	for _, c := range []struct {
		set                 string
		trajectory, weighed int // files of stages there are then
	}{
		{"search.keep=[0.9, 0.5, 0.4]", 1, 1},
		{"search.keep=0.3", 1, 1},
		{"score.lambda=7", 1, 2},
		{"score.head_weight=0.5", 1, 3},
		{"score.tau=2", 2, 4},
		{"score.samples=5", 3, 5},
		{"score.seed=9", 4, 6},
		{"score.method=magnitude", 4, 7},
		{"evaluate.split=dev", 4, 7},
	} {
		works(t, "run", path, "--set", c.set)
		if a, b := count(t, results, "trajectory"), count(t, results, "score"); a != c.trajectory || b != c.weighed {
			t.Errorf("%s: %d trajectories and %d scores are stored, want %d and %d", c.set, a, b, c.trajectory, c.weighed)
		}
	}
}

// TestChangedInputs changes files that results depend on.
func TestChangedInputs(t *testing.T) {
	m, data := textModel(t, "bert-basic"), textData(t)
	tokens := filepath.Join(t.TempDir(), "tokens.txt")
	put(t, filepath.Dir(tokens), map[string]string{"tokens.txt": "0 1\n2"})
	path, results := experimentFile(t, m, data, small)
	set := []string{"run", path, "--set", "score.md_tokens=3", "--set", "score.token_file=" + tokens}
	for i, change := range []func(){
		func() {},
		func() { put(t, filepath.Dir(tokens), map[string]string{"tokens.txt": "0 1 3"}) },
		func() {
			put(t, data, map[string]string{"train.tsv": "text\tlabel\n" + strings.Repeat("z z\tneutral\nq\tentailment\nx\tcontradiction\n", 4)})
		},
		func() { put(t, m, map[string]string{"vocab.txt": strings.ToUpper(vocabulary(64))}) },
	} {
		change()
		works(t, set...)
		if n := count(t, results, "score"); n != i+1 {
			t.Errorf("change %d: %d scores are stored, want %d", i, n, i+1)
		}
	}
}

// TestDamagedStages damages every stored stage in turn.
func TestDamagedStages(t *testing.T) {
	path, results := experimentFile(t, textModel(t, "bert-basic"), textData(t), small)
	works(t, "run", path)
	want := load(t, results)
	files := stages(t, results)
	for i, damage := range []func(text string) string{
		func(text string) string { return text[:len(text)/2] },
		func(string) string { return "" },
		func(string) string { return `{"seconds": 1, "result": null}` },
		func(text string) string { return strings.Replace(text, `"result":`, `"result":[1],"was":`, 1) },
		func(text string) string { // one digit
			at := strings.LastIndexAny(text, "123456789")
			return text[:at] + string('0'+(text[at]-'0'+1)%10) + text[at+1:]
		},
	} {
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(results, "stages", name), []byte(damage(text)), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		works(t, "run", path)
		t.Run(fmt.Sprint("damage=", i), func(t *testing.T) { sameResults(t, want, load(t, results)) })
		for name := range files {
			if text := get(t, filepath.Join(results, "stages", name)); text == damage(files[name]) {
				t.Errorf("damage %d: %s was not done again", i, name)
			}
		}
	}
}
