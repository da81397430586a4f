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
	runs := p.Expand()
	if err := e.open(runs); err != nil {
		return nil, err
	}
	grounds := make([]*ground, len(runs))
	for i, r := range runs {
		if grounds[i], err = e.scoringGround(r); err != nil {
			return nil, r.failed(i, len(runs), err)
		}
	}
	for i, r := range runs {
		if _, _, err := e.score(ctx, r, grounds[i]); err != nil {
			return nil, err
		}
	}
	return e.record.Scores, nil
}

// scoringGround is what the scores of a run stand on, which needs no split to
// evaluate on.
func (e *engine) scoringGround(r Run) (*ground, error) {
	s, err := e.subject(r)
	if err != nil {
		return nil, err
	}
	if _, err := r.Score.options(); err != nil {
		return nil, err
	}
	c, err := s.calibrate(r.Score)
	return &ground{subject: s, calibration: c}, err
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
	runs := p.Expand()
	if err := e.open(runs); err != nil {
		return nil, err
	}
	var distinct []Run // by what the dense model's figures depend on
	var feeds []*Feed
	seen := map[string]bool{}
	for i, r := range runs {
		if seen[r.denseKey()] {
			continue
		}
		seen[r.denseKey()] = true
		s, err := e.subject(r)
		if err != nil {
			return nil, err
		}
		feed, err := r.feed(s)
		if err != nil {
			return nil, r.failed(i, len(runs), err)
		}
		distinct, feeds = append(distinct, r), append(feeds, feed)
	}
	var models []record.Model
	for i, r := range distinct {
		s, err := e.subject(r)
		if err != nil {
			return nil, err
		}
		evaluated, err := e.evaluateDense(ctx, r, s, feeds[i])
		if err != nil {
			return nil, err
		}
		models = append(models, describeModel(e.names[r.denseKey()], s, evaluated.Lengths, feeds[i], evaluated))
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
	if len(others) == 0 {
		others = []string{r.Model.Path}
	}
	rivals, closeRivals, err := openModels(others) // before what getting ready takes
	if err != nil {
		return nil, err
	}
	defer closeRivals()
	e, err := h.newEngine(p)
	if err != nil {
		return nil, err
	}
	defer e.close()
	s, err := e.subject(r)
	if err != nil {
		return nil, err
	}
	for i, m := range rivals {
		if err := s.comparable(m); err != nil {
			return nil, fmt.Errorf("%s: %w", others[i], err)
		}
	}
	feed, err := r.feed(s)
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
	out := map[string][]record.Timing{}
	for i, m := range rivals {
		timings, err := t.Compare(ctx, s.Model, m)
		h.forget(m)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", others[i], tooLarge(err, "measure.batch"))
		}
		out[others[i]] = timings
	}
	return out, nil
}

// openModels opens several models. What it returns last closes them.
func openModels(dirs []string) (models []model.Model, closeAll func(), err error) {
	var closers []func() error
	closeAll = func() {
		for _, f := range closers {
			_ = f() // they were only read
		}
	}
	for _, dir := range dirs {
		m, closeModel, err := model.Open(dir)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		models, closers = append(models, m), append(closers, closeModel)
	}
	return models, closeAll, nil
}

// comparable is an error for a model that does not belong to the subject's.
func (s *Subject) comparable(other model.Model) error {
	dense := s.Model.Config()
	want, got := TaskInputs(dense), TaskInputs(other.Config())
	want.Outputs, got.Outputs = nil, nil // names do not matter, their number does
	if !reflect.DeepEqual(want, got) || len(dense.Labels) != len(other.Config().Labels) {
		return fmt.Errorf("takes or gives something else than %s, so they cannot be compared: give a pruned form of that model", s.Path)
	}
	return nil
}
