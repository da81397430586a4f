package train

import (
	"context"
	"fmt"

	"optin/bench/model"
	"optin/kernels"
)

// vectors are all that training keeps on the device, each of the layout's size.
type vectors struct {
	layout   *layout
	dev      kernels.Device
	rounds   bool // the device keeps values that no float32 holds
	params   *kernels.Tensor
	first    *kernels.Tensor   // moment of the gradient
	second   *kernels.Tensor   // moment of its square
	average  *kernels.Tensor   // of params over the steps; nil: not wanted
	gradient []*kernels.Tensor // by lane
	zeros    *kernels.Tensor   // a piece of them
}

// newVectors takes the memory, and fills it with the values of the parameters.
func newVectors(ctx context.Context, dev kernels.Device, l *layout, lanes int, average bool, params []*model.Param) (*vectors, error) {
	v := &vectors{layout: l, dev: dev, gradient: make([]*kernels.Tensor, lanes)}
	wanted := []**kernels.Tensor{&v.params, &v.first, &v.second}
	if average {
		wanted = append(wanted, &v.average)
	}
	for i := range v.gradient {
		wanted = append(wanted, &v.gradient[i])
	}
	for _, t := range wanted {
		var err error
		if *t, err = dev.Alloc(kernels.F32, l.size, 1); err != nil {
			v.free()
			return nil, fmt.Errorf("memory for training: %w", err)
		}
	}
	var err error
	if v.zeros, err = dev.Alloc(kernels.F32, pieceLen, 1); err == nil {
		err = v.fill(ctx, params)
	}
	if err != nil {
		v.free()
		return nil, err
	}
	return v, nil
}

// fill uploads the parameters' values; all else becomes 0.
func (v *vectors) fill(ctx context.Context, params []*model.Param) error {
	err := v.dev.One(ctx, func(ops kernels.Ops) error {
		ops.Copy(v.zeros, ops.Upload(pieceLen, 1, make([]float32, pieceLen)))
		v.rounds = keepsMore(ops)
		return nil
	})
	if err != nil {
		return err
	}
	err = v.dev.Each(ctx, len(v.layout.pieces), func(ops kernels.Ops, i int) error {
		p := &v.layout.pieces[i]
		for _, t := range append([]*kernels.Tensor{v.params, v.first, v.second}, v.gradient...) {
			v.zero(ops, p, t)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = v.dev.One(ctx, func(ops kernels.Ops) error {
		for _, p := range params {
			s := &v.layout.slots[v.layout.byName[p.Name]]
			values := make([]float32, s.len)
			if err := p.Read(values); err != nil {
				return fmt.Errorf("parameter %s: %w", p.Name, err)
			}
			mark := ops.Mark()
			ops.Copy(s.view(v.params, 1, s.len), ops.Upload(1, s.len, values))
			ops.Release(mark)
		}
		return nil
	})
	if err != nil || v.average == nil {
		return err
	}
	return v.dev.Each(ctx, len(v.layout.pieces), func(ops kernels.Ops, i int) error {
		p := &v.layout.pieces[i]
		ops.Copy(p.cut(v.average), p.cut(v.params))
		return nil
	})
}

// zero clears a piece of a vector.
func (v *vectors) zero(ops kernels.Ops, p *piece, t *kernels.Tensor) {
	none := v.zeros.Slice(0, p.to-p.from)
	none.Rows, none.Cols = (p.to-p.from)/unit, unit
	ops.Copy(p.cut(t), &none)
}

// keepsMore says whether a device keeps more of a number than a float32 can: then
// a checkpoint could not hold what is in memory.
func keepsMore(ops kernels.Ops) bool {
	thirds := make([]float64, 3)
	ops.Download(ops.Softmax(ops.Upload(1, 3, make([]float32, 3))), thirds)
	return float64(float32(thirds[0])) != thirds[0]
}

// round makes parts of vectors what float32 holds of them.
func (v *vectors) round(ops kernels.Ops, list ...*kernels.Tensor) {
	if !v.rounds {
		return
	}
	for _, t := range list {
		ops.Copy(t, ops.Upload(t.Rows, t.Cols, download(ops, t)))
	}
}

func download(ops kernels.Ops, t *kernels.Tensor) []float32 {
	wide := make([]float64, t.Len())
	ops.Download(t, wide)
	narrow := make([]float32, len(wide))
	for i, x := range wide {
		narrow[i] = float32(x)
	}
	return narrow
}

// live are the parameters as they are, or on the average: what a model is made
// of that changes as they do.
func (v *vectors) live(from *kernels.Tensor, params []*model.Param) []*model.Param {
	var list []*model.Param
	for _, p := range params {
		s := &v.layout.slots[v.layout.byName[p.Name]]
		view := s.view(from, 1, s.len)
		q := *p
		q.Live = view
		q.Read = func(dst []float32) error {
			return v.dev.One(context.Background(), func(ops kernels.Ops) error {
				copy(dst, download(ops, view))
				return nil
			})
		}
		list = append(list, &q)
	}
	return list
}

func (v *vectors) free() {
	for _, t := range append([]*kernels.Tensor{v.params, v.first, v.second, v.average, v.zeros}, v.gradient...) {
		if t != nil {
			v.dev.Free(t)
		}
	}
}
