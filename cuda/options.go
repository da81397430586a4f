package cuda

import "io/fs"

// Options says how the devices are opened. The zero value is the usual one.
type Options struct {
	// Devices are the indices of the devices to use, in CUDA's own order; a device that
	// is named twice gets two workers. Default nil: all.
	Devices []int
	Workers int   // that go round the devices, default 0: one for each
	Guard   bool  // watch for writes outside of buffers, and poison freed ones; slow
	Images  fs.FS // compiled kernels, default nil: those that this program embeds
}
