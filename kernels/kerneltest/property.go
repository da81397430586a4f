package kerneltest

import "optin/kernels"

// property is what must hold of an op beside its values.
type property struct {
	op, name string
	check    func(e *env, r *Result)
}

func properties() []property {
	all := []property{
		{"Linear", "ones-mask-is-no-mask", onesLinear},
		{"Attention", "ones-mask-is-no-mask", onesAttention},
		{"MaskUnits", "ones-mask-is-no-mask", onesMaskUnits},
		{"RemoveUnits", "dead-or-no-unit-leaves-sum", deadUnits},
		{"NormalizedDifference", "own-phi-gives-0", ownPhi},
		{"KLDivergence", "equal-logits-give-0", equalLogits},
		{"SquaredError", "equal-values-give-0", equalValues},
		{"ManifoldLoss", "no-difference-gives-0", noDifference},
		{"Linear", "fused-is-unfused", fusedLinear},
		{"LayerNorm", "fused-is-unfused", fusedLayerNorm},
		{"Attention", "variant-is-alone", variantAlone},
		{"Linear", "rounds-its-inputs", roundsInputs},
		{"Linear", "views-are-tensors", views},
		{"Match", "tokens-matched-by-hand", knownMatch},
		{"Match", "most-similar-pairs", bestPairs},
		{"Match", "variant-is-alone", choicesAlone},
		{"TopK", "variant-is-alone", choicesAlone},
		{"Linear", "many-batches-same-bits", sameBatches},
	}
	all = append(all, memoryProperties()...)
	return append(all, misuse()...)
}

// zero checks that f gives exactly 0.
func (e *env) zero(r *Result, what string, f func(ops kernels.Ops) *kernels.Tensor) {
	got, err := narrow(e.dev, f)
	if err != nil {
		r.fail("%s: %v", what, err)
		return
	}
	r.compare(what, got, make([]float64, len(got)), bound{}, nil)
}

// equal checks that f and g give the same bits, or agree within limit.
func (e *env) equal(r *Result, what string, f, g func(ops kernels.Ops) *kernels.Tensor, limit *bound) {
	got, err := narrow(e.dev, f)
	if err != nil {
		r.fail("%s: %v", what, err)
		return
	}
	want, err := narrow(e.dev, g)
	switch {
	case err != nil:
		r.fail("%s: %v", what, err)
	case limit == nil:
		r.sameBits(what, got, want)
	default:
		r.compare(what, got, want, *limit, nil)
	}
}

// gen makes inputs for a property.
func (e *env) gen(r *Result) *gen { return Program{Op: r.Op, Shape: r.Case}.gen(e.seed) }

func ones(rows, cols int) *matrix {
	m := &matrix{rows, cols, make([]float32, rows*cols)}
	for i := range m.v {
		m.v[i] = 1
	}
	return m
}

func onesLinear(e *env, r *Result) {
	g := e.gen(r)
	defer g.forget(e.dev)
	for _, act := range activations() {
		plain := linear{rows: 12, in: 19, out: 21, bias: true, act: act, residual: true}.inputs(g)
		masked := plain
		masked.mask = ones(3, 7)
		e.equal(r, act.String(), masked.call(g), plain.call(g), nil)
	}
}

func onesAttention(e *env, r *Result) {
	plain := attention{queries: []int{3, 17, 1}, heads: 3, width: 9, variants: 2}.inputs(e.gen(r))
	masked := plain
	masked.headMask = ones(2, 3)
	e.equal(r, "context", masked.call, plain.call, nil)
}

func onesMaskUnits(e *env, r *Result) {
	x := e.gen(r).normal(6, 35, 1)
	e.equal(r, "result", func(ops kernels.Ops) *kernels.Tensor { return ops.MaskUnits(x.on(ops), ones(3, 7).on(ops)) }, x.on, nil)
}

