package experiment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"optin/bench/measure"
	"optin/bench/model"
	"optin/bench/prune"
	"optin/bench/record"
)

// Execute does all runs of a plan and returns their record, also when runs did
// not pass verification: their verdict says so. What is finished is stored in
// the plan's output folder as it comes, so a run that is killed goes on from
// there when it is started again.
func (h *Host) Execute(ctx context.Context, p *Plan) (*record.Record, error) {
	e, err := h.newEngine(p)
	if err != nil {
		return nil, err
	}
	defer e.close()
	runs := p.Expand()
	bar := h.Progress.Stage("runs", len(runs))
	defer bar.Done()
	for i, r := range runs {
		if err := e.run(ctx, r); err != nil {
			return nil, fmt.Errorf("run %d of %d (%s): %w", i+1, len(runs), r.describe(), err)
		}
		bar.Add(1)
	}
	return e.record, nil
}

// engine is the state of one execution.
type engine struct {
	host   *Host
	plan   *Plan
	store  *store
	record *record.Record
	facts  []string // what every result depends on beside the plan

	subjects     map[string]*Subject
	calibrations map[string]*Calibration
	scored       map[string]Scores
	peak         *float64
	peakTried    bool
}

func (h *Host) newEngine(p *Plan) (*engine, error) {
	s, err := openStore(p.Output)
	if err != nil {
		return nil, err
	}
	prov := measure.NewProvenance(h.Version, h.Revision, time.Now())
	prov.Device = h.Device.Describe()
	prov.Threads = h.Device.Workers()
	prov.Libraries = h.Libraries
	prov.ConfigHash = p.Hash()
	prov.Seeds = map[string]uint64{"seed": p.Seed}
	return &engine{
		host: h, plan: p, store: s,
		record: &record.Record{Version: record.Version, Name: p.Name, Config: p.Text, Overrides: p.Overrides, Provenance: prov},
		facts:  []string{h.Digest, h.Device.Name(), h.Device.Describe()},

		subjects: map[string]*Subject{}, calibrations: map[string]*Calibration{}, scored: map[string]Scores{},
	}, nil
}

func (e *engine) close() {
	for _, s := range e.subjects {
		forget(e.host.Device, s.Model)
		s.Close()
	}
}

// describe names a run for people.
func (r Run) describe() string {
	text := fmt.Sprintf("%s, %s, keep %v", r.Model.Path, r.Score.Method, r.Search.Keep)
	if r.Variant != "" {
		text += ", " + r.Variant
	}
	return text
}

// run does one run, stage by stage.
func (e *engine) run(ctx context.Context, r Run) error {
	out := record.Run{
		Task: r.Task.Name, Method: r.Score.Method, Variant: r.Variant, Seed: r.Score.Draw(),
		Search: r.Search.Method, Rebuild: r.Rebuild.Method, Constraint: r.Search.Constraint, Keep: r.Search.Keep,
	}
	s, feed, err := e.dense(ctx, r)
	if err != nil {
		return err
	}
	out.Model = e.modelName(r)
	c, err := e.calibrate(s, r)
	if err != nil {
		return err
	}
	scores, stage1, err := e.score(ctx, s, r, c)
	if err != nil {
		return err
	}
	out.Stages = append(out.Stages, stage1)
	facts := append([]string{s.Digest, c.Digest, feed.Digest}, e.facts...)

	mask, stage2, err := timed(e, r, StepSearch, facts, func() (prune.Mask, error) { return r.choose(s.Model, scores, c) })
	if err != nil {
		return err
	}
	small, err := prune.Compact(s.Model, mask)
	if err != nil {
		return err
	}
	defer forget(e.host.Device, small)
	e.describeMask(&out, s, r, c, mask)

	verified, stage3, err := timed(e, r, StepVerify, facts, func() (prune.Verification, error) {
		return prune.Verify(ctx, e.host.Device, s.Model, small, mask, c.Batches)
	})
	if err != nil {
		return err
	}
	describeVerification(&out, verified)

	evaluated, stage4, err := timed(e, r, StepEvaluate, facts, func() (*Evaluation, error) {
		return feed.Evaluate(ctx, e.host.Device, small, nil)
	})
	if err != nil {
		return err
	}
	out.Metrics = metrics(evaluated)
	out.Memory = &record.Memory{InferenceBytes: &evaluated.PeakBytes}
	if scores.PeakBytes > 0 {
		out.Memory.ScoringBytes = &scores.PeakBytes
	}
	out.Stages = append(out.Stages, stage2, stage3, stage4)

	if r.timed() {
		stage5, err := e.time(ctx, s, r, feed, small, facts, &out)
		if err != nil {
			return err
		}
		out.Stages = append(out.Stages, stage5)
	}
	verdict(&out, verified)
	e.record.Runs = append(e.record.Runs, out)
	e.host.logf("%s: %s", r.describe(), headline(&out))
	return nil
}

// timed is a stage of one run.
func timed[T any](e *engine, r Run, step Step, facts []string, compute func() (T, error)) (T, record.Stage, error) {
	result, seconds, cached, err := stage(e.store, step, r.Hash(step, facts...), compute)
	if err != nil {
		err = fmt.Errorf("%s: %w", step, err)
	}
	return result, record.Stage{Name: string(step), Seconds: seconds, Cached: cached}, err
}

// subject opens a run's model and task the first time they are met. Only one
// model's weights are kept on the device.
func (e *engine) subject(r Run) (*Subject, error) {
	key, err := digest([]any{r.Model, r.Task})
	if err != nil {
		return nil, err
	}
	if s, ok := e.subjects[key]; ok {
		return s, nil
	}
	s, err := OpenSubject(r.Model.Path, r.Task.Config())
	if err != nil {
		return nil, err
	}
	for _, other := range e.subjects {
		forget(e.host.Device, other.Model)
	}
	e.subjects[key] = s
	return s, nil
}

