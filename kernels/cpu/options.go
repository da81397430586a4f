package cpu

// Options says how a device is opened. The zero value is the usual one.
type Options struct {
	Threads int    // workers, default 0: as many as this process may use
	Guard   bool   // watch for writes outside of buffers, and poison freed ones
	ISA     string // "avx512", "avx2" or "plain", default "": OPTIN_ISA, else the best
	Memory  int64  // the most bytes to take for tensors and packed weights, default 0: what there is
}
