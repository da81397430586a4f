package prune

import (
	"context"
	"slices"

	"gonum.org/v1/gonum/mat"

	"optin/bench/model"
	"optin/bench/model/checkpoint"
	"optin/kernels"
)

// fitConsumer fits what reads the values of site s that keep lists.
func (r *rebuilder) fitConsumer(ctx context.Context, s int, keep []int) (Fit, error) {
	c, err := readConsumer(r.current.Params(), r.dense.Sites()[s], keep)
	if err != nil {
		return Fit{}, err
	}
	choices := [][]split{r.tokens}
	if r.dense.Sites()[s].Layer == r.dense.Config().Layers-1 {
		choices = append(choices, r.read)
	}
	ev, err := r.observeSum(ctx, s, c, choices)
	if err != nil {
		return Fit{}, err
	}
	fit := fitter(leastSquares)
	if r.o.Method == Scale {
		fit = c.scale
	}
	f, report := r.choose(ev, fit)
	if f == nil {
		return report, nil
	}
	return report, r.replace(c.changed(f)...)
}

// observeSum is the evidence of what is missing in the sum of site s, by the
// values that are left.
func (r *rebuilder) observeSum(ctx context.Context, s int, c *consumer, choices [][]split) (*evidence, error) {
	site, width := r.dense.Sites()[s], len(c.keep)
	if width > 0 {
		width = site.Units * site.Width
	}
	bias := make([]float32, len(c.b))
	for i, v := range c.b {
		bias[i] = float32(v)
	}
	return r.observe(ctx, choices, width, c.keep, func(ops kernels.Ops, b int) regression {
		got := r.current.Capture(r.masked(ops, b), s, r.input[b])
		want := r.dense.Capture(model.NewPass(ops, r.batches[b]), s, r.denseInput[b])
		out := regression{e: difference(ops, wholeSum(ops, want), wholeSum(ops, got))}
		share := ops.Linear(got.Values, r.current.Consumer(s), kernels.Epilogue{Residual: out.e})
		out.target = ops.Add(share, ops.Upload(1, len(bias), bias))
		if width > 0 {
			out.x = got.Values
		}
		return out
	})
}

// wholeSum is a site's sum with its residual.
func wholeSum(ops kernels.Ops, c model.Captured) *kernels.Tensor {
	if c.Residual == nil {
		return c.Sum
	}
	return ops.Add(c.Sum, c.Residual)
}

// difference is x - y.
func difference(ops kernels.Ops, x, y *kernels.Tensor) *kernels.Tensor {
	return ops.Add(x, ops.MaskUnits(y, ops.Upload(1, 1, []float32{-1})))
}

// consumer is what reads a site's kept values: w [K, D] and b.
type consumer struct {
	weight, bias *model.Param
	keep         []int // columns of weight that w is
	width        int   // columns that belong to one unit
	w            *mat.Dense
	b            []float64
}

func readConsumer(p *model.Params, site model.Site, keep []int) (c *consumer, err error) {
	c = &consumer{weight: p.Get(site.Consumer), bias: p.Get(site.ConsumerBias()), keep: keep, width: site.Width}
	if c.b, err = readWide(c.bias); err != nil || len(keep) == 0 {
		return c, err
	}
	values, err := readWide(c.weight)
	if err != nil {
		return nil, err
	}
	c.w = mat.NewDense(len(keep), len(c.b), nil)
	for i, col := range keep {
		row := c.w.RawRowView(i)
		for d := range row {
			row[d] = values[d*c.weight.Shape[1]+col]
		}
	}
	return c, nil
}

// changed is the parameters with what was fitted, with zeros where units were
// removed.
func (c *consumer) changed(f *change) []*model.Param {
	weight, bias := make([]float32, elements(c.weight.Shape)), make([]float32, len(c.b))
	for i, col := range c.keep {
		dw := f.dw.RawRowView(i)
		for d, v := range c.w.RawRowView(i) {
			weight[d*c.weight.Shape[1]+col] = float32(v + dw[d])
		}
	}
	for i, v := range c.b {
		bias[i] = float32(v + f.db[i])
	}
	return []*model.Param{inMemory(c.weight, weight), inMemory(c.bias, bias)}
}

// readWide is a parameter's values.
func readWide(p *model.Param) ([]float64, error) {
	values := make([]float32, elements(p.Shape))
	if err := p.Read(values); err != nil {
		return nil, err
	}
	wide := make([]float64, len(values))
	for i, v := range values {
		wide[i] = float64(v)
	}
	return wide, nil
}

// inMemory is p with other values, in float32 whatever it was stored in before.
func inMemory(p *model.Param, values []float32) *model.Param {
	return &model.Param{Name: p.Name, Shape: slices.Clone(p.Shape), DType: checkpoint.F32, Read: func(dst []float32) error {
		copy(dst, values)
		return nil
	}}
}
