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

// pair is a run and another one that it is compared with, by their numbers.
type pair struct{ mine, its int }

// theDense is the number of the dense model in a pair.
const theDense = -1

// compare enters into every run how it does beside the dense model, and into
// every run of a search of our own how it does beside the others of its model,
// budget and seed, on the same examples.
func (e *engine) compare(ctx context.Context) error {
	all := e.pairs()
	again := mirrors(all)
	found := make([]metric.Difference, len(all))
	failed := make([]error, len(all))
	turn := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, p := range all {
		if _, known := again[i]; known {
			continue
		}
		turn <- struct{}{}
		wg.Go(func() {
			defer func() { <-turn }()
			if failed[i] = ctx.Err(); failed[i] == nil {
				found[i], failed[i] = e.difference(p)
			}
		})
	}
	wg.Wait()
	if err := cmp.Or(failed...); err != nil {
		return err
	}
	for i, p := range all {
		if first, known := again[i]; known {
			found[i] = found[first].Reversed()
		}
		e.enter(p, found[i])
	}
	return nil
}

// pairs are all comparisons, by run, in the order in which a record has them.
func (e *engine) pairs() []pair {
	var all []pair
	for i := range e.outcomes {
		all = append(all, pair{i, theDense})
		mine, a := &e.outcomes[i].run, &e.record.Runs[i]
		if !mine.Search.probed() {
			continue
		}
		for j := range e.outcomes {
			other, b := &e.outcomes[j].run, &e.record.Runs[j]
			if i != j && mine.Search.sameBudget(&other.Search) && a.Model == b.Model && a.Seed == b.Seed {
				all = append(all, pair{i, j})
			}
		}
	}
	return all
}

// mirrors are the pairs that an earlier one is, as the other run sees it: the places
// of both.
func mirrors(all []pair) map[int]int {
	again, places := map[int]int{}, map[pair]int{}
	for i, p := range all {
		if first, ok := places[pair{p.its, p.mine}]; ok {
			again[i] = first
		}
		places[p] = i
	}
	return again
}

// against is what the other side of a pair is called.
func (e *engine) against(p pair) string {
	if p.its == theDense {
		return record.Dense
	}
	return e.record.Runs[p.its].Way()
}

// difference compares by the headline metric.
func (e *engine) difference(p pair) (metric.Difference, error) {
	out := &e.record.Runs[p.mine]
	var its metric.Predictions
	if p.its == theDense {
		its = e.dense[out.Model].Predictions
	} else {
		its = e.outcomes[p.its].predictions
	}
	found, err := metric.PairedBootstrap(out.Metrics[0].Name, e.outcomes[p.mine].predictions, its, e.plan.Seed)
	if err != nil {
		err = fmt.Errorf("comparing %s with %s: %w", out.Way(), e.against(p), err)
	}
	return found, err
}

func (e *engine) enter(p pair, found metric.Difference) {
	out := &e.record.Runs[p.mine]
	out.Comparisons = append(out.Comparisons, record.Comparison{
		Against: e.against(p), Metric: found.Metric, Difference: found.Value, Low: found.Low, High: found.High, N: found.N})
}

// sameBudget says whether what two searches choose was to cost the same.
func (s *Search) sameBudget(other *Search) bool {
	return s.Keep == other.Keep && s.Constraint == other.Constraint && s.Total == other.Total
}
