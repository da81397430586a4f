package kerneltest

import (
	"context"
	"math"

	"optin/kernels"
)

// Rounded is a device in whose Linear round is applied to x and to the weight before they are
// multiplied: on the reference, the plain low-precision path, which computes without error on
// numbers of a lower precision. All other ops are dev's.
func Rounded(dev kernels.Device, round func(x float32) float32) kernels.Device {
	return &rounded{dev, round}
}

type rounded struct {
	kernels.Device
	round func(x float32) float32
}

func (d *rounded) Each(ctx context.Context, n int, f func(ops kernels.Ops, i int) error) error {
	return d.Device.Each(ctx, n, func(ops kernels.Ops, i int) error { return f(roundedOps{ops, d}, i) })
}

func (d *rounded) One(ctx context.Context, f func(ops kernels.Ops) error) error {
	return d.Device.One(ctx, func(ops kernels.Ops) error { return f(roundedOps{ops, d}) })
}

type roundedOps struct {
	kernels.Ops
	dev *rounded
}

func (o roundedOps) Linear(x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue) *kernels.Tensor {
	kernels.CheckLinear(x, w, e)
	weight := kernels.WeightOf(w.Name, w.Rows, w.Cols, o.rounded(o.Unpack(w, false)))
	defer o.dev.Forget(weight)
	return o.Ops.Linear(o.Upload(x.Rows, x.Cols, o.rounded(x)), weight, e)
}

// rounded is the elements of t, rounded.
func (o roundedOps) rounded(t *kernels.Tensor) []float32 {
	list := make([]float32, t.Len())
	for i, v := range values(o.Ops, t) {
		list[i] = o.dev.round(float32(v))
	}
	return list
}

// inLowPrecision makes limit that of a Linear which rounds what it multiplies: twice the
// largest error of the plain low-precision path, beside what float32 may lose. Where that
// path leaves its format's range, what it gives is wanted.
func (e *env) inLowPrecision(b body, want []float64, limit *bound) error {
	plain, err := narrow(Rounded(e.ref, e.round), b.run)
	if err != nil {
		return err
	}
	for i, w := range want {
		p := plain[i]
		if b.at != nil {
			p = plain[b.at[i]]
		}
		switch diff := math.Abs(p - w); {
		case diff == diff && !math.IsInf(diff, 0):
			limit.slack = max(limit.slack, 2*diff)
		default:
			want[i] = p
		}
	}
	return nil
}

// roundsInputs checks that Linear rounds x and the weight: that it is of the precision that is
// asked for, and not of a higher one.
func roundsInputs(e *env, r *Result) {
	if e.round == nil {
		return
	}
	g := e.gen(r)
	defer g.forget(e.dev)
	for _, n := range oddSizes() {
		x, w := g.normal(n, 1, 1), g.normal(n, 1, 1)
		weight := g.weight(w)
		got, err := narrow(e.dev, func(ops kernels.Ops) *kernels.Tensor { return ops.Linear(x.on(ops), weight, kernels.Epilogue{}) })
		if err != nil {
			r.fail("%v", err)
			return
		}
		var want []float64 // products of two such numbers are exact in float32
		for _, a := range x.v {
			for _, b := range w.v {
				want = append(want, float64(e.round(a))*float64(e.round(b)))
			}
		}
		r.compare("products", got, want, bound{}, nil)
	}
}
