package train

import (
	"fmt"

	"optin/bench/model"
	"optin/kernels"
	"optin/kernels/grad"
)

// worker is what one worker of the device keeps between its micro-batches.
type worker struct {
	tape *grad.Tape
	loss lossBuffers
}

// worker is that of ops, made at its first call.
func (t *Trainer) worker(ops kernels.Ops) (*worker, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w, ok := t.workers[ops]; ok {
		return w, nil
	}
	tape, err := grad.New(ops)
	if err != nil {
		return nil, err
	}
	w := &worker{tape: tape}
	t.workers[ops] = w
	return w, nil
}

// outputs are the ends of a pass, where losses are computed.
type outputs struct {
	logits *kernels.Tensor // [examples, classes]
	words  *kernels.Tensor // [hidden tokens, vocabulary]; nil: none are asked for
}

// embed runs a micro-batch up to the first block.
func (t *Trainer) embed(pass *model.Pass, p *micro) *kernels.Tensor {
	x := t.model.Embed(pass, p.in)
	if p.kept != nil {
		x = pass.Ops.Gather(x, pass.Ops.UploadInts(p.kept), x.Rows)
	}
	return x
}

// sequences are those of a micro-batch's rows in the blocks.
func (p *micro) sequences() *kernels.Sequences {
	if p.seq != nil {
		return p.seq
	}
	return p.in.Seq
}

// finish runs the heads.
func (t *Trainer) finish(pass *model.Pass, x *kernels.Tensor, p *micro) outputs {
	out := outputs{logits: t.model.Head(pass, x)}
	if t.words != nil && len(p.rows) > 0 {
		out.words = t.words.run(pass.Ops, x, p.rows)
	}
	return out
}

// backward runs micro-batch p forward and back on a worker, adds the gradients
// of all parameters to those of a lane and returns the loss, which is a share of
// the batch's.
func (t *Trainer) backward(ops kernels.Ops, w *worker, p *micro, b *batch, into sums) (float64, error) {
	if err := t.ask(ops, p); err != nil {
		return 0, err
	}
	defer w.tape.Reset()
	if t.s.Recompute {
		return t.backwardInBlocks(ops, w, p, b, into)
	}
	pass := model.NewPass(w.tape, p.in)
	x := t.embed(pass, p)
	pass.Seq = p.sequences()
	for l := range t.start.Config.Layers {
		x, _ = t.model.Block(pass, l, x)
	}
	out := t.finish(pass, x, p)
	loss, gradients := t.losses(ops, w, out, p, b)
	w.tape.Pull(grad.Pull{Results: out.list(), Gradients: gradients, Weights: into.of})
	return loss, nil
}

// list is the outputs that there are.
func (o outputs) list() []*kernels.Tensor {
	if o.words == nil {
		return []*kernels.Tensor{o.logits}
	}
	return []*kernels.Tensor{o.logits, o.words}
}

// backwardInBlocks does the same and keeps the blocks' inputs alone: each block
// runs a second time when its gradient has come.
func (t *Trainer) backwardInBlocks(ops kernels.Ops, w *worker, p *micro, b *batch, into sums) (float64, error) {
	layers := t.start.Config.Layers
	plain := model.NewPass(ops, p.in)
	xs := []*kernels.Tensor{t.embed(plain, p)}
	plain.Seq = p.sequences()
	for l := range layers {
		x, _ := t.model.Block(plain, l, xs[l])
		xs = append(xs, x)
	}
	dx := ops.New(kernels.F32, xs[0].Rows, xs[0].Cols)

	taped := func() *model.Pass {
		w.tape.Reset()
		pass := model.NewPass(w.tape, p.in)
		pass.Seq = p.sequences()
		return pass
	}
	out := t.finish(taped(), xs[layers], p)
	loss, gradients := t.losses(ops, w, out, p, b)
	w.tape.Pull(grad.Pull{Results: out.list(), Gradients: gradients, Weights: into.of,
		Inputs: []*kernels.Tensor{xs[layers]}, Into: []*kernels.Tensor{dx}})
	for l := layers - 1; l >= 0; l-- {
		y, _ := t.model.Block(taped(), l, xs[l])
		w.tape.Pull(grad.Pull{Results: []*kernels.Tensor{y}, Gradients: []*kernels.Tensor{dx}, Weights: into.of,
			Inputs: []*kernels.Tensor{xs[l]}, Into: []*kernels.Tensor{dx}})
	}
	w.tape.Reset()
	x := t.embed(model.NewPass(w.tape, p.in), p)
	w.tape.Pull(grad.Pull{Results: []*kernels.Tensor{x}, Gradients: []*kernels.Tensor{dx}, Weights: into.of})
	return loss, nil
}

// ask lets the teacher see the micro-batch.
func (t *Trainer) ask(ops kernels.Ops, p *micro) error {
	if t.s.Distill == 0 {
		return nil
	}
	mark := ops.Mark()
	defer ops.Release(mark)
	in, c := p.in, t.job.Teacher.Config()
	if c.Text() {
		if err := model.CheckText(c, in); err != nil {
			return fmt.Errorf("teacher: %w", err)
		}
	} else { // it may cut pictures into other patches
		in = model.Images(c, in.Pixels)
	}
	logits := model.Forward(t.job.Teacher, model.NewPass(ops, in), in)
	raw := make([]float64, logits.Len())
	ops.Download(logits, raw)
	p.teacher = make([]float64, len(raw))
	for i := range p.examples {
		for c, from := range t.teacherOutput {
			p.teacher[i*p.classes+c] = raw[i*p.classes+from]
		}
	}
	return nil
}

// sums are the gradients of a lane, by weight.
type sums map[*kernels.Weight]*kernels.Tensor

func (s sums) of(w *kernels.Weight) *kernels.Tensor { return s[w] }
