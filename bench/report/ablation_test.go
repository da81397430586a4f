package report

import (
	"bytes"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"optin/bench/record"
)

// TestAblationTexts is the report of what a key, a search and a rebuild do.
func TestAblationTexts(t *testing.T) {
	dir := t.TempDir()
	if _, err := Write(ablationRecord(), dir); err != nil {
		t.Fatal(err)
	}
	golden(t, "ablation.md", []byte(readText(t, filepath.Join(dir, "report.md"))), sameBytes)
}

func TestAblationPictures(t *testing.T) {
	list, err := pictures(ablationRecord())
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, p := range list {
		checkSVG(t, p)
		switch strings.TrimPrefix(p.name, "plots/") {
		case "accuracy-minilm-sst2-lambda-trajectory-additive-none", "drop-minilm-sst2", "estimate-minilm-sst2":
			if !p.main {
				t.Errorf("%s is not shown", p.name)
			}
			golden(t, filepath.Base(p.name)+".png", p.png, samePicture)
			found++
		}
	}
	if found != 3 {
		t.Errorf("%d of the plots are there", found)
	}
}

// TestSettings takes variants apart, values with blanks in them too.
func TestSettings(t *testing.T) {
	got := settingsOf("lambda=0.1 metrics=[a, b] loss=md")
	if want := []setting{{"lambda", "0.1"}, {"metrics", "[a, b]"}, {"loss", "md"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

// TestAblations: three numbers of one key make one, whatever else the way is;
// words do not, nor do two numbers.
func TestAblations(t *testing.T) {
	var rec record.Record
	for _, r := range []struct{ method, variant string }{
		{"trajectory", "probes=32"}, {"trajectory", "probes=8"}, {"trajectory", "probes=128"}, {"trajectory", ""},
		{"trajectory", "loss=md"}, {"trajectory", "loss=kd"}, {"trajectory", "loss=both"}, {"fisher", "probes=9"},
		{"trajectory", "tau=1 loss=md"}, {"trajectory", "tau=2 loss=md"}, {"trajectory", "tau=4 loss=kd"},
	} {
		rec.Runs = append(rec.Runs, record.Run{Model: "m", Method: r.method, Variant: r.variant, Keep: 0.5})
	}
	got := ablationsOf(seriesOf(&rec, "m"))
	if len(got) != 1 || got[0].key != "probes" || len(got[0].runs) != 3 || got[0].runs[0].value != 8 || got[0].plain == nil || !got[0].logarithmic() {
		t.Errorf("%+v", got)
	}
}

// TestLabels: the whole way is named wherever a part of it differs, and no more
// than the score where none does.
func TestLabels(t *testing.T) {
	run := func(method, search, rebuild, variant string) record.Run {
		return record.Run{Model: "m", Method: method, Search: search, Rebuild: rebuild, Variant: variant, Keep: 0.5}
	}
	for _, c := range []struct {
		runs []record.Run
		want []string
	}{
		{[]record.Run{run("trajectory", "additive", "none", ""), run("random", "additive", "none", "")}, []string{"trajectory", "random"}},
		{[]record.Run{run("trajectory", "additive", "none", "tau=1")}, []string{"trajectory, tau=1"}},
		{[]record.Run{run("trajectory", "additive", "scale", "")}, []string{"trajectory/additive/scale"}},
		{[]record.Run{run("trajectory", "additive", "none", ""), run("trajectory", "joint", "none", "steps=4")},
			[]string{"trajectory/additive/none", "trajectory/joint/none, steps=4"}},
	} {
		var got []string
		for _, s := range seriesOf(&record.Record{Runs: c.runs}, "m") {
			got = append(got, s.label)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestWhole: of a model that was not pruned there is nothing to draw.
func TestWhole(t *testing.T) {
	rec := exampleRecord()
	for i := range rec.Runs {
		rec.Runs[i].Keep = 1
	}
	if list, err := pictures(rec); err != nil || len(list) > 0 {
		t.Errorf("%d pictures, %v", len(list), err)
	}
	if table := overallTable(rec); len(table.rows) > 0 {
		t.Errorf("a mean of what was not pruned: %v", table.rows)
	}
}

// TestSigned has no sign of a zero that is none.
func TestSigned(t *testing.T) {
	for v, want := range map[float64]string{0.005: "+0.50", -0.005: "-0.50", 0: "+0.00", math.Copysign(0, -1): "+0.00"} {
		if got := points(v); got != want {
			t.Errorf("%v is %s, want %s", v, got, want)
		}
	}
}

// TestManyWays puts more ways than can stand side by side into rows, and a plot
// for each rebuild.
func TestManyWays(t *testing.T) {
	rec := &record.Record{Models: []record.Model{{Name: "m", Task: "t", Metrics: []record.Metric{{Name: "f1", Value: ptr(0.9), N: 9}}}}}
	for _, method := range []string{"trajectory", "fisher", "taylor", "random"} {
		for _, rebuild := range []string{"none", "scale"} {
			for _, keep := range []float64{0.8, 0.6} {
				rec.Runs = append(rec.Runs, record.Run{Model: "m", Task: "t", Method: method, Search: "additive", Rebuild: rebuild, Keep: keep,
					KeptEncoderMACs: ptr(keep), Metrics: []record.Metric{{Name: "f1", Value: ptr(keep), N: 9}}, Verdict: record.Verdict{Valid: true}})
			}
		}
	}
	var b bytes.Buffer
	if err := Print(&b, rec); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"│ Way ", "│ fisher/additive/scale     │    80.00 │    60.00 │ 70.00 │", "m on t: the proof"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	list, err := pictures(rec)
	if err != nil {
		t.Fatal(err)
	}
	var titles []string
	for _, p := range list {
		titles = append(titles, p.title)
	}
	if want := []string{"m on t: f1 after pruning, rebuild none", "m on t: f1 after pruning, rebuild scale"}; !reflect.DeepEqual(titles, want) {
		t.Errorf("%q", titles)
	}
}

// TestEstimatesOf: a curve is of scores that differ in their probes alone, not of
// those that the searches of one experiment happen to take.
func TestEstimatesOf(t *testing.T) {
	scores := func(variant string, probes int) record.Scores {
		return record.Scores{Model: "m", Method: "trajectory", Variant: variant, Estimated: &record.Estimated{Probes: probes}}
	}
	m := &record.Model{Name: "m"}
	rec := &record.Record{Scores: []record.Scores{scores("estimate=probes", 64), scores("", 256), scores("loss=kd", 256), scores("", 32)}}
	if got := estimatesOf(rec, m); got != nil {
		t.Errorf("a curve of %+v", got)
	}
	rec.Scores = append(rec.Scores, scores("probes=128 estimate=probes", 128), scores("estimate=probes probes=8", 8), scores("estimate=probes probes=8", 8))
	got := estimatesOf(rec, m)
	if got == nil || !slices.Equal(got.probes, []int{8, 64, 128}) || len(got.byProbes[8]) != 2 {
		t.Errorf("a curve of %+v", got)
	}
}
