package experiment

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"optin/bench/measure"
	"optin/bench/model"
	"optin/bench/prune"
	"optin/bench/record"
	"optin/bench/task"
)

// methods are settings of every search and rebuild.
func methods() map[string][]string {
	return map[string][]string{
		"additive":  nil,
		"magnitude": {"score.method=magnitude"},
		"probes":    {"score.estimate=probes", "score.probes=4", "score.check=3", "score.heads=probes"},
		"heads":     {"score.estimate=probes", "score.probes=4", "score.check=3"},
		"fisher":    {"score.method=fisher", "score.per_batch=2"},
		"taylor":    {"score.method=taylor"},
		"ptf":       {"score.method=fisher", "search.method=ptf", "rebuild.method=scale", "rebuild.samples=6"},
		"released":  {"score.method=fisher", "search.method=ptf", "rebuild.method=scale", "rebuild.released=true", "rebuild.samples=6"},
		"joint":     {"search.method=joint", "search.steps=[1, 2]", "score.probes=8", "score.check=2"},
		"surgeon":   {"search.method=surgeon", "score.probes=4", "score.check=2", "rebuild.method=least-squares", "rebuild.samples=6", "search.steps=2"},
		"multiple":  {"search.neuron_multiple=4"},
	}
}

// TestMethods runs every search and rebuild over texts and pictures: all must
// pass verification, and keep to the budget.
func TestMethods(t *testing.T) {
	for name, sets := range methods() {
		for i, files := range []func(*testing.T) (string, task.Config){texts3, pictures5} {
			t.Run(fmt.Sprintf("%s %d", name, i), func(t *testing.T) {
				dir, cfg := files(t)
				rec, err := execute(t, device(t, 2), t.TempDir(), dir, cfg, append([]string{"search.keep=0.6"}, sets...)...)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range rec.Runs {
					if !r.Verdict.Valid || *r.KeptEncoderMACs > 0.6+1e-9 {
						t.Errorf("%s keeps %v: %+v", r.Way(), *r.KeptEncoderMACs, r.Verdict)
					}
					if len(r.Comparisons) == 0 || r.Comparisons[0].Against != "dense" {
						t.Errorf("%s: comparisons %+v", r.Way(), r.Comparisons)
					}
					checkMethod(t, rec, r)
				}
			})
		}
	}
}

// checkMethod looks for what a method must leave in the record.
func checkMethod(t *testing.T, rec *record.Record, r record.Run) {
	t.Helper()
	if (r.Rebuild != NoRebuild) != (len(r.Rebuilt) > 0) {
		t.Errorf("rebuild %s: %d sites", r.Rebuild, len(r.Rebuilt))
	}
	for _, site := range r.Rebuilt {
		if released := strings.Contains(t.Name(), "released"); (site.Before == nil) != released || released && site.Ridge != nil {
			t.Errorf("%s: %+v", r.Way(), site)
		}
	}
	if (r.Search == Joint) != (r.Joint != nil) {
		t.Errorf("search %s: %+v", r.Search, r.Joint)
	}
	if reads := r.Method != Magnitude && r.Method != Random; r.Calibration == nil || reads != (r.Calibration.Examples == 4) {
		t.Errorf("%s: scored on %+v", r.Way(), r.Calibration)
	}
	if r.Joint != nil && (r.Joint.HeldOut == nil || r.Joint.True == nil || *r.Joint.True < 0) {
		t.Errorf("joint search: %+v", r.Joint)
	}
	for _, s := range rec.Scores {
		if s.Estimated != nil && (s.Estimated.SubsetHeads == 0 || s.Estimated.SubsetNeurons == 0 || !(*s.Estimated.DenseForwards > 0)) {
			t.Errorf("estimate: %+v", s.Estimated)
		}
	}
}

