package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"optin/bench/model"
	"optin/kernels"
)

// Job is one training.
type Job struct {
	Start    *Start
	Data     Data
	Settings Settings

	Teacher    model.Model // to distil from; nil: none
	Vocabulary *Vocabulary // of texts, to hide tokens; nil: none are hidden
	Black      []float32   // the value of a black pixel by channel, to shift pictures
}

// Trainer trains one model on one device. Nothing else may run on the device
// during a call of its methods.
type Trainer struct {
	job   Job
	s     *Settings
	start *Start
	dev   kernels.Device

	vectors       *vectors
	model, result model.Model // live: the parameters as they are, and what is to be kept of them
	words         *words      // nil: hidden tokens are not asked for
	lanes         []sums
	pictures      pictures
	teacherOutput []int // the teacher's output for each of the model's

	perEpoch, steps int
	done            int
	epoch           int     // whose batches are in order, -1: none's
	order           [][]int // of that epoch

	mu      sync.Mutex
	workers map[kernels.Ops]*worker
}

// Point is what one step did.
type Point struct {
	Step     int     // from 1
	Epoch    float64 // passes over the data so far
	Examples int
	Loss     float64 // mean over the step's examples
	Rate     float64
	Norm     float64 // of the gradient, before it is clipped
}

// New gets a training ready.
func New(ctx context.Context, dev kernels.Device, job Job) (*Trainer, error) {
	c := job.Start.Config
	t := &Trainer{job: job, s: &job.Settings, start: job.Start, dev: dev, epoch: -1, workers: map[kernels.Ops]*worker{},
		pictures: pictures{c.Channels, c.ImageHeight, c.ImageWidth, job.Black}}
	if err := t.check(); err != nil {
		return nil, err
	}
	t.s.Lanes = min(t.s.Lanes, t.s.Batch, job.Data.Len()) // one without an example would cost its gradient's memory
	t.perEpoch = t.s.stepsPerEpoch(job.Data.Len())
	t.steps = max(1, int(math.Ceil(t.s.Epochs*float64(t.perEpoch)-1e-9)))
	if err := t.build(ctx); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// check refuses a job that does not fit together.
func (t *Trainer) check() error {
	c := t.start.Config
	if err := t.s.check(c.Text(), t.job.Teacher != nil); err != nil {
		return err
	}
	if t.job.Data.Len() == 0 {
		return errors.New("there are no examples to train on")
	}
	if steps := t.s.Epochs * float64(t.s.stepsPerEpoch(t.job.Data.Len())); steps > math.MaxInt32 {
		return fmt.Errorf("epochs is %v, which makes %.2g steps: want at most %d of them", t.s.Epochs, steps, math.MaxInt32)
	}
	if t.s.Mask > 0 && t.job.Vocabulary == nil {
		return errors.New("mask hides tokens, and the tokenizer has no [MASK]")
	}
	if patches := (c.ImageHeight / max(c.Patch, 1)) * (c.ImageWidth / max(c.Patch, 1)); t.s.Tokens > 0 && t.s.Tokens >= patches {
		return fmt.Errorf("tokens is %d, but a picture has %d patches: set it to less, or to 0 for all", t.s.Tokens, patches)
	}
	if size := min(c.ImageHeight, c.ImageWidth); !c.Text() && t.s.Crop >= size {
		return fmt.Errorf("crop is %d, which moves pictures of %d x %d pixels out of sight: set it to less than %d", t.s.Crop, c.ImageWidth, c.ImageHeight, size)
	}
	if t.s.Distill == 0 {
		return nil
	}
	var err error
	t.teacherOutput, err = matchTeacher(c, t.job.Teacher.Config())
	return err
}

// matchTeacher finds the teacher's output for each of the model's labels.
func matchTeacher(c, teacher *model.Config) ([]int, error) {
	differ := func(what string, a, b any) error {
		return fmt.Errorf("the teacher's %s is %v, the model's %v: give a teacher that takes the same inputs and has the same labels", what, b, a)
	}
	switch {
	case c.Text() != teacher.Text():
		return nil, differ("type", c.ModelType, teacher.ModelType)
	case c.Vocab != teacher.Vocab:
		return nil, differ("vocabulary size", c.Vocab, teacher.Vocab)
	case c.Channels != teacher.Channels || c.ImageHeight != teacher.ImageHeight || c.ImageWidth != teacher.ImageWidth:
		return nil, differ("picture size", []int{c.Channels, c.ImageHeight, c.ImageWidth}, []int{teacher.Channels, teacher.ImageHeight, teacher.ImageWidth})
	case c.Regression != teacher.Regression || len(c.Labels) != len(teacher.Labels):
		return nil, differ("number of labels", len(c.Labels), len(teacher.Labels))
	}
	outputs := make([]int, len(c.Labels))
	for i, name := range c.Labels {
		if outputs[i] = slices.Index(teacher.Labels, name); outputs[i] < 0 {
			return nil, fmt.Errorf("the teacher has no label %q: give one that was trained for the same task", name)
		}
	}
	return outputs, nil
}

// build puts the parameters on the device and binds the models to them.
func (t *Trainer) build(ctx context.Context) error {
	c := t.start.Config
	first, err := model.New(c, t.start.Params)
	if err != nil {
		return err
	}
	var params, extra []*model.Param
	for _, name := range first.Params().Names() {
		params = append(params, first.Params().Get(name))
	}
	if t.s.MaskWeight > 0 {
		extra = wordsParams(t.start)
	}
	all := append(params[:len(params):len(params)], extra...)
	layout := newLayout(t.s, c.Layers, all)
	if t.vectors, err = newVectors(ctx, t.dev, layout, t.s.Lanes, t.s.Average > 0, all); err != nil {
		return err
	}
	v := t.vectors
	origin := t.start.Params.Origin
	if t.model, err = model.New(c, model.NewParams(origin, v.live(v.params, params)...)); err != nil {
		return err
	}
	t.result = t.model
	if v.average != nil {
		if t.result, err = model.New(c, model.NewParams(origin, v.live(v.average, params)...)); err != nil {
			return err
		}
	}
	weights := t.model.Weights()
	if extra != nil {
		t.words = newWords(t.model, v.live(v.params, extra))
		weights = append(weights[:len(weights):len(weights)], t.words.weights()...)
	}
	for _, gradient := range v.gradient {
		lane := sums{}
		for _, w := range weights {
			if i, ok := layout.byName[w.Name]; ok {
				lane[w] = layout.slots[i].view(gradient, w.Rows, w.Cols)
			}
		}
		t.lanes = append(t.lanes, lane)
	}
	return nil
}

// Steps is the number of steps of the whole training, Done that of those behind
// it, PerEpoch that of one pass over the data.
func (t *Trainer) Steps() int    { return t.steps }
func (t *Trainer) Done() int     { return t.done }
func (t *Trainer) PerEpoch() int { return t.perEpoch }

// Model is what the training has come to: the average of the parameters if
// Settings ask for one, else the parameters. It changes with every step, and
// lives until Close.
func (t *Trainer) Model() model.Model { return t.result }

// Close gives back the device's memory.
func (t *Trainer) Close() {
	if t.vectors == nil {
		return
	}
	for _, m := range []model.Model{t.model, t.result, t.job.Teacher} {
		if m == nil {
			continue
		}
		for _, w := range m.Weights() {
			t.dev.Forget(w)
		}
	}
	t.vectors.free()
	t.vectors = nil
}

// Run trains to the end, and calls after behind every step, which may stop it by
// an error. When ctx is done it stops between two steps, with the error of ctx.
func (t *Trainer) Run(ctx context.Context, after func(Point) error) error {
	for t.done < t.steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		p, err := t.Next()
		if err != nil {
			return err
		}
		if err := after(p); err != nil {
			return err
		}
	}
	return nil
}
