package main

// Chip is what a GPU can do at best, by its data sheet, a second.
type Chip struct {
	Name    string
	Bytes   float64 // of its memory, read or written
	Float32 float64 // operations, a multiply-accumulate being two
	Float64 float64
	TF32    float64 // on tensor cores, dense
	BF16    float64 // also fp16
}

// chips are the SXM modules with 80 GB: NVIDIA A100 data sheet (June 2021) and NVIDIA H100
// data sheet (2023; its tensor-core figures are for sparse matrices, twice these).
var chips = []Chip{
	{Name: "A100", Bytes: 2.039e12, Float32: 19.5e12, Float64: 9.7e12, TF32: 156e12, BF16: 312e12},
	{Name: "H100", Bytes: 3.35e12, Float32: 67e12, Float64: 34e12, TF32: 494.5e12, BF16: 989.5e12},
}

// unit is what an operation runs on.
type unit uint8

const (
	float32s unit = iota // the plain float32 units, whatever the precision
	float64s             // sums of losses
	dense                // float32 units or tensor cores, by the precision asked for
)

// precision is what dense products run at.
type precision uint8

const (
	inFloat32 precision = iota
	inTF32
	inBF16
)

func (p precision) String() string { return [...]string{"float32", "tf32", "bf16"}[p] }

// rate is the operations a second of u.
func (c Chip) rate(u unit, p precision) float64 {
	switch {
	case u == float64s:
		return c.Float64
	case u == dense && p == inTF32:
		return c.TF32
	case u == dense && p == inBF16:
		return c.BF16
	}
	return c.Float32
}

// floor is the least seconds that a launch takes, which is limited by memory or by
// arithmetic: the roofline (Williams, Waterman and Patterson, CACM 52(4), 2009).
func (c Chip) floor(l launch, p precision) (seconds float64, arithmetic bool) {
	bytes := l.bytes
	if p != inFloat32 {
		bytes -= l.fused
	}
	move := float64(bytes) / c.Bytes
	work := float64(l.operations) / c.rate(l.unit, p)
	return max(move, work), work > move
}
