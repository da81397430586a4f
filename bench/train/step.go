package train

import (
	"context"
	"fmt"
	"math"

	"optin/kernels"
)

// Next does one step. A step is never left half done: it takes no context.
func (t *Trainer) Next() (Point, error) {
	b := t.batch(t.done + 1)
	point := Point{Step: b.step, Epoch: float64(b.step) / float64(t.perEpoch), Examples: len(b.examples), Rate: t.s.rate(b.step, t.steps)}
	used, loss, err := t.gradients(b)
	if err != nil {
		return point, fmt.Errorf("step %d: %w", b.step, err)
	}
	point.Loss = loss
	if point.Norm, err = t.collect(used); err != nil {
		return point, err
	}
	bad := math.IsNaN(loss+point.Norm) || math.IsInf(loss+point.Norm, 0)
	if bad && b.step == 1 { // no rate has been at work
		return point, fmt.Errorf("step 1: the loss is %v and its gradient's norm %v before anything is learned: check the weights of the model and of its teacher, and the values of the training split",
			loss, point.Norm)
	}
	if bad {
		return point, t.diverged(b.step, "the loss is %v and its gradient's norm %v", loss, point.Norm)
	}
	if err := t.update(point, used); err != nil {
		return point, err
	}
	t.done++
	return point, nil
}

// Diverged says that a training has left the finite numbers. Its settings lead
// there again, from every checkpoint.
type Diverged struct {
	Step int // that showed it
	Rate float64
	Sign string // what it was seen by
}

func (d *Diverged) Error() string {
	return fmt.Sprintf("step %d: %s: lower rate, which is %g at this step, or lengthen warmup, or set clip", d.Step, d.Sign, d.Rate)
}

func (t *Trainer) diverged(step int, format string, values ...any) error {
	return &Diverged{step, t.s.rate(step, t.steps), fmt.Sprintf(format, values...)}
}

// batch is that of a step, counted from 1.
func (t *Trainer) batch(step int) *batch {
	epoch, at := (step-1)/t.perEpoch, (step-1)%t.perEpoch
	text := t.start.Config.Text()
	if t.epoch != epoch {
		t.order, t.epoch = t.s.batches(t.job.Data, epoch, text), epoch
	}
	b := &batch{step: step, examples: t.order[at], full: float64(step) > float64(t.steps)*(1-t.s.Full)}
	rows := make([]int, len(b.examples))
	for i, example := range b.examples {
		rows[i] = t.job.Data.Tokens(example)
		b.tokens += rows[i]
		if t.s.Tokens > 0 && !b.full { // pictures are of one length
			c := t.start.Config
			rows[i] += t.s.Tokens - (c.ImageHeight/c.Patch)*(c.ImageWidth/c.Patch)
		}
	}
	b.ends = cut(rows, t.s.Lanes, t.s.Rows)
	return b
}

// gradients runs a batch forward and back. It returns the number of lanes that
// hold gradients now, and the mean loss.
func (t *Trainer) gradients(b *batch) (used int, loss float64, err error) {
	used = min(t.s.Lanes, len(b.ends))
	losses := make([]float64, used)
	err = t.dev.Each(context.Background(), used, func(ops kernels.Ops, lane int) error {
		w, err := t.worker(ops)
		for m := lane; m < len(b.ends) && err == nil; m += t.s.Lanes {
			var share float64
			mark := ops.Mark()
			if share, err = t.microBatch(ops, w, b, m, t.lanes[lane]); err == nil {
				losses[lane] += share
				ops.Release(mark)
			}
		}
		return err
	})
	for _, share := range losses {
		loss += share
	}
	return used, loss, err
}

func (t *Trainer) microBatch(ops kernels.Ops, w *worker, b *batch, m int, into sums) (float64, error) {
	p, err := t.prepare(b, m)
	if err != nil {
		return 0, err
	}
	return t.backward(ops, w, p, b, into)
}

// collect adds the gradients of all lanes to the first one's, in their order,
// and returns the norm of the sum.
func (t *Trainer) collect(used int) (norm float64, err error) {
	v := t.vectors
	squares := make([]float64, len(v.layout.pieces))
	err = v.dev.Each(context.Background(), len(squares), func(ops kernels.Ops, i int) error {
		p := &v.layout.pieces[i]
		sum := p.cut(v.gradient[0])
		for _, lane := range v.gradient[1:used] {
			ops.(kernels.Backward).SumRows(sum, p.cut(lane))
		}
		square := ops.New(kernels.F64, 1, 1)
		ops.(kernels.Backward).SquaredNorm(square, sum)
		ops.Download(square, squares[i:i+1])
		return nil
	})
	total := 0.0
	for _, s := range squares {
		total += s
	}
	return math.Sqrt(total), err
}

// update takes the optimizer's step, moves the average and clears the gradients.
func (t *Trainer) update(point Point, used int) error {
	v := t.vectors
	clip := 1.0
	if t.s.Clip > 0 && point.Norm > t.s.Clip {
		clip = t.s.Clip / point.Norm
	}
	if err := t.orthogonal(point, clip); err != nil {
		return err
	}
	keep := t.keeps(point.Step)
	return v.dev.Each(context.Background(), len(v.layout.pieces), func(ops kernels.Ops, i int) error {
		p := &v.layout.pieces[i]
		adam := kernels.AdamWStep{Rate: point.Rate * p.factor, Beta1: t.s.Beta1, Beta2: t.s.Beta2, Eps: t.s.Eps, Gradient: clip, Step: point.Step}
		if p.decays {
			adam.Decay = t.s.Decay
		}
		back, w := ops.(kernels.Backward), p.cut(v.params)
		if !p.muon {
			m, n := p.cut(v.first), p.cut(v.second)
			back.AdamW(w, m, n, p.cut(v.gradient[0]), adam)
			v.round(ops, w, m, n)
		}
		if v.average != nil {
			a := p.cut(v.average)
			ops.Copy(a, ops.Add(back.Scale(a, keep), back.Scale(w, 1-keep)))
			v.round(ops, a)
		}
		for _, lane := range v.gradient[:used] {
			v.zero(ops, p, lane)
		}
		return nil
	})
}

// keeps is what the average keeps of itself at a step: less in the beginning, so
// that it soon forgets where the training started.
func (t *Trainer) keeps(step int) float64 {
	return min(t.s.Average, float64(step)/float64(step+10))
}
