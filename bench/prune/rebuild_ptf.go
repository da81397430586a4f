package prune

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"optin/bench/model"
)

// This file repeats the mask tuning of PTF's released code (Kwon et al., NeurIPS
// 2022). It departs from Scale, one factor per unit by least squares, where the
// code does:
//
// REF: heads of the first layer are not scaled; in the last layer's FFN the first
// token alone counts; the heads' equations have a constant added to all columns
// of the sum as one unknown more, which is thrown away; LSMR with damp 1 runs on
// the normal equations, at most as long as they have unknowns; there is no
// held-out data; where LSMR does not converge, or a factor is beyond maxScale,
// this and all later sites are left as they are. Not repeated is whose outputs are
// to be met: those of a model that its search has pruned to the square root of keep,
// where here, as in the paper, they are the dense model's.
// Switch: RebuildOptions.Reference.

// fitReference scales the units of site s.
func (r *rebuilder) fitReference(ctx context.Context, s int, keep []int) (Fit, error) {
	site := r.dense.Sites()[s]
	switch {
	case r.stopped:
		return Fit{Reason: "the reference stopped at an earlier site"}, nil
	case len(keep) == 0:
		return Fit{Reason: "no unit is left to scale"}, nil
	case site.Layer == 0 && site.Kind == model.Heads:
		return Fit{Reason: "the reference leaves the heads of the first layer"}, nil
	}
	c, err := readConsumer(r.current.Params(), site, keep)
	if err != nil {
		return Fit{}, err
	}
	tokens := r.tokens
	if site.Kind == model.Neurons && site.Layer == r.dense.Config().Layers-1 {
		tokens = tokensOf(r.batches, nil, 1)
	}
	ev, err := r.observeSum(ctx, s, c, [][]split{tokens})
	if err != nil {
		return Fit{}, err
	}
	all := ev.fitted[0]
	report := Fit{Fitted: all.unchanged()}
	f, err := c.scaleLikePTF(all, site.Kind == model.Heads)
	if err != nil {
		r.stopped = true
		report.Reason = err.Error()
		return report, nil
	}
	report.Rebuilt = true
	report.Fitted.After = f.loss(all) / all.target
	return report, r.replace(c.changed(f)...)
}

// scaleLikePTF solves M d = c for factors 1 + d by LSMR. With a constant, there
// is one equation more, and one unknown that starts at 1 like the factors.
func (c *consumer) scaleLikePTF(m *moments, constant bool) (*change, error) {
	normal, rhs := c.perUnit(m)
	units := len(c.keep) / c.width
	n := units
	if constant {
		n++
	}
	a, b := mat.NewDense(n, n, nil), mat.NewVecDense(n, nil)
	for u := range units {
		for v := range units {
			a.Set(u, v, normal.At(u, v))
		}
		b.SetVec(u, rhs.At(u, 0))
	}
	if constant {
		c.addConstant(m, a, b)
	}
	if n == 1 {
		return c.scaled([]float64{b.AtVec(0) / a.At(0, 0)}, len(m.e))
	}
	d, stop := lsmr(a, b, 1)
	if !stop.converged() {
		return nil, fmt.Errorf("LSMR stopped without a solution: %v", stop)
	}
	return c.scaled(d[:units], len(m.e))
}

// addConstant adds the equation of a constant in all columns of the sum.
func (c *consumer) addConstant(m *moments, a *mat.Dense, b *mat.VecDense) {
	last := b.Len() - 1
	for i := range c.keep {
		u, share := i/c.width, m.x[i]*mat.Sum(c.w.RowView(i))
		a.Set(u, last, a.At(u, last)+share)
		a.Set(last, u, a.At(last, u)+share)
	}
	size := m.count * float64(len(m.e))
	a.Set(last, last, size)
	for u := range last {
		b.SetVec(u, b.AtVec(u)-a.At(u, last)) // the constant starts at 1
	}
	b.SetVec(last, floats.Sum(m.e)-size)
}
