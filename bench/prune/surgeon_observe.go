package prune

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"gonum.org/v1/gonum/mat"

	"optin/bench/model"
	"optin/kernels"
	"optin/kernels/grad"
)

// Survey operates on every site of m for the loss that p has probed, each down
// to the fewest units that b allows. Half the second derivative of the loss by a
// site's sum is had from the probes' cotangents there: the mean over probes of
// dS' dS, of which only what comes from later blocks counts (of the last block,
// what enters at its own output). p must have been taken on m with batches.
//
// Sites are operated on side by side, as many as there are workers. Numbers do not
// depend on how many. progress, if not nil, is called with the number of sites just
// done, from several goroutines.
func (p *Probes) Survey(ctx context.Context, dev kernels.Device, m model.Model, batches []*model.Input, b Budget, progress func(sites int)) ([]Curve, error) {
	pr := newProber(dev, m, nil, batches, p.options, nil)
	defer pr.close()
	if err := pr.dense(ctx); err != nil {
		return nil, err
	}
	curvature, err := pr.curvature(ctx, p.kdSize())
	if err != nil {
		return nil, err
	}
	sites := m.Sites()
	curves, errs := make([]Curve, len(sites)), make([]error, len(sites))
	turn := make(chan struct{}, dev.Workers()) // matrices of as many sites are in memory
	var wg sync.WaitGroup
	defer wg.Wait()
	for s, site := range sites {
		turn <- struct{}{}
		st := Statistics{Width: site.Width, Curvature: curvature[s]}
		if st.Values, err = pr.valueMoments(ctx, s); err != nil {
			return nil, err
		}
		if st.Consumer, err = consumerOf(m, site); err != nil {
			return nil, err
		}
		wg.Go(func() {
			defer func() { <-turn }()
			if curves[s], errs[s] = Operate(st, b.least(site)); errs[s] != nil {
				errs[s] = fmt.Errorf("%v: %w", site, errs[s])
			}
			if progress != nil {
				progress(1)
			}
		})
	}
	wg.Wait()
	return curves, errors.Join(errs...)
}

// consumerOf is the consumer's weight [hidden, units*width].
func consumerOf(m model.Model, site model.Site) (*mat.Dense, error) {
	p := m.Params().Get(site.Consumer)
	values, err := readWide(p)
	if err != nil {
		return nil, err
	}
	return mat.NewDense(p.Shape[0], p.Shape[1], values), nil
}

// valueMoments is the mean over all tokens of v v' for the values v that the
// consumer of site s reads.
func (p *prober) valueMoments(ctx context.Context, s int) (*mat.SymDense, error) {
	site := p.m.Sites()[s]
	n, rows := site.Units*site.Width, 0
	sum := inOrder{}
	var total []float64
	err := p.dev.Each(ctx, len(p.batches), func(ops kernels.Ops, b int) error {
		got := p.m.Capture(model.NewPass(ops, p.batches[b]), s, p.hidden[site.Layer][b])
		gram := ops.Upload(n, n, make([]float32, n*n))
		ops.GramAdd(gram, got.Values, got.Values)
		values := make([]float64, n*n)
		ops.Download(gram, values)
		if all, done := sum.add(b, len(p.batches), [][]float64{values}); done {
			total = all[0]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, in := range p.batches {
		rows += in.Seq.Rows()
	}
	return symmetric(n, total, 1/float64(rows)), nil
}

// symmetric is factor times the n x n matrix of values.
func symmetric(n int, values []float64, factor float64) *mat.SymDense {
	out := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			out.SetSym(i, j, factor*values[i*n+j])
		}
	}
	return out
}

// curvature is, by site, the mean over probes of dS' dS for the gradient dS to
// the site's sum; kd is the size of what enters at the logits.
func (p *prober) curvature(ctx context.Context, kd float64) ([]*mat.SymDense, error) {
	var sum inOrder
	var total [][]float64
	err := p.dev.Each(ctx, len(p.batches), func(ops kernels.Ops, b int) error {
		w, err := p.sweeper(ops)
		if err != nil {
			return err
		}
		if all, done := sum.add(b, len(p.batches), w.survey(b, kd)); done {
			total = all
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]*mat.SymDense, len(total))
	for s, values := range total {
		out[s] = symmetric(p.m.Config().Hidden, values, 1/float64(p.o.Probes))
	}
	return out, nil
}

// survey takes all probes through micro-batch b and returns, by site, the sum of
// dS' dS.
func (w *sweeper) survey(b int, kd float64) [][]float64 {
	hidden, sites := w.p.m.Config().Hidden, w.p.m.Sites()
	grams := make([]*kernels.Tensor, len(sites))
	for s := range grams {
		grams[s] = w.ops.Upload(hidden, hidden, make([]float32, hidden*hidden))
	}
	for from := 0; from < w.p.o.Probes; from += passesAtOnce {
		mark := w.ops.Mark()
		flows := []flow{{md: !w.p.o.NoMD, kd: kd}}
		w.begin(b, min(passesAtOnce, w.p.o.Probes-from))
		w.enterLogits(b, from, flows)
		for k := len(w.p.own) - 1; k >= 0; k-- {
			w.surveyBlock(b, k, from, flows[0], grams)
		}
		w.ops.Release(mark)
	}
	out := make([][]float64, len(sites))
	for s, gram := range grams {
		out[s] = make([]float64, gram.Len())
		w.ops.Download(gram, out[s])
	}
	return out
}

// surveyBlock takes all passes through block k and adds what its sums get from
// the blocks above to grams.
func (w *sweeper) surveyBlock(b, k, from int, f flow, grams []*kernels.Tensor) {
	x := w.p.hidden[k][b]
	w.wear(nothing)
	w.pass.Sums = make([]*kernels.Tensor, len(grams))
	out, _ := w.p.m.Block(&w.pass, k, x)
	sums := w.pass.Sums
	w.pass.Sums = nil
	for i := range w.later {
		mark := w.ops.Mark()
		total, counted := w.enter(i, b, k, from, f, out)
		if counted != nil {
			w.addSums(out, counted, sums, grams)
		}
		if total != nil {
			if k > 0 {
				w.pull(i, out, total, x, false)
			}
			w.alive[i] = true
		}
		w.ops.Release(mark)
	}
	w.tape.Reset()
}

// enter is the gradient to the output of block k that the blocks below get, and
// that which counts for its own sums; nil for nothing.
func (w *sweeper) enter(i, b, k, from int, f flow, out *kernels.Tensor) (total, counted *kernels.Tensor) {
	if w.alive[i] {
		total, counted = w.later[i], w.later[i]
	}
	if !f.enters(k) || !w.p.counts(k) {
		return total, counted
	}
	own := w.own(b, k, from+i, out)
	if total != nil {
		own = w.ops.Add(total, own)
	}
	if k == len(w.p.own)-1 {
		counted = own
	}
	return own, counted
}

// addSums adds dS' dS of the block's sites.
func (w *sweeper) addSums(out, gradient *kernels.Tensor, sums, grams []*kernels.Tensor) {
	var inputs, into []*kernels.Tensor
	var at []int
	for s, sum := range sums {
		if sum != nil {
			inputs, at = append(inputs, sum), append(at, s)
			into = append(into, w.ops.New(kernels.F32, sum.Rows, sum.Cols))
		}
	}
	w.tape.Pull(grad.Pull{Results: []*kernels.Tensor{out}, Gradients: []*kernels.Tensor{gradient}, Inputs: inputs, Into: into})
	for i, s := range at {
		w.ops.GramAdd(grams[s], into[i], into[i])
	}
}
