package prune

import (
	"slices"

	"gonum.org/v1/gonum/mat"

	"optin/bench/model"
	"optin/bench/model/checkpoint"
)

// consumer is what reads a site's kept values: w [K, D] and b.
type consumer struct {
	weight, bias *model.Param
	keep         []int // columns of weight that w is
	width        int   // columns that belong to one unit
	w            *mat.Dense
	b            []float64
}

func readConsumer(p *model.Params, site model.Site, keep []int) (*consumer, error) {
	c := &consumer{weight: p.Get(site.Consumer), bias: p.Get(site.ConsumerBias()), keep: keep, width: site.Width}
	bias := make([]float32, c.bias.Shape[0])
	if err := c.bias.Read(bias); err != nil {
		return nil, err
	}
	for _, v := range bias {
		c.b = append(c.b, float64(v))
	}
	if len(keep) == 0 {
		return c, nil
	}
	values := make([]float32, elements(c.weight.Shape))
	if err := c.weight.Read(values); err != nil {
		return nil, err
	}
	c.w = mat.NewDense(len(keep), len(bias), nil)
	for i, col := range keep {
		row := c.w.RawRowView(i)
		for d := range row {
			row[d] = float64(values[d*c.weight.Shape[1]+col])
		}
	}
	return c, nil
}

// change adds what was fitted.
func (c *consumer) change(f *fit) {
	if f.dw != nil {
		c.w.Add(c.w, f.dw)
	}
	for i, v := range f.db {
		c.b[i] += v
	}
}

// params are the changed parameters, with zeros where units were removed, in
// float32 whatever they were stored in before.
func (c *consumer) params() []*model.Param {
	weight := make([]float32, elements(c.weight.Shape))
	for i, col := range c.keep {
		for d, v := range c.w.RawRowView(i) {
			weight[d*c.weight.Shape[1]+col] = float32(v)
		}
	}
	bias := make([]float32, len(c.b))
	for i, v := range c.b {
		bias[i] = float32(v)
	}
	return []*model.Param{inMemory(c.weight, weight), inMemory(c.bias, bias)}
}

// inMemory is p with other values.
func inMemory(p *model.Param, values []float32) *model.Param {
	return &model.Param{Name: p.Name, Shape: slices.Clone(p.Shape), DType: checkpoint.F32, Read: func(dst []float32) error {
		copy(dst, values)
		return nil
	}}
}
