package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"time"

	"optin/bench/model"
	"optin/bench/model/checkpoint"
	"optin/bench/progress"
	"optin/bench/record"
	"optin/bench/task"
	"optin/bench/train"
	"optin/kernels"
)

// The files of a training's output folder.
const (
	trainedModel   = "model"      // the Hugging Face folder
	checkpointFile = "checkpoint" // to go on from
	historyFile    = "loss.csv"   // every step
	TrainingFile   = "train.json" // the record
)

const (
	saidEvery = 30 * time.Second // between lines where no bar is shown
	averaged  = 50               // steps whose mean loss is shown
)

// Interrupted says that a training was stopped, and where it goes on.
type Interrupted struct {
	Step, Steps int
	Checkpoint  string
}

func (i *Interrupted) Error() string {
	return fmt.Sprintf("stopped after step %d of %d; %s holds all that is needed: the same command with --resume goes on from there", i.Step, i.Steps, i.Checkpoint)
}

// training is one execution of a training file.
type training struct {
	host    *Host
	plan    *Training
	task    *task.Task
	start   *train.Start
	encoder *task.Encoder
	lesson  *lesson
	teacher *Subject // nil: none
	subject *Subject // the model as it is, with its task
	trainer *train.Trainer
	facts   map[string]string
	unlock  func() // the output folder

	record *record.Training
	done   behind
	saved  int // step of the checkpoint, or noCheckpoint
	pace   pace
	bar    *progress.Bar
	said   time.Time // when the last line was shown
}

// noCheckpoint says that this training has none.
const noCheckpoint = -1

// behind is what a checkpoint keeps of the steps behind it.
type behind struct {
	History     history
	Evaluations []record.TrainingEvaluation
	Evaluated   int // step up to which all evaluations that were due are done
}

// pace is what has been measured of the speed.
type pace struct {
	steps, examples      int
	seconds, macs        float64 // of steps
	forward, forwardMACs float64 // seconds and MACs of evaluations

	begun time.Time // the present step
	tally kernels.Tally
}

func (p *pace) start(dev kernels.Device) { p.begun, p.tally = time.Now(), dev.Tally() }

func (p *pace) stop(dev kernels.Device, examples int) {
	spent := dev.Tally().Sub(p.tally)
	p.steps++
	p.examples += examples
	p.seconds += time.Since(p.begun).Seconds()
	p.macs += float64(spent.MACs + spent.LossMACs)
}

// Train trains a model as a file says, writes it to the output folder, reads it
// back and evaluates it. With resume it goes on from the folder's checkpoint, and
// where the same training is finished returns its record. When ctx is done it
// writes a checkpoint and returns *Interrupted.
func (h *Host) Train(ctx context.Context, p *Training, resume bool) (*record.Training, error) {
	t := &training{host: h, plan: p, saved: noCheckpoint}
	defer t.close()
	if err := t.open(ctx); err != nil {
		return nil, err
	}
	finished, err := t.resume(ctx, resume)
	if err != nil || finished != nil {
		return finished, err
	}
	err = t.run(ctx)
	if err == nil {
		err = t.finish(ctx)
	}
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil, t.interrupt(ctx)
	}
	if err != nil {
		return nil, t.explain(err)
	}
	return t.record, nil
}

func (t *training) close() {
	if t.unlock != nil {
		defer t.unlock()
	}
	if t.trainer != nil {
		t.trainer.Close()
	}
	if t.teacher != nil {
		t.host.forget(t.teacher.Model)
		t.teacher.Close()
	}
	if t.start != nil {
		t.start.Close()
	}
}

// path is a file of the output folder.
func (t *training) path(name string) string { return filepath.Join(t.plan.Output, name) }

// resume goes on from the checkpoint, or makes sure that none is lost. It returns
// the record of a training that is finished.
func (t *training) resume(ctx context.Context, wanted bool) (finished *record.Training, err error) {
	path := t.path(checkpointFile)
	if !wanted {
		if _, err := os.Stat(path); err == nil {
			return nil, fmt.Errorf("%s is the checkpoint of a training that was stopped: add --resume to go on from there, or remove it, or choose another output", path)
		}
		return nil, nil
	}
	kept, note, err := t.trainer.Resume(ctx, path, t.facts)
	if errors.Is(err, fs.ErrNotExist) {
		return t.finished()
	}
	if err != nil {
		return nil, err
	}
	if note != "" {
		t.host.logf("%s", note)
		t.record.Notes = append(t.record.Notes, note)
	}
	err = json.Unmarshal(kept, &t.done)
	if err == nil && len(t.done.History) != t.trainer.Done() {
		err = fmt.Errorf("%d of %d are there", len(t.done.History), t.trainer.Done())
	}
	if err != nil {
		return nil, fmt.Errorf("%s holds no steps that can be read (%w): it is of another version of the program; remove it, and start without --resume", path, err)
	}
	t.saved = t.trainer.Done()
	t.host.logf("%s: going on after step %d of %d", path, t.saved, t.trainer.Steps())
	return nil, nil
}

