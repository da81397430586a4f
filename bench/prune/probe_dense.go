package prune

import (
	"context"
	"fmt"
	"sync"

	"optin/bench/model"
	"optin/kernels"
)

// prober takes the probes of one model. Workers only read it.
type prober struct {
	dev      kernels.Device
	m        model.Model
	mask     Mask // nil: everything is there
	batches  []*model.Input
	o        ProbeOptions
	signs    signs
	kept     int // probes whose rows are kept
	progress func(int)

	firstRow     []int // by micro-batch, of all packed rows
	firstExample []int

	hidden []tensors         // input of block k; [layers]: output of the last
	own    []tensors         // output of block k, its own units there; aliases hidden[k+1] where they are anyway
	grams  []*kernels.Tensor // by block [probes*2*rank, hidden]: b'Phi, a'Phi of each probe; nil for those that count for no block
	logits [][]float64       // by micro-batch

	mu      sync.Mutex
	workers map[kernels.Ops]*sweeper
}

func newProber(dev kernels.Device, m model.Model, mask Mask, batches []*model.Input, o ProbeOptions, progress func(int)) *prober {
	p := &prober{dev: dev, m: m, mask: mask, batches: batches, o: o, signs: signs{uint64(o.Seed)}, progress: progress,
		workers: map[kernels.Ops]*sweeper{}}
	rows, examples := 0, 0
	for _, in := range batches {
		p.firstRow, p.firstExample = append(p.firstRow, rows), append(p.firstExample, examples)
		rows, examples = rows+in.Seq.Rows(), examples+in.Examples()
	}
	if o.Rows > 0 {
		p.kept = min(o.Probes, max(2, o.Rows/p.rowsPerProbe()))
	}
	return p
}

// thinned says whether the mask has removed units of block k that its own output
// is compared with: any block's but the last, which counts for itself.
func (p *prober) thinned(k int) bool {
	if p.mask == nil || k == p.m.Config().Layers-1 || !p.counts(k) {
		return false
	}
	for s, site := range p.m.Sites() {
		if site.Layer != k {
			continue
		}
		for _, on := range p.mask[s] {
			if !on {
				return true
			}
		}
	}
	return false
}

// counts says whether the output of block k is compared: that of the first has
// no block before it.
func (p *prober) counts(k int) bool {
	return !p.o.NoMD && (k > 0 || p.m.Config().Layers == 1)
}

// run takes the samples through the model and keeps what is compared of it.
func (p *prober) run(ctx context.Context) error {
	c := p.m.Config()
	for k := range c.Layers + 1 {
		list, err := p.alloc(c.Hidden)
		if err != nil {
			return err
		}
		p.hidden = append(p.hidden, list)
		if k == 0 {
			continue
		}
		if p.thinned(k - 1) {
			if list, err = p.alloc(c.Hidden); err != nil {
				return err
			}
		}
		p.own = append(p.own, list)
	}
	p.logits = make([][]float64, len(p.batches))
	return p.dev.Each(ctx, len(p.batches), p.forward)
}

// alloc makes one tensor per micro-batch, with a row per packed row.
func (p *prober) alloc(cols int) (tensors, error) {
	list := make(tensors, len(p.batches))
	for b, in := range p.batches {
		t, err := p.dev.Alloc(kernels.F32, in.Seq.Rows(), cols)
		if err != nil {
			free(p.dev, list)
			return nil, err
		}
		list[b] = t
	}
	return list, nil
}

// forward runs micro-batch b.
func (p *prober) forward(ops kernels.Ops, b int) error {
	pass := model.NewPass(ops, p.batches[b])
	plain := *pass
	if p.mask != nil {
		pass.Masks = p.mask.upload(ops)
	}
	ops.Copy(p.hidden[0][b], p.m.Embed(pass, p.batches[b]))
	for k, x := range p.hidden[:len(p.hidden)-1] {
		mark := ops.Mark()
		out, _ := p.m.Block(pass, k, x[b])
		ops.Copy(p.hidden[k+1][b], out)
		if p.thinned(k) {
			out, _ = p.m.Block(&plain, k, x[b])
			ops.Copy(p.own[k][b], out)
		}
		ops.Release(mark)
	}
	logits := p.m.Head(pass, p.hidden[len(p.hidden)-1][b])
	p.logits[b] = make([]float64, logits.Len())
	ops.Download(logits, p.logits[b])
	return nil
}

// projected is how many probes go through one product.
const projected = 64

// dense is run, and the Grams of all blocks that are compared.
func (p *prober) dense(ctx context.Context) error {
	if err := p.run(ctx); err != nil {
		return fmt.Errorf("forward pass: %w", err)
	}
	p.grams = make([]*kernels.Tensor, len(p.own))
	for k := range p.grams {
		if !p.counts(k) {
			continue
		}
		gram, err := p.dev.Alloc(kernels.F32, p.o.Probes*2*p.o.Rank, p.m.Config().Hidden)
		if err != nil {
			return err
		}
		p.grams[k] = gram
	}
	return p.dev.Each(ctx, len(p.grams), p.project)
}

// project makes the Gram of block k: all probes' a'Phi and b'Phi, summed over
// micro-batches in order.
func (p *prober) project(ops kernels.Ops, k int) error {
	gram := p.grams[k]
	if gram == nil {
		return nil
	}
	ops.Copy(gram, ops.Upload(gram.Rows, gram.Cols, make([]float32, gram.Len())))
	var host []float32
	for from := 0; from < p.o.Probes; from += projected {
		to := min(from+projected, p.o.Probes)
		part := gram.Slice(2*p.o.Rank*from, 2*p.o.Rank*to)
		for b, x := range p.own[k] {
			mark := ops.Mark()
			f := p.factors(b, k, from, to)
			f.size, f.swapped = 1, true
			ops.GramAdd(&part, f.upload(ops, &host), ops.NormalizeRows(x))
			ops.Release(mark)
		}
	}
	return nil
}

// factors are the signs of micro-batch b at block k.
func (p *prober) factors(b, k, from, to int) factors {
	return factors{signs: p.signs, block: k, from: from, to: to, rank: p.o.Rank,
		first: p.firstRow[b], rows: p.batches[b].Seq.Rows()}
}

// units is how many the model has.
func (p *prober) units() (n int) {
	for _, s := range p.m.Sites() {
		n += s.Units
	}
	return n
}

// examples is how many samples there are.
func (p *prober) examples() int {
	last := len(p.batches) - 1
	return p.firstExample[last] + p.batches[last].Examples()
}

// rowsPerProbe is how many rows of G a probe has.
func (p *prober) rowsPerProbe() int {
	if p.o.Whole {
		return 1
	}
	return p.examples()
}

func (p *prober) close() {
	for k, list := range p.own {
		if list[0] != p.hidden[k+1][0] {
			free(p.dev, list)
		}
	}
	free(p.dev, p.hidden...)
	free(p.dev, p.grams)
}
