package prune

import (
	"slices"

	"optin/bench/model"
)

// Compact removes from m what mask switches off: rows of the weights that make
// a unit, columns of the one that reads it. Layers may end up with different
// numbers of heads and neurons, and with none.
func Compact(m model.Model, mask Mask) (model.Model, error) {
	sites := m.Sites()
	var changed []*model.Param
	for s, site := range sites {
		keep := kept(mask[s])
		if len(keep) == site.Units {
			continue
		}
		for _, name := range site.Producers {
			changed = append(changed, takeRows(m.Params().Get(name), spread(keep, site.Width)))
		}
		changed = append(changed, takeColumns(m.Params().Get(site.Consumer), spread(keep, site.Width)))
	}
	c := m.Config()
	counts := mask.Kept()
	small, err := c.Resized(PerLayer(sites, c.Layers, model.Heads, counts), PerLayer(sites, c.Layers, model.Neurons, counts))
	if err != nil {
		return nil, err
	}
	return model.New(small, m.Params().With(changed...))
}

// Zeroed is m in its own shapes with zeros where mask switches off: any Hugging
// Face program can load it. A neuron whose row and bias are 0 gives act(0) = 0,
// a head whose values are 0 a context of 0.
func Zeroed(m model.Model, mask Mask) (model.Model, error) {
	var changed []*model.Param
	for s, site := range m.Sites() {
		gone := spread(dropped(mask[s]), site.Width)
		if len(gone) == 0 {
			continue
		}
		for _, name := range site.Producers {
			changed = append(changed, zeroRows(m.Params().Get(name), gone))
		}
		changed = append(changed, zeroColumns(m.Params().Get(site.Consumer), gone))
	}
	return model.New(m.Config(), m.Params().With(changed...))
}

func kept(mask []bool) []int    { return indices(mask, true) }
func dropped(mask []bool) []int { return indices(mask, false) }

func indices(mask []bool, want bool) []int {
	var list []int
	for u, on := range mask {
		if on == want {
			list = append(list, u)
		}
	}
	return list
}

// spread turns units into the rows or columns they own.
func spread(units []int, width int) []int {
	rows := make([]int, 0, len(units)*width)
	for _, u := range units {
		for i := range width {
			rows = append(rows, u*width+i)
		}
	}
	return rows
}

// takeRows is p with only the given rows, along its first axis.
func takeRows(p *model.Param, rows []int) *model.Param {
	cols := elements(p.Shape[1:])
	return derived(p, append([]int{len(rows)}, p.Shape[1:]...), func(dst, src []float32) {
		for i, r := range rows {
			copy(dst[i*cols:(i+1)*cols], src[r*cols:])
		}
	})
}

// takeColumns is the matrix p with only the given columns.
func takeColumns(p *model.Param, cols []int) *model.Param {
	rows, old := p.Shape[0], p.Shape[1]
	return derived(p, []int{rows, len(cols)}, func(dst, src []float32) {
		for r := range rows {
			for i, c := range cols {
				dst[r*len(cols)+i] = src[r*old+c]
			}
		}
	})
}

func zeroRows(p *model.Param, rows []int) *model.Param {
	cols := elements(p.Shape[1:])
	return derived(p, p.Shape, func(dst, src []float32) {
		copy(dst, src)
		for _, r := range rows {
			clear(dst[r*cols : (r+1)*cols])
		}
	})
}

func zeroColumns(p *model.Param, cols []int) *model.Param {
	rows, width := p.Shape[0], p.Shape[1]
	return derived(p, p.Shape, func(dst, src []float32) {
		copy(dst, src)
		for r := range rows {
			for _, c := range cols {
				dst[r*width+c] = 0
			}
		}
	})
}

// derived is a parameter computed from p whenever it is read.
func derived(p *model.Param, shape []int, change func(dst, src []float32)) *model.Param {
	return &model.Param{Name: p.Name, Shape: slices.Clone(shape), DType: p.DType, Read: func(dst []float32) error {
		src := make([]float32, elements(p.Shape))
		if err := p.Read(src); err != nil {
			return err
		}
		change(dst, src)
		return nil
	}}
}

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
