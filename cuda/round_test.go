package cuda

import (
	"math"
	"testing"
)

// TestRounding: known roundings; what float32 has is left as it is.
func TestRounding(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		p       Precision
		x, want float32
	}{
		{BF16, 1 + 1.0/256, 1}, {BF16, 1 + 3.0/256, 1 + 1.0/64}, // ties go to the even one
		{BF16, 1 + 1.1/256, 1 + 1.0/128}, {BF16, 3e38, 3.00405527e38},
		{FP16, 1 + 1.0/2048, 1}, {FP16, 65519, 65504}, {FP16, 65520, inf}, {FP16, -65520, -inf},
		{FP16, 0x1p-24, 0x1p-24}, {FP16, 0x1p-26, 0},
		{TF32, 65520, 65536}, {TF32, 1 + 1.0/1024, 1 + 1.0/1024}, {TF32, 1 + 1.0/4096, 1},
		{TF32, 1 + 1.0/2048, 1 + 1.0/1024}, {TF32, -1 - 1.0/2048, -1 - 1.0/1024}, // ties go away from 0
		{BF16, inf, inf}, {FP16, 0, 0},
	} {
		if got := c.p.Rounding()(c.x); got != c.want {
			t.Errorf("%s: %v becomes %v, want %v", c.p, c.x, got, c.want)
		}
	}
	if got := BF16.Rounding()(float32(math.NaN())); got == got {
		t.Errorf("NaN becomes %v", got)
	}
	if Float32.Rounding() != nil || Precision("").Rounding() != nil {
		t.Error("float32 rounds")
	}
}
