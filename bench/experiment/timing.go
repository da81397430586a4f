package experiment

import (
	"context"
	"fmt"
	"time"

	"optin/bench/measure"
	"optin/bench/model"
	"optin/bench/record"
	"optin/bench/task"
	"optin/kernels"
)

// Timer compares models of one subject, measured interleaved on the same
// examples.
type Timer struct {
	Device   kernels.Device
	Subject  *Subject
	Feed     *Feed
	Settings Measure
	Seed     uint64
	Peak     *float64        // FLOP/s of the device; nil: not available
	Watcher  measure.Watcher // of what the device computes on; nil: none
}

// Compare times dense and pruned at every batch size.
func (t *Timer) Compare(ctx context.Context, dense, pruned model.Model) ([]record.Timing, error) {
	kinds := []string{record.ModelOnly}
	if t.Settings.EndToEnd {
		kinds = append(kinds, record.EndToEnd)
	}
	if err := t.Settings.fits(t.Feed); err != nil {
		return nil, err
	}
	var all []record.Timing
	for _, batch := range t.Settings.Batch {
		for _, kind := range kinds {
			timing, err := t.compare(ctx, kind, batch, dense, pruned)
			if err != nil {
				return nil, fmt.Errorf("%s, batch %d: %w", kind, batch, err)
			}
			all = append(all, timing)
		}
	}
	return all, nil
}

func (t *Timer) compare(ctx context.Context, kind string, batch int, dense, pruned model.Model) (record.Timing, error) {
	var cases []measure.Case
	flops := make([]float64, 2)
	for i, m := range []model.Model{dense, pruned} {
		run, err := t.call(ctx, kind, batch, m)
		if err != nil {
			return record.Timing{}, err
		}
		before := t.Device.Tally()
		if err := run(); err != nil {
			return record.Timing{}, err
		}
		flops[i] = 2 * float64(t.Device.Tally().Sub(before).MACs)
		cases = append(cases, measure.Case{Name: []string{"dense", "pruned"}[i], Func: run, Work: float64(batch)})
	}
	o := measure.DefaultOptions()
	o.MinSamples, o.Seed = t.Settings.Samples, t.Seed
	o.MinTime = time.Duration(t.Settings.MinTime * float64(time.Second))
	o.WarmupTime = min(o.WarmupTime, max(o.MinTime, 100*time.Millisecond))
	o.MaxTime = max(10*o.MinTime, 10*time.Second)
	o.Precision = 1 // MinSamples and MinTime decide; the interval says what they are worth
	o.Watcher, o.Energy = t.Watcher, t.Settings.Energy
	got, err := measure.Interleave(ctx, cases, o)
	if err != nil {
		return record.Timing{}, err
	}
	throughput := got.Timings[1].Throughput()
	timing := record.Timing{
		Kind: kind, Batch: batch, Dense: &got.Timings[0].Median, Pruned: &got.Timings[1].Median,
		Speedup: &got.Timings[1].Speedup, Throughput: &throughput,
		Rounds: got.Rounds, Warnings: got.Warnings,
		DenseEnergy: got.Timings[0].Energy, PrunedEnergy: got.Timings[1].Energy, Telemetry: got.Telemetry,
	}
	if kind == record.ModelOnly {
		denseRate, prunedRate := flops[0]/timing.Dense.Value, flops[1]/timing.Pruned.Value
		timing.DenseFLOPS, timing.FLOPS, timing.PeakFLOPS = &denseRate, &prunedRate, t.Peak
	}
	return timing, nil
}

// call is what is timed: m on the first examples of the feed, from inputs that
// are ready, or from the raw examples to the class.
func (t *Timer) call(ctx context.Context, kind string, batch int, m model.Model) (func() error, error) {
	if kind == record.EndToEnd {
		return func() error {
			encoded, err := t.encode(batch)
			if err != nil {
				return err
			}
			p := newParallel(m, t.pieces(encoded))
			if err := p.run(ctx, t.Device); err != nil {
				return err
			}
			classify(p.logits, len(m.Config().Labels))
			return nil
		}, nil
	}
	encoded, err := t.encode(batch)
	if err != nil {
		return nil, err
	}
	p := newParallel(m, t.pieces(encoded))
	return func() error { return p.run(ctx, t.Device) }, nil
}

func (t *Timer) encode(batch int) ([]task.Encoded, error) {
	encoded := make([]task.Encoded, batch)
	for i := range encoded {
		var err error
		if encoded[i], err = t.Feed.one(i); err != nil {
			return nil, err
		}
	}
	return encoded, nil
}

// pieces is Subject.pieces of the subject's model and device.
func (t *Timer) pieces(encoded []task.Encoded) []*model.Input {
	return t.Subject.pieces(encoded, t.Device.Workers())
}

// pieces cuts a batch for workers: a multiple of them, of at most s.Rows rows each.
func (s *Subject) pieces(encoded []task.Encoded, workers int) []*model.Input {
	c, rows := s.Model.Config(), 0
	for _, e := range encoded {
		rows += tokens(c, e)
	}
	if len(encoded) < workers {
		return cutBatches(c, encoded, rows)
	}
	rounds := (rows + workers*s.Rows - 1) / (workers * s.Rows)
	return cutBatches(c, encoded, (rows+workers*rounds-1)/(workers*rounds))
}

// classify is the class of every example.
func classify(logits [][]float64, classes int) []int {
	var out []int
	for _, batch := range logits {
		for i := 0; i < len(batch); i += classes {
			best := 0
			for c, v := range batch[i : i+classes] {
				if v > batch[i+best] {
					best = c
				}
			}
			out = append(out, best)
		}
	}
	return out
}
