package prune

import (
	"context"
	"fmt"
	"math"

	"optin/bench/model"
	"optin/kernels"
	"optin/kernels/grad"
)

// MaskGradients differentiates the task's loss of every example with respect to
// all mask variables: cross-entropy, or the squared error of a regression head.
// targets has, by batch and example, the class or the value. The result's rows
// are the examples in order, whatever worker ran them.
//
// Blocks run twice, once to have the input of each and once, from the last to
// the first, on a tape, so that a worker holds one block's activations.
//
// progress, if not nil, is called with the number of examples just dealt with.
// The device must have derivatives.
func MaskGradients(ctx context.Context, dev kernels.Device, m model.Model, batches []*model.Input, targets [][]float64, progress func(examples int)) (*Gradients, error) {
	if err := checkBatches(m, batches); err != nil {
		return nil, err
	}
	if err := checkTargets(m, batches, targets); err != nil {
		return nil, err
	}
	g := &Gradients{Offsets: []int{0}}
	for _, site := range m.Sites() {
		g.Offsets = append(g.Offsets, g.columns()+site.Units)
	}
	examples := 0
	var first []int
	for _, in := range batches {
		first = append(first, examples)
		examples += in.Examples()
	}
	g.Values = make([]float32, examples*g.columns())
	err := dev.Each(ctx, len(batches), func(ops kernels.Ops, b int) error {
		tape, err := grad.New(ops)
		if err != nil {
			return err
		}
		w := puller{m: m, in: batches[b], targets: targets[b], ops: ops, tape: tape, g: g, first: first[b]}
		w.run()
		if progress != nil {
			progress(batches[b].Examples())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return g, g.check()
}

func checkTargets(m model.Model, batches []*model.Input, targets [][]float64) error {
	c := m.Config()
	if len(targets) != len(batches) {
		return fmt.Errorf("targets of %d batches for %d batches", len(targets), len(batches))
	}
	for b, in := range batches {
		if len(targets[b]) != in.Examples() {
			return fmt.Errorf("batch %d: %d targets for %d examples", b, len(targets[b]), in.Examples())
		}
		for _, y := range targets[b] {
			if c.Regression && (math.IsNaN(y) || math.IsInf(y, 0)) {
				return fmt.Errorf("target %v: want a finite number", y)
			}
			if classes := len(c.Labels); !c.Regression && (y != math.Trunc(y) || !(y >= 0 && y < float64(classes))) {
				return fmt.Errorf("target %v: want a class from 0 to %d, for the model has %d labels", y, classes-1, classes)
			}
		}
	}
	return nil
}

// puller differentiates one batch.
type puller struct {
	m       model.Model
	in      *model.Input
	targets []float64
	ops     kernels.Ops
	tape    *grad.Tape
	g       *Gradients
	first   int // row of g of the batch's first example
}

func (w *puller) run() {
	p := model.NewPass(w.ops, w.in)
	layers := w.m.Config().Layers
	inputs := []*kernels.Tensor{w.m.Embed(p, w.in)}
	for l := range layers {
		out, _ := w.m.Block(p, l, inputs[l])
		inputs = append(inputs, out)
	}
	dx := w.ops.New(kernels.F32, inputs[0].Rows, inputs[0].Cols)
	recorded := &model.Pass{Ops: w.tape, Seq: p.Seq, KeyBias: p.KeyBias}
	w.head(recorded, inputs[layers], dx)
	for l := layers - 1; l >= 0; l-- {
		w.block(recorded, l, inputs[l], dx)
	}
}

// head writes the gradient of the loss to x, the output of the last block, to
// dx.
func (w *puller) head(p *model.Pass, x, dx *kernels.Tensor) {
	defer w.tape.Reset()
	logits := w.m.Head(p, x)
	values := make([]float64, logits.Len())
	w.ops.Download(logits, values)
	gradient := make([]float32, len(values))
	classes := logits.Cols
	for e, y := range w.targets {
		lossGradient(gradient[e*classes:(e+1)*classes], values[e*classes:(e+1)*classes], y, w.m.Config().Regression)
	}
	w.tape.Pull(grad.Pull{
		Results: []*kernels.Tensor{logits}, Gradients: []*kernels.Tensor{w.ops.Upload(logits.Rows, classes, gradient)},
		Inputs: []*kernels.Tensor{x}, Into: []*kernels.Tensor{dx},
	})
}

// lossGradient is the derivative of one example's loss with respect to its
// logits z: softmax(z) less 1 at the class y, or 2 (z - y).
func lossGradient(dst []float32, z []float64, y float64, regression bool) {
	if regression {
		dst[0] = float32(2 * (z[0] - y))
		return
	}
	largest, sum := math.Inf(-1), 0.0
	for _, v := range z {
		largest = math.Max(largest, v)
	}
	for _, v := range z {
		sum += math.Exp(v - largest)
	}
	for c, v := range z {
		p := math.Exp(v-largest) / sum
		if c == int(y) {
			p--
		}
		dst[c] = float32(p)
	}
}

// block replaces dx, the gradient to block l's output, by that to its input x,
// and enters the gradients to its masks into the result.
func (w *puller) block(p *model.Pass, l int, x, dx *kernels.Tensor) {
	mark := w.ops.Mark()
	defer w.ops.Release(mark)
	defer w.tape.Reset()
	p.Masks = make([]*kernels.Tensor, w.g.Sites())
	sums := make([]*kernels.Tensor, w.g.Sites())
	for s, site := range w.m.Sites() {
		if site.Layer == l { // taken before the recording begins, which they outlive
			sums[s] = w.ops.New(kernels.F64, w.in.Examples(), site.Units)
		}
	}
	pull := grad.Pull{Gradients: []*kernels.Tensor{dx}}
	for s, sum := range sums {
		if sum != nil {
			p.Masks[s] = w.tape.Mask(sum.Cols)
			pull.Masks = append(pull.Masks, grad.MaskSum{Mask: p.Masks[s], Dst: sum, Segments: w.in.Seq})
		}
	}
	out, _ := w.m.Block(p, l, x)
	pull.Results = []*kernels.Tensor{out}
	if l > 0 {
		pull.Inputs, pull.Into = []*kernels.Tensor{x}, []*kernels.Tensor{dx}
	}
	w.tape.Pull(pull)
	for s, sum := range sums {
		if sum != nil {
			w.enter(s, sum)
		}
	}
}

// enter copies the gradients [examples, units] to site s's masks.
func (w *puller) enter(s int, sum *kernels.Tensor) {
	values := make([]float64, sum.Len())
	w.ops.Download(sum, values)
	for e := range sum.Rows {
		dst := w.g.Site(w.first+e, s)
		for u := range dst {
			dst[u] = float32(values[e*sum.Cols+u])
		}
	}
}
