package cuda

import "io/fs"

// Options says how the devices are opened. The zero value is the usual one.
type Options struct {
	// Devices are the indices of the devices to use, in CUDA's own order; a device that
	// is named twice gets two workers. Default nil: all that there are kernels for.
	Devices   []int
	Workers   int       // that go round the devices, default 0: one for each
	Precision Precision // in which Linear multiplies, default Float32
	Guard     bool      // watch for writes outside of buffers, and poison freed ones; slow
	Images    fs.FS     // compiled kernels, default nil: those that this program embeds

	// Log takes a line about what is there and not used. Default nil: nobody is told.
	Log func(line string)
}

// Precision is the format in which Linear multiplies. All sums, all other ops, and
// everything that lies in memory but the weights and the rounded inputs of Linear are float32.
type Precision string

// The precisions. All but Float32 run on tensor cores, and round what they multiply to the
// nearest number of their format.
const (
	Float32 Precision = "float32" // by cuBLAS
	TF32    Precision = "tf32"    // 10 bits of fraction and float32's range
	BF16    Precision = "bf16"    // 7 bits of fraction and float32's range
	FP16    Precision = "fp16"    // 10 bits of fraction, up to 65504: larger values become infinite
)

// Precisions are all precisions, the most exact first.
func Precisions() []Precision { return []Precision{Float32, TF32, FP16, BF16} }
