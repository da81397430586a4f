package checkpoint

import "strings"

// DType is the element type of a stored tensor, spelled as safetensors spells it.
type DType string

// The element types of safetensors files. Only F64, F32, BF16 and F16 can be read as values.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	BF16 DType = "BF16"
	F16  DType = "F16"
	I64  DType = "I64"
	I32  DType = "I32"
	I16  DType = "I16"
	I8   DType = "I8"
	U64  DType = "U64"
	U32  DType = "U32"
	U16  DType = "U16"
	U8   DType = "U8"
	Bool DType = "BOOL"
)

// allDTypes lists every known type in the order in which [Write] lays tensors out: widest alignment first.
func allDTypes() []DType {
	return []DType{U64, I64, F64, F32, U32, I32, BF16, F16, U16, I16, I8, U8, Bool}
}

// Size returns the bytes of one element, or 0 for a type this package does not know.
func (d DType) Size() int {
	switch d {
	case F64, I64, U64:
		return 8
	case F32, I32, U32:
		return 4
	case BF16, F16, I16, U16:
		return 2
	case I8, U8, Bool:
		return 1
	}
	return 0
}

// Float reports whether tensors of this type can be read with [Checkpoint.Float32].
func (d DType) Float() bool { return d == F64 || d == F32 || d == BF16 || d == F16 }

// knownDTypes is the list that error messages show.
func knownDTypes() string {
	var names []string
	for _, d := range allDTypes() {
		names = append(names, string(d))
	}
	return strings.Join(names, ", ")
}
