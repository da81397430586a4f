package experiment

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/bench/record"
)

// Scores computes the scores that a plan's runs need, each set once.
func (h *Host) Scores(ctx context.Context, p *Plan) ([]record.Scores, error) {
	e, err := h.newEngine(p)
	if err != nil {
		return nil, err
	}
	defer e.close()
	for _, r := range p.Expand() {
		s, err := e.subject(r)
		if err != nil {
			return nil, err
		}
		c, err := s.calibrate(r.Score)
		if err != nil {
			return nil, err
		}
		if _, _, err := e.score(ctx, r, &ground{subject: s, calibration: c}); err != nil {
			return nil, err
		}
	}
	return e.record.Scores, nil
}

// Format is how a pruned model is written.
type Format string

const (
	Compacted Format = "compact" // weights removed, layers of different sizes
	Masked    Format = "masked"  // the original shapes with zeros: any Hugging Face program loads it
)

// Pruned is what Prune wrote.
type Pruned struct {
	Run    record.Run
	Params int64
	Labels []string
}

// Prune scores, searches and writes the pruned model of a plan's only run to
// dir. It then reads back what it wrote and verifies that.
func (h *Host) Prune(ctx context.Context, plan *Plan, dir string, format Format) (*Pruned, error) {
	runs := plan.Expand()
	if len(runs) != 1 {
		return nil, fmt.Errorf("%s spans %d runs, and one model is written: choose one, as with --set score.method=trajectory --set search.keep=0.5", plan.File, len(runs))
	}
	r := runs[0]
	e, err := h.newEngine(plan)
	if err != nil {
		return nil, err
	}
	defer e.close()
	s, err := e.subject(r)
	if err != nil {
		return nil, err
	}
	if err := model.MakeFolder(dir, s.Path); err != nil {
		return nil, err
	}
	c, err := s.calibrate(r.Score)
	if err != nil {
		return nil, err
	}
	if err := r.reachable(s, c, plan.Seed); err != nil {
		return nil, err
	}
	facts, err := e.scoreFacts(s, c, r)
	if err != nil {
		return nil, err
	}
	out := &Pruned{Run: record.Run{Model: s.Name, Task: r.Task.Name, Method: r.Score.Method, Variant: r.Variant,
		Search: r.Search.Method, Rebuild: r.Rebuild.Method, Constraint: r.Search.Constraint, Keep: r.Search.Keep}}
	p, err := e.prune(ctx, r, &ground{subject: s, calibration: c, facts: facts}, &out.Run)
	if err != nil {
		return nil, err
	}
	defer p.close()
	full, err := p.masked(ctx)
	if err != nil {
		return nil, err
	}
	build := map[Format]func(model.Model, prune.Mask) (model.Model, error){Compacted: prune.Compact, Masked: prune.Zeroed}[format]
	small, err := build(full, p.mask)
	if err != nil {
		return nil, err
	}
	metadata := map[string]string{"pruned_by": "optin " + h.Version, "method": out.Run.Way(), "keep": fmt.Sprint(r.Search.Keep)}
	if err := model.Save(small, dir, s.Path, metadata); err != nil {
		return nil, err
	}
	return out, e.verifyWritten(ctx, out, p, dir, format)
}

// verifyWritten proves what is in dir, not what was in memory.
func (e *engine) verifyWritten(ctx context.Context, out *Pruned, p *pruning, dir string, format Format) error {
	written, closeModel, err := model.Open(dir)
	if err != nil {
		return fmt.Errorf("reading back: %w", err)
	}
	defer closeModel()
	defer e.host.forget(written)
	v, err := p.compare(ctx, p.full, written)
	if err != nil {
		return err
	}
	describeVerification(&out.Run, v)
	out.Params = written.Params().Count()
	if format == Compacted && !slices.Equal(written.Config().NeuronsPerLayer, out.Run.Neurons) {
		return fmt.Errorf("reading back: %s has %v neurons per layer, %v were to be kept", dir, written.Config().NeuronsPerLayer, out.Run.Neurons)
	}
	if err := v.Err(); err != nil {
		return fmt.Errorf("%s was written, but is not to be used: %w", dir, err)
	}
	return nil
}

// Evaluate is what a plan's models reach, dense.
func (h *Host) Evaluate(ctx context.Context, p *Plan) ([]record.Model, error) {
	e, err := h.newEngine(p)
	if err != nil {
		return nil, err
	}
	defer e.close()
	var models []record.Model
	seen := map[string]bool{}
	for _, r := range p.Expand() {
		name := e.names[r.denseKey()]
		if seen[name] {
			continue
		}
		seen[name] = true
		s, err := e.subject(r)
		if err != nil {
			return nil, err
		}
		feed, err := s.OpenFeed(r.split(s), r.Evaluate.Limit)
		if err != nil {
			return nil, err
		}
		evaluated, err := e.evaluateDense(ctx, r, s, feed)
		if err != nil {
			return nil, err
		}
		models = append(models, describeModel(name, s, evaluated.Lengths, feed, evaluated))
	}
	return models, nil
}

// Time compares a plan's only model with others of the same task, or with itself
// where there are none.
func (h *Host) Time(ctx context.Context, p *Plan, others []string) (map[string][]record.Timing, error) {
	runs := p.Expand()
	r := runs[0]
	for _, other := range runs {
		if tables := []string{"model", "task", "evaluate", "measure"}; other.canonical(tables...) != r.canonical(tables...) {
			return nil, fmt.Errorf("%s spans several models, tasks or ways to measure, and one is timed: choose one, as with --model FOLDER --task NAME and no file", p.File)
		}
	}
	if len(r.Measure.Batch) == 0 {
		return nil, errors.New("measure.batch is [], so nothing would be timed: set it, as with --set measure.batch=[1,32]")
	}
	e, err := h.newEngine(p)
	if err != nil {
		return nil, err
	}
	defer e.close()
	s, err := e.subject(r)
	if err != nil {
		return nil, err
	}
	feed, err := s.OpenFeed(r.split(s), r.Evaluate.Limit)
	if err != nil {
		return nil, err
	}
	if err := r.Measure.fits(feed); err != nil {
		return nil, err
	}
	t := &Timer{Device: h.runner(), Subject: s, Feed: feed, Settings: r.Measure, Seed: p.Seed, Watcher: h.Telemetry}
	if h.Peak != nil {
		if peak, err := h.Peak(); err == nil {
			t.Peak = &peak
		} else {
			h.logf("the machine's peak could not be measured: %v", err)
		}
	}
	if len(others) == 0 {
		others = []string{r.Model.Path}
	}
	out := map[string][]record.Timing{}
	for _, dir := range others {
		m, closeModel, err := model.Open(dir)
		if err != nil {
			return nil, err
		}
		timings, err := t.comparable(ctx, s.Model, m)
		h.forget(m)
		closeModel()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, tooLarge(err, "measure.batch"))
		}
		out[dir] = timings
	}
	return out, nil
}

// comparable is Compare for models that may not belong together.
func (t *Timer) comparable(ctx context.Context, dense, other model.Model) ([]record.Timing, error) {
	want, got := TaskInputs(dense.Config()), TaskInputs(other.Config())
	want.Outputs, got.Outputs = nil, nil // names do not matter, their number does
	if !reflect.DeepEqual(want, got) || len(dense.Config().Labels) != len(other.Config().Labels) {
		return nil, fmt.Errorf("takes or gives something else than %s, so they cannot be compared: give a pruned form of that model", t.Subject.Path)
	}
	return t.Compare(ctx, dense, other)
}