// TestMethodsResume runs a plan again: everything comes from what was stored,
// and is the same.
func TestMethodsResume(t *testing.T) {
	dir, cfg := texts3(t)
	output, dev := t.TempDir(), device(t, 2)
	sets := append([]string{"search.keep=[0.7, 0.5]"}, methods()["surgeon"]...)
	first, err := execute(t, dev, output, dir, cfg, sets...)
	if err != nil {
		t.Fatal(err)
	}
	again, err := execute(t, dev, output, dir, cfg, sets...)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range again.Runs {
		for _, s := range r.Stages {
			if !s.Cached {
				t.Errorf("%s of run %d was done again", s.Name, i)
			}
		}
		if !reflect.DeepEqual(r.Metrics, first.Runs[i].Metrics) || !reflect.DeepEqual(r.Rebuilt, first.Runs[i].Rebuilt) || !reflect.DeepEqual(r.Comparisons, first.Runs[i].Comparisons) {
			t.Errorf("run %d came out otherwise", i)
		}
	}
}

// TestStagesFollowTheMask replaces what the search came to: all that was made of the
// old mask is made anew.
func TestStagesFollowTheMask(t *testing.T) {
	dir, cfg := texts3(t)
	output, dev := t.TempDir(), device(t, 1)
	sets := []string{"search.keep=0.7", "score.method=magnitude", "rebuild.method=scale", "rebuild.samples=6"}
	first, err := execute(t, dev, output, dir, cfg, sets...)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(output, "stages", "search-*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v %v", files, err)
	}
	hash := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(files[0]), "search-"), ".json")
	s := &store{filepath.Join(output, "stages")}
	old, _, ok, err := known[found](s, StepSearch, hash)
	if !ok || err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	swapped := found{Mask: append(prune.Mask{}, old.Mask...)}
	neurons := append([]bool{}, swapped.Mask[1]...)
	on, off := slices.Index(neurons, true), slices.Index(neurons, false)
	neurons[on], neurons[off] = false, true
	swapped.Mask[1] = neurons
	if _, _, _, err := stage(s, StepSearch, hash, func() (found, error) { return swapped, nil }); err != nil {
		t.Fatal(err)
	}
	again, err := execute(t, dev, output, dir, cfg, sets...)
	if err != nil {
		t.Fatal(err)
	}
	for i, st := range again.Runs[0].Stages {
		if before := st.Name == string(StepScore) || st.Name == string(StepSearch); st.Cached != before {
			t.Errorf("%s: cached %v, first %+v", st.Name, st.Cached, first.Runs[0].Stages[i])
		}
	}
	third, err := execute(t, dev, output, dir, cfg, sets...)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range third.Runs[0].Stages {
		if !st.Cached {
			t.Errorf("%s was done again", st.Name)
		}
	}
}

// TestSearchFacts: what draws and runs the calls that are timed makes another search,
// where time is the budget.
func TestSearchFacts(t *testing.T) {
	facts := func(constraint string, seed uint64, workers int) string {
		e := &engine{host: &Host{Device: device(t, workers)}, plan: &Plan{Seed: seed}}
		return fmt.Sprint(e.searchFacts(Run{Search: Search{Constraint: constraint}}, &ground{facts: []string{"fact"}}))
	}
	if facts(Latency, 1, 1) == facts(Latency, 2, 1) || facts(Latency, 1, 1) == facts(Latency, 1, 2) {
		t.Error("searches by time with other seeds or workers share a result")
	}
	if facts("macs", 1, 1) != facts("macs", 2, 2) {
		t.Error("searches by multiply-accumulates do not")
	}
}

// TestSharedProbes: what probes cost is said of every score that is made of them,
// though they are taken once.
func TestSharedProbes(t *testing.T) {
	dir, cfg := texts3(t)
	rec, err := execute(t, device(t, 1), t.TempDir(), dir, cfg, "score.estimate=probes", "score.probes=32", "score.check=[0, 1]", "score.heads=probes")
	if err != nil {
		t.Fatal(err)
	}
	// Forward passes of microseconds vary; what was not measured at all would be
	// hundreds of times less.
	if a, b := *rec.Scores[0].Estimated.DenseForwards, *rec.Scores[1].Estimated.DenseForwards; !(b > a/20) {
		t.Errorf("the same probes cost %v forward passes, then %v", a, b)
	}
}

