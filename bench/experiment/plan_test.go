package experiment

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const minimal = `
model = "m"
task  = "wordnet"
`

func mustParse(t *testing.T, text string, overrides ...string) *Plan {
	t.Helper()
	p, err := ParsePlan("dir/x.toml", []byte(text), overrides...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlanDefaults(t *testing.T) {
	p := mustParse(t, minimal)
	if p.Name != "x" || p.Output != filepath.Join("results", "x") || p.Device != "auto" || p.Seed != 1 {
		t.Errorf("plan is %+v", p)
	}
	runs := p.Expand()
	if len(runs) != 1 {
		t.Fatalf("%d runs", len(runs))
	}
	r := runs[0]
	want := Run{
		Model: Model{"m"}, Task: Task{Name: "wordnet"},
		Score: Score{Method: "trajectory", Mode: "correct", Estimate: "exact",
			Probes: 64, ProbeSeed: 1, Heads: "exact", Check: 128, Samples: 64, Seed: 1, RandomSeed: 1, Kinds: "even",
			Loss: "both", Lambda: 0.1, Balance: "mean", Tau: 4, Tap: "block", MDReduce: "sum", TauDivides: true,
			KLFactor: "one", RegressionKL: "squared", LastLayerWeight: 1, LastLayerNeuronWeight: 1, HeadWeight: 1, NeuronWeight: 1},
		Search:   Search{Method: "additive", Swaps: true, Constraint: "macs", LatencyBatch: 32, NeuronMultiple: 1, Total: "encoder", Keep: 0.5, MinHeads: 1, MinNeurons: 1},
		Rebuild:  Rebuild{Method: "none", Samples: 512, Seed: 1},
		Measure:  Measure{Batch: []int{1, 32}, Samples: 10, MinTime: 1, EndToEnd: true, Energy: true},
		Evaluate: Evaluate{},
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("got  %+v\nwant %+v", r, want)
	}
	if c := r.Task.Config(); c.Name != "wordnet" {
		t.Errorf("task config %+v", c)
	}
}

func TestPlanReference(t *testing.T) {
	p := mustParse(t, minimal+`
[score]
mode = ["correct", "reference", "reference-vision"]
lambda = 3
`)
	runs := p.Expand()
	if len(runs) != 3 {
		t.Fatalf("%d runs", len(runs))
	}
	for i, want := range []struct {
		tokens int
		last   float64
		tap    string
		divide bool
	}{{0, 1, "block", true}, {768, 0.5, "ffn", false}, {768, 1, "block", false}} {
		s := runs[i].Score
		if s.MDTokens != want.tokens || s.LastLayerWeight != want.last || s.Tap != want.tap || s.TauDivides != want.divide {
			t.Errorf("run %d: %+v", i, s)
		}
		if s.Lambda != 3 {
			t.Errorf("run %d: the mode took lambda from its key", i)
		}
	}
	if runs[1].Variant != "mode=reference" {
		t.Errorf("variant %q", runs[1].Variant)
	}
}

// TestVariants: runs of one model that differ in no column have other names, by
// no more than what is not the default.
func TestVariants(t *testing.T) {
	p := mustParse(t, `
model = "a"
task = "mrpc"
[[target]]
score.lambda = [0.1, 1]
[[target]]
[[target]]
score.mode = "reference"
[[target]]
score.tap = "ffn"
[[target]]
score.method = "fisher"
score.samples = 256
[[target]]
model = "b"
task = { name = "mrpc", max_length = 32 }
score.samples = 9
`)
	var got []string
	for _, r := range p.Expand() {
		got = append(got, r.Score.Method+" "+r.Variant)
	}
	want := []string{"trajectory lambda=0.1", "trajectory lambda=1", "trajectory mode=reference", "trajectory tap=ffn",
		"fisher samples=256", "trajectory "}
	if !reflect.DeepEqual(got, want) { // the second target asks for a run of the first
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestJointDefaults: the joint search takes more probes, and estimates heads too.
func TestJointDefaults(t *testing.T) {
	runs := mustParse(t, "model = 'a'\ntask = 'mrpc'\nscore.estimate = ['exact', 'probes']\nsearch.method = ['additive', 'joint']").Expand()
	var got []string
	for _, r := range runs {
		got = append(got, fmt.Sprint(r.Search.Method, " ", r.Score.Estimate, " ", r.Score.Probes, " ", r.Variant))
	}
	want := []string{"additive exact 64 estimate=exact", "joint probes 256 ", "additive probes 64 estimate=probes"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	// The same probes, but heads are estimated for the one and exact for the other.
	runs = mustParse(t, "model = 'a'\ntask = 'mrpc'\nscore.estimate = 'probes'\nscore.probes = 256\nsearch.method = ['additive', 'joint']").Expand()
	if runs[0].Hash(StepScore) == runs[1].Hash(StepScore) {
		t.Error("scores with exact and with estimated heads have one name")
	}
}

// TestSharedModel: a model that no target names for itself can be set.
func TestSharedModel(t *testing.T) {
	p := mustParse(t, "model = 'a'\ntask = 'mrpc'\n[[target]]\nscore.method = 'random'\n[[target]]\n", "model=mine", "task.path=data")
	for _, r := range p.Expand() {
		if r.Model.Path != "mine" || r.Task.Path != "data" || r.Task.Name != "mrpc" {
			t.Errorf("%+v", r)
		}
	}
}

func TestPlanGrid(t *testing.T) {
	p := mustParse(t, `
name = "grid"
seed = 7
[[target]]
model = "a"
task = "fashion-mnist"
[[target]]
model = "b"
task = { name = "text", text = "sentence" }
[target.score]
samples = 8
[score]
method = ["trajectory", "magnitude", "random"]
lambda = [0.1, 1]
random_seed = [1, 2, 3]
[search]
keep = [0.8, 0.5]
[measure]
batch = 4
`, "search.min_heads=0", "rebuild.method=none")
	runs := p.Expand()
	// Each target: two lambdas, one magnitude, three random; each at two budgets.
	if len(runs) != 2*(2+1+3)*2 {
		t.Fatalf("%d runs", len(runs))
	}
	first, last := runs[0], runs[len(runs)-1]
	if first.Model.Path != "a" || first.Score.Samples != 64 || first.Score.Seed != 7 || first.Variant != "lambda=0.1" {
		t.Errorf("first run: %+v", first)
	}
	if last.Task.Text != "sentence" || last.Score.Draw() != 3 || last.Variant != "" || last.Search.MinHeads != 0 {
		t.Errorf("last run: %+v", last)
	}
	if !reflect.DeepEqual(last.Measure.Batch, []int{4}) {
		t.Errorf("batches %v", last.Measure.Batch)
	}
}

func TestPlanHash(t *testing.T) {
	base := mustParse(t, minimal)
	same := mustParse(t, "[model]\npath='m'\n[task]\nname = 'wordnet'\n[score]\ntau = 4.0\n[search]\nkeep = 0.5 # as ever\n")
	if base.Hash() != same.Hash() {
		t.Error("the same plan written otherwise has another hash")
	}
	other := func(set string) Run { return mustParse(t, minimal, set).Expand()[0] }
	run := base.Expand()[0]
	for _, c := range []struct {
		set  string
		step Step
		same bool
	}{
		{"search.keep=0.4", StepScore, true},
		{"search.keep=0.4", StepSearch, false},
		{"score.tau=2", StepScore, false},
		{"score.tau=2", StepDense, true},
		{"measure.batch=2", StepEvaluate, true},
		{"measure.batch=2", StepTime, false},
		{"evaluate.limit=10", StepDense, false},
		{"threads=2", StepTime, true},
	} {
		if same := other(c.set).Hash(c.step) == run.Hash(c.step); same != c.same {
			t.Errorf("%s: hash of %s is the same: %v", c.set, c.step, same)
		}
	}
	if run.Hash(StepScore) == run.Hash(StepScore, "revision") {
		t.Error("facts do not count")
	}
	const golden = "82d5734d92208a3ee89f73102fcd5b64"
	if got := run.Hash(StepScore, "weights"); got != golden {
		t.Errorf("the hash moved to %s: stored results of the same plan would no longer be found", got)
	}
}

func TestPlanErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"syntax", "a = \n", "x.toml:1: expected value but found '\\n' instead"},
		{"unknown key", minimal + "[score]\ntua = 3", "x.toml:5: unknown key score.tua: did you mean score.tau?"},
		{"unknown table", minimal + "[serach]\nkeep = 1", "x.toml:4: unknown key serach: did you mean [search]?"},
		{"wrong table", minimal + "[score]\nkeep = 1", "x.toml:5: unknown key score.keep: did you mean search.keep?"},
		{"top in table", minimal + "[score]\nthreads = 1", "x.toml:5: unknown key score.threads: did you mean threads?"},
		{"no idea", minimal + "[rebuild]\nxyzzy = 1", "x.toml:5: unknown key rebuild.xyzzy: [rebuild] takes method"},
		{"mistyped", minimal + "[score]\n# samples\nsamples = \"many\"",
			"x.toml:6: score.samples holds the text \"many\", want a whole number, such as samples = 64"},
		{"float for int", minimal + "[score]\nsamples = 1.5", "score.samples holds the number 1.5, want a whole number"},
		{"keep 0", minimal + "[search]\nkeep = [0.5,\n 0]",
			"x.toml:5: search.keep is 0, want a number above 0 and at most 1, such as keep = 0.5"},
		{"keep above 1", minimal + "[search]\nkeep = 1.5", "search.keep is 1.5, want"},
		{"keep nan", minimal + "[search]\nkeep = nan", "search.keep is NaN, want"},
		{"samples", minimal + "[score]\nsamples = 0", "score.samples is 0, want 1 or more, such as samples = 64"},
		{"tau", minimal + "[score]\ntau = 0", "score.tau is 0, want more than 0, such as tau = 4"},
		{"tau inf", minimal + "[score]\ntau = inf", "score.tau is +Inf, want more than 0"},
		{"word", minimal + "[score]\nmethod = \"fischer\"",
			`score.method is "fischer", want "trajectory", "fisher", "taylor", "magnitude", "activation" or "random", such as method = "trajectory"`},
		{"empty list", minimal + "[search]\nkeep = []", "x.toml:5: search.keep holds an empty list, want at least one value"},
		{"several", "seed = [1, 2]\n" + minimal, "x.toml:1: seed takes one value for the whole file"},
		{"negative seed", "seed = -1\n" + minimal, "seed holds the number -1, want a whole number of 0 or more"},
		{"no model", "task = 'wordnet'", "x.toml: model.path is missing: it is the folder of a Hugging Face model"},
		{"no task", "model = 'm'", "x.toml: task.name is missing"},
		{"table", minimal + "score = 3", "x.toml:4: score holds the number 3, want a table: [score] on a line of its own"},
		{"target", "target = 3", "x.toml:1: target holds the number 3, want tables: begin each with a line [[target]]"},
		{"target key", "[[target]]\nmodel = 'm'\n[[target]]\ntask = 'wordnet'\n[target.score]\nsamples = 'x'\nname = 3",
			"x.toml:7: unknown key score.name"},
		{"whole file", "[[target]]\nmodel = 'm'\nseed = 1", "x.toml:3: seed holds for the whole file: put it above the first table"},
		{"batch", minimal + "[measure]\nbatch = [1, 0]", "measure.batch is [1, 0], want batch sizes of 1 or more"},
		{"methods", minimal + "[measure]\nmethods = [\"trajectory\", \"fischer\"]",
			`x.toml:5: measure.methods is ["trajectory", "fischer"], want a list of "trajectory", "fisher", "taylor", "magnitude", "activation" or "random", such as methods = ["trajectory"]`},
		{"joint", minimal + "[score]\nmethod = 'random'\n[search]\nmethod = 'joint'", `search.method is "joint", which needs gradients of the trajectory, but score.method is "random"`},
		{"ptf", minimal + "[search]\nmethod = 'ptf'", `search.method is "ptf", which rearranges by Fisher information, but score.method is "trajectory"`},
		{"probes", minimal + "[score]\nestimate = 'probes'\ntap = 'ffn'", "score.tap is set, which probes cannot estimate"},
		{"weights", minimal + "[score]\nhead_weight = 0.5\n[search]\nmethod = 'joint'", `score.head_weight is set, which search.method "joint" would not see: leave it out`},
		{"depth", minimal + "[score]\ndepth = 1\n[search]\nmethod = 'surgeon'", `score.depth is set, which search.method "surgeon" would not see`},
		{"one probe", minimal + "[score]\nprobes = 1\n[search]\nmethod = 'joint'", "score.probes is 1, and the search joint needs 2 at least"},
		{"token file", minimal + "[score]\ntoken_file = 'f'", "score.md_tokens is 0"},
		{"name", "name = '../x'\n" + minimal, "x.toml:1: name is \"../x\", want letters, digits"},
		{"huge", minimal + "[score]\nsamples = [" + strings.Repeat("1,", 101) + "]\ntau = [" + strings.Repeat("1,", 100) + "]",
			"the lists span 10001 runs or more, want at most 10000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParsePlan("x.toml", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestPlanOverrides(t *testing.T) {
	p := mustParse(t, minimal, "score.method=[trajectory, random]", "task=mrpc", "seed = 3", "score.lambda=1")
	runs := p.Expand()
	if len(runs) != 2 || runs[1].Score.Method != "random" || runs[0].Task.Name != "mrpc" || p.Seed != 3 || runs[0].Score.Seed != 3 {
		t.Errorf("runs %+v", runs)
	}
	const two = "[[target]]\nmodel='a'\ntask='b'\n[[target]]\nmodel='c'\ntask='d'\n"
	for _, c := range []struct{ set, want string }{
		{"score.sampels=1", "--set score.sampels=1: unknown key score.sampels: did you mean score.samples?"},
		{"score.samples=many", `--set score.samples=many: score.samples holds the text "many"`},
		{"keep", "--set keep: want a key and a value"},
		{"keep=1", "unknown key keep: did you mean search.keep?"},
		{"model=x", "model.path differs between the targets of x.toml"},
		{"search.keep=0", "--set search.keep=0: search.keep is 0"},
	} {
		if _, err := ParsePlan("x.toml", []byte(two), c.set); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("--set %s: got  %v\nwant %s", c.set, err, c.want)
		}
	}
}

func TestLoadPlan(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.toml")
	if err := os.WriteFile(path, []byte(minimal), 0o666); err != nil {
		t.Fatal(err)
	}
	if p, err := LoadPlan(path); err != nil || p.Name != "own" {
		t.Errorf("%+v %v", p, err)
	}
	if _, err := LoadPlan(path + "x"); err == nil {
		t.Error("a missing file was read")
	}
}

// TestKeyTable checks the table itself: every field has one key, every default
// and example passes its own rule, and every key is described.
func TestKeyTable(t *testing.T) {
	var p Plan
	var r Run
	fields := 0
	for i := range reflect.TypeOf(r).NumField() {
		if f := reflect.TypeOf(r).Field(i); f.Type.Kind() == reflect.Struct {
			fields += f.Type.NumField()
		}
	}
	keys := r.keys(1)
	if len(keys) != fields {
		t.Errorf("%d keys for %d fields", len(keys), fields)
	}
	seen := map[any]bool{}
	for _, k := range append(keys, p.keys()...) {
		if seen[k.dst] || seen[k.path()] {
			t.Errorf("%s is there twice, or its field is", k.path())
		}
		seen[k.dst], seen[k.path()] = true, true
		k.set(k.standard) // panics on a wrong type
		for _, v := range []any{k.rule.example, k.standard, k.language, k.vision} {
			if v == nil || k.required() && v == "" || k.instead != "" && v == "" {
				continue
			}
			if reflect.TypeOf(v) != reflect.TypeOf(k.standard) {
				t.Errorf("%s: %v is a %T, want %T", k.path(), v, v, k.standard)
			} else if !k.rule.allows(v) {
				t.Errorf("%s: %v breaks its own rule", k.path(), v)
			}
		}
		if k.doc == "" || strings.HasSuffix(k.doc, ".") {
			t.Errorf("%s: description %q", k.path(), k.doc)
		}
	}
}

func TestWriteKeys(t *testing.T) {
	var got bytes.Buffer
	if err := WriteKeys(&got); err != nil {
		t.Fatal(err)
	}
	const golden = "plan_keys.txt"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s is out of date: go test ./bench/experiment -run TestWriteKeys -update", golden)
	}
	for line := range strings.Lines(got.String()) {
		if len(strings.TrimSuffix(line, "\n")) > 100 {
			t.Errorf("too long: %s", line)
		}
	}
}

func TestLineIndex(t *testing.T) {
	const text = `a = """
b = 1
"""
c = [ # [x]
  "]", 'd = 1',
]
[t]
"e" = 1
[[g]]
h.i = 1
[g.j]
k = 1
[[g]]
h = {
}
[g.j]
k = 1
`
	x := indexLines(text)
	for path, want := range map[string]int{
		"a": 1, "b": 1, "c": 4, "d": 1, "t": 7, "t.e": 8, "g": 9, "g.0.h.i": 10, "g.0.j.k": 12, "g.1.h": 14, "g.1.h.z": 14, "g.1.j.k": 17,
	} {
		if got := x.of(path); got != want {
			t.Errorf("%s is on line %d, want %d", path, got, want)
		}
	}
}

// FuzzPlan checks that no file makes the parser panic, that messages name the
// file, and that a plan that passes has runs that keep their own rules.
func FuzzPlan(f *testing.F) {
	f.Add(minimal, "score.tau=2")
	f.Add("[[target]]\nmodel = 'm'\ntask = {name='x'}\n[target.search]\nkeep=[0.1,0.2]", "seed=3")
	f.Add("[score]\nmethod = [\"random\", 3]\n[model]\npath = []", "model=[a,b]")
	f.Add("target = [{model='a'}, {task='b'}]", "=")
	f.Add("a.b.c = 2020-01-01\n\"\" = 1", ".=1")
	f.Fuzz(func(t *testing.T, text, override string) {
		var overrides []string
		if override != "" {
			overrides = []string{override}
		}
		p, err := ParsePlan("x.toml", []byte(text), overrides...)
		if err != nil {
			if !strings.Contains(err.Error(), "x.toml") && !strings.Contains(err.Error(), "--set") {
				t.Errorf("the message does not say where: %v", err)
			}
			return
		}
		runs := p.Expand()
		if len(runs) == 0 || len(runs) > maxRuns {
			t.Fatalf("%d runs", len(runs))
		}
		for _, r := range runs {
			for _, k := range r.keys(p.Seed) {
				if !k.rule.allows(k.get()) {
					t.Errorf("%s is %v", k.path(), k.get())
				}
			}
		}
	})
}