// finished returns the record of this training where it was done before; nil
// where nothing was done. A model that something else was trained to is not lost.
func (t *training) finished() (*record.Training, error) {
	path := t.path(TrainingFile)
	old, err := record.OpenTraining(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.host.logf("%s: there is no checkpoint yet: starting from the beginning", t.path(checkpointFile))
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w; start without --resume to replace it", err)
	}
	if !maps.Equal(old.Facts, t.facts) {
		return nil, fmt.Errorf("%s is of another training, which is finished: choose another output, or start without --resume to replace it", path)
	}
	if _, err := os.Stat(filepath.Join(t.path(trainedModel), model.ConfigFile)); err != nil {
		return nil, fmt.Errorf("%s is of a training that is finished, but its model is gone (%w): start without --resume to train it again", path, err)
	}
	t.host.logf("%s: this training is finished", path)
	return old, nil
}

// save writes a checkpoint, and the steps so far for people.
func (t *training) save(ctx context.Context) error {
	kept, err := json.Marshal(t.done)
	if err != nil {
		return err
	}
	if err := t.trainer.Save(ctx, t.path(checkpointFile), t.facts, kept); err != nil {
		return err
	}
	t.saved = t.trainer.Done()
	return t.done.History.save(t.path(historyFile))
}

// run trains to the end.
func (t *training) run(ctx context.Context) error {
	total := t.trainer.Steps()
	t.bar = t.host.Progress.Stage("train", total)
	defer t.bar.Done()
	t.bar.Add(t.trainer.Done())
	t.host.logf("%s: %d examples, %d steps, %d of them per epoch", t.plan.Name, t.lesson.Len(), total, t.trainer.PerEpoch())
	err := t.evaluateIfDue(ctx) // where the last start was stopped before it could
	if err == nil {
		t.said = time.Now()
		t.pace.start(t.host.Device)
		err = t.trainer.Run(ctx, func(p train.Point) error { return t.step(ctx, p) })
	}
	return err
}

// step notes what a step did, and does what is due behind it.
func (t *training) step(ctx context.Context, p train.Point) error {
	t.pace.stop(t.host.Device, p.Examples)
	t.done.History = append(t.done.History, p)
	t.say(p)
	err := t.after(ctx, p.Step)
	t.pace.start(t.host.Device)
	return err
}

// say shows how far the training is: behind the bar, or where there is none, in a
// line now and then.
func (t *training) say(p train.Point) {
	line := fmt.Sprintf("epoch %.2f  loss %.4f  rate %.2g  %.0f examples/s",
		p.Epoch, t.done.History.recent(averaged), p.Rate, float64(t.pace.examples)/t.pace.seconds)
	t.bar.Add(1)
	t.bar.Note(line)
	if t.host.Progress == nil && time.Since(t.said) > saidEvery {
		t.host.logf("step %d of %d  %s", p.Step, t.trainer.Steps(), line)
		t.said = time.Now()
	}
}

// interrupt keeps what has been done.
func (t *training) interrupt(ctx context.Context) error {
	if err := t.save(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("stopped after step %d, but %w", t.trainer.Done(), err)
	}
	return &Interrupted{t.trainer.Done(), t.trainer.Steps(), t.path(checkpointFile)}
}

// after does what is due behind a step.
func (t *training) after(ctx context.Context, step int) error {
	if err := t.evaluateIfDue(ctx); err != nil {
		return err
	}
	if every := t.plan.Upkeep.SaveEvery; every > 0 && step%every == 0 && step < t.trainer.Steps() {
		return t.save(ctx)
	}
	return nil
}

// evaluateIfDue evaluates where a multiple of eval_every has been passed; at the
// end the written model is evaluated instead.
func (t *training) evaluateIfDue(ctx context.Context) error {
	every := t.plan.Upkeep.EvalEvery * float64(t.trainer.PerEpoch())
	step := t.trainer.Done()
	passed := func(step int) float64 { return math.Floor(float64(step)/every + 1e-9) }
	if every == 0 || step == t.trainer.Steps() || passed(step) == passed(t.done.Evaluated) {
		return nil
	}
	return t.evaluate(ctx, step)
}

