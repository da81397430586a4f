package main

import (
	"fmt"
	"time"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/kernels"
	"optin/kernels/grad"
)

// blockTimes are the best times of one block on a micro-batch: what it computes,
// and its gradients to the input, without and with those to its weights.
type blockTimes struct{ forward, input, weights time.Duration }

// add sums the times of workers that ran at the same time.
func (t *blockTimes) add(u blockTimes) {
	t.forward += u.forward
	t.input += u.input
	t.weights += u.weights
}

// backward is the gradients of a block against its forward, on a full micro-batch
// of short texts for each worker.
func (b *bench) backward() error {
	in := texts(append(equal(12, 40), 32), prune.MicroRows)[0]
	times := make([]blockTimes, b.dev.Workers())
	err := b.dev.Each(b.ctx, len(times), func(ops kernels.Ops, i int) error {
		var err error
		times[i], err = b.timeBlock(ops, in)
		return err
	})
	if err != nil {
		return err
	}
	var sum blockTimes
	for _, t := range times {
		sum.add(t)
	}
	fmt.Printf("backward of a block, 512 rows     %.2f of its forward (input gradients), %.2f (with weights) (want 1.2 and 2.2)\n\n",
		sum.input.Seconds()/sum.forward.Seconds(), sum.weights.Seconds()/sum.forward.Seconds())
	return nil
}

// timeBlock times the first block on one worker: forward, and gradients of one
// recording, in turns.
func (b *bench) timeBlock(ops kernels.Ops, in *model.Input) (best blockTimes, err error) {
	tape, err := grad.New(ops)
	if err != nil {
		return best, err
	}
	sums := make(map[*kernels.Weight]*kernels.Tensor)
	defer func() {
		for _, t := range sums {
			b.dev.Free(t)
		}
	}()
	x := b.m.Embed(model.NewPass(ops, in), in)
	dx := ops.New(kernels.F32, x.Rows, x.Cols)
	y, _ := b.m.Block(model.NewPass(tape, in), 0, x)
	pull := grad.Pull{
		Results: []*kernels.Tensor{y}, Gradients: []*kernels.Tensor{x},
		Inputs: []*kernels.Tensor{x}, Into: []*kernels.Tensor{dx},
	}
	all := pull
	all.Weights = func(w *kernels.Weight) *kernels.Tensor {
		if sums[w] == nil && err == nil {
			sums[w], err = b.zero(w)
		}
		return sums[w]
	}
	pass := model.NewPass(ops, in)
	for range 4*b.rounds + 1 {
		mark := ops.Mark()
		now := blockTimes{
			forward: elapsed(func() { b.m.Block(pass, 0, x) }),
			input:   elapsed(func() { tape.Pull(pull) }),
			weights: elapsed(func() { tape.Pull(all) }),
		}
		ops.Release(mark)
		best = best.least(now)
	}
	tape.Reset()
	return best, err
}

// least is the smaller one of each time; those of no run yet are 0.
func (t blockTimes) least(u blockTimes) blockTimes {
	if t.forward == 0 {
		return u
	}
	return blockTimes{min(t.forward, u.forward), min(t.input, u.input), min(t.weights, u.weights)}
}

// zero is where the gradient of w is summed up.
func (b *bench) zero(w *kernels.Weight) (*kernels.Tensor, error) {
	t, err := b.dev.Alloc(kernels.F32, w.Rows, w.Cols)
	if err == nil {
		clear(t.F32)
	}
	return t, err
}

func elapsed(f func()) time.Duration {
	begin := time.Now()
	f()
	return time.Since(begin)
}
