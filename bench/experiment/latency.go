package experiment

import (
	"context"
	"fmt"
	"slices"

	"optin/bench/measure"
	"optin/bench/model"
	"optin/bench/prune"
	"optin/bench/record"
	"optin/bench/task"
)

// latencyRounds bounds the search for a mask whose time is near enough.
const latencyRounds = 6

// timedExamples are those of the call whose time is limited.
func (s Search) timedExamples(subject *Subject, seed uint64) ([]task.Encoded, error) {
	encoded, err := subject.draw(s.LatencyBatch, seed)
	if err == nil && len(encoded) < s.LatencyBatch {
		err = fmt.Errorf("search.latency_batch is %d, but the training split has only %d examples: set it to that or less", s.LatencyBatch, len(encoded))
	}
	return encoded, err
}

// searchLatency finds a mask that takes the asked share of the dense model's
// time: by a table of this device, then by what the compacted model really
// takes, measured beside the dense one.
func (e *engine) searchLatency(ctx context.Context, r Run, g *ground, scores Scores) (found, error) {
	encoded, err := r.Search.timedExamples(g.subject, e.plan.Seed)
	if err != nil {
		return found{}, err
	}
	m := g.subject.Model
	pieces := g.subject.pieces(encoded, e.host.runner().Workers())
	table, err := e.latencyTable(ctx, g, r, pieces)
	if err != nil {
		return found{}, err
	}
	costs, err := table.Costs(m)
	if err != nil {
		return found{}, err
	}
	l := &lap{e: e, ctx: ctx, dense: m, pieces: pieces, whole: r.Search.Total == "model", costs: costs}
	target := l.target(r.Search.Keep)
	search := func(share float64) (found, float64, error) { // of the whole model's time, which is what can be measured
		b := r.Search.budget()
		if share != target {
			b.Keep = l.keep(share)
		}
		out, err := e.choose(ctx, r, g, scores, costs, b)
		if err != nil {
			return out, 0, err
		}
		_, predicted := costs.Share(out.Mask.Kept())
		return out, predicted, nil
	}
	out, correction, err := prune.Correct(target, latencyRounds, search, l.share)
	if err != nil {
		return found{}, err
	}
	out.Latency = l.describe(correction)
	if !correction.Met {
		return out, fmt.Errorf("the time of one call cannot be brought within 3 %% of the budget: %.1f %% of the dense model's were asked for, the nearest found takes %.1f %% (%s); choose another search.keep",
			100*correction.Target, 100*correction.Measured, correction.Stopped)
	}
	return out, nil
}

// latencyTable measures the device, once for a model's shape and a batch.
func (e *engine) latencyTable(ctx context.Context, g *ground, r Run, pieces []*model.Input) (*prune.LatencyTable, error) {
	c := g.subject.Model.Config()
	lengths := prune.LengthsOf(pieces...)
	key, err := digest([]any{"latency", c.Hidden, c.HeadsPerLayer, c.NeuronsPerLayer, lengths, len(pieces), e.host.runner().Workers(), slices.Concat(e.facts, e.fast)})
	if err != nil {
		return nil, err
	}
	table, _, _, err := stage(e.store, "latency", key, func() (*prune.LatencyTable, error) {
		e.host.logf("%s: measuring what heads and neurons take on this device, about a minute", g.subject.Name)
		table, err := prune.MeasureLatency(ctx, e.host.runner(), g.subject.Model, pieces, prune.DefaultLatencyOptions())
		return table, tooLarge(err, "search.latency_batch")
	})
	return table, err
}

// lap times a masked model's compacted form beside the dense model.
type lap struct {
	e      *engine
	ctx    context.Context
	dense  model.Model
	pieces []*model.Input
	whole  bool
	costs  prune.Costs

	took, denseTook *measure.Estimate // of the last one
	warnings        []measure.Warning // about it
}

// target is the share of the whole model's time that keep stands for.
func (l *lap) target(keep float64) float64 {
	if l.whole {
		return keep
	}
	encoder, total := float64(l.costs.Dense()), float64(l.costs.Total())
	return (keep*encoder + total - encoder) / total
}

// keep is the value of search.keep that such a share stands for, at most 1.
func (l *lap) keep(share float64) float64 {
	if l.whole {
		return share
	}
	encoder, total := float64(l.costs.Dense()), float64(l.costs.Total())
	return min(1, (share*total-(total-encoder))/encoder)
}

func (l *lap) share(f found) (float64, error) {
	small, err := prune.Compact(l.dense, f.Mask)
	if err != nil {
		return 0, err
	}
	defer l.e.host.forget(small)
	var cases []measure.Case
	for i, m := range []model.Model{l.dense, small} {
		p := newParallel(m, l.pieces)
		cases = append(cases, measure.Case{Name: []string{"dense", "pruned"}[i], Work: 1,
			Func: func() error { return p.run(l.ctx, l.e.host.runner()) }})
	}
	o := measure.DefaultOptions()
	o.Seed, o.Watcher = l.e.plan.Seed, l.e.host.Telemetry
	got, err := measure.Interleave(l.ctx, cases, o)
	if err != nil {
		return 0, err
	}
	l.denseTook, l.took, l.warnings = &got.Timings[0].Median, &got.Timings[1].Median, got.Warnings
	return 1 / got.Timings[1].Speedup.Value, nil
}

func (l *lap) describe(c prune.Correction) *record.Latency {
	dense := l.denseTook.Value
	predicted := c.Predicted * dense
	return &record.Latency{Target: c.Target * dense, Predicted: &predicted, Measured: l.took, Dense: l.denseTook, Rounds: len(c.Rounds),
		Warnings: l.warnings}
}
