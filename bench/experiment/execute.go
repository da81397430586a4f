package experiment

import (
	"context"
	"errors"
	"fmt"

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
	if err := e.check(runs); err != nil {
		return nil, err
	}
	bar := h.Progress.Stage("runs", len(runs))
	defer bar.Done()
	for i, r := range runs {
		if err := e.run(ctx, r); err != nil {
			return nil, r.failed(i, len(runs), err)
		}
		bar.Add(1)
	}
	return e.record, nil
}

// run does one run, stage by stage.
func (e *engine) run(ctx context.Context, r Run) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g, err := e.ground(r)
	if err != nil {
		return err
	}
	s, c := g.subject, g.calibration
	dense, err := e.enterModel(ctx, r, g)
	if err != nil {
		return err
	}
	scores, stage1, err := e.score(ctx, s, r, c)
	if err != nil {
		return err
	}
	mask, stage2, err := timed(e, r, StepSearch, g.facts, func() (prune.Mask, error) { return r.choose(s.Model, scores, c) })
	if err != nil {
		return err
	}
	small, err := prune.Compact(s.Model, mask)
	if err != nil {
		return err
	}
	defer forget(e.host.Device, small)
	verified, stage3, err := timed(e, r, StepVerify, g.facts, func() (prune.Verification, error) {
		return prune.Verify(ctx, e.host.Device, s.Model, small, mask, c.Batches)
	})
	if err != nil {
		return err
	}
	evaluated, stage4, err := timed(e, r, StepEvaluate, g.facts, func() (*Evaluation, error) {
		forget(e.host.Device, s.Model) // the small model's memory is to be its own
		return g.feed.Evaluate(ctx, e.host.Device, small, nil)
	})
	if err != nil {
		return err
	}
	out := record.Run{
		Model: e.names[r.denseKey()], Task: r.Task.Name, Method: r.Score.Method, Variant: r.Variant, Seed: r.Score.Draw(),
		Search: r.Search.Method, Rebuild: r.Rebuild.Method, Constraint: r.Search.Constraint, Keep: r.Search.Keep,
		Metrics: metrics(evaluated),
		Memory:  &record.Memory{InferenceBytes: &evaluated.PeakBytes, DenseBytes: &dense.PeakBytes},
		Stages:  []record.Stage{stage1, stage2, stage3, stage4},
	}
	if scores.PeakBytes > 0 {
		out.Memory.ScoringBytes = &scores.PeakBytes
	}
	describeMask(&out, s, r, c, mask)
	describeVerification(&out, verified)
	if r.timed() {
		timings, stage5, err := e.time(ctx, r, g, small)
		if err != nil {
			return err
		}
		out.Timings, out.Stages = timings, append(out.Stages, stage5)
	}
	verdict(&out, verified.Err(), evaluated.audit(small))
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

// evaluateDense evaluates a run's model as it is.
func (e *engine) evaluateDense(ctx context.Context, r Run, s *Subject, feed *Feed) (*Evaluation, error) {
	facts := append([]string{s.Digest, feed.Digest}, e.facts...)
	evaluated, _, err := timed(e, r, StepDense, facts, func() (*Evaluation, error) {
		bar := e.host.Progress.Stage("evaluate "+s.Name, feed.Len())
		defer bar.Done()
		return feed.Evaluate(ctx, e.host.Device, s.Model, bar.Add)
	})
	if err != nil {
		return nil, err
	}
	if err := evaluated.audit(s.Model); err != nil {
		return nil, fmt.Errorf("dense model: %w", err)
	}
	e.host.logf("%s on %s %s: dense %s", s.Name, s.Task.Name, feed.Split, metricText(metrics(evaluated)))
	return evaluated, nil
}

// enterModel evaluates a run's dense model and enters it into the record, the
// first time it is met.
func (e *engine) enterModel(ctx context.Context, r Run, g *ground) (*Evaluation, error) {
	name := e.names[r.denseKey()]
	if known, ok := e.dense[name]; ok {
		return known, nil
	}
	evaluated, err := e.evaluateDense(ctx, r, g.subject, g.feed)
	if err != nil {
		return nil, err
	}
	e.dense[name] = evaluated
	described := describeModel(name, g.subject, r.Search.lengths(g.calibration), g.feed, evaluated)
	described.Calibration = &record.Sample{Split: g.calibration.Split, Examples: g.calibration.Examples, Tokens: g.calibration.Tokens}
	e.record.Models = append(e.record.Models, described)
	if g.feed.Split == g.calibration.Split {
		e.record.Warnings = append(e.record.Warnings, name+": evaluated on the split "+g.feed.Split+
			", which calibration examples are drawn from: its figures say nothing of unseen data")
	}
	for _, note := range g.feed.Notes {
		e.record.Warnings = append(e.record.Warnings, name+": "+note)
	}
	return evaluated, nil
}

// score returns a run's scores and enters them into the record the first time.
func (e *engine) score(ctx context.Context, s *Subject, r Run, c *Calibration) (Scores, record.Stage, error) {
	facts, err := e.scoreFacts(s, c, r)
	if err != nil {
		return Scores{}, record.Stage{}, err
	}
	scores, st, err := timed(e, r, StepScore, facts, func() (Scores, error) { return e.computeScores(ctx, s, r, c) })
	if err != nil {
		return scores, st, err
	}
	st.Seconds = max(st.Seconds, scores.Seconds)
	if hash := r.Hash(StepScore, facts...); !e.scored[hash] {
		e.scored[hash] = true
		e.record.Scores = append(e.record.Scores, describeScores(e.names[r.denseKey()], s, r, c, scores, st.Seconds))
	}
	return scores, st, nil
}

func (e *engine) time(ctx context.Context, r Run, g *ground, small model.Model) ([]record.Timing, record.Stage, error) {
	if !e.peakTried && e.host.Peak != nil {
		e.peakTried = true
		if peak, err := e.host.Peak(); err == nil {
			e.peak = &peak
		} else {
			e.record.Warnings = append(e.record.Warnings, fmt.Sprintf("the machine's peak could not be measured: %v", err))
		}
	}
	facts := append([]string{fmt.Sprint(e.host.Device.Workers())}, g.facts...)
	return timed(e, r, StepTime, facts, func() ([]record.Timing, error) {
		t := &Timer{Device: e.host.Device, Subject: g.subject, Feed: g.feed, Settings: r.Measure, Seed: e.plan.Seed, Peak: e.peak}
		return t.Compare(ctx, g.subject.Model, small)
	})
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