// explain adds to an error where the training goes on when its cause is gone.
func (t *training) explain(err error) error {
	if errors.Is(err, kernels.ErrOutOfMemory) {
		err = fmt.Errorf("%w: set rows lower (it is %d now) or train.lanes, or train.recompute = true", err, t.rows())
	}
	if t.saved == noCheckpoint {
		return err
	}
	if _, ok := errors.AsType[*train.Diverged](err); ok {
		return fmt.Errorf("%w; then remove %s, which holds step %d and leads here again, and start without --resume", err, t.path(checkpointFile), t.saved)
	}
	return fmt.Errorf("%w; %s holds step %d, from which --resume goes on", err, t.path(checkpointFile), t.saved)
}

// orWider adds to an error of writing a value that its type cannot hold which types
// can.
func orWider(err error) error {
	o, ok := errors.AsType[*checkpoint.OverflowError](err)
	switch {
	case !ok:
		return err
	case o.DType == checkpoint.F16:
		return fmt.Errorf("%w: set train.dtype to BF16 or F32, as with --set train.dtype=F32", err)
	}
	return fmt.Errorf("%w: set train.dtype to F32, as with --set train.dtype=F32", err)
}

// evaluate notes what the model reaches now.
func (t *training) evaluate(ctx context.Context, step int) error {
	e, err := t.reached(ctx, t.subject, t.trainer.Model(), t.plan.Upkeep.EvalSplit)
	if err != nil {
		return err
	}
	e.Step, t.done.Evaluated = step, step
	t.done.Evaluations = append(t.done.Evaluations, *e)
	t.host.logf("step %d of %d, epoch %.2f: loss %.4f, %s %s", step, t.trainer.Steps(), t.done.History[len(t.done.History)-1].Epoch,
		t.done.History.recent(averaged), e.Split, metricText(e.Metrics))
	return nil
}

// reached evaluates a model on a split, and times it.
func (t *training) reached(ctx context.Context, s *Subject, m model.Model, split string) (*record.TrainingEvaluation, error) {
	feed, err := s.OpenFeed(split, t.plan.Evaluate.Limit)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	e, err := feed.Evaluate(ctx, t.host.Device, m, nil)
	if err != nil {
		return nil, err
	}
	t.pace.forward += time.Since(begun).Seconds()
	t.pace.forwardMACs += float64(e.ExecutedMACs)
	return &record.TrainingEvaluation{Split: split, Metrics: metrics(e)}, nil
}

// finish writes the model, evaluates what was written, and ends the record.
func (t *training) finish(ctx context.Context) error {
	if t.saved != t.trainer.Done() { // writing the model may fail, and should not cost the training
		if err := t.save(ctx); err != nil {
			return err
		}
	}
	dir := t.path(trainedModel)
	metadata := map[string]string{"trained_by": "optin " + t.host.Version, "task": t.task.Name, "config_hash": t.plan.Hash()}
	if err := model.Save(t.trainer.Model(), dir, t.start.Dir, metadata); err != nil {
		return orWider(err)
	}
	written, err := OpenSubject(dir, t.plan.Task.Config())
	if err != nil {
		return fmt.Errorf("reading back: %w", err)
	}
	defer written.Close()
	defer t.host.forget(written.Model)
	t.record.Params = written.Model.Params().Count()
	for _, split := range t.splits() {
		e, err := t.reached(ctx, written, written.Model, split)
		if err != nil {
			return err
		}
		e.Step = t.trainer.Steps()
		t.record.Final = append(t.record.Final, *e)
		t.host.logf("%s, as read back: %s %s", dir, split, metricText(e.Metrics))
	}
	t.record.Evaluations = append(t.done.Evaluations, t.record.Final[0])
	t.record.Curve = t.done.History.curve()
	if p := t.pace; p.steps > 0 {
		t.record.Speed = &record.TrainingSpeed{Steps: p.steps, Seconds: p.seconds, Examples: float64(p.examples) / p.seconds,
			FLOPS: 2 * p.macs / p.seconds, ForwardFLOPS: 2 * p.forwardMACs / p.forward}
	}
	if err := record.SaveTraining(t.path(TrainingFile), t.record); err != nil {
		return err
	}
	return os.Remove(t.path(checkpointFile))
}
