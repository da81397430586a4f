// Roofline prints how fast the CUDA kernels could be at best: for each kernel the bytes it
// must move and the operations it must do, counted where the work is, and the least time
// that an A100 and an H100 need for them by their data sheets. It needs no GPU.
//
// What is not in a floor: starting kernels (a few microseconds each, hidden where the queue
// is full), the copies between host and device, and that no kernel reaches a data sheet's
// rates: 80 to 90 % of the bytes and 70 to 90 % of the float32 operations are a good kernel.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/bench/roofline"
	"optin/kernels"
)

func main() {
	var p plan
	flag.IntVar(&p.sequences, "sequences", 32, "sequences of the batch")
	flag.IntVar(&p.length, "length", 128, "tokens of each")
	flag.IntVar(&p.layers, "layers", 12, "blocks of the model")
	flag.IntVar(&p.rows, "rows", 65536, "packed rows of a micro-batch of variants while scoring")
	flag.IntVar(&p.probes, "probes", 64, "backward passes of estimated scoring")
	flag.Parse()
	if err := p.run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "roofline:", err)
		os.Exit(1)
	}
}

// plan is what is to be run.
type plan struct{ sequences, length, layers, rows, probes int }

func (p plan) run(ctx context.Context, w io.Writer) error {
	if p.sequences < 1 || p.length < 1 || p.length > 512 || p.layers < 1 || p.rows < 1 || p.probes < 5 {
		return fmt.Errorf("%+v: want at least 1 of each, 5 probes, and lengths up to 512", p)
	}
	m, err := bert(p.layers)
	if err != nil {
		return err
	}
	for _, c := range roofline.Chips() {
		fmt.Fprintf(w, "%s  %.2f TB/s, TFLOP/s: %.1f float32, %.0f tf32, %.0f bf16, %.1f float64\n",
			c.Name, c.Bytes/1e12, c.Float32/1e12, c.TF32/1e12, c.BF16/1e12, c.Float64/1e12)
	}
	fmt.Fprintf(w, "BERT-base shape, %d layers; %d sequences of %d tokens\n", p.layers, p.sequences, p.length)
	for _, one := range []struct {
		name string
		run  func(context.Context, model.Model) (ledger, error)
	}{
		{"forward", p.forward},
		{"exact scoring of all units", p.exact},
		{fmt.Sprintf("estimated scoring, %d probes", p.probes), p.estimated},
	} {
		book, err := one.run(ctx, m)
		if err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		fmt.Fprintf(w, "\n%s\n", one.name)
		if err := book.print(w); err != nil {
			return err
		}
	}
	return nil
}

func (p plan) forward(ctx context.Context, m model.Model) (ledger, error) {
	book := ledger{}
	dev := roofline.NewTracer(book.enter)
	defer dev.Close()
	in := text(p.sequences, p.length)
	err := dev.One(ctx, func(ops kernels.Ops) error {
		model.Forward(m, model.NewPass(ops, in), in)
		return nil
	})
	return book, err
}

// exact scores all heads, and all neurons by way of two runs with some of them: what one
// more neuron costs does not depend on which it is. Numbers of neurons fill micro-batches.
func (p plan) exact(ctx context.Context, m model.Model) (ledger, error) {
	all := 0
	for _, s := range m.Sites() {
		if s.Kind != model.Heads {
			all = max(all, s.Units)
		}
	}
	step := min(max(1, p.rows/(p.sequences*p.length)), all/2)
	few, err := p.scored(ctx, m, step)
	if err != nil {
		return nil, err
	}
	more, err := p.scored(ctx, m, 2*step)
	if err != nil {
		return nil, err
	}
	times := float64(all-step) / float64(step) // from few to all
	sum := ledger{}
	sum.add(few, 1-times)
	sum.add(more, times)
	return sum, nil
}

// scored is exact scoring of all heads and of the given number of neurons of each layer.
func (p plan) scored(ctx context.Context, m model.Model, neurons int) (ledger, error) {
	book := ledger{}
	dev := roofline.NewTracer(book.enter)
	defer dev.Close()
	o := prune.DefaultOptions()
	o.Rows = p.rows
	o.Units = func(s model.Site) int {
		if s.Kind == model.Heads {
			return s.Units
		}
		return neurons
	}
	_, err := prune.Trajectory(ctx, dev, m, []*model.Input{text(p.sequences, p.length)}, o, nil)
	return book, err
}

// estimated is scoring of all units at once by backward passes.
func (p plan) estimated(ctx context.Context, m model.Model) (ledger, error) {
	book := ledger{}
	dev := roofline.NewTracer(book.enter)
	defer dev.Close()
	o := prune.DefaultProbeOptions()
	o.Probes, o.Rows = p.probes, 0
	_, err := prune.Probe(ctx, dev, m, []*model.Input{text(p.sequences, p.length)}, o, nil)
	return book, err
}
