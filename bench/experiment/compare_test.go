package experiment

import (
	"context"
	"maps"
	"testing"

	"optin/bench/record"
	"optin/bench/task/metric"
)

// TestCompare enters into runs what the bootstrap says of every pair, both ways, and
// computes each pair once.
func TestCompare(t *testing.T) {
	guesses := func(wrong int) metric.Predictions { // every so-manieth is
		p := metric.Predictions{Classes: 2}
		for i := range 40 {
			p.Labels = append(p.Labels, i%2)
			p.Guesses = append(p.Guesses, (i%2+max(0, 1-i%wrong))%2)
		}
		return p
	}
	e := &engine{plan: &Plan{Seed: 5}, record: &record.Record{}, dense: map[string]*Evaluation{"m": {Predictions: guesses(7)}}}
	predictions := map[string]metric.Predictions{record.Dense: guesses(7)}
	for i, r := range []record.Run{{Search: Joint, Keep: 0.5}, {Search: Additive, Keep: 0.5}, {Search: Surgeon, Keep: 0.5}, {Search: Joint, Keep: 0.4}} {
		r.Model, r.Method, r.Rebuild, r.Metrics = "m", Trajectory, NoRebuild, []record.Metric{{Name: metric.Accuracy}}
		e.record.Runs = append(e.record.Runs, r)
		e.outcomes = append(e.outcomes, outcome{Run{Search: Search{Method: r.Search, Keep: r.Keep}}, guesses(2 + i)})
		if r.Keep == 0.5 {
			predictions[r.Way()] = guesses(2 + i)
		}
	}
	if err := e.compare(context.Background()); err != nil {
		t.Fatal(err)
	}
	const joint, additive, surgeon = "trajectory/joint/none", "trajectory/additive/none", "trajectory/surgeon/none"
	for i, rivals := range [][]string{{record.Dense, additive, surgeon}, {record.Dense}, {record.Dense, joint, additive}, {record.Dense}} {
		got := e.record.Runs[i].Comparisons
		if len(got) != len(rivals) {
			t.Fatalf("run %d: comparisons %+v, want those with %q", i, got, rivals)
		}
		for k, rival := range rivals {
			d, err := metric.PairedBootstrap(metric.Accuracy, e.outcomes[i].predictions, predictions[rival], 5)
			if err != nil {
				t.Fatal(err)
			}
			if want := (record.Comparison{Against: rival, Metric: metric.Accuracy, Difference: d.Value, Low: d.Low, High: d.High, N: 40}); got[k] != want {
				t.Errorf("run %d: %+v, want %+v", i, got[k], want)
			}
		}
	}
	if again := mirrors(e.pairs()); !maps.Equal(again, map[int]int{5: 2}) {
		t.Errorf("computed once: %v, want the joint run against the surgeon's", again)
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if err := e.compare(stopped); err == nil {
		t.Error("a comparison that was stopped is none")
	}
}
