package experiment

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"sync"

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
func (e *engine) compare(ctx context.Context) error {
	failed := make([]error, len(e.outcomes))
	turn := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i := range e.outcomes {
		turn <- struct{}{}
		wg.Go(func() {
			defer func() { <-turn }()
			failed[i] = e.compareRun(ctx, i)
		})
	}
	wg.Wait()
	return cmp.Or(failed...)
}

// compareRun compares the run with number i.
func (e *engine) compareRun(ctx context.Context, i int) error {
	mine, out := &e.outcomes[i], &e.record.Runs[i]
	if err := e.compareWith(out, againstDense, mine.predictions, e.dense[out.Model].Predictions); err != nil {
		return err
	}
	if !mine.run.Search.probed() {
		return nil
	}
	for j := range e.outcomes {
		other, its := &e.outcomes[j], &e.record.Runs[j]
		if i == j || !sameBudget(mine.run, other.run) || its.Model != out.Model || its.Seed != out.Seed {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.compareWith(out, its.Way(), mine.predictions, other.predictions); err != nil {
			return err
		}
	}
	return ctx.Err()
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
