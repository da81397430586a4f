package experiment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"optin/bench/disk"
	"optin/bench/measure"
	"optin/bench/model"
	"optin/bench/model/checkpoint"
	"optin/bench/record"
	"optin/bench/task"
	"optin/bench/train"
)

// The files of a training's output folder.
const (
	trainedModel   = "model"          // the Hugging Face folder
	checkpointFile = "checkpoint"     // to go on from
	historyFile    = "loss.csv"       // every step
	TrainingFile   = "train.json"     // the record
	saidEvery      = 30 * time.Second // between lines where no bar is shown
	averaged       = 50               // steps whose mean loss is shown
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

	record    *record.Training
	history   history
	evaluated int // step of the last evaluation
	pace      pace
}

// pace is what has been measured of the speed.
type pace struct {
	steps, examples      int
	seconds, macs        float64 // of steps
	forward, forwardMACs float64 // seconds and MACs of evaluations
}

// Train trains a model as a file says, writes it to the output folder, reads it
// back and evaluates it. With resume it goes on from the folder's checkpoint, if
// there is one. When ctx is done it writes a checkpoint and returns *Interrupted.
func (h *Host) Train(ctx context.Context, p *Training, resume bool) (*record.Training, error) {
	t := &training{host: h, plan: p}
	defer t.close()
	if err := t.open(ctx); err != nil {
		return nil, err
	}
	if err := t.resume(ctx, resume); err != nil {
		return nil, err
	}
	if err := t.run(ctx); err != nil {
		return nil, err
	}
	if err := t.finish(ctx); err != nil {
		return nil, err
	}
	return t.record, nil
}

func (t *training) close() {
	if t.trainer != nil {
		t.trainer.Close()
	}
	if t.teacher != nil {
		forget(t.host.Device, t.teacher.Model)
		t.teacher.Close()
	}
	if t.start != nil {
		t.start.Close()
	}
}

// path is a file of the output folder.
func (t *training) path(name string) string { return filepath.Join(t.plan.Output, name) }

// open gets everything ready, so that what is missing is found before any step.
func (t *training) open(ctx context.Context) error {
	p := t.plan
	if err := disk.MakeFolder(p.Output); err != nil {
		return fmt.Errorf("output folder (key output): %w", err)
	}
	if err := model.MakeFolder(t.path(trainedModel), p.Model.Dir()); err != nil {
		return err
	}
	var err error
	if t.task, err = task.Open(p.Task.Config()); err != nil {
		return err
	}
	t.start, err = train.OpenStart(train.Opening{
		Dir: p.Model.Dir(), Random: p.Model.Init == "random", Seed: p.Seed, Spread: p.Model.Spread, DType: checkpoint.DType(p.Upkeep.DType),
		Labels: t.task.Labels, Regression: t.task.Regression,
		Fits: func(outputs []string) error { _, err := t.task.MapLabels(outputs); return err },
	})
	if err != nil {
		return err
	}
	for _, note := range t.start.Notes {
		t.host.logf("%s: %s", p.Model.Dir(), note)
	}
	if t.encoder, err = task.OpenEncoder(t.start.Dir, t.task, TaskInputs(t.start.Config)); err != nil {
		return err
	}
	if t.lesson, err = openLesson(t.task, t.encoder, t.start.Config, p.Upkeep.Samples); err != nil {
		return err
	}
	if err := t.openTeacher(); err != nil {
		return err
	}
	if err := t.openTrainer(ctx); err != nil {
		return fmt.Errorf("%s: %w", p.File, err)
	}
	return t.describe()
}

func (t *training) openTeacher() (err error) {
	if t.plan.Distill.Model == "" {
		return nil
	}
	if t.teacher, err = OpenSubject(t.plan.Distill.Model, t.plan.Task.Config()); err != nil {
		return fmt.Errorf("teacher (key distill.model): %w", err)
	}
	return nil
}