func deadUnits(e *env, r *Result) {
	g := e.gen(r)
	for _, cols := range []int{1, 8, 17, 64} {
		sum, consumer := g.normal(9, cols, 1), g.normal(12, cols, 1)
		value := g.normal(9, 12, 1)
		for row := range value.rows {
			for c := 4; c < 8; c++ { // unit 1 of width 4 is dead
				value.set(row, c, 0)
			}
		}
		remove := func(units ...int32) func(ops kernels.Ops) *kernels.Tensor {
			return func(ops kernels.Ops) *kernels.Tensor {
				return ops.RemoveUnits(sum.on(ops), value.on(ops), consumer.on(ops), ops.UploadInts(units), 4)
			}
		}
		e.equal(r, "dead unit", remove(1, 1, 1), sum.on, nil)
		e.equal(r, "no unit", remove(-1, -1, -1), sum.on, nil)
		between := func(ops kernels.Ops) *kernels.Tensor {
			rows := remove(0, -1, 2)(ops).Slice(3, 6)
			return &rows
		}
		e.equal(r, "no unit between others", between, func(ops kernels.Ops) *kernels.Tensor {
			rows := sum.on(ops).Slice(3, 6)
			return &rows
		}, nil)
	}
}

func ownPhi(e *env, r *Result) {
	g := e.gen(r)
	for _, n := range oddSizes() {
		x := zeroRows(g.normal(7, n, 3))
		e.zero(r, "all rows", func(ops kernels.Ops) *kernels.Tensor {
			t := x.on(ops)
			return ops.NormalizedDifference(t, ops.NormalizeRows(t))
		})
		e.zero(r, "some rows", func(ops kernels.Ops) *kernels.Tensor {
			t := x.on(ops)
			rows, phi := t.Slice(2, 6), ops.NormalizeRows(t).Slice(2, 6)
			return ops.NormalizedDifference(&rows, &phi)
		})
	}
}

func equalLogits(e *env, r *Result) {
	g := e.gen(r)
	for _, n := range oddSizes() {
		for _, size := range []float64{1, 1e4} {
			for _, tau := range []float64{4, 3} { // times 1/3 is rounded, so both must be rounded alike
				base := g.normal(3, n, size)
				e.zero(r, "divergence", func(ops kernels.Ops) *kernels.Tensor {
					b := base.on(ops)
					return accumulated(ops, 2, func(dst *kernels.Tensor) { ops.KLDivergence(dst, ops.Repeat(b, 2), b, tau) })
				})
			}
		}
	}
}

func equalValues(e *env, r *Result) {
	base := e.gen(r).normal(3, 17, 1e3)
	e.zero(r, "error", func(ops kernels.Ops) *kernels.Tensor {
		b := base.on(ops)
		return accumulated(ops, 2, func(dst *kernels.Tensor) { ops.SquaredError(dst, ops.Repeat(b, 2), b) })
	})
}

func noDifference(e *env, r *Result) {
	g := e.gen(r)
	a, none := g.normal(9, 17, 1), &matrix{9, 17, make([]float32, 9*17)}
	aa, zero := g.normal(17, 17, 1), &matrix{17, 17, make([]float32, 17*17)}
	e.zero(r, "by rows", func(ops kernels.Ops) *kernels.Tensor {
		return accumulated(ops, 1, func(dst *kernels.Tensor) { ops.ManifoldLossRows(dst, a.on(ops), none.on(ops)) })
	})
	e.zero(r, "by grams", func(ops kernels.Ops) *kernels.Tensor {
		return accumulated(ops, 1, func(dst *kernels.Tensor) { ops.ManifoldLoss(dst, aa.on(ops), zero.on(ops), zero.on(ops)) })
	})
}

