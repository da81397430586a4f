package ref

import (
	"math"

	"optin/kernels"
)

func (o *ops) AdamW(w, m, v, g *kernels.Tensor, s kernels.AdamWStep) {
	kernels.CheckAdamW(w, m, v, g, s)
	unbias1 := 1 - math.Pow(s.Beta1, float64(s.Step))
	unbias2 := 1 - math.Pow(s.Beta2, float64(s.Step))
	for i := range w.F64 {
		d := s.Gradient * g.F64[i]
		m.F64[i] = s.Beta1*m.F64[i] + (1-s.Beta1)*d
		v.F64[i] = s.Beta2*v.F64[i] + (1-s.Beta2)*d*d
		step := m.F64[i] / unbias1 / (math.Sqrt(v.F64[i]/unbias2) + s.Eps)
		w.F64[i] -= s.Rate * (step + s.Decay*w.F64[i])
	}
}

func (o *ops) SquaredNorm(dst, x *kernels.Tensor) {
	kernels.CheckSquaredNorm(dst, x)
	dst.F64[0] += dot(x.F64, x.F64)
}
