package roofline

// Chip is what a GPU can do at best, by its data sheet, a second.
type Chip struct {
	Name    string
	Bytes   float64 // of its memory, read or written
	Float32 float64 // operations, a multiply-accumulate being two
	Float64 float64
	TF32    float64 // on tensor cores, dense
	BF16    float64 // also fp16
}

// Chips are the SXM modules with 80 GB: NVIDIA A100 data sheet (June 2021) and NVIDIA H100
// data sheet (2023; its tensor-core figures are for sparse matrices, twice these).
func Chips() [2]Chip {
	return [2]Chip{
		{Name: "A100", Bytes: 2.039e12, Float32: 19.5e12, Float64: 9.7e12, TF32: 156e12, BF16: 312e12},
		{Name: "H100", Bytes: 3.35e12, Float32: 67e12, Float64: 34e12, TF32: 494.5e12, BF16: 989.5e12},
	}
}

// Precision is what dense products run at.
type Precision uint8

const (
	InFloat32 Precision = iota
	InTF32
	InBF16
)

func (p Precision) String() string { return [...]string{"float32", "tf32", "bf16"}[p] }

// rate is the operations a second of u.
func (c Chip) rate(u Unit, p Precision) float64 {
	switch {
	case u == Double:
		return c.Float64
	case u == Dense && p == InTF32:
		return c.TF32
	case u == Dense && p == InBF16:
		return c.BF16
	}
	return c.Float32
}

// Floor is the least seconds that a launch takes, and whether arithmetic limits it.
func (c Chip) Floor(l Launch, p Precision) (seconds float64, arithmetic bool) {
	if p == InBF16 {
		l = l.narrow()
	}
	bytes := l.Bytes
	if p != InFloat32 {
		bytes -= l.Fused
	}
	return floor(bytes, l.Operations, c.Bytes, c.rate(l.Unit, p))
}
