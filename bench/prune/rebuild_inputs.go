package prune

import (
	"context"
	"slices"
	"strings"

	"gonum.org/v1/gonum/mat"

	"optin/bench/model"
	"optin/kernels"
)

// fitInputs changes the producers of site s as if they read X + X C + c, where X
// is what they read in the pruned model: y = x W' + b becomes
//
//	y = x (W + W C')' + (b + W c).
//
// Without biases there is no c.
func (r *rebuilder) fitInputs(ctx context.Context, s int) (Fit, error) {
	site, hidden := r.dense.Sites()[s], r.dense.Config().Hidden
	all := make([]int, hidden)
	for i := range all {
		all[i] = i
	}
	ev, err := r.observe(ctx, [][]split{r.tokens}, hidden, all, func(ops kernels.Ops, b int) regression {
		got := r.current.Reads(r.masked(ops, b), s, r.input[b])
		want := r.dense.Reads(model.NewPass(ops, r.batches[b]), s, r.denseInput[b])
		return regression{x: got, e: difference(ops, want, got), target: want}
	})
	if err != nil {
		return Fit{}, err
	}
	fit := fitter(leastSquares)
	if !biased(site) {
		fit = throughOrigin
	}
	f, report := r.choose(ev, fit)
	if f == nil {
		return report, nil
	}
	changed, err := changedProducers(r.current.Params(), site, f)
	if err != nil {
		return report, err
	}
	return report, r.replace(changed...)
}

const weightSuffix, biasSuffix = ".weight", ".bias"

// biased says whether the producers of a site have biases.
func biased(site model.Site) bool {
	return slices.ContainsFunc(site.Producers, func(name string) bool { return strings.HasSuffix(name, biasSuffix) })
}

// changedProducers is a site's producers with another input.
func changedProducers(p *model.Params, site model.Site, f *change) (changed []*model.Param, err error) {
	for _, name := range site.Producers {
		base, ok := strings.CutSuffix(name, weightSuffix)
		if !ok {
			continue // with its weight
		}
		weight := p.Get(name)
		values, err := readWide(weight)
		if err != nil {
			return nil, err
		}
		w := mat.NewDense(weight.Shape[0], weight.Shape[1], values)
		var dw mat.Dense
		dw.Mul(w, f.dw.T())
		dw.Add(&dw, w)
		changed = append(changed, inMemory(weight, narrow(dw.RawMatrix().Data)))
		if !biased(site) {
			continue
		}
		bias := p.Get(base + biasSuffix)
		if values, err = readWide(bias); err != nil {
			return nil, err
		}
		var db mat.VecDense
		db.MulVec(w, mat.NewVecDense(len(f.db), f.db))
		changed = append(changed, inMemory(bias, narrow(added(values, db.RawVector().Data))))
	}
	return changed, nil
}

func narrow(values []float64) []float32 {
	out := make([]float32, len(values))
	for i, v := range values {
		out[i] = float32(v)
	}
	return out
}
