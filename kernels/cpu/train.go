//go:build cgo

package cpu

// #include "kernels.h"
import "C"

import (
	"math"

	"optin/kernels"
)

func (o *ops) AdamW(w, m, v, g *kernels.Tensor, s kernels.AdamWStep) {
	kernels.CheckAdamW(w, m, v, g, s)
	step := C.optin_cpu_adamw{
		rate:     C.float(s.Rate),
		decay:    C.float(s.Decay),
		eps:      C.float(s.Eps),
		gradient: C.float(s.Gradient),
		beta1:    C.float(s.Beta1),
		rest1:    C.float(1 - s.Beta1),
		correct1: C.float(1 / (1 - math.Pow(s.Beta1, float64(s.Step)))),
		beta2:    C.float(s.Beta2),
		rest2:    C.float(1 - s.Beta2),
		correct2: C.float(1 / (1 - math.Pow(s.Beta2, float64(s.Step)))),
	}
	C.optin_cpu_adamw_f32(o.isa, floats(w), floats(m), floats(v), floats(g), step, size(w))
}

func (o *ops) SquaredNorm(dst, x *kernels.Tensor) {
	kernels.CheckSquaredNorm(dst, x)
	C.optin_cpu_squared_norm_f64(o.isa, doubles(dst), floats(x), size(x))
}