func (t *training) openTrainer(ctx context.Context) (err error) {
	c := t.start.Config
	job := train.Job{Start: t.start, Data: t.lesson, Settings: t.plan.Settings}
	if t.teacher != nil {
		job.Teacher = t.teacher.Model
	}
	if mask, special, ok := t.encoder.HiddenToken(); ok {
		job.Vocabulary = &train.Vocabulary{Size: c.Vocab, Mask: mask, Special: special}
	}
	if !c.Text() {
		if job.Black, err = black(t.encoder, c); err != nil {
			return err
		}
	}
	if t.trainer, err = train.New(ctx, t.host.Device, job); err != nil {
		return err
	}
	t.subject = &Subject{Name: t.plan.Name, Path: t.start.Dir, Model: t.trainer.Model(), Task: t.task, Encoder: t.encoder,
		close: func() error { return nil }, feeds: map[string]*Feed{}}
	for _, split := range []string{t.plan.Upkeep.EvalSplit, t.finalSplit()} {
		if _, err := t.subject.OpenFeed(split, t.plan.Evaluate.Limit); err != nil {
			return fmt.Errorf("evaluation: %w", err)
		}
	}
	return nil
}

// finalSplit is the split that the written model is evaluated on.
func (t *training) finalSplit() string {
	if t.plan.Evaluate.Split != "" {
		return t.plan.Evaluate.Split
	}
	return t.task.EvalSplit
}

// describe begins the record, and collects what the result depends on.
func (t *training) describe() error {
	p := t.plan
	prov := measure.NewProvenance(t.host.Version, t.host.Revision, time.Now())
	prov.Device, prov.Threads, prov.Libraries = t.host.Device.Describe(), t.host.Device.Workers(), t.host.Libraries
	prov.ConfigHash, prov.Seeds = p.Hash(), map[string]uint64{"seed": p.Seed}
	t.record = &record.Training{
		Name: p.Name, Config: p.Text, Overrides: p.Overrides, Provenance: prov,
		From: p.Model.Dir(), Model: t.path(trainedModel), Arch: t.start.Config.ModelType, Task: t.task.Name, Teacher: p.Distill.Model,
		Notes: append(t.start.Notes, t.lesson.data.Notes...), Examples: t.lesson.Len(), Steps: t.trainer.Steps(), Epochs: p.Settings.Epochs,
	}
	t.facts = p.facts()
	t.facts["training data"] = t.lesson.digest
	folder, err := digestFolder(t.start.Dir)
	if err != nil {
		return err
	}
	t.facts["model folder"] = folder
	if t.teacher != nil {
		t.facts["teacher"] = t.teacher.Digest
	}
	return nil
}

// resume goes on from the checkpoint, or makes sure that none is lost.
func (t *training) resume(ctx context.Context, wanted bool) error {
	path := t.path(checkpointFile)
	if !wanted {
		if _, err := os.Stat(path); err == nil {
			return fmt.Errorf("%s is the checkpoint of a training that was stopped: add --resume to go on from there, or remove it, or choose another output", path)
		}
		return nil
	}
	note, err := t.trainer.Resume(ctx, path, t.facts)
	if errors.Is(err, fs.ErrNotExist) {
		t.host.logf("%s: there is no checkpoint yet: starting from the beginning", path)
		return nil
	}
	if err != nil {
		return err
	}
	if note != "" {
		t.host.logf("%s", note)
		t.record.Notes = append(t.record.Notes, note)
	}
	t.evaluated = t.trainer.Done()
	if t.history, err = loadHistory(t.path(historyFile), t.trainer.Done()); err != nil {
		return err
	}
	t.host.logf("%s: going on after step %d of %d", path, t.trainer.Done(), t.trainer.Steps())
	return nil
}

// save writes the history and then the checkpoint, so that a checkpoint never
// knows more steps.
func (t *training) save(ctx context.Context) error {
	if err := t.history.save(t.path(historyFile)); err != nil {
		return err
	}
	return t.trainer.Save(ctx, t.path(checkpointFile), t.facts)
}

