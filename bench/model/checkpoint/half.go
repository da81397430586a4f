package checkpoint

import "math"

// halfToFloat32 widens an IEEE 754 binary16 number; the result is exact and a NaN keeps its payload.
func halfToFloat32(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent := uint32(h>>10) & 0x1f
	mantissa := uint32(h) & 0x3ff
	switch {
	case exponent == 0x1f: // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | mantissa<<13)
	case exponent != 0:
		return math.Float32frombits(sign | (exponent+127-15)<<23 | mantissa<<13)
	}
	// Zero or subnormal: mantissa * 2^-24, which float32 holds exactly as a normal number.
	return math.Float32frombits(sign | math.Float32bits(float32(mantissa)*0x1p-24))
}

// float32ToHalf rounds to the nearest binary16 number, ties to even; finite values from 65520 on become infinite.
func float32ToHalf(f float32) uint16 {
	u := math.Float32bits(f)
	sign := uint16(u>>16) & 0x8000
	magnitude := u & 0x7fffffff
	switch {
	case magnitude > 0x7f800000: // NaN: keep the high payload bits and stay a NaN
		return sign | 0x7e00 | uint16(magnitude>>13)&0x3ff
	case magnitude >= 0x477ff000: // 65520 and above, infinity included
		return sign | 0x7c00
	case magnitude >= 0x38800000: // normal in binary16
		rebased := magnitude - (127-15)<<23
		return sign | uint16((rebased+0xfff+rebased>>13&1)>>13)
	}
	// Subnormal or zero: in units of 2^-24 the value is below 2^10, so the sum below makes the hardware round it to even.
	scaled := math.Float32frombits(magnitude) * 0x1p24
	return sign | uint16(math.RoundToEven(float64(scaled)))
}

// bfloat16ToFloat32 widens a bfloat16 number; the result is exact.
func bfloat16ToFloat32(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// float32ToBFloat16 rounds to the nearest bfloat16 number, ties to even.
func float32ToBFloat16(f float32) uint16 {
	u := math.Float32bits(f)
	if u&0x7fffffff > 0x7f800000 { // NaN: rounding could carry it into infinity
		return uint16(u>>16) | 0x40
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}
