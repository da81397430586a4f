package experiment

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
	e.warnOfRows()
	return e.record, e.compare(ctx)
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
	dense, err := e.enterModel(ctx, r, g)
	if err != nil {
		return err
	}
	out := record.Run{
		Model: e.names[r.denseKey()], Task: r.Task.Name, Method: r.Score.Method, Variant: r.Variant, Seed: r.Score.Draw(),
		Search: r.Search.Method, Rebuild: r.Rebuild.Method, Constraint: r.Search.Constraint, Keep: r.Search.Keep,
		Memory: &record.Memory{}, Calibration: &record.Sample{},
	}
	if r.Score.reads() {
		out.Calibration = describeCalibration(g.calibration)
	}
	p, err := e.prune(ctx, r, g, &out)
	if err != nil {
		return err
	}
	defer p.close()
	verified, stage, err := timed(e, r, StepVerify, p.facts, func() (prune.Verification, error) { return p.verify(ctx) })
	if err != nil {
		return err
	}
	out.Stages = append(p.stages, stage)
	evaluated, stage, err := timed(e, r, StepEvaluate, slices.Concat(p.facts, e.fast), func() (*Evaluation, error) { return p.evaluate(ctx) })
	if err != nil {
		return err
	}
	out.Stages = append(out.Stages, stage)
	out.Metrics = metrics(evaluated)
	out.Memory.InferenceBytes, out.Memory.DenseBytes = &evaluated.PeakBytes, &dense.PeakBytes
	describeVerification(&out, verified)
	if r.timed() {
		timings, stage, err := e.time(ctx, p)
		if err != nil {
			return err
		}
		out.Timings, out.Stages = timings, append(out.Stages, stage)
	}
	verdict(&out, verified.Err(), evaluated.fault())
	e.outcomes = append(e.outcomes, outcome{r, evaluated.Predictions})
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
	facts := slices.Concat([]string{s.Digest, feed.Digest}, e.facts, e.fast)
	evaluated, _, err := timed(e, r, StepDense, facts, func() (*Evaluation, error) {
		return fitting(e, s, func() (*Evaluation, error) {
			bar := e.host.Progress.Stage("evaluate "+s.Name, feed.Len())
			defer bar.Done()
			evaluated, err := feed.Evaluate(ctx, e.host.runner(), s.Model, bar.Add)
			if err == nil {
				evaluated.Fault = evaluated.audit(s.Model)
			}
			return evaluated, err
		})
	})
	if err != nil {
		return nil, err
	}
	if err := evaluated.fault(); err != nil {
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
	described.Calibration = describeCalibration(g.calibration)
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
func (e *engine) score(ctx context.Context, r Run, g *ground) (Scores, record.Stage, error) {
	facts, err := e.scoreFacts(g.subject, g.calibration, r)
	if err != nil {
		return Scores{}, record.Stage{}, err
	}
	scores, st, err := timed(e, r, StepScore, facts, func() (Scores, error) { return e.computeScores(ctx, r, g) })
	if err != nil {
		return scores, st, err
	}
	st.Seconds = max(st.Seconds, scores.Seconds)
	if hash := r.Hash(StepScore, facts...); !e.scored[hash] {
		e.scored[hash] = true
		e.record.Scores = append(e.record.Scores, describeScores(e.names[r.denseKey()], r, g, scores, st.Seconds))
	}
	return scores, st, nil
}

func (e *engine) time(ctx context.Context, p *pruning) ([]record.Timing, record.Stage, error) {
	if !e.peakTried && e.host.Peak != nil {
		e.peakTried = true
		if peak, err := e.host.Peak(); err == nil {
			e.peak = &peak
		} else {
			e.record.Warnings = append(e.record.Warnings, fmt.Sprintf("the machine's peak could not be measured: %v", err))
		}
	}
	dev := e.host.runner()
	facts := slices.Concat([]string{fmt.Sprint(dev.Workers())}, p.facts, e.fast)
	return timed(e, p.r, StepTime, facts, func() ([]record.Timing, error) {
		small, err := p.compacted(ctx)
		if err != nil {
			return nil, err
		}
		t := &Timer{Device: dev, Subject: p.g.subject, Feed: p.g.feed, Settings: p.r.Measure, Seed: e.plan.Seed, Peak: e.peak,
			Watcher: e.host.Telemetry}
		timings, err := t.Compare(ctx, p.g.subject.Model, small)
		return timings, tooLarge(err, "measure.batch")
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