// TestProbedLosses: regression_kl is of models with one output alone.
func TestProbedLosses(t *testing.T) {
	zero := Score{Loss: "both", RegressionKL: "zero"}
	if o := zero.probeOptions(&model.Config{}); o.NoKD || o.NoMD {
		t.Errorf("of classes: %+v", o)
	}
	if o := zero.probeOptions(&model.Config{Regression: true}); !o.NoKD || o.NoMD {
		t.Errorf("of a regression: %+v", o)
	}
}

// TestCheckSeesEveryScore: a run whose scores cannot be is found before the runs
// ahead of it, which differ in the score's keys alone, are done.
func TestCheckSeesEveryScore(t *testing.T) {
	dir, data, output := tinyModel(t, "bert-regression"), t.TempDir(), t.TempDir()
	put(t, filepath.Join(dir, "vocab.txt"), vocabulary(64))
	for _, split := range []string{"train", "test"} {
		put(t, filepath.Join(data, split+".tsv"), "text\tlabel\nw1 w2\t0.5\nw3\t1\nw4 w5 w6\t2\nw7\t3\n")
	}
	_, err := execute(t, device(t, 1), output, dir, task.Config{Name: "text", Path: data}, "task.regression=true",
		"score.estimate=probes", "score.regression_kl=zero", `score.loss=["both", "kd"]`)
	if err == nil || !strings.Contains(err.Error(), "makes it 0 for this model") {
		t.Errorf("got %v", err)
	}
	if files, _ := filepath.Glob(filepath.Join(output, "stages", "*")); len(files) > 0 {
		t.Errorf("before that %d stages were done", len(files))
	}
}

// TestProbesKeepRowsForJoint: rows of probes are many, and only that search reads them.
func TestProbesKeepRowsForJoint(t *testing.T) {
	dir, cfg := texts3(t)
	for search, kept := range map[string]bool{Additive: false, Joint: true, Surgeon: false} {
		sets := []string{"output=" + t.TempDir(), "model.path=" + dir, "task.name=" + cfg.Name, "task.path=" + cfg.Path,
			"score.samples=4", "score.probes=4", "search.method=" + search}
		if search == Additive {
			sets = append(sets, "score.estimate=probes")
		}
		p, err := ParsePlan("test.toml", nil, sets...)
		if err != nil {
			t.Fatal(err)
		}
		e, err := (&Host{Device: device(t, 1), Digest: "test"}).newEngine(p)
		if err != nil {
			t.Fatal(err)
		}
		g, err := e.ground(p.Expand()[0])
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.probes(t.Context(), p.Expand()[0], g)
		if err != nil {
			t.Fatal(err)
		}
		if (len(got.result.G) > 0) != kept {
			t.Errorf("%s: %d rows are kept", search, len(got.result.G))
		}
		e.close()
	}
}

// TestExactHeads takes the scores of heads from the exact trajectory.
func TestExactHeads(t *testing.T) {
	dir, cfg := texts3(t)
	rec, err := execute(t, device(t, 1), t.TempDir(), dir, cfg, "score.estimate=probes", "score.probes=3", "score.balance=none", "score.heads=[\"exact\", \"probes\"]")
	if err != nil {
		t.Fatal(err)
	}
	exact, err := execute(t, device(t, 1), t.TempDir(), dir, cfg, "score.balance=none")
	if err != nil {
		t.Fatal(err)
	}
	for i, site := range exact.Scores[0].Sites {
		got, other := rec.Scores[0].Sites[i], rec.Scores[1].Sites[i]
		if site.Kind == record.Heads && !near(got.Values, site.Values) {
			t.Errorf("layer %d: heads %v, exact ones %v", site.Layer, got.Values, site.Values)
		}
		if site.Kind == record.Heads && near(other.Values, site.Values) {
			t.Errorf("layer %d: estimated heads are exact", site.Layer)
		}
		if site.Kind == record.Neurons && !reflect.DeepEqual(got.Values, other.Values) {
			t.Errorf("layer %d: neurons differ", site.Layer)
		}
	}
}

