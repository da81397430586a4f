package kerneltest

import (
	"fmt"
	"math"

	"optin/kernels"
)

// optimizerPrograms are those of AdamW: the first step from moments that are 0,
// later ones from others, without decay, and with gradients whose squares float32
// does not hold.
func optimizerPrograms() []Program {
	usual := kernels.AdamWStep{Rate: 2e-5, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.01, Gradient: 1.0 / 32, Step: 1}
	later := usual
	later.Step, later.Rate = 1000, 1e-3
	strange := kernels.AdamWStep{Rate: 0.5, Beta1: 0, Beta2: 0.5, Eps: 0.1, Decay: 0.3, Gradient: -2, Step: 3}
	plain := usual
	plain.Decay, plain.Gradient, plain.Step, plain.Rate = 0, 1, 10, 0.1
	var programs []Program
	for i, n := range oddSizes() {
		programs = append(programs, adamW(1, n, 1, usual), adamW(n, 3, 1, later), adamW(3, n, 1, []kernels.AdamWStep{strange, plain}[i%2]))
	}
	return append(programs, adamW(64, 65, 1, later), adamW(9, 7, 1e-24, later), adamW(9, 7, 1e12, later), adamW(0, 3, 1, usual))
}

func adamW(rows, cols int, size float64, s kernels.AdamWStep) Program {
	return Program{"AdamW", fmt.Sprintf("rows=%d cols=%d size=%g step=%+v", rows, cols, size, s), func(g *gen) body {
		in := adamWInputs{w: g.normal(rows, cols, 1), m: g.normal(rows, cols, size), v: g.normal(rows, cols, size), g: g.normal(rows, cols, size), step: s}
		for i := range in.v.v {
			in.v.v[i] *= in.v.v[i]
			if s.Step == 1 {
				in.m.v[i], in.v.v[i] = 0, 0
			}
		}
		return in.body()
	}}
}

// adamWInputs are the arguments of one call.
type adamWInputs struct {
	w, m, v, g *matrix
	step       kernels.AdamWStep
}

func (in adamWInputs) body() body {
	return body{
		run: func(ops kernels.Ops) *kernels.Tensor {
			w, m, v := in.w.fresh(ops), in.m.fresh(ops), in.v.fresh(ops)
			derivatives(ops).AdamW(w, m, v, in.g.on(ops), in.step)
			return stacked(ops, w, m, v)
		},
		scale: func(kernels.Ops) []float64 { return in.magnitude() },
	}
}

// magnitude is the sum of the absolute terms of w, m and v; what w moves by is
// a quotient of the latter two.
func (in adamWInputs) magnitude() []float64 {
	s := in.step
	n := len(in.w.v)
	scale := make([]float64, 3*n)
	for i := range n {
		g := math.Abs(s.Gradient * float64(in.g.v[i]))
		m := s.Beta1*math.Abs(float64(in.m.v[i])) + (1-s.Beta1)*g
		v := s.Beta2*float64(in.v.v[i]) + (1-s.Beta2)*g*g
		moved := m / (1 - math.Pow(s.Beta1, float64(s.Step))) / (math.Sqrt(v/(1-math.Pow(s.Beta2, float64(s.Step)))) + s.Eps)
		w := math.Abs(float64(in.w.v[i]))
		scale[i], scale[n+i], scale[2*n+i] = w+s.Rate*(2*moved+2*s.Decay*w), m, v
	}
	return scale
}
