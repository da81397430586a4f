package kerneltest

import (
	"fmt"
	"math"

	"optin/kernels"
)

// linear is the shape of a call of Linear.
type linear struct {
	rows, in, out  int
	bias, residual bool
	act            kernels.Activation
	variants       int // of the mask; 0: no mask
	group          int // columns of a unit
}

func (s linear) String() string {
	return fmt.Sprintf("rows=%d in=%d out=%d bias=%t act=%v mask=%d group=%d residual=%t",
		s.rows, s.in, s.out, s.bias, s.act, s.variants, s.group, s.residual)
}

// linearInputs are the arguments of one call.
type linearInputs struct {
	linear
	x, w, b, mask, res *matrix
}

func (s linear) inputs(g *gen) linearInputs {
	in := linearInputs{linear: s}
	in.x = g.normal(s.rows, s.in, 1)
	in.w = g.normal(s.out, s.in, 1/math.Sqrt(float64(max(s.in, 1))))
	if s.bias {
		in.b = g.normal(1, s.out, 1)
	}
	if s.variants > 0 {
		in.mask = g.mask(s.variants, s.out/s.group)
	}
	if s.residual {
		in.res = g.normal(s.rows, s.out, 1)
	}
	return in
}

// call runs Linear on the inputs with weights that gen keeps.
func (in linearInputs) call(g *gen) func(ops kernels.Ops) *kernels.Tensor {
	w, b := g.weight(in.w), g.weight(in.b)
	return func(ops kernels.Ops) *kernels.Tensor {
		return ops.Linear(in.x.on(ops), w, kernels.Epilogue{
			Bias: b, Act: in.act, Mask: in.mask.on(ops), Residual: in.res.on(ops),
		})
	}
}

// magnitude is the sum of absolute terms of each output.
func (in linearInputs) magnitude(g *gen) func(ref kernels.Ops) []float64 {
	in.x, in.w, in.b, in.mask, in.res = in.x.abs(), in.w.abs(), in.b.abs(), in.mask.abs(), in.res.abs()
	in.act = kernels.Identity // the slope of GELU, the steepest activation, is 1.13 at most
	run := in.call(g)
	return func(ref kernels.Ops) []float64 { return values(ref, run(ref)) }
}

func (s linear) program() Program {
	return Program{"Linear", s.String(), func(g *gen) body {
		in := s.inputs(g)
		return body{run: in.call(g), scale: in.magnitude(g), terms: s.in}
	}}
}

// sampled is the program that checks only some outputs, by dot products of its
// own: for shapes that take the reference too long.
func (s linear) sampled(samples int) Program {
	return Program{"Linear", s.String() + fmt.Sprintf(" samples=%d", samples), func(g *gen) body {
		in := s.inputs(g)
		at := make([]int, samples)
		for i := range at {
			at[i] = g.rng.IntN(s.rows * s.out)
		}
		at[0], at[1] = 0, s.rows*s.out-1
		want, scale := in.dots(at)
		return body{
			run: in.call(g), terms: s.in, at: at,
			want:  func(kernels.Ops) []float64 { return want },
			scale: func(kernels.Ops) []float64 { return scale },
		}
	}}
}

// dots are the outputs at the given indices and their magnitudes.
func (in linearInputs) dots(at []int) (want, scale []float64) {
	for _, i := range at {
		r, c := i/in.out, i%in.out
		var y, size float64
		for k, x := range in.x.row(r) {
			term := float64(x) * in.w.at(c, k)
			y += term
			size += math.Abs(term)
		}
		if in.b != nil {
			y += in.b.at(0, c)
			size += math.Abs(in.b.at(0, c))
		}
		switch in.act {
		case kernels.Identity:
		case kernels.GELU:
			y *= 0.5 * math.Erfc(-y/math.Sqrt2)
		default:
			panic("kerneltest: no sampled " + in.act.String())
		}
		if in.mask != nil {
			m := in.mask.at(r/(in.rows/in.variants), c/in.group)
			y, size = y*m, size*math.Abs(m)
		}
		if in.res != nil {
			y += in.res.at(r, c)
			size += math.Abs(in.res.at(r, c))
		}
		want, scale = append(want, y), append(scale, size)
	}
	return want, scale
}

func activations() []kernels.Activation {
	return []kernels.Activation{kernels.Identity, kernels.GELU, kernels.GELUTanh, kernels.GELUQuick, kernels.ReLU, kernels.Tanh}
}

func linearPrograms() []Program {
	var shapes []linear
	for _, n := range oddSizes() {
		shapes = append(shapes,
			linear{rows: n, in: 13, out: 5}, linear{rows: 5, in: n, out: 13}, linear{rows: 13, in: 5, out: n},
			linear{rows: n, in: n, out: n, bias: true, act: kernels.GELU, residual: true, variants: 1, group: 1})
	}
	for _, act := range activations() {
		for _, bias := range []bool{false, true} {
			for _, residual := range []bool{false, true} {
				shapes = append(shapes, linear{rows: 30, in: 17, out: 24, bias: bias, act: act, residual: residual})
			}
		}
	}
	for _, v := range []int{1, 2, 3, 5} {
		for _, group := range []int{1, 3, 8, 24} {
			s := linear{rows: 30, in: 17, out: 24, variants: v, group: group}
			full := s
			full.bias, full.act, full.residual = true, kernels.GELU, true
			shapes = append(shapes, s, full)
		}
	}
	shapes = append(shapes,
		linear{rows: 6, in: 0, out: 5},
		linear{rows: 6, in: 0, out: 5, bias: true, residual: true},
		linear{rows: 6, in: 0, out: 5, bias: true, act: kernels.GELU, variants: 2, group: 1, residual: true},
		linear{rows: 6, in: 5, out: 0},
		linear{rows: 300, in: 40, out: 33, bias: true},
		linear{rows: 3, in: 1000, out: 7, bias: true, residual: true})
	programs := make([]Program, 0, len(shapes))
	for _, s := range shapes {
		programs = append(programs, s.program())
	}
	for _, act := range activations() {
		programs = append(programs, infiniteLinear(act))
	}
	return append(programs, hugeLinear())
}

// infiniteLinear has sums of both infinities before the activation.
func infiniteLinear(act kernels.Activation) Program {
	return Program{"Linear", fmt.Sprintf("rows=5 in=9 out=17 act=%v bias=infinite", act), func(g *gen) body {
		in := linear{rows: 5, in: 9, out: 17, bias: true, act: act}.inputs(g)
		in.b.set(0, 3, math.Inf(1))
		in.b.set(0, 16, math.Inf(-1))
		size := in.magnitude(g)
		return body{run: in.call(g), terms: in.in, scale: func(ref kernels.Ops) []float64 {
			scale := size(ref)
			for i, v := range scale {
				if math.IsInf(v, 0) {
					scale[i] = 0 // nothing comes near an infinity, and what it becomes is exact
				}
			}
			return scale
		}}
	}}
}

// hugeLinear has terms that are far from 1 and sums that are not.
func hugeLinear() Program {
	return Program{"Linear", "rows=9 in=18 out=17 values=1e30", func(g *gen) body {
		in := linear{rows: 9, in: 18, out: 17}.inputs(g)
		for i := range in.x.v {
			in.x.v[i] *= 1e30
		}
		for i := range in.w.v {
			in.w.v[i] *= 1e-30
		}
		return body{run: in.call(g), scale: in.magnitude(g), terms: in.in}
	}}
}
