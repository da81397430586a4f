// Package cuda finds NVIDIA devices, watches them while something is timed, and opens
// one for computing.
//
// Finding and watching go through NVIDIA's management library, which is loaded when it
// is first asked for: they are in every build, and a machine without the library, the
// driver or a device simply has no devices. Opening goes through the driver API and is
// only in builds with the tag cuda; elsewhere [Open] returns [ErrNotBuilt].
//
// Only programs and tests import this package: everything else receives kernels.Ops and
// does not know what runs them.
package cuda
