// Speed measures what make bench prints: how fast the dense forward, gradients,
// exact scoring and a compacted model are on this machine, on a BERT-base shape
// with random weights, each as a ratio to something measured in the same run.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"time"

	"optin/bench/measure"
	"optin/bench/model"
	"optin/bench/prune"
	"optin/kernels"
	"optin/kernels/count"
	"optin/kernels/cpu"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	threads := flag.Int("threads", 2, "workers")
	layers := flag.Int("layers", 12, "blocks of the model; fewer is quicker and shows the same ratios but for scoring's")
	neurons := flag.Int("neurons", 32, "neurons scored in every layer")
	probes := flag.Int("probes", 64, "probes that score all units")
	rounds := flag.Int("rounds", 5, "rounds of dense forward and peak product")
	flag.Parse()
	if err := run(ctx, *threads, *layers, *neurons, *probes, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "speed:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	ctx    context.Context
	dev    kernels.Device
	m      model.Model
	rounds int
}

func run(ctx context.Context, threads, layers, neurons, probes, rounds int) error {
	dev, err := cpu.New(cpu.Options{Threads: threads})
	if err != nil {
		return err
	}
	defer dev.Close()
	m, err := randomBERT(layers)
	if err != nil {
		return err
	}
	b := &bench{ctx, dev, m, rounds}
	fmt.Printf("%s\nBERT-base shape, %d layers, random weights\n\n", dev.Describe(), layers)
	if err := b.forward(); err != nil {
		return err
	}
	if err := b.backward(); err != nil {
		return err
	}
	if err := b.estimate(probes); err != nil {
		return err
	}
	if err := b.compacted(); err != nil {
		return err
	}
	// A device of its own: the peak of scoring is not to hold what the arenas of
	// other measurements have left.
	fresh, err := cpu.New(cpu.Options{Threads: threads})
	if err != nil {
		return err
	}
	defer fresh.Close()
	for _, w := range m.Weights() {
		dev.Forget(w)
	}
	b.dev = fresh
	return b.scoring(neurons)
}

// texts are random token ids of the given lengths, in micro-batches.
func texts(lengths []int, rows int) []*model.Input {
	rng := rand.New(rand.NewPCG(1, 1))
	var batches []*model.Input
	from := 0
	for _, to := range prune.Cut(lengths, rows) {
		var ids, types [][]int32
		for _, n := range lengths[from:to] {
			s := make([]int32, n)
			for i := range s {
				s[i] = rng.Int32N(vocabulary)
			}
			ids, types = append(ids, s), append(types, make([]int32, n))
		}
		batches = append(batches, model.Text(ids, types))
		from = to
	}
	return batches
}

func equal(n, length int) []int {
	lengths := make([]int, n)
	for i := range lengths {
		lengths[i] = length
	}
	return lengths
}

// seconds runs batches once through m.
func (b *bench) seconds(m model.Model, batches []*model.Input) (float64, error) {
	begin := time.Now()
	err := b.dev.Each(b.ctx, len(batches), func(ops kernels.Ops, i int) error {
		model.Forward(m, model.NewPass(ops, batches[i]), batches[i])
		return nil
	})
	return time.Since(begin).Seconds(), err
}

// forward is the dense forward against one large product, and a ragged batch
// against an even one.
func (b *bench) forward() error {
	even := texts(equal(32, 128), prune.MicroRows)
	rng := rand.New(rand.NewPCG(2, 2))
	lengths := make([]int, 64)
	for i := range lengths {
		lengths[i] = 8 + rng.IntN(121)
	}
	ragged := texts(lengths, prune.MicroRows)
	evenMACs := prune.CountMACs(b.m, prune.LengthsOf(even...)).Total()
	raggedMACs := prune.CountMACs(b.m, prune.LengthsOf(ragged...)).Total()
	var peak, evenRate, raggedRate float64
	for round := range b.rounds + 1 {
		g, err := cpu.MeasurePeak(b.dev.Workers())
		if err != nil {
			return err
		}
		s, err := b.seconds(b.m, even)
		if err != nil {
			return err
		}
		r, err := b.seconds(b.m, ragged)
		if err != nil {
			return err
		}
		if round == 0 {
			continue // packs the weights
		}
		peak = max(peak, g)
		evenRate = max(evenRate, 2e-9*float64(evenMACs)/s)
		raggedRate = max(raggedRate, 2e-9*float64(raggedMACs)/r)
	}
	fmt.Printf("dense forward, 32 x 128 tokens   %7.1f GFLOP/s of %.1f that oneDNN reaches on 4096 x 768 x 3072: %.1f %% (want 75, aim 90)\n", evenRate, peak, 100*evenRate/peak)
	fmt.Printf("ragged batch, 8 to 128 tokens    %7.1f GFLOP/s on valid tokens: %.1f %% of the even batch's\n\n", raggedRate, 100*raggedRate/evenRate)
	return nil
}