func near(x, y []float64) bool {
	for i := range x {
		if math.Abs(x[i]-y[i]) > 1e-6*math.Abs(y[i]) {
			return false
		}
	}
	return true
}

// TestSubset draws all heads and some neurons, the same for the same seed.
func TestSubset(t *testing.T) {
	sites := []model.Site{{Kind: model.Heads, Units: 3}, {Kind: model.Neurons, Units: 8}, {Layer: 1, Kind: model.Neurons, Units: 8}}
	a, b := subset(sites, 5, 1), subset(sites, 5, 1)
	if !reflect.DeepEqual(a, b) || len(a[0]) != 3 || len(a[1])+len(a[2]) != 5 {
		t.Errorf("subsets %v and %v", a, b)
	}
	if all := subset(sites, 100, 1); len(all[1])+len(all[2]) != 16 {
		t.Errorf("more than there are: %v", all)
	}
	if got := wholeOver(sites, [][]int{{0, 1, 2}, nil, nil}); got != (3*2+8*2+8*1)/6.0 {
		t.Errorf("all units cost %v times the heads", got)
	}
}

// TestLatencyBudget lets a table say what masks take, and a model take twice
// that: the budget moves.
func TestLatencyBudget(t *testing.T) {
	l := &lap{costs: prune.Costs{Fixed: 60, Outside: 40}}
	if got := l.target(0.5); math.Abs(got-0.7) > 1e-12 {
		t.Errorf("half of an encoder of 60 %% is %v of the whole, want 0.7", got)
	}
	for _, keep := range []float64{0.01, 0.5, 1} {
		if got := l.keep(l.target(keep)); math.Abs(got-keep) > 1e-12 || got > 1 {
			t.Errorf("keep %v comes back as %v", keep, got)
		}
	}
	l.whole = true
	if got := l.keep(l.target(0.5)); got != 0.5 {
		t.Errorf("half of the whole comes back as %v", got)
	}
	if got := l.target(0.5); got != 0.5 {
		t.Errorf("half of the whole is %v", got)
	}
	dense, took := measure.Estimate{Value: 2}, measure.Estimate{Value: 1.5}
	l.denseTook, l.took = &dense, &took
	got := l.describe(prune.Correction{Target: 0.7, Predicted: 0.6, Rounds: make([]prune.CorrectionRound, 3)})
	if got.Target != 1.4 || *got.Predicted != 1.2 || got.Rounds != 3 {
		t.Errorf("described as %+v", got)
	}
}

// TestLatencyRefused asks for a batch that the data cannot fill.
func TestLatencyRefused(t *testing.T) {
	dir, cfg := texts3(t)
	_, err := execute(t, device(t, 1), t.TempDir(), dir, cfg, "search.constraint=latency", "search.latency_batch=100000")
	if err == nil || !strings.Contains(err.Error(), "search.latency_batch is 100000, but the training split has only") {
		t.Errorf("got %v", err)
	}
}

// TestLengthRefused counts costs of texts that the model cannot read.
func TestLengthRefused(t *testing.T) {
	dir, cfg := texts3(t)
	_, err := execute(t, device(t, 1), t.TempDir(), dir, cfg, "search.seq_len=1e12")
	if err == nil || !strings.Contains(err.Error(), "search.seq_len is 1e+12, but the model takes 48 tokens at most") {
		t.Errorf("got %v", err)
	}
}
