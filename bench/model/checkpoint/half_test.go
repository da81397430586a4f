package checkpoint

import (
	"math"
	"testing"
)

// TestHalfWidensExactly compares every binary16 number with its definition, sign * mantissa * 2^exponent.
func TestHalfWidensExactly(t *testing.T) {
	for h := range 1 << 16 {
		exponent, mantissa := h>>10&31, float64(h&1023)
		want := math.Ldexp(mantissa, -24)
		switch {
		case exponent == 31 && mantissa == 0:
			want = math.Inf(1)
		case exponent == 31:
			want = math.NaN()
		case exponent > 0:
			want = math.Ldexp(mantissa+1024, exponent-25)
		}
		if h>>15 == 1 {
			want = -want
		}
		got := halfToFloat32(uint16(h))
		if math.IsNaN(want) {
			if bits := math.Float32bits(got); got == got || bits&0x7fffff != uint32(mantissa)<<13 || bits>>31 != uint32(h>>15) {
				t.Fatalf("half %#04x: NaN became %#08x", h, bits)
			}
		} else if float64(got) != want || math.Signbit(float64(got)) != math.Signbit(want) {
			t.Fatalf("half %#04x = %g, want %g", h, got, want)
		}
	}
}

// TestHalfRoundTrip says that widening loses nothing.
func TestHalfRoundTrip(t *testing.T) {
	for h := range 1 << 16 {
		f := halfToFloat32(uint16(h))
		want := uint16(h)
		if f != f {
			want |= 0x200 // a NaN comes back as a quiet one
		}
		if got := float32ToHalf(f); got != want {
			t.Fatalf("half %#04x came back as %#04x", h, got)
		}
		b := bfloat16ToFloat32(uint16(h))
		want = uint16(h)
		if b != b {
			want |= 0x40
		}
		if got := float32ToBFloat16(b); got != want {
			t.Fatalf("bfloat16 %#04x came back as %#04x", h, got)
		}
	}
}

// TestRoundsToNearestEven goes through all pairs of neighbours: just below, on and just above their midpoint.
func TestRoundsToNearestEven(t *testing.T) {
	for _, kind := range []struct {
		name   string
		widen  func(uint16) float32
		narrow func(float32) uint16
		inf    int
	}{
		{"half", halfToFloat32, float32ToHalf, 0x7c00},
		{"bfloat16", bfloat16ToFloat32, float32ToBFloat16, 0x7f80},
	} {
		for low := range kind.inf {
			lower, upper := kind.widen(uint16(low)), float64(kind.widen(uint16(low+1)))
			if low+1 == kind.inf { // where the next number would be if the exponent had room
				upper = 2*float64(lower) - float64(kind.widen(uint16(low-1)))
			}
			middle := float32((float64(lower) + upper) / 2)
			even := uint16(low + low&1)
			for _, c := range []struct {
				f    float32
				want uint16
			}{
				{math.Nextafter32(middle, 0), uint16(low)},
				{middle, even},
				{math.Nextafter32(middle, float32(math.Inf(1))), uint16(low + 1)},
			} {
				if got := kind.narrow(c.f); got != c.want {
					t.Fatalf("%s(%g) = %#04x, want %#04x", kind.name, c.f, got, c.want)
				}
				if got := kind.narrow(-c.f); got != c.want|0x8000 {
					t.Fatalf("%s(%g) = %#04x, want %#04x", kind.name, -c.f, got, c.want|0x8000)
				}
			}
		}
	}
}
