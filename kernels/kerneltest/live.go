package kerneltest

import (
	"optin/kernels"
)

// liveWeights lets weights live in tensors of the device and changes them, as
// training does: every op that takes a weight sees the new values at once.
func liveWeights(e *env, r *Result) {
	if !e.differentiable {
		return
	}
	for _, n := range []int{1, 3, 8, 17, 33} {
		for _, c := range liveCalls(n) {
			e.live(r, c)
		}
	}
}

// liveCall calls ops with weights of the given shapes.
type liveCall struct {
	what   string
	shapes [][2]int
	terms  int
	call   func(ops kernels.Ops, w []*kernels.Weight) *kernels.Tensor
}

// liveCalls are calls of all ops that take weights; their results are sums of
// products of values up to about 4.
func liveCalls(n int) []liveCall {
	g := (Program{Op: "Weight", Shape: "live"}).gen(uint64(n))
	x, dy, six := g.normal(5, n, 1), g.normal(5, 6, 1), g.normal(5, 6, 1)
	ids := g.ints(5, 0, n)
	return []liveCall{
		{"Linear", [][2]int{{6, n}, {1, 6}}, n, func(ops kernels.Ops, w []*kernels.Weight) *kernels.Tensor {
			return ops.Linear(x.on(ops), w[0], kernels.Epilogue{Bias: w[1], Act: kernels.GELU, Residual: six.on(ops)})
		}},
		{"Linear out", [][2]int{{n, 6}, {1, n}}, 6, func(ops kernels.Ops, w []*kernels.Weight) *kernels.Tensor {
			return ops.Linear(six.on(ops), w[0], kernels.Epilogue{Bias: w[1]})
		}},
		{"LinearBackward", [][2]int{{6, n}}, 6, func(ops kernels.Ops, w []*kernels.Weight) *kernels.Tensor {
			return derivatives(ops).LinearBackward(dy.on(ops), w[0])
		}},
		{"LayerNorm", [][2]int{{1, n}, {1, n}}, n, func(ops kernels.Ops, w []*kernels.Weight) *kernels.Tensor {
			return ops.LayerNorm(x.on(ops), x.on(ops), w[0], w[1], 1)
		}},
		{"LayerNormBackward", [][2]int{{1, n}}, n, func(ops kernels.Ops, w []*kernels.Weight) *kernels.Tensor {
			return derivatives(ops).LayerNormBackward(x.on(ops), x.on(ops), nil, w[0], 1)
		}},
		{"Embed", [][2]int{{n, 6}}, 1, func(ops kernels.Ops, w []*kernels.Weight) *kernels.Tensor {
			return ops.Embed(ops.UploadInts(ids), w[0], six.on(ops))
		}},
		{"Unpack", [][2]int{{6, n}}, 1, func(ops kernels.Ops, w []*kernels.Weight) *kernels.Tensor {
			return ops.Concat(ops.Unpack(w[0], true), ops.Repeat(ops.Unpack(w[0], true), 2))
		}},
	}
}

// live runs c with weights that change while they live, on a worker and on the
// wide one, and compares it with weights of the same values that stay.
func (e *env) live(r *Result, c liveCall) {
	g := (Program{Op: "Weight", Shape: c.what}).gen(e.seed)
	defer g.forget(e.dev)
	var living []*kernels.Weight
	for _, shape := range c.shapes {
		t, err := e.dev.Alloc(kernels.F32, shape[0], shape[1])
		if err != nil {
			r.fail("%s: %v", c.what, err)
			return
		}
		defer e.dev.Free(t)
		w := kernels.LiveWeight("kerneltest", t)
		defer e.dev.Forget(w)
		living = append(living, w)
	}
	for range 3 {
		var sources []*matrix
		var staying []*kernels.Weight
		for _, shape := range c.shapes {
			m := g.normal(shape[0], shape[1], 1)
			sources, staying = append(sources, m), append(staying, g.weight(m))
		}
		changed := func(ops kernels.Ops) *kernels.Tensor {
			for i, m := range sources {
				ops.Copy(living[i].Live(), m.on(ops))
			}
			return c.call(ops, living)
		}
		unchanged := func(ops kernels.Ops) *kernels.Tensor { return c.call(ops, living) }
		e.near(r, c, narrow, changed, staying)
		e.near(r, c, wide, unchanged, staying)
	}
}

// near compares f, run by run, with c's call of weights that stay, to within
// what sums of products in another order may differ by.
func (e *env) near(r *Result, c liveCall, run func(kernels.Device, func(kernels.Ops) *kernels.Tensor) ([]float64, error),
	f func(ops kernels.Ops) *kernels.Tensor, staying []*kernels.Weight) {
	got, err := run(e.dev, f)
	if err != nil {
		r.fail("%s: %v", c.what, err)
		return
	}
	want, err := run(e.dev, func(ops kernels.Ops) *kernels.Tensor { return c.call(ops, staying) })
	if err != nil {
		r.fail("%s: %v", c.what, err)
		return
	}
	scale := make([]float64, len(want))
	for i := range scale {
		scale[i] = 100
	}
	r.compare(c.what, got, want, bound{coefficient: 1, terms: c.terms, scale: scale}, nil)
}
