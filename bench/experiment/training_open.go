package experiment

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"optin/bench/disk"
	"optin/bench/measure"
	"optin/bench/model"
	"optin/bench/model/checkpoint"
	"optin/bench/prune"
	"optin/bench/record"
	"optin/bench/task"
	"optin/bench/train"
)

// open gets everything ready, so that what is missing is found before any step.
func (t *training) open(ctx context.Context) error {
	p := t.plan
	if err := disk.MakeFolder(p.Output); err != nil {
		return fmt.Errorf("output folder (key output): %w", err)
	}
	var err error
	if t.unlock, err = disk.Lock(p.Output); err != nil {
		return fmt.Errorf("output folder (key output): %w", err)
	}
	if err := model.MakeFolder(t.path(trainedModel), p.Model.Dir()); err != nil {
		return err
	}
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
	if err := t.openLesson(); err != nil {
		return err
	}
	if err := t.openTrainer(ctx); err != nil {
		return fmt.Errorf("%s: %w", p.File, err)
	}
	return t.describe()
}

// openLesson encodes the examples to train on, once all is found that is to be there
// beside them.
func (t *training) openLesson() error {
	if err := t.openTeacher(); err != nil {
		return t.ofTeacher(err)
	}
	data, err := t.task.Load(task.Train)
	if err != nil {
		return err
	}
	if err := t.findSplits(); err != nil {
		return err
	}
	if t.lesson, err = openLesson(data, t.encoder, t.start.Config, t.plan.Upkeep.Samples); err != nil {
		return err
	}
	if t.teacher == nil {
		return nil
	}
	return t.ofTeacher(t.lesson.check(t.teacher.Encoder))
}

func (t *training) openTeacher() (err error) {
	if t.plan.Distill.Model != "" {
		t.teacher, err = OpenSubject(t.plan.Distill.Model, t.plan.Task.Config())
	}
	return err
}

// ofTeacher says of an error, if it is one, that it is the teacher's.
func (t *training) ofTeacher(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("teacher (key distill.model): %s: %w", t.plan.Distill.Model, err)
}

func (t *training) openTrainer(ctx context.Context) (err error) {
	c := t.start.Config
	job := train.Job{Start: t.start, Data: t.lesson, Settings: t.plan.Settings}
	job.Settings.Rows = t.rows()
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
		Rows: t.rows(), close: func() error { return nil }, feeds: map[string]*Feed{}}
	for _, split := range t.splits() {
		if _, err := t.subject.OpenFeed(split, t.plan.Evaluate.Limit); err != nil {
			return fmt.Errorf("evaluation: %w", err)
		}
	}
	return nil
}

// findSplits reads what the training is evaluated on, which is encoded once there is
// a model: what is missing is found before the examples to train on are encoded.
func (t *training) findSplits() error {
	for _, split := range t.splits() {
		_, err := t.task.Load(split)
		if split != t.plan.Upkeep.EvalSplit {
			err = orDev(t.task, err)
		}
		if err != nil {
			return fmt.Errorf("evaluation: %w", err)
		}
	}
	return nil
}

// rows is how many packed rows a micro-batch aims at.
func (t *training) rows() int { return cmp.Or(t.plan.Rows, t.host.Rows, prune.MicroRows) }

// finalSplit is the split that the written model is evaluated on.
func (t *training) finalSplit() string {
	if t.plan.Evaluate.Split != "" {
		return t.plan.Evaluate.Split
	}
	return t.task.EvalSplit
}

// splits are those that the training is evaluated on: meanwhile, and the written
// model in the end.
func (t *training) splits() []string {
	splits := []string{t.plan.Upkeep.EvalSplit}
	if final := t.finalSplit(); final != splits[0] {
		splits = append(splits, final)
	}
	return splits
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
	if t.rows() != prune.MicroRows { // random draws are by micro-batch
		t.facts["rows"] = fmt.Sprint(t.rows())
	}
	t.facts["training data"] = t.lesson.digest
	folder, err := digestFolder(t.start.Dir)
	if err != nil {
		return err
	}
	t.facts["model folder"] = folder
	if t.teacher != nil {
		t.facts["teacher"] = t.teacher.Digest
	}
	t.record.Facts = t.facts
	return nil
}