// fusedLinear compares each epilogue with ops of their own.
func fusedLinear(e *env, r *Result) {
	g := e.gen(r)
	defer g.forget(e.dev)
	for _, act := range activations() {
		for _, s := range []linear{
			{rows: 12, in: 19, out: 21, act: act},
			{rows: 12, in: 19, out: 21, act: act, variants: 3, group: 7},
			{rows: 12, in: 19, out: 21, bias: true, act: act, residual: true},
			{rows: 12, in: 19, out: 21, bias: true, act: act, variants: 2, group: 1, residual: true},
		} {
			in := s.inputs(g)
			scale, err := e.onRef(in.magnitude(g))
			if err != nil {
				r.fail("reference: %v", err)
				return
			}
			w, b := g.weight(in.w), g.weight(in.b)
			unfused := func(ops kernels.Ops) *kernels.Tensor {
				y := ops.Activate(ops.Linear(in.x.on(ops), w, kernels.Epilogue{Bias: b}), act)
				if in.mask != nil {
					y = ops.MaskUnits(y, in.mask.on(ops))
				}
				if in.res != nil {
					y = ops.Add(y, in.res.on(ops))
				}
				return y
			}
			limit := bound{coefficient: 2 * coefficient("Linear"), terms: s.in, scale: scale} // both sides round
			e.equal(r, s.String(), in.call(g), unfused, &limit)
		}
	}
}

func fusedLayerNorm(e *env, r *Result) {
	g := e.gen(r)
	defer g.forget(e.dev)
	in := layerNorm{rows: 9, cols: 33, eps: 1e-5, residual: true}.inputs(g)
	gamma, beta := g.weight(in.gamma), g.weight(in.beta)
	limit := bound{coefficient: 2 * coefficient("LayerNorm"), terms: 33, scale: in.magnitude()}
	e.equal(r, "result", func(ops kernels.Ops) *kernels.Tensor {
		return ops.LayerNorm(in.x.on(ops), in.res.on(ops), gamma, beta, in.eps)
	}, func(ops kernels.Ops) *kernels.Tensor {
		return ops.LayerNorm(ops.Add(in.x.on(ops), in.res.on(ops)), nil, gamma, beta, in.eps)
	}, &limit)
}

// variantAlone compares the variants of a batch with batches of one variant.
func variantAlone(e *env, r *Result) {
	in := attention{queries: []int{3, 17, 1}, heads: 3, width: 9, variants: 3, mask: 3, keyBias: 2}.inputs(e.gen(r))
	all := in.magnitude(nil)
	n := in.spec.Q.Rows() * in.q.cols
	for v := range in.variants {
		one := in
		part := func(m *matrix) *matrix {
			rows := m.rows / in.variants
			return &matrix{rows, m.cols, m.v[v*rows*m.cols : (v+1)*rows*m.cols]}
		}
		one.variants = 1
		one.q, one.k, one.v = part(in.q), part(in.k), part(in.v)
		one.headMask, one.keyBiases = part(in.headMask), part(in.keyBiases)
		limit := bound{coefficient: 2 * coefficient("Attention"), terms: in.spec.K.Max, scale: all[v*n : (v+1)*n]}
		e.equal(r, "variant", func(ops kernels.Ops) *kernels.Tensor {
			y := in.call(ops).Slice(v*in.spec.Q.Rows(), (v+1)*in.spec.Q.Rows())
			return &y
		}, one.call, &limit)
	}
}

// views calls ops on views of tensors: rows from the middle, at any alignment.
func views(e *env, r *Result) {
	g := e.gen(r)
	defer g.forget(e.dev)
	for _, cols := range []int{1, 3, 8, 17} {
		x, w := g.normal(13, cols, 1), g.weight(g.normal(9, cols, 1))
		part := &matrix{7, cols, x.v[5*cols : 12*cols]}
		apply := func(ops kernels.Ops, t *kernels.Tensor) *kernels.Tensor {
			return ops.Softmax(ops.Linear(ops.NormalizeRows(ops.Add(ops.Activate(t, kernels.GELU), t)), w, kernels.Epilogue{}))
		}
		scale := make([]float64, 7*9)
		for i := range scale {
			scale[i] = 10 // probabilities of logits up to 10
		}
		limit := bound{coefficient: coefficient("Softmax"), terms: cols, scale: scale}
		e.equal(r, "rows 5 to 12", func(ops kernels.Ops) *kernels.Tensor {
			view := x.on(ops).Slice(5, 12)
			return apply(ops, &view)
		}, func(ops kernels.Ops) *kernels.Tensor { return apply(ops, part.on(ops)) }, &limit)
	}
}
