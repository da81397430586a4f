package checkpoint

import (
	"math"
	"math/bits"
)

// Tensor describes one stored tensor; it holds no values.
type Tensor struct {
	Name  string
	DType DType
	Shape []int  // outermost dimension first; empty for a scalar
	File  string // path of the file that holds the values
}

// Len returns the number of elements: the product of the dimensions, 1 for a scalar.
func (t Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// elements multiplies the dimensions, and reports false when the product does not fit an int.
func elements(shape []int) (int, bool) {
	n := uint64(1)
	for _, d := range shape {
		if d < 0 {
			return 0, false
		}
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 || lo > math.MaxInt {
			return 0, false
		}
		n = lo
	}
	return int(n), true
}
