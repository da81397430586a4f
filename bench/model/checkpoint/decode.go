package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
)

// decode converts little-endian elements of src to dst; src holds exactly len(dst) elements of type d.
// Widening is exact. A finite F64 beyond the range of float32 is an error.
func decode(dst []float32, src []byte, d DType) error {
	le := binary.LittleEndian
	switch d {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(le.Uint32(src[4*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = halfToFloat32(le.Uint16(src[2*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = bfloat16ToFloat32(le.Uint16(src[2*i:]))
		}
	case F64:
		for i := range dst {
			wide := math.Float64frombits(le.Uint64(src[8*i:]))
			dst[i] = float32(wide)
			if math.IsInf(float64(dst[i]), 0) && !math.IsInf(wide, 0) {
				return fmt.Errorf("value %g does not fit float32", wide)
			}
		}
	}
	return nil
}

// encode rounds src to elements of type d in dst, which holds exactly len(src) of them.
// It returns the index of the first value that is not finite, before or after rounding, or -1.
func encode(dst []byte, src []float32, d DType) int {
	le := binary.LittleEndian
	for i, v := range src {
		finite := v-v == 0
		switch d {
		case F32:
			le.PutUint32(dst[4*i:], math.Float32bits(v))
		case F64:
			le.PutUint64(dst[8*i:], math.Float64bits(float64(v)))
		case F16:
			h := float32ToHalf(v)
			finite = finite && h&0x7c00 != 0x7c00
			le.PutUint16(dst[2*i:], h)
		case BF16:
			b := float32ToBFloat16(v)
			finite = finite && b&0x7f80 != 0x7f80
			le.PutUint16(dst[2*i:], b)
		}
		if !finite {
			return i
		}
	}
	return -1
}