// dense evaluates a run's model as it is, and enters it into the record the
// first time it is met.
func (e *engine) dense(ctx context.Context, r Run) (*Subject, *Feed, error) {
	s, err := e.subject(r)
	if err != nil {
		return nil, nil, err
	}
	feed, err := s.OpenFeed(r.split(s), r.Evaluate.Limit)
	if err != nil {
		return nil, nil, err
	}
	name := e.modelName(r)
	for _, m := range e.record.Models {
		if m.Name == name {
			return s, feed, nil
		}
	}
	facts := append([]string{s.Digest, feed.Digest}, e.facts...)
	evaluated, _, err := timed(e, r, StepDense, facts, func() (*Evaluation, error) {
		bar := e.host.Progress.Stage("evaluate "+s.Name, feed.Len())
		defer bar.Done()
		return feed.Evaluate(ctx, e.host.Device, s.Model, bar.Add)
	})
	if err != nil {
		return nil, nil, err
	}
	if counted := prune.CountMACs(s.Model, evaluated.Lengths).Total(); counted != evaluated.ExecutedMACs {
		return nil, nil, fmt.Errorf("dense model: counted %d MACs, executed %d", counted, evaluated.ExecutedMACs)
	}
	c, err := e.calibrate(s, r)
	if err != nil {
		return nil, nil, err
	}
	e.record.Models = append(e.record.Models, e.describeModel(name, s, r, feed, c, evaluated))
	for _, note := range feed.Notes {
		e.record.Warnings = append(e.record.Warnings, name+": "+note)
	}
	e.host.logf("%s on %s %s: dense %s", s.Name, s.Task.Name, feed.Split, metricText(metrics(evaluated)))
	return s, feed, nil
}

// modelName is a run's model in the record: its folder's name, with the task
// where a file prunes the model for several.
func (e *engine) modelName(r Run) string {
	name := baseName(r.Model.Path)
	for _, other := range e.plan.runs {
		if baseName(other.Model.Path) == name && (other.Model != r.Model || other.Task.Name != r.Task.Name) {
			return r.Model.Path + " on " + r.Task.Name
		}
	}
	return name
}

func (r Run) split(s *Subject) string {
	if r.Evaluate.Split != "" {
		return r.Evaluate.Split
	}
	return s.Task.EvalSplit
}

func (e *engine) calibrate(s *Subject, r Run) (*Calibration, error) {
	key := fmt.Sprint(s.Path, r.Task.Name, r.Score.Samples, r.Score.Seed, r.Score.MDPadding, r.Score.Group)
	if c, ok := e.calibrations[key]; ok {
		return c, nil
	}
	c, err := s.Calibrate(r.Score.Samples, r.Score.Seed, r.Score.MDPadding, r.Score.Group)
	if err != nil {
		return nil, fmt.Errorf("calibration: %w", err)
	}
	e.calibrations[key] = c
	return c, nil
}

// score returns a run's scores and enters them into the record the first time.
func (e *engine) score(ctx context.Context, s *Subject, r Run, c *Calibration) (Scores, record.Stage, error) {
	facts := append([]string{s.Digest, c.Digest}, e.facts...)
	hash := r.Hash(StepScore, facts...)
	scores, st, err := timed(e, r, StepScore, facts, func() (Scores, error) { return e.computeScores(ctx, s, r, c) })
	if err != nil {
		return scores, st, err
	}
	if _, ok := e.scored[hash]; !ok {
		e.scored[hash] = scores
		e.record.Scores = append(e.record.Scores, describeScores(e.modelName(r), s, r, c, scores, st.Seconds))
	}
	return scores, st, nil
}

func (e *engine) time(ctx context.Context, s *Subject, r Run, feed *Feed, small model.Model, facts []string, out *record.Run) (record.Stage, error) {
	if !e.peakTried && e.host.Peak != nil {
		e.peakTried = true
		if peak, err := e.host.Peak(); err == nil {
			e.peak = &peak
		} else {
			e.record.Warnings = append(e.record.Warnings, fmt.Sprintf("the machine's peak could not be measured: %v", err))
		}
	}
	timings, st, err := timed(e, r, StepTime, append(facts, fmt.Sprint(e.host.Device.Workers())), func() ([]record.Timing, error) {
		t := &Timer{Device: e.host.Device, Subject: s, Feed: feed, Settings: r.Measure, Seed: e.plan.Seed, Peak: e.peak}
		return t.Compare(ctx, s.Model, small)
	})
	out.Timings = timings
	return st, err
}

// timed says whether a run is timed.
func (r Run) timed() bool { return len(r.Measure.Batch) > 0 && r.Measure.times(r.Score.Method) }

// verdict says whether a run's figures may be quoted.
func verdict(out *record.Run, v prune.Verification) {
	out.Verdict.Valid = true
	if err := v.Err(); err != nil {
		out.Verdict = record.Verdict{Reasons: []string{err.Error()}}
	}
	for _, t := range out.Timings {
		for _, w := range t.Warnings {
			out.Verdict.Reasons = append(out.Verdict.Reasons, fmt.Sprintf("%s, batch %d: %s", t.Kind, t.Batch, w))
		}
	}
}

// ErrInvalid says that a run did not pass verification.
var ErrInvalid = errors.New("a compacted model is not the masked one, or does not cost what was counted: see the verdicts in the report")

// Invalid is ErrInvalid if a run of the record has no valid verdict.
func Invalid(r *record.Record) error {
	for _, run := range r.Runs {
		if !run.Verdict.Valid {
			return ErrInvalid
		}
	}
	return nil
}
