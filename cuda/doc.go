// Package cuda runs kernels.Ops and kernels.Backward on NVIDIA devices, finds such devices,
// and watches them while something is timed.
//
// Finding and watching go through NVIDIA's management library, which is loaded when it
// is first asked for: they are in every build, and a machine without the library, the
// driver or a device simply has no devices. Computing goes through the driver API and is
// only in builds with the tag cuda; elsewhere [New] and [Open] return [ErrNotBuilt]. Such a
// build looks for the driver when a device is asked for, and starts without one: [Available]
// says what is missing.
//
// # Workers
//
// [New] gives each device one worker, or as many as Options say, with a stream of its own. Nothing waits for the
// device within a piece of work but [kernels.Memory.Download] and an upload that is
// several megabytes ahead; Device.Each waits for all devices before it returns.
//
// # Memory
//
// A worker's arena keeps the buffers that come back and hands them out again in the
// order of its stream. Weights lie on each device once, for all its workers. What
// Device.Alloc gives is managed by the driver where there are several devices, so that
// all reach it. Values go through pinned memory. Where a device has no memory left, idle
// buffers are given back; if that is not enough, the error is [kernels.ErrOutOfMemory].
//
// # Kernels
//
// Matrix products are cuBLAS's, in full float32; everything else is the kernels of
// optin/kernels/cuda, which the program embeds. Nothing is added up in an order that
// depends on timing: the same shapes give the same bits on the same kind of device.
//
// A device that is opened in a lower precision (see [Precision]) runs Linear on tensor
// cores, with its epilogue in the same pass or in one that adds parts of its sums, and keeps
// the weights of Linear in that format.
// The error is at most twice that of rounding what is multiplied and nothing else.
//
// No CUDA graphs: gorgonia.org/cu v0.9.6 builds graphs node by node, but binds no call that
// captures a stream, or instantiates or launches a graph.
//
// # Indices
//
// Integers are checked on their way to the device, so that an index out of range is a
// panic that names it, as on other devices. Those that TopK and Match choose are in range.
// Those whose values were never seen on the host otherwise, or a view into a larger tensor,
// are read back once to be checked.
//
// Only programs and tests import this package: everything else receives kernels.Ops and
// does not know what runs them.
package cuda
