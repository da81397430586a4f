package experiment

import (
	"fmt"

	"optin/bench/record"
	"optin/bench/task/metric"
)

// outcome is what a run predicted, kept until all runs are there.
type outcome struct {
	run         Run
	predictions metric.Predictions
}

// againstDense is what a comparison with the dense model is called.
const againstDense = "dense"

// compare enters into every run how it does beside the dense model, and into
// every run of a search of our own how it does beside the others of its model,
// budget and seed, on the same examples.
func (e *engine) compare() error {
	for i := range e.outcomes {
		mine, out := &e.outcomes[i], &e.record.Runs[i]
		dense := e.dense[out.Model].Predictions
		if err := e.compareWith(out, againstDense, mine.predictions, dense); err != nil {
			return err
		}
		if !mine.run.Search.probed() {
			continue
		}
		for j := range e.outcomes {
			other, its := &e.outcomes[j], &e.record.Runs[j]
			if i == j || !sameBudget(mine.run, other.run) || its.Model != out.Model || its.Seed != out.Seed {
				continue
			}
			if err := e.compareWith(out, its.Way(), mine.predictions, other.predictions); err != nil {
				return err
			}
		}
	}
	return nil
}

// sameBudget says whether two runs were to cost the same.
func sameBudget(a, b Run) bool {
	x, y := a.Search, b.Search
	return x.Keep == y.Keep && x.Constraint == y.Constraint && x.Total == y.Total
}

func (e *engine) compareWith(out *record.Run, way string, mine, its metric.Predictions) error {
	name := out.Metrics[0].Name
	d, err := metric.PairedBootstrap(name, mine, its, e.plan.Seed)
	if err != nil {
		return fmt.Errorf("comparing %s with %s: %w", out.Way(), way, err)
	}
	out.Comparisons = append(out.Comparisons, record.Comparison{
		Against: way, Metric: name, Difference: d.Value, Low: d.Low, High: d.High, N: d.N})
	return nil
}