// compacted is a model with half of the encoder's MACs, uneven per layer,
// against the dense one.
func (b *bench) compacted() error {
	batches := texts(equal(32, 128), prune.MicroRows)
	costs := prune.CountMACs(b.m, prune.LengthsOf(batches...))
	scores := prune.Random(b.m, 1)
	for s, site := range b.m.Sites() {
		for u := range scores[s] {
			scores[s][u] += 0.4 * float64(site.Layer%3) // uneven
		}
	}
	mask, err := prune.Additive(b.m.Sites(), scores, costs, prune.Budget{Keep: 0.5, MinHeads: 1, MinNeurons: 1})
	if err != nil {
		return err
	}
	small, err := prune.Compact(b.m, mask)
	if err != nil {
		return err
	}
	time := func(m model.Model) func() error {
		return func() error { _, err := b.seconds(m, batches); return err }
	}
	o := measure.DefaultOptions()
	o.MinSamples, o.Precision = 10, 0.02
	got, err := measure.Interleave(b.ctx, []measure.Case{{Name: "dense", Func: time(b.m), Work: 32}, {Name: "compacted", Func: time(small), Work: 32}}, o)
	if err != nil {
		return err
	}
	fmt.Printf("compacted, keep 0.5, batch 32     %v times as fast as dense (want 1.8)\n", got.Timings[1].Speedup)
	fmt.Printf("  neurons per layer %v\n\n", small.Config().NeuronsPerLayer)
	for _, w := range small.Weights() {
		b.dev.Forget(w)
	}
	return nil
}

// scoring is the mean cost of a neuron against a dense forward of the same
// batch. What is done once for all neurons of a layer cancels in the difference
// of two runs.
func (b *bench) scoring(neurons int) error {
	batches := texts(equal(32, 40), prune.MicroRows)
	const few = 4
	trajectory := func(n int) (float64, error) {
		o := prune.DefaultOptions()
		o.Units = func(s model.Site) int {
			if s.Kind == model.Heads {
				return 0
			}
			return n
		}
		begin := time.Now()
		_, err := prune.Trajectory(b.ctx, b.dev, b.m, batches, o, nil)
		return time.Since(begin).Seconds(), err
	}
	if _, err := trajectory(few); err != nil { // warm up
		return err
	}
	var forward []float64
	// The dense forward is cut so that every worker has as much to do.
	share := texts(equal(32, 40), 32*40/(2*b.dev.Workers()))
	dense := func() error {
		for range b.rounds {
			s, err := b.seconds(b.m, share)
			if err != nil {
				return err
			}
			forward = append(forward, s)
		}
		return nil
	}
	if err := dense(); err != nil {
		return err
	}
	short, err := trajectory(few)
	if err != nil {
		return err
	}
	if err := dense(); err != nil {
		return err
	}
	b.dev.ResetPeak()
	watch := measure.WatchMemory(measure.Foreign{})
	before := b.dev.Tally()
	long, err := trajectory(few + neurons)
	if err != nil {
		return err
	}
	memory := watch.Stop()
	tally := b.dev.Tally().Sub(before)
	if err := dense(); err != nil {
		return err
	}
	layers := b.m.Config().Layers
	cost := (long - short) / float64(layers*neurons)
	one := measure.Median(forward)
	fmt.Printf("exact scoring, 32 x 40 tokens    %.3f dense forwards per neuron, losses included, over %d neurons in each of %d layers (want 0.6; 0.535 by MACs)\n",
		cost/one.Value, neurons, layers)
	fmt.Printf("  dense forward %.0f ms, a neuron %.0f ms; %.0f GFLOP/s executed while scoring\n",
		1e3*one.Value, 1e3*cost, 2e-9*float64(tally.MACs+tally.LossMACs)/long)
	return b.memory(batches, memory)
}

// memory compares the peak of scoring with what it should be: weights, stored
// block outputs, and one variant micro-batch per worker.
func (b *bench) memory(batches []*model.Input, process measure.Memory) error {
	c := b.m.Config()
	weights := 4 * b.m.Params().Count()
	stored := int64(4*2*c.Layers*c.Hidden) * prune.LengthsOf(batches...).Tokens
	micro, err := microBytes(b.ctx, b.m, batches[0])
	if err != nil {
		return err
	}
	want := weights + stored + int64(b.dev.Workers())*micro
	got := b.dev.PeakBytes()
	const mib = 1 << 20
	fmt.Printf("peak memory of scoring           %.0f MiB of tensors and weights; %.2f of weights %.0f + block outputs %.0f + micro-batches %d x %.0f (want at most 1.2)\n",
		float64(got)/mib, float64(got)/float64(want), float64(weights)/mib, float64(stored)/mib, b.dev.Workers(), float64(micro)/mib)
	fmt.Printf("  whole process %.0f MiB\n", float64(process.PeakBytes)/mib)
	return nil
}

// microBytes is the most that one variant micro-batch takes on its way through
// a block, as an interpreter without data counts it, weights apart.
func microBytes(ctx context.Context, m model.Model, in *model.Input) (int64, error) {
	d := count.New()
	defer d.Close()
	err := d.One(ctx, func(ops kernels.Ops) error {
		x := ops.New(kernels.F32, in.Seq.Rows(), m.Config().Hidden)
		m.Block(model.NewPass(ops, in), 0, x)
		return nil
	})
	return d.PeakBytes() - 4*m.LayerValues(0), err
}
