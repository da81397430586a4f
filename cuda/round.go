package cuda

import "math"

// numbers is a format of floating-point numbers.
type numbers struct {
	fraction int                   // bits behind the first
	least    int                   // exponent of the smallest normal number
	most     float64               // largest
	nearest  func(float64) float64 // integer: of two, as the chip decides
}

// formats are the numbers of the precisions below float32.
func formats() map[Precision]numbers {
	return map[Precision]numbers{
		TF32: {10, -126, math.MaxFloat32, math.Round},
		BF16: {7, -126, math.MaxFloat32, math.RoundToEven},
		FP16: {10, -14, 65504, math.RoundToEven},
	}
}

// Rounding is what Linear does to the numbers that it multiplies in a precision: it gives the
// nearest number of its format; of two, the even one, but in TF32 the one farther from 0. nil
// for float32, which rounds nothing.
func (p Precision) Rounding() func(x float32) float32 {
	f, below := formats()[p]
	if !below {
		return nil
	}
	return func(x float32) float32 {
		v := float64(x)
		if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
			return x
		}
		step := math.Ldexp(1, max(math.Ilogb(v), f.least)-f.fraction)
		v = f.nearest(v/step) * step
		if math.Abs(v) > f.most {
			v = math.Copysign(math.Inf(1), v)
		}
		return float32(v)
	}
}
