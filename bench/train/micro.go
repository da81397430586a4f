package train

import (
	"fmt"
	"math/rand/v2"

	"optin/bench/model"
	"optin/bench/task"
	"optin/kernels"
)

// micro is a micro-batch, ready to run.
type micro struct {
	in       *model.Input
	examples int
	classes  int

	targets []float64 // [examples, classes], or [examples] of a regression
	teacher []float64 // the same of the teacher's logits; nil: none

	kept   []int32            // rows that stay after the embedding; nil: all
	seq    *kernels.Sequences // what they form
	rows   []int32            // that hold hidden tokens
	hidden []int32            // what stood there
}

// batch is one step's examples.
type batch struct {
	step     int
	examples []int
	ends     []int // of its micro-batches
	tokens   int   // of all texts: what the loss of hidden tokens is divided by
	full     bool  // pictures keep all patches
}

// prepare reads, varies and packs micro-batch m of b.
func (t *Trainer) prepare(b *batch, m int) (*micro, error) {
	from := 0
	if m > 0 {
		from = b.ends[m-1]
	}
	list := make([]task.Encoded, 0, b.ends[m]-from)
	for _, i := range b.examples[from:b.ends[m]] {
		e, err := t.job.Data.Example(i)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	p := &micro{examples: len(list), classes: len(t.start.Config.Labels)}
	if err := t.aim(p, list); err != nil {
		return nil, err
	}
	var err error
	if t.start.Config.Text() {
		err = t.prepareTexts(p, list, b, m)
	} else {
		t.preparePictures(p, list, b, m, from)
	}
	return p, err
}

// aim sets the targets.
func (t *Trainer) aim(p *micro, list []task.Encoded) error {
	p.targets = make([]float64, p.examples*p.classes)
	for i, e := range list {
		if t.start.Config.Regression {
			p.targets[i] = e.Target
			continue
		}
		if e.Label < 0 || e.Label >= p.classes {
			return fmt.Errorf("an example of the training split has no label that the model knows: label %d of %d", e.Label, p.classes)
		}
		target(p.targets[i*p.classes:(i+1)*p.classes], e.Label, t.s.Smoothing)
	}
	return nil
}

func (t *Trainer) prepareTexts(p *micro, list []task.Encoded, b *batch, m int) error {
	ids, types := make([][]int32, len(list)), make([][]int32, len(list))
	for i, e := range list {
		ids[i], types[i] = e.IDs, e.TypeIDs
	}
	p.in = model.Text(ids, types)
	if t.s.Mask > 0 {
		rng := stream(t.s.Seed, drawMask, uint64(b.step), uint64(m))
		p.rows, p.hidden = t.job.Vocabulary.hide(p.in.IDs, t.s.Mask, rng)
	}
	return model.CheckText(t.start.Config, p.in)
}

func (t *Trainer) preparePictures(p *micro, list []task.Encoded, b *batch, m, from int) {
	c := t.start.Config
	size := c.Channels * c.ImageHeight * c.ImageWidth
	pixels := make([]float32, len(list)*size)
	for i, e := range list {
		to := pixels[i*size : (i+1)*size]
		if t.s.Crop == 0 && !t.s.Flip {
			copy(to, e.Pixels)
			continue
		}
		t.pictures.vary(to, e.Pixels, t.s, stream(t.s.Seed, drawPicture, uint64(b.step), uint64(from+i)))
	}
	if t.s.Mixup > 0 {
		mixAll(pixels, p.targets, len(list), t.s.Mixup, stream(t.s.Seed, drawMixup, uint64(b.step), uint64(m)))
	}
	p.in = model.Images(c, pixels)
	if t.s.Tokens > 0 && !b.full {
		t.dropPatches(p, stream(t.s.Seed, drawPatches, uint64(b.step), uint64(m)))
	}
}

// dropPatches leaves every picture some of its patches.
func (t *Trainer) dropPatches(p *micro, rng *rand.Rand) {
	c := t.start.Config
	patches := (c.ImageHeight / c.Patch) * (c.ImageWidth / c.Patch)
	special := c.Tokens() - patches
	p.kept = t.pictures.keepPatches(p.in.Pixels, p.examples, special, c.Patch, t.s.Tokens, rng)
	lengths := make([]int, p.examples)
	for i := range lengths {
		lengths[i] = special + t.s.Tokens
	}
	p.seq = kernels.NewSequences(lengths...)
}