// run trains to the end.
func (t *training) run(ctx context.Context) error {
	total := t.trainer.Steps()
	bar := t.host.Progress.Stage("train", total)
	defer bar.Done()
	bar.Add(t.trainer.Done())
	t.host.logf("%s: %d examples, %d steps, %d of them per epoch", t.plan.Name, t.lesson.Len(), total, t.trainer.PerEpoch())
	begun, said, tally := time.Now(), time.Now(), t.host.Device.Tally()
	err := t.trainer.Run(ctx, func(p train.Point) error {
		spent := t.host.Device.Tally().Sub(tally)
		t.pace.steps++
		t.pace.examples += p.Examples
		t.pace.seconds += time.Since(begun).Seconds()
		t.pace.macs += float64(spent.MACs + spent.LossMACs)
		t.history = append(t.history, p)
		bar.Add(1)
		line := fmt.Sprintf("epoch %.2f  loss %.4f  rate %.2g  %.0f examples/s", p.Epoch, t.history.recent(averaged), p.Rate, float64(t.pace.examples)/t.pace.seconds)
		bar.Note(line)
		if t.host.Progress == nil && time.Since(said) > saidEvery {
			t.host.logf("step %d of %d  %s", p.Step, total, line)
			said = time.Now()
		}
		if err := t.after(ctx, p.Step); err != nil {
			return err
		}
		begun, tally = time.Now(), t.host.Device.Tally()
		return nil
	})
	if err == nil {
		return nil
	}
	if ctx.Err() == nil {
		return t.explain(err)
	}
	if err := t.save(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("stopped after step %d, but %w", t.trainer.Done(), err)
	}
	return &Interrupted{t.trainer.Done(), total, t.path(checkpointFile)}
}

// after does what is due behind a step.
func (t *training) after(ctx context.Context, step int) error {
	if every := t.plan.Upkeep.EvalEvery * float64(t.trainer.PerEpoch()); every > 0 && step < t.trainer.Steps() &&
		math.Floor(float64(step)/every+1e-9) > math.Floor(float64(t.evaluated)/every+1e-9) {
		if err := t.evaluate(ctx, step); err != nil {
			return err
		}
	}
	if every := t.plan.Upkeep.SaveEvery; every > 0 && step%every == 0 && step < t.trainer.Steps() {
		return t.save(ctx)
	}
	return nil
}

// explain adds to the error of a step where the last good state is.
func (t *training) explain(err error) error {
	if _, missing := os.Stat(t.path(checkpointFile)); missing != nil {
		return err
	}
	return fmt.Errorf("%w; %s is of an earlier step", err, t.path(checkpointFile))
}

// evaluate notes what the model reaches now.
func (t *training) evaluate(ctx context.Context, step int) error {
	e, err := t.reached(ctx, t.subject, t.trainer.Model(), t.plan.Upkeep.EvalSplit)
	if err != nil {
		return err
	}
	e.Step, t.evaluated = step, step
	t.record.Evaluations = append(t.record.Evaluations, *e)
	t.host.logf("step %d of %d, epoch %.2f: loss %.4f, %s %s", step, t.trainer.Steps(), t.history[len(t.history)-1].Epoch,
		t.history.recent(averaged), e.Split, metricText(e.Metrics))
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
	if err := t.save(ctx); err != nil { // writing the model may fail, and should not cost the training
		return err
	}
	dir := t.path(trainedModel)
	metadata := map[string]string{"trained_by": "optin " + t.host.Version, "task": t.task.Name, "config_hash": t.plan.Hash()}
	if err := model.Save(t.trainer.Model(), dir, t.start.Dir, metadata); err != nil {
		return err
	}
	written, err := OpenSubject(dir, t.plan.Task.Config())
	if err != nil {
		return fmt.Errorf("reading back: %w", err)
	}
	defer written.Close()
	defer forget(t.host.Device, written.Model)
	t.record.Params = written.Model.Params().Count()
	splits := []string{t.plan.Upkeep.EvalSplit}
	if final := t.finalSplit(); final != splits[0] {
		splits = append(splits, final)
	}
	for _, split := range splits {
		e, err := t.reached(ctx, written, written.Model, split)
		if err != nil {
			return err
		}
		e.Step = t.trainer.Steps()
		t.record.Final = append(t.record.Final, *e)
		t.host.logf("%s, as read back: %s %s", dir, split, metricText(e.Metrics))
	}
	t.record.Evaluations = append(t.record.Evaluations, t.record.Final[0])
	t.record.Curve = t.history.curve()
	if p := t.pace; p.steps > 0 {
		t.record.Speed = &record.TrainingSpeed{Steps: p.steps, Seconds: p.seconds, Examples: float64(p.examples) / p.seconds,
			FLOPS: 2 * p.macs / p.seconds, ForwardFLOPS: 2 * p.forwardMACs / p.forward}
	}
	if err := record.SaveTraining(t.path(TrainingFile), t.record); err != nil {
		return err
	}
	return os.Remove(t.path(checkpointFile))
}
